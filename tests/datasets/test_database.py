"""Catalogues in SQLite and real PostgreSQL; the letter and number in a name is a row of the fault matrix."""

import os
import socket
import sqlite3
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from secrets import token_hex

import pytest

from crdscache.contexts.records import Problem
from crdscache.datasets import cataloguemap
from crdscache.datasets.cataloguemap import CatalogueMap
from crdscache.datasets.database import Database
from crdscache.datasets.records import Asked, Rows
from crdscache.errors import DatasetError, SettingsError
from tests import postgresql as real

TABLE = 'CREATE TABLE acs (product TEXT, exposure TEXT, "DATE-OBS" TEXT, "CCDAMP" TEXT)'
ALL = Asked("acs", ("CCDAMP", "DATE-OBS"))


@dataclass(frozen=True, slots=True)
class Site:
    """A database of either kind."""

    url: str
    execute: Callable[..., None]

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def name(self) -> str:
        """How errors name it."""
        return self.url.replace("postgresql:", "postgresql+psycopg:")

    def open(
        self,
        catalogue_map: CatalogueMap | None = None,
        *,
        deadline_s: float | None = None,
        batch: int = 50_000,
        patience_s: float = 30,
    ) -> Database:
        return Database(
            self.url,
            catalogue_map,
            password=real.PASSWORD,
            deadline_s=deadline_s,
            batch=batch,
            patience_s=patience_s,
        )

    def read(self, asked: Asked = ALL, catalogue_map: CatalogueMap | None = None) -> list[Rows]:
        with self.open(catalogue_map) as database:
            return list(database.rows(asked))

    def refusal(self, asked: Asked = ALL, catalogue_map: CatalogueMap | None = None, **limits: float) -> str:
        with self.open(catalogue_map, **limits) as database, pytest.raises(DatasetError) as told:
            list(database.rows(asked))
        assert told.value.name == self.name
        return told.value.reason


@pytest.fixture(scope="session")
def postgresql() -> Iterator[real.Server]:
    if real.programs() is None:
        pytest.skip(real.LACKS)
    with real.running() as server:
        yield server


@pytest.fixture
def on_postgresql(postgresql: real.Server) -> Site:
    name = f"catalogue_{token_hex(4)}"
    postgresql.run(f"CREATE DATABASE {name}")
    return Site(postgresql.url(name), lambda *statements: postgresql.run(*statements, database=name))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "archive #1 %.db"


@pytest.fixture
def on_sqlite(file: Path) -> Site:
    def execute(*statements: str) -> None:
        with closing(sqlite3.connect(file)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return Site(f"sqlite:///{file}", execute)


@pytest.fixture(params=["on_sqlite", "on_postgresql"])
def site(request: pytest.FixtureRequest) -> Site:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Site)
    return found


def filled(site: Site, n_rows: int, value: str = "'A'") -> None:
    """Make a table of so many exposures."""
    site.execute(
        TABLE,
        "INSERT INTO acs WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        f"WHERE i < {n_rows}) SELECT 'P' || (i / 10), 'E' || i, '2012-03-04', {value} FROM n",
    )


def gather(rows: Iterable[Rows], ids: list[str], then: Callable[[], None] = lambda: None) -> None:
    """Read to the end, or to an error; after each batch do something else."""
    for some in rows:
        ids += some.ids
        then()


def hst(**entry: object) -> CatalogueMap:
    return cataloguemap.parse({"instruments": {"acs": entry}}, "hst.yaml")


def test_our_own_layout_needs_no_map(site: Site) -> None:
    site.execute(TABLE, "INSERT INTO acs VALUES ('P', 'a', '2012-03-04', 'C'), (NULL, 'b', NULL, '')")
    site.execute("CREATE TABLE notes (exposure TEXT)")

    with site.open() as database:
        found = database.instruments(), database.count("acs"), list(database.rows(ALL))

    rows = Rows(["P:a", "b:b"], {"CCDAMP": ["C", ""], "DATE-OBS": ["2012-03-04", None]})
    assert found == (("acs",), 2, [rows])


