"""What runs have left behind: switches, runs, estimates, the trash, lists of affected data sets."""

from pathlib import Path

from crdscache.affected import results
from crdscache.cache import commit, purgereport, restore
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.errors import CacheError
from crdscache.page.html import Table
from crdscache.workflow import affecting, runs
from crdscache.workflow.settings import Settings

_ESTIMATE = "cron_sync --last N --purge-mappings --purge-references --dry-run makes one"


def tables(config: Settings, at: str) -> dict[str, Table]:
    """Make the tables, by the names of their results; a record that cannot be read is told as such.

    Parameters
    ----------
    at
        When it is now, UTC.
    """
    cache = config.cache
    return {
        "failures": _failures(cache),
        "pending": _pending(cache),
        "purgeable": _purgeable(cache, at),
        "trash": _trash(cache),
        "switches": _switches(cache),
        "affected": _affected(config.readers / affecting.DIRECTORY),
        "runs": _runs(cache),
    }


def _failures(cache: Layout) -> Table:
    kinds = {"sync": runs.SYNC, "verify": runs.VERIFY, "affected": runs.AFFECTED, "purge": runs.PURGE}
    last = {word: runs.last(cache, kind) for word, kind in kinds.items()}
    rows = [
        (word, record.ended, problem.name, problem.reason)
        for word, record in last.items()
        if record is not None
        for problem in record.result.failures
    ]
    where = str(cache.state / "logs")
    return Table(
        "Failures of the last run of each kind", ("run", "ended", "name", "reason"), rows, "none", where
    )


def _pending(cache: Layout) -> Table:
    last = runs.last(cache)
    names = last.result.pending if last else ()
    since = last.pending_since if last else {}
    rows = [(name, since.get(name, "")) for name in names]
    return Table("Files not delivered yet", ("name", "since"), rows, "none", str(cache.state / runs.SYNC))


def _purgeable(cache: Layout, at: str) -> Table:
    title, columns = "What the last estimate of a purge says", ("what", "files", "bytes")
    try:
        made = purgereport.load_totals(cache.state / purgereport.DIRECTORY / purgereport.TOTALS)
    except (OSError, ValueError, TypeError):
        return Table(title, columns, (), f"never estimated: {_ESTIMATE}")
    age = times.span(times.age_s(made.made, at))
    n_files = made.n_mappings + made.n_references
    rows: list[tuple[str, str | int, str | int]] = [
        ("would go", n_files, made.size_bytes),
        ("of them mappings", made.n_mappings, ""),
        ("of them references that are rejected", made.n_rejected, ""),
        ("of them references that are dark", made.n_dark, ""),
        ("the disk gets back, once the trash is empty", "", made.frees_bytes),
        ("in the cache", made.n_files, made.all_bytes),
        (f"made {made.made} UTC, {age} ago, as {made.plan}", "", ""),
    ]
    return Table(title, columns, rows)


def _trash(cache: Layout) -> Table:
    columns = ("run", "files", "bytes", "bytes that emptying frees")
    try:
        rows = [(one.run_id, one.n_files, one.size_bytes, one.frees_bytes) for one in restore.bins(cache)]
    except OSError as error:  # it is emptied at this moment, or not for us to read
        return Table("Trash", columns, (), f"cannot be read: {error}")
    return Table("Trash", columns, rows[::-1], "empty", "the trash")


def _switches(cache: Layout) -> Table:
    columns, path = ("when", "from", "to", "why"), cache.state / "switches.tsv"
    try:
        rows = commit.switches(cache)[::-1]
    except (OSError, CacheError) as error:
        return Table("Changes of the default context", columns, (), f"cannot be read: {error}")
    return Table("Changes of the default context", columns, rows, "never", str(path))


def _affected(directory: Path) -> Table:
    rows: list[tuple[str, str, int, str, str]] = []
    for path in directory.glob("*/summary.json"):
        try:
            summary = results.load_summary(path)
        except (OSError, ValueError, KeyError, TypeError):  # it is written or removed at this moment
            continue
        contexts = f"{summary.steps[0].old} --> {summary.steps[-1].new}" if summary.steps else ""
        place = str(path.parent)
        rows.append((summary.when, contexts, summary.n_affected, summary.disposition.value, place))
    columns = ("when", "change", "products affected", "how it ended", "where")
    return Table("Lists of affected data sets", columns, sorted(rows, reverse=True), "never", str(directory))


def _runs(cache: Layout) -> Table:
    try:
        rows = runs.history(cache)[::-1]
    except (OSError, CacheError) as error:
        return Table("Runs", runs.COLUMNS, (), f"cannot be read: {error}")
    return Table("The last runs", runs.COLUMNS, rows, "never", str(cache.state / runs.HISTORY))
