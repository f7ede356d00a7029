"""Whether a data set selects the same rows of two tables, though the tables are not the same.

A yes takes a data set off the list of affected ones, so whatever is in doubt is a no: a file that cannot be
read, a parameter that is not there. For the same reason a row counts as selected where it may be: to compare
more rows than calibration uses can only keep a data set on the list.

Source: docs/protocol.md, "Affected data sets".
"""

import hashlib
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits  # type: ignore[import-untyped]
from numpy.typing import NDArray

from crdscache.bestrefs.answers import UNDEFINED
from crdscache.bestrefs.conditioning import ANY, NOT_APPLICABLE, condition
from crdscache.contexts import names
from crdscache.datasets import fitsfiles
from crdscache.errors import DatasetError, UnsafeNameError

logger = logging.getLogger(__name__)

_N_TABLES = 64
_N_VERDICTS = 2**16
_SINGLE = 1e-6  # tables have numbers of 32 bits, headers their text

# By the parameters of an exposure that its rows of a table are found by: the types. Of a type that is not
# here, calibration takes rows by other rules: two of its tables are never the same.
_MODES = {
    "acs": {
        "ccdamp ccdchip ccdgain": "atodtab bpixtab",
        "ccdamp ccdchip ccdgain binaxis1 binaxis2": "ccdtab",
        "detector": "mlintab",
    },
    "cos": {
        "segment": "bpixtab brsttab deadtab walktab",
        "opt_elem": "phatab wcptab",
        "opt_elem cenwave": "disptab",
        "opt_elem cenwave fpoffset": "lamptab",
        "opt_elem aperture": "tdstab",
        "opt_elem cenwave aperture": "fluxtab spwcstab xtractab",
        "opt_elem cenwave aperture segment": "proftab tracetab twozxtab",
    },
    "stis": {
        "aperture": "apdestab apertab",
        "opt_elem": "bpixtab cdstab echsctab exstab halotab riptab srwtab tdstab teltab",
        "opt_elem cenwave": "disptab phottab sptrctab",
        "opt_elem cenwave aperture": "sdctab xtractab",
        "ccdamp ccdgain ccdoffst binaxis1 binaxis2": "ccdtab",
        "opt_elem lampset sclamp": "lamptab",
        "detector": "mlintab",
        "opt_elem detector": "wcptab",
    },
    "wfc3": {
        "ccdamp ccdchip ccdgain": "atodtab",
        "ccdamp ccdchip ccdgain binaxis1 binaxis2": "ccdtab",
        "ccdchip": "bpixtab",
    },
}
# An exposure of a whole detector has both chips, and its header tells one: the rows of both count.
_NOT_OF_EXPOSURES = "ccdchip"
_FIELDS = {
    (instrument, reftype): tuple(name.upper() for name in mode.split() if name != _NOT_OF_EXPOSURES)
    for instrument, types_of in _MODES.items()
    for mode, types in types_of.items()
    for reftype in types.split()
}
# What fits everything: the programs that calibrate take -1 and -999 in a table as they take ANY, and an
# exposure with such a value, or of BOTH segments, may need any row.
_OPEN = frozenset({ANY, NOT_APPLICABLE, "-1.0", "-999.0", "BOTH", "NAN", ""})
# Of data that break the standard where no header shows it.
_DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, fits.VerifyError)


def fields(instrument: str, reftype: str) -> tuple[str, ...]:
    """Name the parameters, in capitals, that select a data set's rows of a table; none for other types."""
    return _FIELDS.get((instrument, reftype), ())


@dataclass(frozen=True, slots=True)
class _Table:
    """What of a table counts for a comparison."""

    columns: tuple[str, ...]  # names in capitals, sorted
    rows: tuple[bytes, ...]  # (n_rows,): a sum over the text of each
    rows_of: tuple[Mapping[str, frozenset[int]], ...]  # by each field: which rows have a value

    def selected(self, mode: Sequence[str]) -> list[bytes]:
        """Give the rows for some values of the fields, sorted."""
        kept = set(range(len(self.rows)))
        for value, rows_of in zip(mode, self.rows_of, strict=True):
            fitting = (rows for cell, rows in rows_of.items() if _fits(cell, value))
            kept &= frozenset[int]().union(*fitting)
        return sorted(self.rows[number] for number in kept)


