"""Which references are in the cache, as far as names and lengths tell."""

from collections.abc import Callable
from dataclasses import dataclass

from crdscache.cache.layout import Layout, Mode
from crdscache.contexts import names
from crdscache.contexts.records import FileRecord


@dataclass(frozen=True, slots=True)
class Lack:
    """A file that is not in the cache."""

    name: str
    size_bytes: int | None  # None: the catalogue does not know it


@dataclass(frozen=True, slots=True)
class WrongLength:
    """A file that is not what the catalogue says."""

    name: str
    expected: int
    found: int

    def __str__(self) -> str:
        return f"{self.name} has {self.found} bytes in the cache, the catalogue says {self.expected}"


class Stock:
    """Looks references up on disk, each once.

    Parameters
    ----------
    record
        Finds a file in the catalogue.
    """

    def __init__(self, cache: Layout, mode: Mode, record: Callable[[str], FileRecord | None]) -> None:
        self._cache, self._mode, self._record = cache, mode, record
        self._seen: dict[tuple[str, str], tuple[Lack | WrongLength, ...]] = {}

    def flaws(self, name: str, instrument: str) -> tuple[Lack | WrongLength, ...]:
        """Tell what is wrong with a reference and, where it is one of two, with its other half.

        Parameters
        ----------
        instrument
            Of the rmap that names it; the name of the file itself comes first.
        """
        key = name, instrument
        if key not in self._seen:
            halves = (half for half in (name, names.geis_data(name)) if half is not None)
            found = (self._look(half, instrument) for half in halves)
            self._seen[key] = tuple(flaw for flaw in found if flaw is not None)
        return self._seen[key]

    def _look(self, name: str, instrument: str) -> Lack | WrongLength | None:
        record = self._record(name)
        expected = record.size_bytes if record else None
        folder = names.instrument_of(name, self._cache.observatory) or instrument
        path = self._cache.reference_directory(self._mode, folder) / name
        try:
            found = path.stat().st_size
        except OSError:
            return Lack(name, expected)
        return None if expected in {None, found} else WrongLength(name, expected or 0, found)
