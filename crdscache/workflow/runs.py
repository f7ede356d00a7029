"""What runs leave behind: a line each in runs.tsv, the last one whole in status.json, and logs."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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

_RUNS = (
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

    @property
    def did_something(self) -> bool:
        """Whether an operator would want to hear of it."""
        is_moved = self.default_before != self.default_after
        return bool(self.news) or is_moved or any(map(self.n_files.get, BROUGHT))


@dataclass(frozen=True, slots=True)
class Record:
    """The content of status.json: the last run, and what was told of it."""

    run: Run
    ended: str
    result: Result
    last_success: str | None
    failures_told: str | None  # when the failures that last were told
    waits_since: str | None  # since when the default waits for the server's


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
    )


def last(cache: Layout, kind: str = SYNC) -> Record | None:
    """Read how the last run of a kind ended; None where nothing readable tells."""
    try:
        data = json.loads((cache.state / kind).read_text(encoding="utf-8"))
        result = data["result"]
        result["failures"] = tuple(Problem(**problem) for problem in result["failures"])
        result |= {key: tuple(result.get(key, ())) for key in ("waits_for", "pending", "news")}
        return Record(**{**data, "run": Run(**data["run"]), "result": Result(**result)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record(cache: Layout, run: Run, result: Result, *, told: str | None, kind: str = SYNC) -> Record:
    """Write down how a run ended.

    Parameters
    ----------
    told
        When the failures of this run were told, if they were; UTC.
    """
    before = last(cache, kind)
    ended = times.now()
    waits_since = None
    if result.waits_for:
        waits_since = before.waits_since if before and before.waits_since else ended
    last_success = before.last_success if before else None
    if result.status == Status.OK:
        last_success = ended
    written = Record(run, ended, result, last_success, told, waits_since)
    publish.write_text(cache.state / kind, json.dumps(asdict(written), indent=2) + "\n")
    tables.append(cache.state / "runs.tsv", "runs", _RUNS, _cells(written))
    return written


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


def prune_logs(cache: Layout, keep: int) -> None:
    """Remove the oldest logs of runs, ours and Snakemake's own, which it never removes."""
    for pattern in ("logs/run-*.log", ".snakemake/log/*.log"):
        for path in sorted(cache.state.glob(pattern), key=lambda path: path.name)[:-keep]:
            path.unlink(missing_ok=True)