class TableRows:
    """Compares the rows that data sets select; it reads each file once.

    Parameters
    ----------
    where
        Tells where a reference lies, or would lie.
    """

    def __init__(self, where: Callable[[str], Path]) -> None:
        self._where = where
        self._table = lru_cache(_N_TABLES)(self._read)
        self._verdict = lru_cache(_N_VERDICTS)(self._compare)

    def are_same(self, instrument: str, reftype: str, old: str, new: str, header: Mapping[str, str]) -> bool:
        """Tell whether a data set surely selects the same rows of both tables.

        Parameters
        ----------
        old, new
            What the look-ups say, which may be no file.
        header
            Values in their one form, by parameter in capitals.
        """
        if (instrument, reftype) not in _FIELDS:
            return False
        wanted = fields(instrument, reftype)
        mode = tuple(header.get(name, UNDEFINED) for name in wanted)
        return UNDEFINED not in mode and self._verdict(old, new, wanted, mode)

    def _compare(self, old: str, new: str, wanted: tuple[str, ...], mode: tuple[str, ...]) -> bool:
        before, after = self._table(old, wanted), self._table(new, wanted)
        if before is None or after is None:
            return False
        return before.columns == after.columns and before.selected(mode) == after.selected(mode)

    def _read(self, name: str, wanted: tuple[str, ...]) -> _Table | None:
        try:
            path = self._where(names.require_safe(name))
        except UnsafeNameError:  # what stands where there is no file
            return None
        try:
            fitsfiles.read_header(path)  # astropy does not mind that half of a table is missing
            return _read_table(path, wanted)
        except (DatasetError, *_DAMAGED) as error:
            logger.warning("table not compared name=%s reason=%s", name, error)
            return None


def _fits(cell: str, value: str) -> bool:
    # A part of the text is enough for the missions' client; what that selects in vain does no harm.
    if cell in value or not _OPEN.isdisjoint({cell, value}):
        return True
    try:
        return math.isclose(float(cell), float(value), rel_tol=_SINGLE)
    except ValueError:
        return False


def _read_table(path: Path, wanted: Sequence[str]) -> _Table:
    with warnings.catch_warnings(action="ignore"), fits.open(path, memmap=False) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if len(tables) != 1:  # of a second one nobody says what calibration takes
            raise DatasetError(path.name, f"one table was expected, found {len(tables)}")
        data = tables[0].data
        columns = [(name.upper(), data.field(number)) for number, name in enumerate(data.names)]
        columns.sort(key=lambda column: column[0])  # in any order they are the same
        by_name = dict(columns)
        if missing := sorted(set(wanted) - set(by_name)):
            raise DatasetError(path.name, f"the column {missing[0]} is not there")
        return _Table(
            tuple(name for name, _ in columns),
            tuple(_sum(column[number] for _, column in columns) for number in range(len(data))),
            tuple(_rows_of(path, name, by_name[name]) for name in wanted),
        )


def _sum(cells: Iterable[object]) -> bytes:
    """Make a short sum of a row; of numbers the text says each bit, of long arrays it leaves nothing out."""
    exact = [cell.tolist() if isinstance(cell, np.ndarray | np.generic) else cell for cell in cells]
    return hashlib.sha256(repr(exact).encode()).digest()


def _rows_of(path: Path, name: str, column: NDArray[np.generic]) -> Mapping[str, frozenset[int]]:
    if column.ndim != 1 or column.dtype.hasobject:
        raise DatasetError(path.name, f"one value in each row of {name} was expected, found several")
    found: dict[str, set[int]] = {}
    for number, cell in enumerate(column):
        found.setdefault(condition(cell), set()).add(number)
    return {cell: frozenset(rows) for cell, rows in found.items()}