def test_a_map_leads_to_the_tables_of_an_archive(site: Site) -> None:
    site.execute(
        "CREATE TABLE science (Asn_Id CHAR(6), name CHAR(6), start TIMESTAMP, amp TEXT)",
        "INSERT INTO science VALUES ('NONE', 'a', '2012-03-04 05:06:07.5', 'C'), ('P', 'b', NULL, 'D')",
        "CREATE VIEW acs_view AS SELECT * FROM science",
    )
    parameters = {"DATE-OBS": "start", "TIME-OBS": "START", "CCDAMP": "amp", "LAMP": None}
    archive = hst(table="acs_view", product="asn_id", exposure="NAME", parameters=parameters)

    with site.open(archive) as database:
        found = database.instruments(), database.count("acs")
        rows = list(database.rows(Asked("acs", ("LAMP", "TIME-OBS", "CCDAMP", "DATE-OBS"))))

    assert found == (("acs",), 2)
    columns = {
        "LAMP": [None, None],
        "TIME-OBS": ["05:06:07.5", None],
        "CCDAMP": ["C", "D"],
        "DATE-OBS": ["2012-03-04", None],
    }
    assert rows == [Rows(["a:a", "P:b"], columns)]


def test_without_a_column_of_products_each_exposure_is_its_own(site: Site) -> None:
    filled(site, 2)

    found = site.read(Asked("acs", ()), hst(product=None))

    assert found == [Rows(["E1:E1", "E2:E2"], {})]


def test_a_table_may_lie_in_a_schema(on_postgresql: Site) -> None:
    on_postgresql.execute("CREATE SCHEMA hst", TABLE.replace("acs", "hst.acs"))
    on_postgresql.execute("INSERT INTO hst.acs VALUES ('P', 'a', 'x', 'y')")

    found = on_postgresql.read(Asked("acs", ("CCDAMP",)), hst(table="hst.acs"))

    assert found == [Rows(["P:a"], {"CCDAMP": ["y"]})]


def test_moments_of_postgresql_are_told_in_utc_however_far_they_are(on_postgresql: Site) -> None:
    on_postgresql.execute(
        "CREATE TABLE acs (exposure TEXT, start TIMESTAMPTZ, day DATE, hour TIME, place BOX)",
        "INSERT INTO acs VALUES ('a', '2012-03-04 01:02:03+02', '12012-03-04', '05:06:07', NULL),"
        " ('b', 'infinity', '-infinity', '24:00:00', NULL)",
    )
    parameters = {"DATE-OBS": "start", "TIME-OBS": "start", "DATE": "day", "EXPTIME": "hour"}

    found = on_postgresql.read(Asked("acs", tuple(parameters)), hst(product=None, parameters=parameters))

    columns = {
        "DATE-OBS": ["2012-03-03", "infinity"],
        "TIME-OBS": ["23:02:03", None],
        "DATE": ["12012-03-04", "-infinity"],
        "EXPTIME": ["05:06:07", "24:00:00"],
    }
    assert found == [Rows(["a:a", "b:b"], columns)]


@pytest.mark.parametrize("type_", ["TEXT", "DATE", "TIMESTAMP", "TIMESTAMPTZ"])
def test_days_before_are_left_out_and_nothing_else(site: Site, type_: str) -> None:
    site.execute(TABLE.replace('"DATE-OBS" TEXT', f'"DATE-OBS" {type_}'))
    days = {"a": "2012-03-03", "b": "2012-03-04", "c": "2012-03-04 00:00:01", "d": "1066-10-14"}
    if site.is_sqlite or type_ == "TEXT":
        days |= {"e": "", "f": "3 March 2012", "g": "2012/03/03", "h": " 2012-03-03", "i": "2012-03-03T23:59"}
    else:
        days |= {"e": "infinity", "f": "-infinity"}
    for exposure, day in days.items():
        site.execute(f"INSERT INTO acs VALUES (NULL, '{exposure}', '{day}', 'A')")
    site.execute("INSERT INTO acs VALUES (NULL, 'z', NULL, 'A')")

    [found] = site.read(Asked("acs", ("DATE-OBS",), since="2012-03-04"))
    [undated] = site.read(Asked("acs", ("CCDAMP",), since="2012-03-04"))

    kept = [name for name in days if name not in {"a", "d", "i"}]
    assert found.ids == [f"{name}:{name}" for name in [*kept, "z"]]
    assert undated.ids == [f"{name}:{name}" for name in [*days, "z"]]


