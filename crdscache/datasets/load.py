"""Brings data sets into a catalogue of our own, in SQLite; what did not change is not read again.

A table for each instrument, as `database` reads it: `product`, `exposure`, and a column for each parameter.
Rules of later contexts may ask for more than a row was loaded with: each row names the set of parameters that
it has.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from crdscache.contexts.records import Problem
from crdscache.datasets import fitstrees
from crdscache.datasets.fitstrees import Member
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError

# Tells the instrument of a data set, and its parameters: all those of the set that the instrument has.
Describe = Callable[[Dataset], tuple[str, Mapping[str, object]] | Problem]

_AT_ONCE = 5_000
_PATIENCE_S = 30
_SET = "crdscache_set"
_META = sa.MetaData()
_SETS = sa.Table(
    "crdscache_sets",
    _META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("names", sa.Text, nullable=False, unique=True),  # JSON
)
_FILES = sa.Table(
    "crdscache_files",
    _META,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),
    sa.Column("set", sa.Integer, nullable=False),
)


@dataclass(slots=True)
class Loaded:
    """What came of it."""

    n_datasets: int = 0
    n_unchanged: int = 0  # files that were not read again
    problems: list[Problem] = field(default_factory=list)


class Loader:
    """Writes one catalogue; a context manager. A kill leaves whole batches, and loading again completes them.

    Parameters
    ----------
    sets
        The parameters that each instrument's rules ask for.
    """

    def __init__(self, path: Path, sets: Mapping[str, tuple[str, ...]], describe: Describe) -> None:
        self._path, self._sets, self._describe = path, sets, describe

    def load(self, datasets: Iterable[Dataset | Problem]) -> Loaded:
        """Insert data sets, or put them in the place of those of the same id.

        Raises
        ------
        DatasetError
            The catalogue cannot be written; or as the source has it, after the data sets before.
        """
        loaded, some = Loaded(), iter(datasets)
        with self._engine() as engine:
            while batch := list(islice(some, _AT_ONCE)):
                self._write(engine, batch, loaded, {})
        return loaded

    def load_tree(self, tree: Path) -> Loaded:
        """Do the same for the files below a directory; data sets whose files are gone stay.

        Raises as `load`.
        """
        loaded, members = Loaded(), fitstrees.members(tree)
        with self._engine() as engine:
            while batch := list(islice(members, _AT_ONCE)):
                due = self._due(engine, batch)
                loaded.n_unchanged += len(batch) - len(due)
                read = {member: fitstrees.read_one(member.path) for member in due}
                self._write(engine, read.values(), loaded, {id(each): one for one, each in read.items()})
        return loaded

    @contextmanager
    def _engine(self) -> Iterator[sa.Engine]:
        engine = sa.create_engine(f"sqlite:///{self._path}", connect_args={"timeout": _PATIENCE_S})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _META.create_all(engine)
            yield engine
        except (sa.exc.SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise DatasetError(str(self._path), f"the catalogue cannot be written: {reason}") from error
        finally:
            engine.dispose()

    def _due(self, engine: sa.Engine, members: Iterable[Member]) -> list[Member]:
        """Leave out files that were read as they are, for the parameters that are wanted now."""
        with engine.begin() as connection:
            wanted = {self._set(connection, names) for names in self._sets.values()}
            known = {
                path: (size_bytes, mtime_ns)
                for path, size_bytes, mtime_ns, of_set in connection.execute(sa.select(_FILES))
                if of_set in wanted
            }
        return [each for each in members if known.get(str(each.path)) != (each.size_bytes, each.mtime_ns)]

    def _write(
        self,
        engine: sa.Engine,
        batch: Iterable[Dataset | Problem],
        loaded: Loaded,
        files: Mapping[int, Member],
    ) -> None:
        rows: dict[str, list[dict[str, object]]] = {}
        read: dict[str, list[Member]] = {}
        for each in batch:
            told = each if isinstance(each, Problem) else self._describe(each)
            if isinstance(each, Problem) or isinstance(told, Problem):
                loaded.problems.append(told)  # type: ignore[arg-type]
                continue
            instrument, values = told
            product, _, exposure = each.id.upper().partition(":")
            row = {name: None if value is None else str(value) for name, value in values.items()}
            rows.setdefault(instrument, []).append(
                {**row, "product": product, "exposure": exposure or product}
            )
            read.setdefault(instrument, []).extend(filter(None, [files.get(id(each))]))
        with engine.begin() as connection:
            for instrument, some in rows.items():
                self._insert(connection, instrument, some, read[instrument])
                loaded.n_datasets += len(some)

    def _insert(
        self, connection: sa.Connection, instrument: str, rows: list[dict[str, object]], files: list[Member]
    ) -> None:
        names = self._sets[instrument]
        of_set = self._set(connection, names)
        table = _table(connection, instrument, names)
        empty = dict.fromkeys(names)
        connection.execute(
            sqlite.insert(table).prefix_with("OR REPLACE"), [{**empty, **row, _SET: of_set} for row in rows]
        )
        if files:
            cards = [
                {
                    "path": str(each.path),
                    "size_bytes": each.size_bytes,
                    "mtime_ns": each.mtime_ns,
                    "set": of_set,
                }
                for each in files
            ]
            connection.execute(sqlite.insert(_FILES).prefix_with("OR REPLACE"), cards)

    def _set(self, connection: sa.Connection, names: Iterable[str]) -> int:
        text = json.dumps(sorted(names))
        connection.execute(sqlite.insert(_SETS).on_conflict_do_nothing(), {"names": text})
        return int(connection.execute(sa.select(_SETS.c.id).where(_SETS.c.names == text)).scalar_one())


def _table(connection: sa.Connection, instrument: str, names: Iterable[str]) -> sa.Table:
    """Give the table of an instrument; what it lacks of columns is added, and empty in all rows so far."""
    keys = [sa.Column(name, sa.Text, primary_key=True) for name in ("product", "exposure")]
    columns = [sa.Column(name, sa.Text) for name in names]
    table = sa.Table(instrument, sa.MetaData(), *keys, *columns, sa.Column(_SET, sa.Integer, nullable=False))
    table.create(connection, checkfirst=True)
    there = {each["name"] for each in sa.inspect(connection).get_columns(instrument)}
    quote = connection.dialect.identifier_preparer.quote
    for name in names:
        if name not in there:
            connection.exec_driver_sql(f"ALTER TABLE {quote(instrument)} ADD COLUMN {quote(name)} TEXT")
    return table


def complete_parameters(url: str, instrument: str) -> frozenset[str] | None:
    """Tell with which parameters all rows of an instrument were loaded; None: the table is not ours.

    Raises
    ------
    DatasetError
        The catalogue cannot be read.
    """
    address = sa.make_url(url)
    if address.drivername != "sqlite" or not Path(address.database or "").exists():  # it would be made
        return None
    engine = sa.create_engine(address)
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            if not inspector.has_table(instrument) or not inspector.has_table(_SETS.name):
                return None
            if _SET not in {each["name"] for each in inspector.get_columns(instrument)}:
                return None
            of_rows = sa.table(instrument, sa.column(_SET))
            used = sa.select(of_rows.c[_SET]).distinct()
            found = connection.execute(sa.select(_SETS.c.names).where(_SETS.c.id.in_(used))).scalars()
            sets = [frozenset(json.loads(names)) for names in found]
    except (sa.exc.SQLAlchemyError, ValueError) as error:
        raise DatasetError(url, f"cannot be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()
    return frozenset.intersection(*sets) if sets else frozenset()


def newest(path: Path, instrument: str, dates: Iterable[str]) -> str | None:
    """Tell the day of the latest data set that a catalogue of ours has of an instrument, if it has any."""
    if not path.exists():
        return None
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            there = (
                {each["name"] for each in inspector.get_columns(instrument)}
                if inspector.has_table(instrument)
                else set()
            )
            name = next((date for date in dates if date in there), None)
            if name is None:
                return None
            table = sa.table(instrument, sa.column(name))
            day = sa.select(sa.func.max(table.c[name])).where(table.c[name].like("____-__-__%"))
            return connection.execute(day).scalar()
    except sa.exc.SQLAlchemyError as error:
        raise DatasetError(str(path), f"cannot be read: {getattr(error, 'orig', None) or error}") from error
    finally:
        engine.dispose()
