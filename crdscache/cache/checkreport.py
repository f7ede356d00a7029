"""What a check found, for people: a table, the bad files, and lists that `sha1sum -c` reads."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crdscache.cache import publish
from crdscache.cache.hashes import Hashed
from crdscache.contexts.records import Kind, ManifestRow, Verdict, VerdictRow

MAPPINGS, DARK, OTHER, TOTAL = "mappings", "dark", "other", "total"

_ENDING = ".sha1"
_MOST_DARK = 20


@dataclass(frozen=True, slots=True)
class Count:
    """What was found of one part of the cache."""

    part: str  # instrument and reftype, or a word from above
    size_bytes: int  # by the catalogue; of what is dark, on disk
    n_files: Mapping[Verdict, int]

    @property
    def n_total(self) -> int:
        """The number of files."""
        return sum(self.n_files.values())


def count(rows: Iterable[ManifestRow], found: Iterable[VerdictRow]) -> list[Count]:
    """Count verdicts by instrument and type, and in total, last.

    Parameters
    ----------
    rows
        The manifest.
    """
    by_name = {row.name: row for row in rows}
    sizes: Counter[str] = Counter()
    counts: defaultdict[str, Counter[Verdict]] = defaultdict(Counter)
    for one in found:
        part, size_bytes = _part(one, by_name.get(one.name))
        for each in (part, TOTAL):
            counts[each][one.verdict] += 1
            sizes[each] += size_bytes
    counts.setdefault(TOTAL, Counter())
    last = {OTHER: 1, DARK: 2, TOTAL: 3}
    parts = sorted(counts, key=lambda part: (part != MAPPINGS, last.get(part, 0), part))
    return [Count(part, sizes[part], dict(counts[part])) for part in parts]


def _part(one: VerdictRow, row: ManifestRow | None) -> tuple[str, int]:
    if one.verdict is Verdict.DARK:
        return DARK, int(one.found or 0)
    if row is None:
        return OTHER, 0
    part = MAPPINGS if row.kind is Kind.MAPPING else f"{row.instrument}/{row.reftype}"
    return part, row.size_bytes or 0


def text(rows: Iterable[ManifestRow], found: Sequence[VerdictRow]) -> str:
    """Lay out the counts as a table, with the verdicts that occur; then each bad or dark file."""
    counts = count(rows, found)
    shown = [verdict for verdict in Verdict if verdict is Verdict.OK or verdict in counts[-1].n_files]
    head = ["", "files", "bytes", *(verdict.value for verdict in shown)]
    numbers = [
        [each.part, each.n_total, each.size_bytes, *(each.n_files.get(verdict, 0) for verdict in shown)]
        for each in counts
    ]
    lines = _aligned([head, *(list(map(str, line)) for line in numbers)], n_left=1)
    dark = sorted(
        (one for one in found if one.verdict is Verdict.DARK), key=lambda one: one.reason, reverse=True
    )
    named = [one for one in found if one.verdict.is_bad] + dark[:_MOST_DARK]
    if named:
        titles = ["verdict", "name", "expected", "found", "reason"]
        cells = [[one.verdict.value, one.name, one.expected, one.found, one.reason] for one in named]
        lines += ["", *_aligned([titles, *cells], n_left=len(titles))]
    if len(dark) > _MOST_DARK:
        lines.append(f"and {len(dark) - _MOST_DARK} more are dark: the table of verdicts names them")
    return "\n".join(lines) + "\n"


def _aligned(table: Sequence[Sequence[str]], *, n_left: int) -> list[str]:
    table = [[_printable(cell) for cell in line] for line in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number < n_left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def _printable(cell: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in cell)


def write_lists(
    directory: Path,
    rows: Iterable[ManifestRow],
    statuses: Mapping[str, os.stat_result],
    known: Mapping[str, Hashed],
) -> None:
    """Write the sums that were computed, a list per instrument and type; `sha1sum -c` in the root reads it.

    Parameters
    ----------
    directory
        Ours: lists in it that nothing belongs to any more go.
    statuses
        What is there, by path. Of what was not hashed, or has changed since, there is no sum.
    """
    lines: defaultdict[Path, list[str]] = defaultdict(list)
    for row in rows:
        one, status = known.get(row.name), statuses.get(row.path)
        if one is not None and one.file_sha1 and status is not None and one.is_of(status):
            lines[directory / _list_of(row)].append(f"{one.file_sha1}  {row.path}\n")
    for path, content in lines.items():
        _write(path, "".join(content))
    for path in [*directory.glob("*"), *directory.glob("*/*")]:
        is_ours = path.suffix == _ENDING or publish.is_temporary(path.name)
        if is_ours and path not in lines:
            path.unlink()
    for path in directory.glob("*/"):
        with suppress(OSError):  # not empty
            path.rmdir()


def _list_of(row: ManifestRow) -> str:
    return f"{MAPPINGS}{_ENDING}" if row.kind is Kind.MAPPING else f"{row.instrument}/{row.reftype}{_ENDING}"


def _write(path: Path, content: str) -> None:
    data = content.encode()
    with suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = publish.aside(path)
    # Not flushed to disk: the next run makes it again.
    aside.write_bytes(data)
    aside.replace(path)