def test_rows_come_some_at_a_time_and_take_the_memory_of_those(site: Site) -> None:
    filled(site, 100_000, "'a value of some length, and another one for each row: ' || i")
    lengths: Counter[int] = Counter()

    tracemalloc.start()
    try:
        with site.open(batch=5_000) as database:
            for rows in database.rows(ALL):
                lengths[len(rows.ids)] += 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # Rows come from the database by 2,000.
    assert lengths == {6_000: 16, 4_000: 1}
    assert most < 20_000_000  # all rows take 30


def test_a_reading_that_is_left_off_leaves_nothing_open(site: Site) -> None:
    filled(site, 10)

    with site.open(batch=1) as database:
        rows = database.rows(ALL)
        first = next(rows)
        rows.close()  # type: ignore[attr-defined]

    site.execute("DROP TABLE acs")  # waits for nobody
    assert first.ids == ["P0:E1"]


def test_E08_reading_writes_nothing(on_sqlite: Site, file: Path) -> None:
    filled(on_sqlite, 10)
    before = file.read_bytes()
    file.chmod(0o444)
    file.parent.chmod(0o555)

    try:
        [found] = on_sqlite.read()
    finally:
        file.parent.chmod(0o755)

    assert len(found.ids) == 10
    assert (file.read_bytes(), [*file.parent.iterdir()]) == (before, [file])


def test_E08_a_file_that_is_not_there_is_told_and_not_made(on_sqlite: Site, file: Path) -> None:
    missing = on_sqlite.refusal()
    is_made = file.exists()
    os.mkfifo(file)

    assert (missing, is_made) == ("there is no such file", False)
    assert on_sqlite.refusal() == "there is no such file"


def test_E08_a_file_of_another_kind_is_told(on_sqlite: Site, file: Path) -> None:
    file.write_text("id,instrument\n" * 100)

    assert on_sqlite.refusal() == "table acs: file is not a database"


def test_E08_E10_a_damaged_file_is_told_after_what_came_before(on_sqlite: Site, file: Path) -> None:
    filled(on_sqlite, 20_000)
    middle = file.stat().st_size // 2
    with file.open("r+b") as stream:
        stream.seek(middle)
        stream.write(b"\xff" * 40_000)
    ids: list[str] = []

    with on_sqlite.open(batch=1_000) as database, pytest.raises(DatasetError) as told:
        gather(database.rows(ALL), ids)

    assert 0 < len(ids) < 20_000
    assert told.value.reason == "table acs: database disk image is malformed"


def test_E08_a_locked_table_is_waited_for_and_told(site: Site, postgresql: real.Server, file: Path) -> None:
    filled(site, 10)
    if site.is_sqlite:
        with closing(sqlite3.connect(file)) as other:
            other.execute("BEGIN EXCLUSIVE")
            told = site.refusal(patience_s=0.2)
    else:
        with postgresql.connect(site.url.rpartition("/")[2]) as other, other.transaction():
            other.execute("LOCK TABLE acs IN ACCESS EXCLUSIVE MODE")
            told = site.refusal(patience_s=0.2)

    expected = "database is locked" if site.is_sqlite else "canceling statement due to lock timeout"
    assert told.startswith(f"table acs: {expected}")


