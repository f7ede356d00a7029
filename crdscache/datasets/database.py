"""Reads the parameters of an archive's data sets from an SQL database, by columns; writes nothing there.

    with Database("postgresql://reader@archive.example.org/hst", catalogue_map) as database:
        for rows in database.rows(Asked("acs", ("DATE-OBS", "CCDAMP"))):
            ...

Source: docs/catalogue.md.
"""

import math
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind

from crdscache.datasets import cataloguemap
from crdscache.datasets.cataloguemap import CatalogueMap, TableMap
from crdscache.datasets.cataloguerows import Field, RowReader
from crdscache.datasets.records import DATES, Asked, Rows
from crdscache.errors import DatasetError, SettingsError

_Columns: TypeAlias = Mapping[str, ReflectedColumn]


_PASSWORDS = ("password", "passwd", "pwd")
_AT_ONCE = 2_000  # rows that the processor's cache holds: with 50,000 all takes half as long again
_DAY = len("2000-01-01")
_MAX_MS = 2**31 - 1
_STEPS = 100_000  # of SQLite's machine, a few milliseconds
_DAY_GLOB = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*"
_DAY_PATTERN = r"^\d{4}-\d\d-\d\d"
_KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 3}
_TEMPORAL = (sa.Date, sa.DateTime, sa.Time)
# For one transaction. ISO and UTC: a moment is cast to text, of which a date is taken.
_SETTINGS = sa.text(
    "SELECT set_config('statement_timeout', :deadline_ms, true),"
    " set_config('lock_timeout', :patience_ms, true),"
    " set_config('timezone', 'UTC', true),"
    " set_config('datestyle', 'ISO, YMD', true)"
)


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When the reading of one instrument must have come to its end."""

    limit_s: float  # may be infinite
    started: float

    def is_over(self) -> bool:
        return time.monotonic() - self.started > self.limit_s

    def milliseconds(self) -> str:
        """Give the limit as PostgreSQL has it: 0 is none."""
        return "0" if math.isinf(self.limit_s) else str(min(max(1, int(self.limit_s * 1000)), _MAX_MS))


class Database:
    """A catalogue in an SQL database; it is connected to when something is asked.

    Parameters
    ----------
    url : as SQLAlchemy has it, without a password; SQLite and PostgreSQL need no driver named
    catalogue_map
        None: a table for each instrument, with columns `product`, `exposure`, and one for each parameter.
    deadline_s : for all rows of one instrument, with what the caller does between them
    batch : so many rows at a time, or a few more
    patience_s : for a connection, and for a lock that another holds

    Raises
    ------
    SettingsError
        The URL is none, or holds a password.
    DatasetError
        There is no driver for the database. All methods: it cannot be read; names table and column.
    """

    def __init__(
        self,
        url: str,
        catalogue_map: CatalogueMap | None = None,
        *,
        password: str | None = None,
        deadline_s: float | None = None,
        batch: int = 50_000,
        patience_s: float = 30.0,
    ) -> None:
        parsed = _parsed(url)
        self.name = parsed.render_as_string(hide_password=True)
        self._map, self._batch = catalogue_map, batch
        self._limit_s = math.inf if deadline_s is None else deadline_s
        self._patience_s = patience_s
        try:
            self._engine = self._engine_of(parsed if password is None else parsed.set(password=password))
        except ImportError as error:
            raise DatasetError(self.name, f"the Python package {error.name} is missing") from error
        except sa.exc.SQLAlchemyError as error:
            raise DatasetError(self.name, _reason(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def instruments(self) -> tuple[str, ...]:
        """Name the instruments that the catalogue has, in lower case."""
        if self._map is not None:
            return tuple(sorted(self._map.tables))
        with self._reading("its tables", self._deadline()) as connection, _without_warnings():
            found = sa.inspect(connection).get_multi_columns(kind=ObjectKind.ANY)
        needed = {cataloguemap.PRODUCT, cataloguemap.EXPOSURE}
        fitting = [
            table
            for (_, table), columns in found.items()
            if needed.issubset(column["name"] for column in columns)
        ]
        return tuple(sorted(fitting))

    def count(self, instrument: str) -> int:
        """Count the rows of an instrument."""
        table = self._table(instrument)
        with self._reading(f"table {table.name}", self._deadline()) as connection:
            _columns_of(connection, table)
            return connection.execute(sa.select(sa.func.count()).select_from(_named(table))).scalar_one()

    def rows(self, asked: Asked) -> Iterator[Rows]:
        """Read the data sets of an instrument, some at a time, as all of them were at one time.

        Of data sets before `asked.since` only those are left out that the database can tell surely. Ids that
        come more than once are told after all others, in rows that have a problem only.
        """
        table, deadline = self._table(asked.instrument), self._deadline()
        place = f"table {table.name}"
        with self._reading(place, deadline) as connection:
            query, reader = self._query(table, _columns_of(connection, table), asked)
            options = {"yield_per": min(self._batch, _AT_ONCE)}
            with closing(connection.execute(query, execution_options=options)) as result:
                for some in result.partitions():
                    if deadline.is_over():
                        raise self._too_late(place)
                    reader.add(some)
                    if len(reader) >= self._batch:
                        yield reader.take()
        if len(reader):
            yield reader.take()
        yield from reader.repeated()

    def _engine_of(self, url: sa.URL) -> sa.Engine:
        # Each reading has a connection of its own: a pool would only keep it open.
        match url.get_backend_name():
            case "sqlite":
                path = self._sqlite_path(url)
                return sa.create_engine(
                    "sqlite://", creator=lambda: self._sqlite(path), poolclass=sa.NullPool
                )
            case "postgresql":
                # Else a database that has gone, without a word, would be waited for all the time.
                patience = {"connect_timeout": max(2, int(self._patience_s)), **_KEEPALIVES}
                return sa.create_engine(
                    url,
                    poolclass=sa.NullPool,
                    isolation_level="REPEATABLE READ",
                    execution_options={"postgresql_readonly": True},
                    client_encoding="utf8",
                    connect_args={name: value for name, value in patience.items() if name not in url.query},
                )
        return sa.create_engine(url, poolclass=sa.NullPool)

    def _sqlite_path(self, url: sa.URL) -> Path:
        if not url.database or url.database.startswith(":") or url.query:
            raise SettingsError(f"{self.name}: sqlite:////the/path/of/a/file was expected")
        return Path(url.database).absolute()

    def _sqlite(self, path: Path) -> sqlite3.Connection:
        """Open a file that exists, to read it."""
        try:
            is_file = path.is_file()  # SQLite would wait for the other end of a FIFO
        except OSError as error:
            raise DatasetError(self.name, str(error.strerror)) from error
        if not is_file:
            raise DatasetError(self.name, "there is no such file")
        # Not `mode=ro`: who was killed while writing leaves a journal, which is undone before anybody reads.
        # Where we may not write SQLite opens the file read-only by itself.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=self._patience_s, isolation_level=None
        )
        connection.execute("PRAGMA query_only = ON")
        connection.text_factory = _text_or_bytes
        return connection

    @contextmanager
    def _reading(self, place: str, deadline: _Deadline) -> Iterator[sa.Connection]:
        """Connect, and see all as it is at one time; what goes wrong becomes an error of ours."""
        try:
            with self._engine.connect() as connection:
                _begin(connection, deadline, self._patience_s)
                yield connection
        except sa.exc.NoSuchTableError as error:
            raise DatasetError(self.name, f"there is no {place}") from error
        except (sa.exc.SQLAlchemyError, UnicodeDecodeError) as error:
            if deadline.is_over():
                raise self._too_late(place) from error
            raise DatasetError(self.name, f"{place}: {_reason(error)}") from error

    def _deadline(self) -> _Deadline:
        return _Deadline(self._limit_s, time.monotonic())

    def _too_late(self, place: str) -> DatasetError:
        return DatasetError(self.name, f"{place}: not read to its end within {self._limit_s:g} s")

    def _table(self, instrument: str) -> TableMap:
        if self._map is None:
            return TableMap(instrument)
        if instrument not in self._map.tables:
            raise DatasetError(self.name, f"{self._map.origin} names no table for {instrument}")
        return self._map.tables[instrument]

    def _query(
        self, table: TableMap, columns: _Columns, asked: Asked
    ) -> tuple[sa.Select[tuple[object, ...]], RowReader]:
        """Ask for each column once, whatever it serves for."""
        positions: dict[str, int] = {}

        def position(name: str) -> int:
            return positions.setdefault(self._find(table, name, columns), len(positions))

        exposure = position(table.exposure)
        product = exposure if table.product is None else position(table.product)
        fields, moments = {}, table.moments()
        for parameter in asked.parameters:
            name = table.column(parameter)
            if name is None:
                fields[parameter] = Field(None)
                continue
            is_moment = name in moments or isinstance(
                columns[self._find(table, name, columns)]["type"], sa.DateTime
            )
            fields[parameter] = Field(position(name), cataloguemap.part_of(parameter), is_moment)
        wanted = [self._expression(columns[name]) for name in positions]
        query = sa.select(*wanted).select_from(_named(table))
        day = next((name for name in DATES if name in asked.parameters), None)
        if asked.since is not None and day is not None and (name := table.column(day)) is not None:
            query = self._since(query, self._find(table, name, columns), asked.since[:_DAY])
        return query, RowReader(asked.instrument, exposure, product, fields)

    def _expression(self, column: ReflectedColumn) -> sa.ColumnElement[Any]:
        # Without its type, which is no promise: SQLAlchemy trips over what else may be in it.
        plain: sa.ColumnClause[Any] = sa.column(column["name"])
        # As text: the driver trips over infinity and the year 10000.
        is_cast = self._engine.dialect.name == "postgresql" and isinstance(column["type"], _TEMPORAL)
        return sa.cast(plain, sa.Text) if is_cast else plain

    def _since(
        self, query: sa.Select[tuple[object, ...]], name: str, day: str
    ) -> sa.Select[tuple[object, ...]]:
        """Leave out what is a day, and an earlier one: not what is NULL or written in another way."""
        date: sa.ColumnElement[str] = sa.column(name, sa.Text)
        match self._engine.dialect.name:
            case "sqlite":
                is_day: sa.ColumnElement[bool] = date.op("GLOB", is_comparison=True)(_DAY_GLOB)
            case "postgresql":
                date = sa.cast(date, sa.Text).collate("C")
                is_day = date.regexp_match(_DAY_PATTERN)
            case _:
                return query
        return query.where(sa.and_(is_day, date < day).is_not(sa.true()))

    def _find(self, table: TableMap, name: str, columns: _Columns) -> str:
        """Find a column as the database spells it: some keep names in capitals and tell them otherwise."""
        if name in columns:
            return name
        alike = [column for column in columns if column.lower() == name.lower()]
        if len(alike) != 1:
            raise DatasetError(self.name, f"table {table.name} has no column {name}")
        return alike[0]


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        # Not shown: a password may be in it.
        raise SettingsError(
            "the catalogue: the URL of a database was expected, as SQLAlchemy has it"
        ) from error
    # Of other databases an option can hold a list of options.
    options = [f"{name}={value}".lower() for name, value in parsed.query.items()]
    if parsed.password is not None or any(f"{word}=" in option for option in options for word in _PASSWORDS):
        shown = parsed.set(query={}).render_as_string(hide_password=True)
        raise SettingsError(
            f"{shown}: a password does not belong into a URL: catalog_password_file or ~/.pgpass has it"
        )
    is_plain = parsed.drivername in {"postgres", "postgresql"}
    return parsed.set(drivername="postgresql+psycopg") if is_plain else parsed


def _begin(connection: sa.Connection, deadline: _Deadline, patience_s: float) -> None:
    """Begin a transaction, and bound how long a statement in it takes; other databases check between rows."""
    match connection.dialect.name:
        case "sqlite":
            connection.exec_driver_sql("BEGIN")
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(deadline.is_over, _STEPS)
        case "postgresql":
            limits = {
                "deadline_ms": deadline.milliseconds(),
                "patience_ms": _Deadline(patience_s, 0).milliseconds(),
            }
            connection.execute(_SETTINGS, limits)


def _columns_of(connection: sa.Connection, table: TableMap) -> _Columns:
    with _without_warnings():
        columns = sa.inspect(connection).get_columns(table.table, schema=table.schema)
    return {column["name"]: column for column in columns}


def _named(table: TableMap) -> sa.TableClause:
    return sa.table(table.table, schema=table.schema)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Be silent about types that SQLAlchemy does not know: values go as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        yield


def _text_or_bytes(data: bytes) -> str | bytes:
    """Read a text of SQLite; one that is none spoils its row, not the reading."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _reason(error: Exception) -> str:
    """Give the database's own words in one line, without the statement."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return f"{' '.join(str(cause).split()):.300}"
