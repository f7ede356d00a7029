"""Brings the results of all instruments together: the list of products, the tables, the log, the summary."""

import gzip
import heapq
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile

from crdscache.affected import results, story
from crdscache.affected.results import Disposition, Summary
from crdscache.cache import publish, tables

_AT_ONCE = 1_000_000  # products that are sorted in memory: 100 MB


@dataclass(frozen=True, slots=True)
class Parts:
    """The tables of all instruments, step by step."""

    affected: Sequence[Path]
    undetermined: Sequence[Path]
    failed: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Report:
    """What a change of context leaves behind: the files of one directory."""

    directory: Path

    @property
    def ids(self) -> Path:
        """The products, one a line, sorted, in lower case."""
        return self.directory / "ids.txt"

    @property
    def summary(self) -> Path:
        """The numbers."""
        return self.directory / "summary.json"

    @property
    def log(self) -> Path:
        """What happened, in the words of the missions' client."""
        return self.directory / "log.txt"


def gather(report: Report, parts: Parts, summary: Summary) -> Summary:
    """Write all files of a report but its mail, and give the summary with the number of products.

    Where some data sets were not looked at there is no list: half of one would be taken for the whole.
    """
    is_whole = summary.disposition is not Disposition.FAILED
    n_products = _write_ids(report, parts.affected if is_whole else ())
    _join(report, "affected", results.AFFECTED, parts.affected if is_whole else ())
    _join(report, "undetermined", results.UNDETERMINED, parts.undetermined)
    _join(report, "failed", results.FAILED, parts.failed)
    told = replace(summary, n_affected=n_products)
    with publish.publish(report.log) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in story.log(told, parts.failed, parts.undetermined))
    results.save_summary(report.summary, told)
    return told


def _write_ids(report: Report, paths: Iterable[Path]) -> int:
    """Write the list, plain and compressed, and give its length."""
    n_products = 0
    with publish.publish(report.ids) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for line in _products(paths, report.directory):
            stream.write(line)
            n_products += 1
    with (
        publish.publish(report.ids.with_suffix(".txt.gz")) as temporary,
        report.ids.open("rb") as source,
        temporary.open("wb") as target,
        gzip.GzipFile("", "wb", fileobj=target, mtime=0) as compressed,
    ):
        shutil.copyfileobj(source, compressed)
    return n_products


def _products(paths: Iterable[Path], scratch: Path) -> Iterator[str]:
    """Give each product once, as a sorted line: sorted in runs, which are merged from the disk."""
    with ExitStack() as end:
        runs = []
        for run in _runs(paths):
            file = end.enter_context(TemporaryFile("w+", encoding="utf-8", newline="\n", dir=scratch))
            file.writelines(f"{product}\n" for product in sorted(run))
            file.seek(0)
            runs.append(file)
        yield from (line for line, _ in groupby(heapq.merge(*runs)))


def _runs(paths: Iterable[Path]) -> Iterator[set[str]]:
    found: set[str] = set()
    for path in paths:
        for row in tables.read(path, "affected", results.AFFECTED):
            found.add(row[0].partition(":")[0].lower())
            if len(found) == _AT_ONCE:
                yield found
                found.clear()
    yield found


def _join(report: Report, kind: str, columns: Sequence[str], paths: Iterable[Path]) -> None:
    """Put tables of one kind behind each other, however large they are."""
    target = report.directory / f"{kind}.tsv"
    with publish.publish(target) as temporary:
        tables.write(temporary, kind, columns, ())
        with temporary.open("ab") as stream:
            for path in paths:
                with path.open("rb") as part:
                    for _ in range(2):  # kind and columns
                        part.readline()
                    shutil.copyfileobj(part, stream)
