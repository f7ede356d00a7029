"""Tables as documents of their own, each of which a browser shows in a frame; all text is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path

MOST_ROWS = 1000

_STYLE = """
body { font: 14px sans-serif; margin: 1em; color: #222; background: #fff }
table { border-collapse: collapse }
th { position: sticky; top: 0; background: #e8e8e8; text-align: left }
th, td { padding: 0.25em 0.8em; border-bottom: 1px solid #ccc; vertical-align: top; overflow-wrap: anywhere }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the page. Numbers stand right, with a comma after each three digits."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | int]]
    empty: str = "none"  # what to say where there are no rows
    where: str = ""  # which file has them all


def document(table: Table) -> str:
    """Write a table as a whole document; of a long one the first rows, and where the others are."""
    title = escape(table.title)
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    return f"{head}<style>{_STYLE}</style></head><body><h1>{title}</h1>{_body(table)}</body></html>\n"


def write(path: Path, table: Table) -> None:
    """Write such a document; what is no text in the name of a file shows as what it is."""
    path.write_text(document(table), encoding="utf-8", errors="backslashreplace")


def _body(table: Table) -> str:
    if not table.rows:
        return f"<p>{escape(table.empty)}</p>"
    columns = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    rows = "".join(f"<tr>{_cells(row)}</tr>\n" for row in islice(table.rows, MOST_ROWS))
    n_more = len(table.rows) - MOST_ROWS
    more = f"<p>{n_more:,} more in {escape(table.where)}</p>" if n_more > 0 else ""
    return f"<table><thead><tr>{columns}</tr></thead><tbody>\n{rows}</tbody></table>{more}"


def _cells(row: Iterable[str | int]) -> str:
    return "".join(
        f'<td class="number">{cell:,}</td>' if isinstance(cell, int) else f"<td>{escape(cell)}</td>"
        for cell in row
    )