def test_E08_a_missing_table_or_column_is_named(site: Site) -> None:
    site.execute("CREATE TABLE notes (text TEXT)")
    no_table = site.refusal()
    site.execute('CREATE TABLE acs (product TEXT, exposure TEXT, "CCDAMP" TEXT)')

    told = [no_table, site.refusal(), site.refusal(ALL, hst(exposure="name", parameters={"DATE-OBS": "d"}))]

    assert told == [
        "there is no table acs",
        "table acs has no column DATE-OBS",
        "table acs has no column name",
    ]
    assert site.refusal(Asked("cos", ()), hst()) == "hst.yaml names no table for cos"


def test_E08_a_server_that_refuses_is_told(on_postgresql: Site, postgresql: real.Server) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = Site(f"postgresql://crds@127.0.0.1:{unused.getsockname()[1]}/x", on_postgresql.execute)
        told = nobody.refusal(patience_s=2)
    no_database = Site(postgresql.url("nowhere"), on_postgresql.execute).refusal()
    with (
        Database(on_postgresql.url, password="wrong") as database,
        pytest.raises(DatasetError) as wrong,
    ):
        database.count("acs")

    assert "Connection refused" in told
    assert 'database "nowhere" does not exist' in no_database
    assert 'password authentication failed for user "crds"' in wrong.value.reason


def test_E08_a_role_that_may_read_is_enough(on_postgresql: Site) -> None:
    filled(on_postgresql, 10)
    name = f"reader_{token_hex(4)}"
    on_postgresql.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{real.PASSWORD}'")
    reader = Site(on_postgresql.url.replace("//crds@", f"//{name}@"), on_postgresql.execute)

    before = reader.refusal()
    on_postgresql.execute(f"GRANT SELECT ON acs TO {name}")
    [after] = reader.read()

    assert before == "table acs: permission denied for table acs"
    assert len(after.ids) == 10


def test_E08_a_missing_driver_is_named() -> None:
    with pytest.raises(DatasetError) as told:
        Database("mysql+pymysql://reader@archive/hst", password="secret")

    assert str(told.value) == "mysql+pymysql://reader@archive/hst: the Python package pymysql is missing"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:verysecret@archive/hst",
        "postgresql://reader:@archive/hst",
        "postgresql://reader@archive/hst?password=verysecret",
        "mssql+pyodbc:///?odbc_connect=DSN=x;PWD=verysecret",
        "no URL, verysecret",
        "postgresql://reader:verysecret@archive:port/hst",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as told:
        Database(url)

    assert "verysecret" not in str(told.value)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:////x.db?mode=rwc"])
