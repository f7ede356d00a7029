"""The fast check: a verdict for each file, from what the plan has seen of the cache."""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import replace

from crdscache.cache import dark, layout, verdicts, verify
from crdscache.cache.manifest import Disk
from crdscache.cache.plan import Plan
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Action, Kind, ManifestRow, PlanRow, Problem, Verdict, VerdictRow


def of_plan(drawn: Plan, disk: Disk, *, reads_mappings: bool = True) -> list[VerdictRow]:
    """Judge each file that the plan looks after, and list what is dark beside contexts; in order of name.

    By presence, kind and length, and by what is known of their sums.

    Parameters
    ----------
    reads_mappings
        Sum mappings anew: they are small.
    """
    mappings = [row for row in drawn.manifest if row.kind is Kind.MAPPING]
    rows = [_of_mapping(row, disk, reads=reads_mappings) for row in mappings]
    rows += [_of_reference(row, drawn, disk) for row in drawn.rows]
    rows = with_rejections(rows, rejected(disk.catalogue))
    if not drawn.is_of_files:
        rows += dark.find(disk.cache, disk.mode, (row.path for row in drawn.manifest), disk.catalogue)
    return sorted(rows, key=lambda row: row.name)


def _of_mapping(row: ManifestRow, disk: Disk, *, reads: bool) -> VerdictRow:
    path = disk.cache.absolute(row.path)
    if reads:
        return verify.hash_one(row, path)[0]
    status = layout.status(path)
    return verdicts.judge(row, path, status, disk.known.get(row.name))


def _of_reference(row: PlanRow, drawn: Plan, disk: Disk) -> VerdictRow:
    file = row.file
    if row.action is Action.PENDING:
        return VerdictRow(file.name, Verdict.PENDING, reason=row.reason)
    status = drawn.found.get(file.path)
    return verdicts.judge(file, disk.cache.absolute(file.path), status, disk.known.get(file.name))


def rejected(catalogue: Catalogue) -> frozenset[str]:
    """Name the files that the server has rejected."""
    return frozenset(name for name, record in catalogue.records.items() if record.is_rejected)


def with_rejections(rows: Iterable[VerdictRow], names: Container[str]) -> list[VerdictRow]:
    """Tell of right files that the server has rejected them."""
    reason = "the server has rejected it"
    return [
        replace(row, verdict=Verdict.REJECTED, reason=reason)
        if row.verdict is Verdict.OK and row.name in names
        else row
        for row in rows
    ]


def failures(rows: Iterable[VerdictRow]) -> tuple[Problem, ...]:
    """List what is wrong, each file once."""
    return tuple(Problem(row.name, row.reason) for row in rows if row.verdict.is_bad)


def counts(rows: Iterable[VerdictRow]) -> dict[str, int]:
    """Count the verdicts, in the words of the table."""
    found = Counter(row.verdict for row in rows)
    return {verdict.value: found[verdict] for verdict in Verdict if found[verdict]}
