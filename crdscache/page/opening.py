"""What the page tells at a glance: the default context, how far behind it is, failures, the last success."""

import json
from pathlib import Path

from crdscache.cache import commit, identity, publish, serverconfig
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import CacheError
from crdscache.page.files import Survey
from crdscache.workflow import report, runs
from crdscache.workflow.runs import Record
from crdscache.workflow.settings import Settings

FILE = "opening.json"

_MOST_FAILURES = 10


def facts(config: Settings, survey: Survey, at: str) -> dict[str, str]:
    """Tell what an operator wants to know first, in that order.

    Parameters
    ----------
    at
        When it is now, UTC.
    """
    cache, last = config.cache, runs.last(config.cache)
    return {
        "Default context": _default(cache),
        "Behind the server": _behind(last),
        "Last run": _last_run(last),
        "Failures of the last run": _failures(last),
        "Last success": _success(last, at),
        "Files": _files(survey),
        "Cache": f"{cache.root} ({cache.observatory}, from {_address(config.server_url)})",
        "This page": f"made at {at} UTC; all times are UTC",
    }


def _address(url: str) -> str:
    """Leave a user and a password out of an address."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _default(cache: Layout) -> str:
    try:
        info = serverconfig.read_info(cache.config, cache.observatory, with_catalogue=False)
        rows, stamp = commit.switches(cache), identity.load(cache)
    except (OSError, CacheError) as error:
        return f"cannot be read: {error}"
    if info is None:
        return "none: there is no configuration yet"
    pinned = f"; pinned at {stamp.pinned}" if stamp and stamp.pinned else ""
    return f"{info.default_context}, {_since(rows, info)}{pinned}"


def _since(rows: list[list[str]], info: ServerInfo) -> str:
    if not rows or rows[-1][2] != info.default_context:
        return "since when is not known: another tool has set it"
    when, _, _, why = rows[-1]
    return f"since {when} UTC, why: {why}"


def _behind(last: Record | None) -> str:
    if last is None or last.result.server_default is None:
        return (
            "not known: the server was never asked"
            if last is None
            else "not known: the last run got no answer"
        )
    result, asked = last.result, f"asked at {last.ended} UTC"
    if result.pinned is not None and result.pinned != result.server_default:
        return f"held at {result.pinned}, the server has {result.server_default} ({asked})"
    if result.default_after == result.server_default:
        return f"no, it is the server's default ({asked})"
    if result.waits_for:
        since = f" since {last.waits_since} UTC" if last.waits_since else ""
        waits = report.count(result.waits_for)
        return f"the server has {result.server_default}; waits{since} for {waits} ({asked})"
    return f"the server has {result.server_default} ({asked})"


def _last_run(last: Record | None) -> str:
    if last is None:
        return "never"
    message = f": {last.result.message}" if last.result.message else ""
    return f"{last.run.command}, ended at {last.ended} UTC with status {last.result.status}{message}"


def _failures(last: Record | None) -> str:
    if last is None or not (last.result.failures or last.result.message):
        return "none"
    told = [f"{problem.name}: {problem.reason}" for problem in last.result.failures[:_MOST_FAILURES]]
    n_more = len(last.result.failures) - len(told)
    since = f"since {last.failing_since} UTC" if last.failing_since else ""
    return "; ".join(
        [*filter(None, (since, last.result.message)), *told, *([f"{n_more} more"] if n_more else [])]
    )


def _success(last: Record | None, at: str) -> str:
    if last is None or last.last_success is None:
        return "never"
    return f"{last.last_success} UTC, {times.span(times.age_s(last.last_success, at))} ago"


def _files(survey: Survey) -> str:
    if survey.problem:
        return f"nothing can be said: {survey.problem}"
    n_files = sum(share.n_files for share in survey.parts.values())
    n_bytes = sum(share.size_bytes for share in survey.parts.values())
    return f"{n_files:,} here ({report.size(n_bytes)}), {len(survey.bad):,} bad"


def save(path: Path, told: dict[str, str]) -> None:
    """Write down what the page shall open with."""
    publish.write_text(path, json.dumps(told, indent=2) + "\n")


def load(path: Path) -> list[tuple[str, str]]:
    """Read what `save` wrote, as text that reStructuredText takes for nothing but text."""
    if not path.exists():
        return []
    told = json.loads(path.read_text(encoding="utf-8"))
    return [(plain(label), plain(text)) for label, text in told.items()]


def plain(text: str) -> str:
    """Escape all that could be mark-up: file names and messages come from elsewhere."""
    return "".join(_escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if letter.isalnum() or letter == " ":
        return letter
    return f"\\{letter}" if letter.isprintable() and not letter.isspace() else " "
