"""What runs leave behind: a line each in runs.tsv, the last one whole in status.json, and logs."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from crdscache.cache import publish, tables
from crdscache.cache.commit import Summary
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.records import Outcome, Problem, Transfers
from crdscache.workflow.status import Status

# Kinds of runs: the last one of each is kept whole, in the file of this name.
SYNC = "status.json"
VERIFY = "verify.json"
AFFECTED = "affected.json"
PURGE = "purge.json"
PINNING = "pinning.json"

HISTORY = "runs.tsv"
COLUMNS = (
    "run_id",
    "command",
    "started",
    "ended",
    "status",
    "default_before",
    "default_after",
    "fetched",
    "failed",
    "message",
)


BROUGHT = tuple(outcome.value for outcome in Outcome if outcome.is_brought)


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as it begins."""

    run_id: str
    command: str
    started: str  # UTC


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    status: int
    default_before: str | None = None
    default_after: str | None = None
    server_default: str | None = None
    waits_for: tuple[str, ...] = ()
    failures: tuple[Problem, ...] = ()
    pending: tuple[str, ...] = ()
    n_files: Mapping[str, int] = field(default_factory=dict)  # by outcome
    size_bytes: Mapping[str, int] = field(default_factory=dict)
    message: str = ""  # what stopped it
    n_seen: Mapping[str, int] = field(default_factory=dict)  # files of trees, by what became of them
    verdicts: Mapping[str, int] = field(default_factory=dict)  # where files were checked: how many of each
    news: tuple[str, ...] = ()  # what else there is to say
    pinned: str | None = None  # where the default is held, whatever the server's is
    lost: tuple[str, ...] = ()  # of those pending the ones that were here before
    refreshed: str | None = None  # when the server made its answer

    @property
    def wanted(self) -> str | None:
        """What should be the default."""
        return self.pinned or self.server_default

    @property
    def what_failed(self) -> tuple[object, ...]:
        """What makes the failures of two runs the same."""
        message = re.sub(r"\d+", "", self.message)  # times and free bytes differ in each run, and are no news
        return self.status, message, tuple(sorted(problem.name for problem in self.failures))

    @property
    def changed_something(self) -> bool:
        """Whether the default moved or files came, whatever failed beside it."""
        return self.default_before != self.default_after or any(map(self.n_files.get, BROUGHT))


@dataclass(frozen=True, slots=True)
class Record:
    """The content of status.json: the last run, and what was told of it."""

    run: Run
    ended: str
    result: Result
    last_success: str | None
    failures_told: str | None  # when the failures that last were told
    waits_since: str | None  # since when the default waits for the server's
    failing_since: str | None = None  # since when the same fails
    pending_since: Mapping[str, str] = field(default_factory=dict)  # by name, of those still pending
    alarms_told: Mapping[str, str] = field(default_factory=dict)  # when, by what they are about


def new_id() -> str:
    """Make the id of a run: its time, and something that no other run has."""
    return f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}-{token_hex(3)}"


def begin(command: str) -> Run:
    """Begin a run."""
    return Run(new_id(), command, times.now())


def result_of(summary: Summary) -> Result:
    """Turn what the commit wrote into a result."""
    switch = summary.switch
    return Result(
        Status.ERR if summary.failures else Status.OK,
        switch.before,
        switch.after,
        switch.server,
        switch.waits_for,
        summary.failures,
        summary.pending,
        summary.n_files,
        summary.size_bytes,
        n_seen=summary.n_seen,
        pinned=switch.pinned,
        refreshed=summary.refreshed,
    )


def last(cache: Layout, kind: str = SYNC) -> Record | None:
    """Read how the last run of a kind ended; None where nothing readable tells."""
    try:
        data = json.loads((cache.state / kind).read_text(encoding="utf-8"))
        result = data["result"]
        result["failures"] = tuple(Problem(**problem) for problem in result["failures"])
        result |= {key: tuple(result.get(key, ())) for key in ("waits_for", "pending", "news", "lost")}
        return Record(**{**data, "run": Run(**data["run"]), "result": Result(**result)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def history(cache: Layout) -> list[list[str]]:
    """Read what each run came to, as COLUMNS names it; oldest first."""
    path = cache.state / HISTORY
    return list(tables.read(path, "runs", COLUMNS)) if path.exists() else []


def follow(before: Record | None, run: Run, result: Result, ended: str) -> Record:
    """Make the record of a run that has just ended: what goes on since when is told by the one before."""
    last_success, waits_since, failing_since = None, None, None
    pending: Mapping[str, str] = {}
    alarms: Mapping[str, str] = {}
    if before is not None:
        last_success, waits_since, pending = before.last_success, before.waits_since, before.pending_since
        alarms = before.alarms_told
        if result.what_failed == before.result.what_failed:
            failing_since = before.failing_since
    if result.status != Status.FATAL:  # a run that came to nothing knows nothing of these
        waits_since = _since(waits_since, ended) if result.waits_for else None
        pending = {name: _since(pending.get(name), ended) for name in result.pending}
    if result.status == Status.OK:
        last_success, failing_since = ended, None
    else:
        failing_since = _since(failing_since, ended)
    return Record(run, ended, result, last_success, None, waits_since, failing_since, pending, alarms)


def _since(noted: str | None, ended: str) -> str:
    """Go on with a time that was noted, unless a clock was wrong then."""
    return noted if noted is not None and times.is_recent(noted, float("inf"), ended) else ended


def record(cache: Layout, run: Run, result: Result, *, told: str | None, kind: str = SYNC) -> Record:
    """Write down how a run ended.

    Parameters
    ----------
    told
        When the failures of this run were told, if they were; UTC.
    """
    written = replace(follow(last(cache, kind), run, result, times.now()), failures_told=told)
    save(cache, written, kind)
    return written


def save(cache: Layout, written: Record, kind: str = SYNC) -> None:
    """Write a record down, as the last one of its kind, and as a line of runs.tsv."""
    publish.write_text(cache.state / kind, json.dumps(asdict(written), indent=2) + "\n")
    tables.append(cache.state / HISTORY, "runs", COLUMNS, _cells(written))


def _cells(written: Record) -> list[str]:
    run, result = written.run, written.result
    counts = [str(result.n_files.get("fetched", 0)), str(len(result.failures))]
    defaults = [result.default_before or "", result.default_after or ""]
    return [
        run.run_id,
        run.command,
        run.started,
        written.ended,
        str(result.status),
        *defaults,
        *counts,
        result.message,
    ]


def end_of_time(transfers: Transfers) -> float | None:
    """Tell when the transfers of a run that begins now shall end, by the monotonic clock; None: whenever."""
    return None if transfers.deadline_s is None else time.monotonic() + transfers.deadline_s


def log_path(cache: Layout, run: Run) -> Path:
    """Name the log of a run."""
    return cache.state / "logs" / f"run-{run.run_id}.log"


def prune(cache: Layout, keep: int) -> None:
    """Remove the oldest logs of runs."""
    for path in sorted(cache.state.glob("logs/run-*.log"), key=lambda path: path.name)[:-keep]:
        path.unlink(missing_ok=True)
