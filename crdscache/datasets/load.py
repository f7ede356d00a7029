"""Brings data sets into a catalogue of our own, in SQLite; what did not change is not read again.

A table for each instrument, as `database` reads it: `product`, `exposure`, and a column for each parameter.
Rules of later contexts may ask for more than a row was loaded with: each row names the set of parameters that
it has.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from crdscache.contexts import names as naming
from crdscache.contexts import times
from crdscache.contexts.records import Problem
from crdscache.datasets import fitstrees, opening
from crdscache.datasets.cataloguerows import MAX_ID
from crdscache.datasets.fitstrees import Member
from crdscache.datasets.records import DATES, Dataset
from crdscache.errors import DatasetError

# Tells the instrument of a data set, and its parameters: all those of the set that the instrument has.
Describe = Callable[[Dataset], tuple[str, Mapping[str, object]] | Problem]
# Gives the data sets of an instrument that a server has: from a day on, or all.
Ask = Callable[[str, str | None], Iterable[Dataset | Problem]]

_AT_ONCE = 5_000
_PATIENCE_S = 30
_DAY = len("2000-01-01")
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
_LOADS = sa.Table(
    "crdscache_loads",
    _META,
    sa.Column("instrument", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, nullable=False),  # all that the server has of days before it is here
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

    def load_server(self, ask: Ask) -> Loaded:
        """Do the same for what a server has of each instrument, from the last day on that it has told of.

        A load of an instrument that is cut off tells no day: ids come in no order of time, so what came is no
        sign that all before it came too. The next one asks for the same again.

        Raises as `load`.
        """
        loaded = Loaded()
        with self._engine() as engine:
            for instrument in self._sets:
                since = self._since(engine, instrument)
                some, newest_day = iter(ask(instrument, since)), since
                while batch := list(islice(some, _AT_ONCE)):
                    self._write(engine, batch, loaded, {})
                    newest_day = max(filter(None, [newest_day, *map(_day, batch)]), default=None)
                if newest_day is not None:
                    self._mark(engine, instrument, newest_day)
        return loaded

    def _since(self, engine: sa.Engine, instrument: str) -> str | None:
        """Tell from which day on to ask; None: for all, also where a row lacks a parameter that is wanted."""
        complete = complete_parameters(f"sqlite:///{self._path}", instrument)
        if complete is None or not complete.issuperset(self._sets[instrument]):
            return None
        with engine.connect() as connection:
            day = sa.select(_LOADS.c.day).where(_LOADS.c.instrument == instrument)
            return connection.execute(day).scalar()

    def _mark(self, engine: sa.Engine, instrument: str, newest_day: str) -> None:
        # One day of overlap: of the last day some come later than others.
        before = date.fromordinal(max(1, date.fromisoformat(newest_day).toordinal() - 1)).isoformat()
        with engine.begin() as connection:
            mark = sqlite.insert(_LOADS).values(instrument=instrument, day=before)
            later = sa.func.max(_LOADS.c.day, mark.excluded.day)
            connection.execute(mark.on_conflict_do_update(index_elements=["instrument"], set_={"day": later}))

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

    def _due(self, engine: sa.Engine, members: Sequence[Member]) -> list[Member]:
        """Leave out files that were read as they are, for the parameters that are wanted now."""
        with engine.begin() as connection:
            wanted = {self._set(connection, names) for names in self._sets.values()}
            paths = [opening.shown(each.path) for each in members]
            of_batch = sa.select(_FILES).where(_FILES.c.path.in_(paths))
            known = {
                path: (size_bytes, mtime_ns)
                for path, size_bytes, mtime_ns, of_set in connection.execute(of_batch)
                if of_set in wanted
            }
        return [
            each
            for path, each in zip(paths, members, strict=True)
            if known.get(path) != (each.size_bytes, each.mtime_ns)
        ]

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
            told = each if isinstance(each, Problem) else self._row(each)
            if isinstance(told, Problem):
                loaded.problems.append(told)
                continue
            instrument, row = told
            rows.setdefault(instrument, []).append(row)
            read.setdefault(instrument, []).extend(filter(None, [files.get(id(each))]))
        with engine.begin() as connection:
            for instrument, some in rows.items():
                self._insert(connection, instrument, some, read[instrument])
                loaded.n_datasets += len(some)

    def _row(self, dataset: Dataset) -> tuple[str, dict[str, object]] | Problem:
        key = _key(dataset.id)
        if key is None:
            reason = f"an id of 1 to {MAX_ID} printable characters, without blanks and colons, was expected"
            return Problem(naming.printable(dataset.id), reason)
        told = self._describe(dataset)
        if isinstance(told, Problem):
            return told
        instrument, values = told
        row = {name: None if value is None else str(value) for name, value in values.items()}
        return instrument, {**row, **key}

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
                    "path": opening.shown(each.path),
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


def _key(name: str) -> dict[str, str] | None:
    """Take an id apart; None where no catalogue can have it."""
    first, _, second = name.upper().partition(":")
    key = {"product": first or second, "exposure": second or first}
    is_usable = all(
        0 < len(part) <= MAX_ID and part.isprintable() and " " not in part and ":" not in part
        for part in key.values()
    )
    return key if is_usable else None


def _day(dataset: Dataset | Problem) -> str | None:
    """Tell the day of a data set; None where that cannot be."""
    if isinstance(dataset, Problem):
        return None
    text = next((str(dataset.header[name])[:_DAY] for name in DATES if name in dataset.header), "")
    # Of the year 9999 is one by mistake: from there on nothing would ever come.
    return text if times.parse(text) and text <= times.now() else None


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
    is_sqlite = address.get_backend_name() == "sqlite"
    if not is_sqlite or not Path(address.database or "").exists():  # SQLite would make the file
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
