"""How an archive's database calls the tables and columns of data sets. Source: docs/catalogue.md."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from crdscache.contexts import names
from crdscache.errors import SettingsError

PRODUCT, EXPOSURE = "product", "exposure"  # names of columns where no map says others

_KEYS = ("table", PRODUCT, EXPOSURE, "parameters")


class Part(Enum):
    """What a parameter takes of a moment."""

    DATE = "DATE"
    TIME = "TIME"


@dataclass(frozen=True, slots=True)
class TableMap:
    """The table, or view, of one instrument."""

    table: str
    schema: str | None = None
    product: str | None = PRODUCT  # None: each exposure is its own product
    exposure: str = EXPOSURE
    parameters: Mapping[str, str | None] = field(
        default_factory=dict
    )  # in capitals; None: not in the archive

    @property
    def name(self) -> str:
        """The table with its schema."""
        return self.table if self.schema is None else f"{self.schema}.{self.table}"

    def column(self, parameter: str) -> str | None:
        """Name the column of a parameter; None where the archive does not have it."""
        return self.parameters.get(parameter, parameter)

    def moments(self) -> frozenset[str]:
        """Name the columns that serve a date and a time."""
        parts: dict[str, set[Part]] = defaultdict(set)
        for parameter, column in self.parameters.items():
            if column is not None and (part := part_of(parameter)):
                parts[column].add(part)
        return frozenset(column for column, found in parts.items() if len(found) == len(Part))


@dataclass(frozen=True, slots=True)
class CatalogueMap:
    """The tables of all instruments."""

    origin: str  # the file, as a person knows it
    tables: Mapping[str, TableMap]  # by instrument, in lower case


def part_of(parameter: str) -> Part | None:
    """Tell by its name whether a parameter is a date or a time of day."""
    return next((part for part in Part if part.value in parameter), None)


def parse(data: object, origin: str) -> CatalogueMap:
    """Check the content of a map's file.

    Parameters
    ----------
    data : what stands in the file, read as YAML
    origin : how errors name the file

    Raises
    ------
    SettingsError
    """
    entries = _mapping(data, origin, ("instruments",))
    tables: dict[str, TableMap] = {}
    where = f"{origin}: instruments"
    for key, entry in _mapping(entries.get("instruments"), where).items():
        instrument = key.lower()
        if instrument in tables:
            raise SettingsError(f"{where}.{key}: it comes twice")
        tables[instrument] = _table(instrument, entry, f"{where}.{key}")
    return CatalogueMap(origin, tables)


def _table(instrument: str, data: object, where: str) -> TableMap:
    entry = _mapping(data, where, _KEYS)
    schema, _, table = _text(entry.get("table", instrument), f"{where}.table").rpartition(".")
    exposure = _text(entry.get(EXPOSURE, EXPOSURE), f"{where}.{EXPOSURE}")
    product = _text_or_null(entry.get(PRODUCT, PRODUCT), f"{where}.{PRODUCT}")
    parameters: dict[str, str | None] = {}
    at = f"{where}.parameters"
    for key, column in _mapping(entry.get("parameters", {}), at).items():
        if key.upper() in parameters:
            raise SettingsError(f"{at}.{key}: it comes twice")
        parameters[key.upper()] = _text_or_null(column, f"{at}.{key}")
    return TableMap(_text(table, f"{where}.table"), schema or None, product, exposure, parameters)


def _mapping(data: object, where: str, known: Collection[str] = ()) -> dict[str, object]:
    if not isinstance(data, dict):
        raise SettingsError(f"{where}: names with values were expected, found {names.printable(data)}")
    for key in data:
        if not isinstance(key, str) or not key.strip():
            # YAML takes NO and ON, which are names too, for truth values.
            found = names.printable(key)
            raise SettingsError(f"{where}: a name was expected as key, in quotes if need be, found {found}")
        if known and key not in known:
            found = names.printable(key)
            raise SettingsError(f"{where}: {' or '.join(known)} was expected, found {found}")
    return data


def _text_or_null(value: object, where: str) -> str | None:
    return None if value is None else _text(value, where, "the name of a column, or null,")


def _text(value: object, where: str, expected: str = "a name") -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise SettingsError(f"{where}: {expected} was expected, found {names.printable(value)}")
    return value
