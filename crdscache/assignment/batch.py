"""A list of data sets of any length, cut into shards; what came of each data set is a receipt."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path

from crdscache.assignment import headers
from crdscache.assignment.work import Done, Worker
from crdscache.cache import publish, tables
from crdscache.contexts.records import Problem
from crdscache.errors import DatasetError

_COLUMNS = ("id", "context", "outcome", "reason")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of one data set."""

    id: str
    context: str
    outcome: str  # changed, would-change, same, or failed; a file that failed in part may be changed
    reason: str  # the first failure


def split(source: Path, n_shards: int) -> list[list[str]]:
    """Cut a list into parts of equal length, in its order; lines that begin with # are left out.

    Parameters
    ----------
    source : a path of a file in each line, or a header as `jsonlines` reads it; plain or gzip

    Raises
    ------
    DatasetError
        It cannot be read.
    """
    try:
        data = source.read_bytes()
        text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode(errors="surrogateescape")
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(str(source), f"the list of data sets cannot be read: {error}") from error
    entries = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    bounds = [len(entries) * number // n_shards for number in range(n_shards + 1)]
    return [entries[start:stop] for start, stop in pairwise(bounds)]


def write_shard(path: Path, entries: Iterable[str]) -> None:
    """Write one part of a list."""
    with publish.publish(path) as temporary:
        text = "".join(f"{entry}\n" for entry in entries)
        temporary.write_bytes(text.encode(errors="surrogateescape"))


def do_shard(worker: Worker, shard: Path) -> Iterator[Done]:
    """Work through one part of a list, in its order; raises as `Worker.of_file`."""
    with shard.open(encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        if stream.read(1) != "{":
            stream.seek(0)
            yield from (worker.of_file(line.rstrip("\n")) for line in stream)
            return
    yield from headers.of_file(worker, shard)


def write(results: Iterable[Done], receipts: Path, answers: Path) -> None:
    """Write what came of data sets: a receipt, and an answer as `safe_bestrefs --json` has it, for each."""
    made: list[Receipt] = []
    with publish.publish(answers) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for done in results:
            stream.write(json.dumps(done.line()) + "\n")
            made.append(_receipt(done))
    tables.write(receipts, "bestrefs", _COLUMNS, map(astuple, made))


def _receipt(done: Done) -> Receipt:
    failures = [f"{problem.name}: {problem.reason}".removeprefix(": ") for problem in done.failures]
    return Receipt(done.id, done.context or "", _outcome(done), "; ".join(failures[:1]))


def _outcome(done: Done) -> str:
    if done.failures:
        return "failed"
    if done.is_changed:
        return "changed"
    return "would-change" if done.edits else "same"


def failures(receipts: Iterable[Path]) -> tuple[Problem, ...]:
    """List the data sets that failed."""
    rows = (Receipt(*cells) for path in receipts for cells in tables.read(path, "bestrefs", _COLUMNS))
    return tuple(Problem(row.id, row.reason) for row in rows if row.outcome == "failed")
