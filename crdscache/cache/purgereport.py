"""An estimate of a purge: as tables for programs, as text for people, and in a few numbers for both."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from crdscache.cache import publish, tables
from crdscache.cache.purge import DARK, REJECTED, Estimate, PurgeRow, Use
from crdscache.contexts import times
from crdscache.contexts.records import Kind

DIRECTORY = "purge"  # of the state
TOTALS = "estimate.json"

_PLAN = ("path", "kind", "instrument", "reftype", "why", "size_bytes", "frees_bytes")
_KEPT = ("context", "why")
_USES = ("reference", "rmap", "first_context", "last_context", "n_contexts", "becomes")
_MOST_LINES = 20
_MOST_PLANS = 20


@dataclass(frozen=True, slots=True)
class Totals:
    """An estimate in a few numbers."""

    plan: str
    made: str  # UTC
    n_mappings: int
    n_references: int  # with those that are rejected or dark
    n_rejected: int
    n_dark: int
    size_bytes: int
    frees_now_bytes: int
    frees_bytes: int  # once the trash is empty
    n_files: int  # in the cache
    all_bytes: int
    n_refusals: int  # why it would not be carried out

    def __str__(self) -> str:
        refused = "; it would be refused" if self.n_refusals else ""
        return (
            f"purge {self.plan}: {self.n_mappings} mappings and {self.n_references} references of "
            f"{self.n_files} files would go, {self.size_bytes} of {self.all_bytes} bytes; the disk gets "
            f"{self.frees_now_bytes} bytes back now, {self.frees_bytes} once the trash is emptied, "
            f"by the estimate of {self.made} UTC{refused}"
        )


def totals(made: Estimate, *, empties_trash: bool) -> Totals:
    """Add an estimate up.

    Parameters
    ----------
    empties_trash
        The trash is emptied at the end of the run.
    """
    n_mappings = sum(row.kind is Kind.MAPPING for row in made.rows)
    why = Counter(row.why for row in made.rows)
    return Totals(
        made.plan,
        times.now(),
        n_mappings,
        len(made.rows) - n_mappings,
        why[REJECTED],
        why[DARK],
        made.goes_bytes,
        made.frees_bytes if empties_trash else 0,
        made.frees_bytes,
        made.n_files,
        made.size_bytes,
        len(made.problems),
    )


def load_totals(path: Path) -> Totals:
    """Read the numbers of an estimate."""
    return Totals(**json.loads(path.read_text(encoding="utf-8")))


def save(made: Estimate, numbers: Totals, directory: Path) -> None:
    """Write the plan, what is kept and where rejected references are named, under the id of the plan."""
    cells = (
        [
            row.path,
            row.kind.value,
            row.instrument,
            row.reftype,
            row.why,
            str(row.size_bytes),
            str(row.frees_bytes),
        ]
        for row in made.rows
    )
    tables.write(directory / f"{made.plan}.tsv", "purge", _PLAN, cells)
    kept = ([name, "; ".join(reasons)] for name, reasons in made.kept.why.items())
    tables.write(directory / f"{made.plan}.kept.tsv", "kept", _KEPT, kept)
    uses = (
        [
            use.reference,
            use.rmap,
            use.contexts[0],
            use.contexts[-1],
            str(len(use.contexts)),
            "goes" if use.goes else "stays",
        ]
        for use in made.uses
    )
    tables.write(directory / f"{made.plan}.rejected.tsv", "rejected", _USES, uses)
    publish.write_text(directory / TOTALS, json.dumps(asdict(numbers), indent=2) + "\n")
    _prune(directory, made.plan)


def _prune(directory: Path, newest: str) -> None:
    plans = sorted(
        (path for path in directory.glob("p*.tsv") if path.name.count(".") == 1 and path.stem != newest),
        key=lambda path: path.stat().st_mtime_ns,
    )
    for plan in plans[: -(_MOST_PLANS - 1)]:
        for path in directory.glob(f"{plan.stem}.*"):
            path.unlink(missing_ok=True)


def text(made: Estimate, numbers: Totals) -> str:
    """Tell what a purge would do: what is kept, and what goes, by context, instrument, type and kind."""
    blocks = [
        _block("kept", (f"{name:24} {'; '.join(why)}" for name, why in made.kept.why.items())),
        _block(
            "of contexts that are not kept would go",
            (_line(share.context, share.n_files, share.size_bytes) for share in made.shares),
        ),
        _block("by instrument and type", _by_part(made.rows)),
        _block("by kind", _by_kind(made.rows)),
        _block("the largest", _largest(made.rows)),
        _block("rejected references", (_use(use) for use in made.uses)),
        _block("left alone", (f"{problem.name}: {problem.reason}" for problem in made.left)),
        f"{numbers}\n",
    ]
    return "".join(blocks)


def _use(use: Use) -> str:
    where = f"{use.rmap}, in {len(use.contexts)} contexts from {use.contexts[0]} to {use.contexts[-1]}"
    return f"{use.reference} {'goes' if use.goes else 'stays'}: {where}"


def _line(part: str, n_files: int, size_bytes: int, frees_bytes: int | None = None) -> str:
    frees = "" if frees_bytes is None else f" {frees_bytes:18} freed"
    return f"{part:24} {n_files:8} files {size_bytes:18} bytes{frees}"


def _block(title: str, lines: Iterable[str]) -> str:
    told = list(lines)
    if not told:
        return ""
    if len(told) > _MOST_LINES:
        told = [*told[:_MOST_LINES], f"and {len(told) - _MOST_LINES} more"]
    return "".join(f"{line}\n" for line in (f"{title}:", *(f"  {line}" for line in told)))


def _by_part(rows: Iterable[PurgeRow]) -> Iterator[str]:
    def part(row: PurgeRow) -> str:
        is_mapping = row.kind is Kind.MAPPING
        return "mappings" if is_mapping else f"{row.instrument or '?'}/{row.reftype or '?'}"

    return _sums((part(row), row) for row in rows)


def _by_kind(rows: Iterable[PurgeRow]) -> Iterator[str]:
    words = {DARK: "dark references", REJECTED: "rejected references"}
    kinds = {Kind.MAPPING: "mappings", Kind.REFERENCE: "references"}
    return _sums((words.get(row.why, kinds[row.kind]), row) for row in rows)


def _sums(pairs: Iterable[tuple[str, PurgeRow]]) -> Iterator[str]:
    sums: dict[str, list[int]] = {}
    for part, row in pairs:
        numbers = sums.setdefault(part, [0, 0, 0])
        for place, number in enumerate((1, row.size_bytes, row.frees_bytes)):
            numbers[place] += number
    return (_line(part, *sums[part]) for part in sorted(sums))


def _largest(rows: Iterable[PurgeRow]) -> Iterator[str]:
    by_size = sorted(rows, key=lambda row: (-row.size_bytes, row.path))
    return (f"{row.path} {row.size_bytes} bytes ({row.why})" for row in by_size[:5])
