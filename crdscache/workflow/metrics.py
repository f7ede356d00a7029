"""What monitoring reads: figures of the last runs in the text form of Prometheus, in the state.

Moments are told, not ages: an age would stand still when no run comes to its end any more.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from crdscache.cache import commit, publish
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.errors import CacheError
from crdscache.workflow import joblog, runs
from crdscache.workflow.runs import BROUGHT, Record

logger = logging.getLogger(__name__)

FILE = "metrics.prom"

_KINDS = {"sync": runs.SYNC, "verify": runs.VERIFY, "purge": runs.PURGE, "affected": runs.AFFECTED}
_OUTCOMES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "present": ("here and right", ("kept", *BROUGHT)),
    "failed": ("not to be had, or wrong, in the last run", ("failed",)),
    "pending": ("not delivered by the server yet", ("pending",)),
}


@dataclass(frozen=True, slots=True)
class _Sample:
    """One figure."""

    name: str  # below `crdscache_`
    text: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)  # beside those of the cache


def write(cache: Layout) -> None:
    """Write what the records of the last runs tell; the file appears whole.

    That it cannot be written is a line of the log: no run fails for it.
    """
    registry, gauges = CollectorRegistry(), dict[str, Gauge]()
    of_cache = {"observatory": cache.observatory, "cache": str(cache.root)}
    for each in _samples(cache):
        labels = {**of_cache, **each.labels}
        if each.name not in gauges:
            gauges[each.name] = Gauge(f"crdscache_{each.name}", each.text, tuple(labels), registry=registry)
        gauges[each.name].labels(**labels).set(each.value)
    try:
        publish.write_text(cache.state / FILE, generate_latest(registry).decode())
    except (CacheError, OSError) as error:
        logger.warning("metrics not written reason=%s", error)


def _samples(cache: Layout) -> Iterator[_Sample]:
    found = {kind: runs.last(cache, file) for kind, file in _KINDS.items()}
    records = {kind: record for kind, record in found.items() if record is not None}
    for kind, record in records.items():
        yield from _of_run(kind, record)
    yield from _of_default(cache, records.get("sync"))
    if "sync" in records:
        yield from _of_sync(cache, records["sync"])
    if "verify" in records:
        for verdict, n_files in records["verify"].result.verdicts.items():
            text = "Files by what the last full check says of them."
            yield _Sample("verdict_files", text, n_files, {"verdict": verdict})
    n_waiting = sum(1 for _ in cache.state.glob("readers/mail/*.json"))
    yield _Sample("mails_waiting", "Mails about affected data sets that are not sent yet.", n_waiting)


def _of_run(kind: str, record: Record) -> Iterator[_Sample]:
    success, result = _moment(record.last_success), record.result
    took = times.age_s(record.run.started, record.ended)
    for name, text, value in (
        ("end_timestamp_seconds", "End of the last run.", _moment(record.ended)),
        ("success_timestamp_seconds", "End of the last run with status 0; 0: there was none.", success),
        ("status", "Status of the last run.", result.status),
        ("failures", "Files, data sets or mails that failed in the last run.", len(result.failures)),
        ("duration_seconds", "How long the last run took.", took),
    ):
        yield _Sample(f"run_{name}", text, value, {"run": kind})


def _of_default(cache: Layout, record: Record | None) -> Iterator[_Sample]:
    switches = commit.switches(cache)
    if switches:
        moved, _, context, _ = switches[-1]
        wanted = record.result.wanted if record and record.result.wanted else ""
        text = "The default context, and what should be it."
        yield _Sample("default_context", text, 1, {"context": context, "wanted": wanted})
        yield _Sample("default_moved_timestamp_seconds", "When the default context moved.", _moment(moved))
    if record is not None:
        text = "Since when the default context waits for files; 0: it does not."
        yield _Sample("default_waits_since_timestamp_seconds", text, _moment(record.waits_since))
        text = "Since when the first of the files that are pending is so; 0: none is."
        first = min(record.pending_since.values(), default=None)
        yield _Sample("pending_since_timestamp_seconds", text, _moment(first))


def _of_sync(cache: Layout, record: Record) -> Iterator[_Sample]:
    result = record.result
    if result.n_files:  # a run that came to nothing does not know them
        every = {"wanted": ("wanted by the chosen contexts", tuple(result.n_files)), **_OUTCOMES}
        for what, (words, outcomes) in every.items():
            n_files = sum(result.n_files.get(outcome, 0) for outcome in outcomes)
            size_bytes = sum(result.size_bytes.get(outcome, 0) for outcome in outcomes)
            yield _Sample(f"{what}_files", f"Files {words}.", n_files)
            yield _Sample(f"{what}_bytes", f"Bytes of the files {words}.", size_bytes)
    if result.refreshed:
        text = "When the server made its answer."
        yield _Sample("server_answer_timestamp_seconds", text, _moment(result.refreshed))
    for step, took in joblog.seconds(cache.state / "logs", _moment(record.run.started)).items():
        yield _Sample(
            "step_duration_seconds", "How long the steps of the last run took.", took, {"step": step}
        )


def _moment(text: str | None) -> float:
    """Give a time as seconds since 1970; 0 where there is none."""
    moment = None if text is None else times.parse(text)
    return 0.0 if moment is None else (moment - datetime.fromtimestamp(0, UTC)).total_seconds()
