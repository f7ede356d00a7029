"""Makes columns of the rows of a catalogue, and tells of each row that cannot be used."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import compress

import numpy as np

from crdscache.contexts import names
from crdscache.contexts.records import Problem
from crdscache.datasets.cataloguemap import Part
from crdscache.datasets.records import Rows

MAX_ID = 128

_N_NAMED = 3  # of the ids that come again
_PLAIN = frozenset({str, int, float, bool, type(None), Decimal, datetime, date, time})
_NO_PRODUCT = frozenset({"", "NONE"})
_MOMENT = re.compile(r"(\d+-\d\d-\d\d)(?:[T ](.*?)(?:Z|\+00(?::?00)?)?)?")


@dataclass(frozen=True, slots=True)
class Field:
    """Where the value of a parameter stands in a row."""

    position: int | None  # None: the archive does not have it
    part: Part | None = None  # what the parameter takes of a moment
    is_moment: bool = False  # even if it is a text


class RowReader:
    """Gathers the rows of one instrument, in their order.

    Parameters
    ----------
    exposure, product : positions of the ids in a row
    """

    def __init__(self, instrument: str, exposure: int, product: int, fields: Mapping[str, Field]) -> None:
        self._instrument, self._exposure, self._product = instrument, exposure, product
        self._fields = fields
        self._seen = _Seen()
        self._n_before = 0
        self._clear()

    def __len__(self) -> int:
        """Count the rows since the last were taken."""
        return self._n_rows

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        """Gather some more rows: few thousand, as they are looked at several times."""
        raw = list(zip(*rows, strict=True))
        pairs = zip(raw[self._product], raw[self._exposure], strict=True)
        ids = [_id(product, exposure) for product, exposure in pairs]
        columns = {name: _column(raw, field, len(rows)) for name, field in self._fields.items()}
        problems: dict[int, Problem] = {}
        if None in ids:
            problems = {at: self._without_id(at, rows[at]) for at, name in enumerate(ids) if name is None}
        for parameter, column in columns.items():
            for at in _strange(column):
                found = type(column[at]).__name__
                reason = f"{parameter}: a text or a number was expected, found {found}"
                problems.setdefault(at, Problem(str(ids[at]), reason))
        if problems:
            kept = [at not in problems for at in range(len(rows))]
            ids = list(compress(ids, kept))
            columns = {name: list(compress(column, kept)) for name, column in columns.items()}
        self._ids += filter(None, ids)
        for name, column in columns.items():
            self._columns[name] += column
        self._problems += problems.values()
        self._n_rows += len(rows)

    def take(self) -> Rows:
        """Take what was gathered."""
        self._seen.add(self._ids)
        taken = Rows(self._ids, self._columns, tuple(self._problems))
        self._n_before += self._n_rows
        self._clear()
        return taken

    def repeated(self) -> Iterator[Rows]:
        """Tell, after the last row, of data sets that came more than once, if any did."""
        if self._seen.n_again:
            shown = ", ".join([*self._seen.named, *(["..."] if self._seen.n_again > _N_NAMED else [])])
            reason = f"rows that repeat an id: {self._seen.n_again} ({shown})"
            yield Rows([], {name: [] for name in self._fields}, (Problem(self._instrument, reason),))

    def _clear(self) -> None:
        self._n_rows = 0
        self._ids: list[str] = []
        self._columns: dict[str, list[object]] = {name: [] for name in self._fields}
        self._problems: list[Problem] = []

    def _without_id(self, at: int, row: Sequence[object]) -> Problem:
        exposure = row[self._exposure]
        wrong = exposure if _id(None, exposure) is None else row[self._product]
        return Problem(
            f"{self._instrument}, row {self._n_before + self._n_rows + at + 1}",
            f"an id of 1 to {MAX_ID} printable characters, without blanks and colons, was expected, "
            f"found {names.printable(wrong)}",
        )


class _Seen:
    """The ids of all rows so far; 8 bytes for each."""

    def __init__(self) -> None:
        self._hashes = np.empty(0, np.int64)  # ascending
        self.n_again = 0
        self.named: list[str] = []

    def add(self, ids: Sequence[str]) -> None:
        """Look for ids that came before."""
        # Of 10 million ids two have the same hash in one of 300,000 readings.
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))  # (n_ids,)
        distinct, first = np.unique(hashes, return_index=True)  # (n_distinct,)
        start = np.searchsorted(self._hashes, distinct)  # (n_distinct,)
        end = np.searchsorted(self._hashes, distinct, side="right")  # (n_distinct,)
        is_again = np.ones(len(ids), bool)
        is_new = end == start  # (n_distinct,)
        is_again[first] = ~is_new
        self.n_again += int(np.count_nonzero(is_again))
        for at in np.flatnonzero(is_again)[: _N_NAMED - len(self.named)]:
            self.named.append(ids[at])
        # Only copies: to sort 12 million anew takes five times as long.
        self._hashes = np.insert(self._hashes, start[is_new], distinct[is_new])


def _id(product: object, exposure: object) -> str | None:
    """Put an id together; None where a part of it is not usable."""
    second = _id_part(exposure)
    if second is None or not second:
        return None
    first = _id_part(product)
    if first is None:
        return None
    return f"{second if first.upper() in _NO_PRODUCT else first}:{second}"


def _id_part(value: object) -> str | None:
    """Give a part of an id, "" where there is none; None where it is not usable."""
    if isinstance(value, str):
        text = value.strip()  # columns of a fixed width are filled up with blanks
    elif value is None:
        return ""
    elif isinstance(value, int | Decimal):
        text = str(value)
    else:
        return None
    is_usable = len(text) <= MAX_ID and text.isprintable() and ":" not in text and " " not in text
    return text if is_usable else None


def _column(raw: Sequence[Sequence[object]], field: Field, n_rows: int) -> Sequence[object]:
    if field.position is None:
        return (None,) * n_rows
    column = raw[field.position]
    if field.part is None or not (field.is_moment or datetime in set(map(type, column))):
        return column
    return [_part(value, field.part) for value in column]


def _part(value: object, part: Part) -> object:
    """Take the date or the time of a moment; what is no moment stays as it is, for a date."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    if not isinstance(value, date | str):
        return value
    found = _MOMENT.fullmatch(str(value).strip())
    if found is None:
        return value if part is Part.DATE else None
    return found[1] if part is Part.DATE else found[2]


def _strange(column: Sequence[object]) -> list[int]:
    """Find the values that are neither text nor number."""
    if _PLAIN.issuperset(map(type, column)):
        return []
    return [at for at, value in enumerate(column) if type(value) not in _PLAIN]
