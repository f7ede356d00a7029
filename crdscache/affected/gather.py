"""Brings the results of all instruments together: the list of products, the tables, the log, the summary."""

import gzip
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crdscache.affected import results, story
from crdscache.affected.results import Disposition, Summary
from crdscache.cache import publish, tables


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
    products = sorted(_products(parts.affected)) if is_whole else []
    text = "".join(f"{product}\n" for product in products)
    publish.write_text(report.ids, text)
    with publish.publish(report.ids.with_suffix(".txt.gz")) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))
    _join(report, "affected", results.AFFECTED, parts.affected if is_whole else ())
    _join(report, "undetermined", results.UNDETERMINED, parts.undetermined)
    _join(report, "failed", results.FAILED, parts.failed)
    told = replace(summary, n_affected=len(products))
    with publish.publish(report.log) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in story.log(told, parts.failed, parts.undetermined))
    results.save_summary(report.summary, told)
    return told


def _products(paths: Iterable[Path]) -> set[str]:
    rows = (row for path in paths for row in tables.read(path, "affected", results.AFFECTED))
    return {row[0].partition(":")[0].lower() for row in rows}


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
