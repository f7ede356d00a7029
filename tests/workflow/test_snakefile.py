"""What the Snakefile asks of us before its first rule."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crdscache.cache import lease, locks
from crdscache.workflow import settings, snakefile
from tests.caches import FORMER, Cache


@dataclass
class Overrides:
    overwrite_config: Mapping[str, Any] | None = None


@dataclass
class Workflow:
    """Plays Snakemake's own."""

    config_settings: Any = field(default_factory=Overrides)
    local_exec: bool = True


@pytest.fixture
def by_hand(whole_cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Stand where snakemake stands when an operator starts it."""
    for name, text in whole_cache.environ.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    monkeypatch.chdir(whole_cache.state)
    return whole_cache


def test_what_one_of_our_commands_hands_over_is_taken_as_it_is() -> None:
    given = {"run_id": "id", "shards": 3}

    assert snakefile.run_settings(Workflow(Overrides(given)), ["snakemake"]) == given


def test_by_hand_the_settings_come_from_all_layers_and_each_run_has_an_id(by_hand: Cache) -> None:
    run = Workflow(Overrides({"tries": 7, "fetch_references": "true"}))

    first, second = (snakefile.run_settings(run, ["snakemake", "all"]) for _ in range(2))

    expected = {key: setting.value for key, setting in settings.resolve({}, by_hand.environ).items()}
    ids = {first.pop("run_id"), second.pop("run_id")}
    assert len(ids) == 2
    assert (
        first
        == second
        == expected
        | {
            "tries": 7,
            "fetch_references": True,
            "set_up": False,
            "ends": None,
            "on_terminal": False,
        }
    )


@pytest.mark.usefixtures("by_hand")
def test_the_target_init_sets_a_cache_up() -> None:
    values = snakefile.run_settings(Workflow(), ["snakemake", "init"])

    assert (values["set_up"], values["all_contexts"], values["fetch_references"]) == (True, True, False)


def test_another_working_directory_than_the_state_is_refused(
    by_hand: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(by_hand.home)

    with pytest.raises(SystemExit, match=f"the state of this cache is {by_hand.state}"):
        snakefile.run_settings(Workflow(), ["snakemake"])


@pytest.mark.parametrize(
    ("directory", "made", "missing"),
    [
        ("$CRDS_PATH/.crdscache/$CRDS_OBSERVATORY", "$CRDS_PATH", "CRDS_PATH, CRDS_OBSERVATORY"),
        ("$CRDS_PATH/.crdscache/hst", "$CRDS_PATH", "CRDS_PATH"),
        ("cache/.crdscache/$CRDS_OBSERVATORY", "cache/.crdscache/$CRDS_OBSERVATORY", "CRDS_OBSERVATORY"),
    ],
)
def test_a_folder_that_snakemake_made_of_a_variable_that_is_not_set_goes_and_nothing_else(
    directory: str, made: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / directory / ".snakemake").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / directory)

    with pytest.raises(SystemExit, match=f"^{missing} is not set: export CRDS_PATH and CRDS_OBSERVATORY"):
        snakefile.run_settings(Workflow(), ["snakemake"])

    assert not (tmp_path / made).exists()
    assert Path(made).parent == Path() or (tmp_path / made).parent.exists()
    assert Path.cwd().exists()


def test_who_has_the_lock_as_standard_input_works_for_the_writer(
    by_hand: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that started us holds it."""
    values = snakefile.run_settings(Workflow(), ["snakemake"])
    kept = os.dup(0)
    try:
        with (by_hand.root / "crds.sync.lock").open() as lock:
            os.dup2(lock.fileno(), 0)
            monkeypatch.setattr(locks, "WriterLock", None)  # would be called otherwise

            snakefile.hold_writer_lock(values)
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@pytest.fixture
def reader(by_hand: Cache, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Stand in a directory of a reader's own."""
    place = by_hand.home / "readers"
    place.mkdir()
    monkeypatch.chdir(place)
    return by_hand


@pytest.mark.parametrize(
    ("given", "context", "batch"),
    [
        ({}, FORMER, "none"),
        ({"bestrefs_list": "/data/night.7.list"}, FORMER, "night.7"),
        ({"bestrefs_context": "hst-operational"}, FORMER, "none"),
        ({"bestrefs_context": "hst_9999.pmap"}, "", "none"),  # a job will say so
    ],
)
def test_a_reader_settles_its_context_before_the_first_job(
    given: dict[str, str], context: str, batch: str, reader: Cache
) -> None:
    values = snakefile.reader_settings(Workflow(Overrides(given)))

    expected = {key: setting.value for key, setting in settings.resolve({}, reader.environ).items()}
    assert values.pop("run_id")
    of_run = {"held_context": context, "batch": batch, "on_terminal": False, "affected_report": None}
    assert values == expected | given | of_run


def test_a_job_of_a_reader_takes_the_context_that_was_settled() -> None:
    given = {"held_context": FORMER, "shards": 3}

    assert snakefile.reader_settings(Workflow(Overrides(given))) == given


def test_a_reader_keeps_out_of_the_writers_directory(by_hand: Cache) -> None:
    with pytest.raises(
        SystemExit, match=rf"is the writer's: snakemake -s readers\.smk -d {by_hand.state}/readers"
    ):
        snakefile.reader_settings(Workflow())


@pytest.mark.usefixtures("reader")
def test_a_reader_whose_context_is_none_stops_in_words() -> None:
    with pytest.raises(SystemExit, match=r"^context 'newest': expected the name of a mapping"):
        snakefile.reader_settings(Workflow(Overrides({"bestrefs_context": "newest"})))


def test_a_reader_holds_its_context_as_long_as_it_lives(
    reader: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks of its jobs, on other machines, need not reach a purge here."""
    values = snakefile.reader_settings(Workflow())
    at_exit: list[Callable[[], object]] = []
    monkeypatch.setattr(snakefile.atexit, "register", at_exit.append)

    snakefile.begin_reading(Workflow(), values, ["snakemake", "bestrefs"])

    pmap = reader.mappings / FORMER
    was_held = lease.is_held(pmap)
    for close in at_exit:
        close()
    assert (was_held, lease.is_held(pmap)) == (True, False)
