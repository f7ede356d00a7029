"""What a run says: short, and only what is new; from cron, silence means that all is well."""

import sys
from collections.abc import Mapping, Sequence

from crdscache.contexts import times
from crdscache.contexts.records import Problem, Verdict
from crdscache.workflow.runs import BROUGHT, Record, Result
from crdscache.workflow.status import Status

MOST_LINES = 20
TELL_AGAIN_S = 24 * 3600

WAITS = "waits"  # the alarm that the default does
NO_ALARMS: Mapping[str, str] = {}


def end_by(problems: tuple[Problem, ...]) -> None:
    """End a workflow that was started by hand: status 1, with each failure named, if there were any."""
    if problems:
        sys.stderr.write("\n".join(failures(problems, MOST_LINES)) + "\n")
        raise SystemExit(1)


def is_news(result: Result, before: Record | None, at: str) -> bool:
    """Tell whether a run that nobody watches, and that ends at a time, has something to say."""
    begins_to_wait = bool(result.waits_for) and (before is None or before.waits_since is None)
    if begins_to_wait or result.changed_something:
        return True
    if result.status == Status.OK:
        return bool(result.news) or (before is not None and before.result.status != Status.OK)
    if before is None or before.failures_told is None or result.what_failed != before.result.what_failed:
        return True
    return not times.is_recent(before.failures_told, TELL_AGAIN_S, at)


def lines(
    observatory: str, result: Result, before: Record | None, alarms: Mapping[str, str] = NO_ALARMS
) -> tuple[list[str], list[str]]:
    """Say how a run ended: for standard output, and for standard error.

    Parameters
    ----------
    alarms
        What goes on for too long, by its kind.
    """
    out, err = [], []
    ended = Status.OK if before is None else before.result.status
    if ended != Status.OK and result.status == Status.OK:
        out.append(f"{observatory}: recovered; the last run ended with status {ended}")
    if ended == Status.FATAL and result.status == Status.ERR:
        out.append(f"{observatory}: at work again; the last run ended with status {ended}")
    out += [*_outcome(observatory, result), *_checked(observatory, result)]
    out += [f"{observatory}: {line}" for line in result.news]
    if result.status != Status.OK and before is not None and result.what_failed == before.result.what_failed:
        err.append(f"{observatory}: the same since {before.failing_since or before.ended} UTC")
    if result.message:
        err.append(f"{observatory}: {result.message}")
    if _went_back(result):
        err.append(
            f"{observatory}: the server went from {result.default_before} back to {result.default_after}"
        )
    if result.waits_for and WAITS not in alarms:
        err.append(f"{observatory}: {waits(result)}")
    err += [f"{observatory}: {text}" for text in alarms.values()]
    err += failures(result.failures, MOST_LINES - len(out) - len(err) - 1)
    return out, err


def waits(result: Result, since: str | None = None) -> str:
    """Say that the default waits, for what, and since when."""
    stays = f"the default context stays {result.default_after}" + (f" since {since} UTC" if since else "")
    return f"{stays}, {result.wanted} lacks {some(result.waits_for)}"


def trees(n_seen: Mapping[str, int]) -> str:
    """Say what becomes of the files of the trees, in numbers."""
    return "files of the trees: " + ", ".join(f"{n} {sighting}" for sighting, n in n_seen.items())


def verdicts(counts: Mapping[str, int]) -> str:
    """Say what a check has found, in numbers."""
    n_wanted = sum(counts.values()) - counts.get(Verdict.DARK.value, 0)
    return f"checked {n_wanted} files: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items())


def _checked(observatory: str, result: Result) -> list[str]:
    if not result.verdicts:
        return []
    hashed = result.n_files.get("hashed")
    read = "" if hashed is None else f"; {hashed} of them were read ({size(result.size_bytes['hashed'])})"
    return [f"{observatory}: {verdicts(result.verdicts)}{read}"]


def _outcome(observatory: str, result: Result) -> list[str]:
    if result.default_after is None:
        return []
    moved = result.default_before not in (None, result.default_after)
    default = f"{result.default_before} -> {result.default_after}" if moved else result.default_after
    default += _pinned(result)
    n_kept = result.n_files.get("kept", 0)
    counts = [
        f"{n} {outcome} ({size(result.size_bytes.get(outcome, 0))})"
        if outcome in BROUGHT
        else f"{n} {outcome}"
        for outcome, n in sorted(result.n_files.items())
        if n
    ]
    is_idle = result.status == Status.OK and sum(result.n_files.values()) == n_kept and not moved
    done = f"nothing to do, {n_kept} files are as they should be" if is_idle else ", ".join(counts)
    text = f"{observatory}: default context {default}; {done}"
    pending = [f"{observatory}: not delivered yet: {some(result.pending)}"] if result.pending else []
    seen = [f"{observatory}: {trees(result.n_seen)}; each is in adoption.tsv"] if result.n_seen else []
    return [text, *seen, *pending]


def _went_back(result: Result) -> bool:
    before, after = result.default_before, result.default_after
    is_back = before is not None and after is not None and after < before
    return is_back and result.pinned is None


def _pinned(result: Result) -> str:
    if result.pinned is None:
        return ""
    is_ahead = result.server_default not in {None, result.pinned}
    return f" (pinned; the server's is {result.server_default})" if is_ahead else " (pinned)"


def failures(problems: tuple[Problem, ...], most: int) -> list[str]:
    """List what failed, each file once, with a last line that counts what is left out."""
    told = [f"failed: {problem.name}: {problem.reason}" for problem in problems]
    if len(told) <= most:
        return told
    return [*told[: most - 1], f"and {len(told) - most + 1} more failures: see the log"]


def some(names: Sequence[str]) -> str:
    """Name the first few."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004


def count(names: Sequence[str]) -> str:
    """Say how many files there are, and name the first few."""
    return f"{len(names)} file{'s' if len(names) > 1 else ''}, {some(names)}"


def size(size_bytes: float) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000:  # noqa: PLR2004 -- SI, as disks are sold
            return f"{size_bytes:.0f} {unit}" if unit == "bytes" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