def test_of_sqlite_a_file_is_wanted(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:////the/path/of/a/file was expected$"):
        Database(url)


def test_E09_a_blob_spoils_its_row_only(site: Site) -> None:
    kind, blob = ("BLOB", "x'00ff'") if site.is_sqlite else ("BYTEA", r"'\x00ff'")
    site.execute(TABLE.replace('"CCDAMP" TEXT', f'"CCDAMP" {kind}'))
    site.execute(
        f"INSERT INTO acs VALUES (NULL, 'a', '', NULL), (NULL, 'b', '', {blob}), (NULL, NULL, '', NULL)"
    )

    [found] = site.read(Asked("acs", ("CCDAMP",)))

    problems = (
        Problem(
            "acs, row 3",
            "an id of 1 to 128 printable characters, without blanks and colons, was expected, found None",
        ),
        Problem("b:b", "CCDAMP: a text or a number was expected, found bytes"),
    )
    assert found == Rows(["a:a"], {"CCDAMP": [None]}, problems)


def test_E09_what_a_column_says_of_itself_is_no_promise(on_sqlite: Site) -> None:
    on_sqlite.execute(
        'CREATE TABLE acs (product INT, exposure, "DATE-OBS" DATE, "CCDAMP" INT, "N" NUMERIC(5, 2))',
        "INSERT INTO acs VALUES (1, 'a', '3 March 2012', 'x', 9223372036854775808)",
        "INSERT INTO acs VALUES (1, 'b', 2012, 2.5, '9223372036854775808x')",
        "INSERT INTO acs VALUES (1, 'c', CAST(x'ff' AS TEXT), 2.5, 1)",
    )

    [found] = on_sqlite.read(Asked("acs", ("DATE-OBS", "CCDAMP", "N")))

    columns = {
        "DATE-OBS": ["3 March 2012", 2012],
        "CCDAMP": ["x", 2.5],
        "N": [2.0**63, "9223372036854775808x"],
    }
    problem = Problem("1:c", "DATE-OBS: a text or a number was expected, found bytes")
    assert found == Rows(["1:a", "1:b"], columns, (problem,))


def test_E09_numbers_of_postgresql_are_numbers(on_postgresql: Site) -> None:
    on_postgresql.execute(
        'CREATE TABLE acs (exposure TEXT, "A" NUMERIC, "B" BOOLEAN, "C" REAL, "D" BIGINT)',
        "INSERT INTO acs VALUES ('a', 9223372036854775808, true, 0.1, -9223372036854775808)",
    )

    [found] = on_postgresql.read(Asked("acs", tuple("ABCD")), hst(product=None))

    assert found == Rows(["a:a"], {"A": [Decimal(2**63)], "B": [True], "C": [0.1], "D": [-(2**63)]})


def test_E09_names_are_quoted_and_values_bound(site: Site) -> None:
    column, name = 'a"; DROP TABLE acs; --', "x'); DROP TABLE acs; --"
    quoted = column.replace('"', '""')
    site.execute(f'CREATE TABLE acs (exposure TEXT, "{quoted}" TEXT)')
    site.execute(f"INSERT INTO acs VALUES ('x'';', '{name.replace(chr(39), chr(39) * 2)}')")
    archive = hst(product=None, parameters={"DATE-OBS": column})

    found = site.read(Asked("acs", ("DATE-OBS",), since="2'); DROP"), archive)

    assert found == [Rows(["x';:x';"], {"DATE-OBS": [name]})]


def test_E09_ids_that_come_twice_are_told_at_the_end(site: Site) -> None:
    filled(site, 3)
    site.execute("INSERT INTO acs SELECT * FROM acs WHERE exposure = 'E2'")

    *_, last = site.read()

    problem = Problem("acs", "rows that repeat an id: 1 (P0:E2)")
    assert last == Rows([], {"CCDAMP": [], "DATE-OBS": []}, (problem,))


def test_E10_a_connection_that_is_lost_on_the_way_is_told(
    on_postgresql: Site, postgresql: real.Server
) -> None:
    filled(on_postgresql, 20_000)
    name = on_postgresql.url.rpartition("/")[2]
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    ids: list[str] = []

    with on_postgresql.open(batch=1_000) as database, pytest.raises(DatasetError) as told:
        gather(database.rows(ALL), ids, lambda: postgresql.run(cut))

    assert len(ids) == 1_000
    assert told.value.reason.startswith("table acs: terminating connection due to administrator command")


def test_E10_a_row_that_changes_meanwhile_is_as_it_was(site: Site) -> None:
    if site.is_sqlite:
        site.execute("PRAGMA journal_mode = WAL")  # else the writer waits for us
    filled(site, 20_000)

    with site.open(batch=1_000) as database:
        rows = database.rows(ALL)
        first = next(rows)
        site.execute("UPDATE acs SET \"CCDAMP\" = 'B'")
        found = [first, *rows]

    values = {value for some in found for value in some.columns["CCDAMP"]}
    assert (sum(len(some.ids) for some in found), values) == (20_000, {"A"})


def test_E10_a_query_that_never_ends_is_ended(site: Site) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT 'a' AS exposure FROM n WHERE i < 0"
        if site.is_sqlite
        else "SELECT 'a' AS exposure FROM pg_sleep(600)"
    )
    site.execute(f"CREATE VIEW acs AS {endless}")

    told = site.refusal(Asked("acs", ()), hst(product=None), deadline_s=0.3)

    assert told == "table acs: not read to its end within 0.3 s"


def test_E10_a_reading_that_goes_on_and_on_is_ended(site: Site) -> None:
    filled(site, 20_000)

    told = site.refusal(deadline_s=0.001)

    assert told.endswith(": not read to its end within 0.001 s")
