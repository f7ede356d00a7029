"""What runs have left behind, as tables."""

from dataclasses import replace

import pytest

from crdscache.affected import results
from crdscache.affected.results import Step, Summary
from crdscache.contexts.records import Problem
from crdscache.page import history
from crdscache.page.html import Table
from crdscache.workflow import runs, settings
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.settings import Settings
from tests.caches import FORMER, LATEST, Cache

AT = "2030-01-02 00:00:00"
RUN = Run("20300101T000000Z-abcdef", "cron_sync", "2030-01-01 00:00:00")


@pytest.fixture
def config(whole_cache: Cache) -> Settings:
    values = {key: setting.value for key, setting in settings.resolve({}, whole_cache.environ).items()}
    return settings.typed(values)


def tables(config: Settings) -> dict[str, Table]:
    return history.tables(config, AT)


def save(config: Settings, result: Result, kind: str, **more: object) -> None:
    record = Record(RUN, "2030-01-01 00:00:09", result, None, None, None)
    runs.save(config.cache, replace(record, **more), kind)  # type: ignore[arg-type]


def test_failures_of_each_kind_of_run_are_told(config: Settings) -> None:
    save(config, Result(1, failures=(Problem("a.fits", "gone"),)), runs.SYNC)
    save(config, Result(1, failures=(Problem("b.fits", "wrong"),)), runs.VERIFY)

    assert tables(config)["failures"].rows == [
        ("sync", "2030-01-01 00:00:09", "a.fits", "gone"),
        ("verify", "2030-01-01 00:00:09", "b.fits", "wrong"),
    ]


def test_what_is_pending_is_told_with_since_when(config: Settings) -> None:
    save(config, Result(0, pending=("a.fits",)), runs.SYNC, pending_since={"a.fits": "2029-12-31 00:00:00"})

    assert tables(config)["pending"].rows == [("a.fits", "2029-12-31 00:00:00")]


def test_runs_and_switches_are_told_the_latest_first(config: Settings) -> None:
    save(config, Result(0, FORMER, LATEST, LATEST, message="told"), runs.SYNC)

    made = tables(config)

    assert made["runs"].columns == runs.COLUMNS
    assert list(made["runs"].rows[0])[:2] == [RUN.run_id, "cron_sync"]
    assert [row[2] for row in made["switches"].rows] == [FORMER]


def test_estimate_and_trash_are_those_of_a_purge(whole_cache: Cache, config: Settings) -> None:
    (whole_cache.references / "old_bia.fits").write_bytes(b"0" * 5000)
    before = tables(config)
    asked = ("cron_sync", "--purge-references", "--max-purge", "60")
    assert whole_cache.run(*asked).status == 0

    made = tables(config)

    assert list(before["purgeable"].rows) == list(before["trash"].rows) == []
    assert before["purgeable"].empty.startswith("never estimated: cron_sync ")
    assert made["purgeable"].rows[0] == ("would go", 1, 5000)
    ((_, n_files, size_bytes, frees_bytes),) = made["trash"].rows
    assert (n_files, size_bytes) == (1, 5000)
    assert isinstance(frees_bytes, int)
    assert frees_bytes >= 5000


def test_lists_of_affected_data_sets_are_told_and_half_ones_are_left_out(config: Settings) -> None:
    place = config.readers / "affected"
    for name in ("whole", "half"):
        (place / name).mkdir(parents=True)
    summary = Summary("hst", "ops", "2030-01-01 00:00:00", 7, (Step(FORMER, LATEST),))
    results.save_summary(place / "whole" / "summary.json", summary)
    (place / "half" / "summary.json").write_text("{")

    assert tables(config)["affected"].rows == [
        ("2030-01-01 00:00:00", f"{FORMER} --> {LATEST}", 7, "OK", str(place / "whole"))
    ]


def test_a_cache_that_we_never_synced_says_never(whole_cache: Cache, config: Settings) -> None:
    for path in (*whole_cache.state.glob("*.tsv"), *whole_cache.state.glob("*.json")):
        path.unlink()

    made = tables(config)

    assert {name: table.empty for name, table in made.items() if name != "purgeable"} == {
        "failures": "none",
        "pending": "none",
        "trash": "empty",
        "switches": "never",
        "affected": "never",
        "runs": "never",
    }
    assert [name for name, table in made.items() if table.rows] == []


def test_records_of_another_version_are_told_as_such(whole_cache: Cache, config: Settings) -> None:
    for name in ("switches.tsv", "runs.tsv"):
        (whole_cache.state / name).write_text("# crdscache other 9\n")

    made = tables(config)

    assert made["switches"].empty.startswith("cannot be read: ")
    assert made["runs"].empty.startswith("cannot be read: ")
