"""Tables on disk: tab-separated text to grep and compare; the first line has kind and version."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crdscache.cache import publish
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import (
    Action,
    FileRecord,
    Kind,
    ManifestRow,
    Outcome,
    PlanRow,
    Receipt,
    Sighting,
    SightingRow,
    Verdict,
    VerdictRow,
)
from crdscache.errors import NotACacheError

VERSION = 1

_CATALOGUE = ("name", "size_bytes", "file_sha1", "state", "rejected")
_MANIFEST = ("name", "kind", "instrument", "reftype", "size_bytes", "file_sha1", "path", "held")
_PLAN = (*_MANIFEST, "action", "reason", "source")
_VERDICTS = ("name", "verdict", "expected", "found", "reason")
_SIGHTINGS = ("path", "name", "sighting", "reason")
_RECEIPTS = ("name", "outcome", "size_bytes", "file_sha1", "source", "seconds", "reason")


def write(path: Path, kind: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table as a whole; it appears only when it is complete."""
    with writing(path, kind, columns) as put:
        put(rows)


@contextmanager
def writing(
    path: Path, kind: str, columns: Sequence[str]
) -> Iterator[Callable[[Iterable[Sequence[str]]], None]]:
    """Yield what adds rows to a table; it appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with publish.publish(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(_head(kind, columns))
        yield lambda rows: stream.writelines("\t".join(map(_cell, row)) + "\n" for row in rows)


def append(path: Path, kind: str, columns: Sequence[str], row: Sequence[str]) -> None:
    """Add one whole line to a table, which is made if it is not there, or was emptied.

    Several processes may add lines to one table at a time, and others may take it away meanwhile.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except FileNotFoundError:
        write(path, kind, columns, [row])
        return
    line = ("\t".join(map(_cell, row)) + "\n").encode()
    with publish.naming(path), os.fdopen(descriptor, "rb+") as stream:
        size_bytes = stream.seek(0, os.SEEK_END)
        if size_bytes == 0:
            line = _head(kind, columns).encode() + line
        elif os.pread(descriptor, 1, size_bytes - 1) != b"\n":
            line = b"\n" + line  # a power cut has left half a line: ours begins a new one
        stream.write(line)
        stream.flush()
        os.fsync(descriptor)


def read(path: Path, kind: str, columns: Sequence[str]) -> Iterator[list[str]]:
    """Yield the rows of a table; a line that a power cut has left half is none.

    Raises
    ------
    NotACacheError
        The table is of another kind or version, or its columns are others: another version of this software
        wrote it.
    """
    with path.open(encoding="utf-8", errors="replace", newline="\n") as stream:
        first, header = stream.readline(), stream.readline()
        if first.split() != ["#", "crdscache", kind, str(VERSION)] or header.rstrip("\n").split("\t") != list(
            columns
        ):
            message = f"{path}: expected a table '# crdscache {kind} {VERSION}', found {first.strip()!r:.80}"
            raise NotACacheError(message)
        for line in stream:
            cells = line.rstrip("\n").split("\t")
            if len(cells) == len(columns):
                yield cells


def _head(kind: str, columns: Sequence[str]) -> str:
    return f"# crdscache {kind} {VERSION}\n" + "\t".join(columns) + "\n"


def _cell(value: str) -> str:
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def write_catalogue(path: Path, catalogue: Catalogue) -> None:
    """Write the server's catalogue, by name."""
    records = sorted(catalogue.records.values(), key=lambda record: record.name)
    write(path, "catalogue", _CATALOGUE, map(_catalogue_cells, records))


def _catalogue_cells(record: FileRecord) -> list[str]:
    rejected = str(int(record.is_rejected))
    return [record.name, str(record.size_bytes), record.file_sha1 or "", record.state, rejected]


def read_catalogue(path: Path) -> Catalogue:
    """Read what `write_catalogue` wrote; its problems were told when the server was asked."""
    records = {
        name: FileRecord(name, int(size), file_sha1 or None, state, rejected == "1")
        for name, size, file_sha1, state, rejected in read(path, "catalogue", _CATALOGUE)
    }
    return Catalogue(records, ())


def _manifest_cells(row: ManifestRow) -> list[str]:
    return [
        row.name,
        row.kind.value,
        row.instrument,
        row.reftype,
        _number(row.size_bytes),
        row.file_sha1 or "",
        row.path,
        str(int(row.is_held)),
    ]


def _manifest_row(cells: Sequence[str]) -> ManifestRow:
    name, kind, instrument, reftype, size, file_sha1, path, held = cells
    size_bytes = int(size) if size else None
    return ManifestRow(
        name, Kind(kind), instrument, reftype, size_bytes, file_sha1 or None, path, held == "1"
    )


def write_manifest(path: Path, rows: Iterable[ManifestRow]) -> None:
    """Write all that should be there."""
    write(path, "manifest", _MANIFEST, map(_manifest_cells, rows))


def read_manifest(path: Path) -> list[ManifestRow]:
    """Read all that should be there."""
    return [_manifest_row(cells) for cells in read(path, "manifest", _MANIFEST)]


def write_plan(path: Path, rows: Iterable[PlanRow]) -> None:
    """Write one shard of what is to be done."""
    cells = ([*_manifest_cells(row.file), row.action.value, row.reason, row.source] for row in rows)
    write(path, "plan", _PLAN, cells)


def read_plan(path: Path) -> list[PlanRow]:
    """Read one shard of the plan."""
    return [
        PlanRow(_manifest_row(cells[:-3]), Action(cells[-3]), cells[-2], cells[-1])
        for cells in read(path, "plan", _PLAN)
    ]


def write_receipts(path: Path, receipts: Iterable[Receipt]) -> None:
    """Write what was done, one line a file."""
    cells = (
        [
            r.name,
            r.outcome.value,
            str(r.size_bytes),
            r.file_sha1 or "",
            r.source,
            f"{r.seconds:.3f}",
            r.reason,
        ]
        for r in receipts
    )
    write(path, "receipts", _RECEIPTS, cells)


def read_receipts(path: Path) -> list[Receipt]:
    """Read what was done."""
    return [
        Receipt(name, Outcome(outcome), int(size), file_sha1 or None, source, float(seconds), reason)
        for name, outcome, size, file_sha1, source, seconds, reason in read(path, "receipts", _RECEIPTS)
    ]


def write_verdicts(path: Path, rows: Iterable[VerdictRow]) -> None:
    """Write what a check found, one line a file."""
    cells = ([row.name, row.verdict.value, row.expected, row.found, row.reason] for row in rows)
    write(path, "verdicts", _VERDICTS, cells)


def read_verdicts(path: Path) -> list[VerdictRow]:
    """Read what a check found."""
    return [
        VerdictRow(name, Verdict(verdict), *rest)
        for name, verdict, *rest in read(path, "verdicts", _VERDICTS)
    ]


def write_sightings(path: Path, rows: Iterable[SightingRow]) -> None:
    """Write what becomes of each file that was seen in the trees."""
    write(
        path, "sightings", _SIGHTINGS, ([row.path, row.name, row.sighting.value, row.reason] for row in rows)
    )


def read_sightings(path: Path) -> list[SightingRow]:
    """Read what becomes of each file that was seen in the trees."""
    return [
        SightingRow(where, name, Sighting(sighting), reason)
        for where, name, sighting, reason in read(path, "sightings", _SIGHTINGS)
    ]
