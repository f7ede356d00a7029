"""Context lists in the terms of a run."""

from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import contextlist, identity, listing
from crdscache.cache.answer import Chosen
from crdscache.cache.contextlist import ContextList
from crdscache.cache.identity import LIST, NONE, Identity
from crdscache.cache.layout import Layout, Mode
from crdscache.contexts.records import Problem
from crdscache.errors import NotACacheError, SettingsError
from crdscache.workflow import listed, settings
from crdscache.workflow.settings import Settings
from demo import observatory
from tests import written
from tests.caches import FORMER, LATEST

FIRST = observatory.CONTEXTS[0]


@pytest.fixture
def cache(demo_root: Path, tmp_path: Path) -> Layout:
    return written.cache_of(demo_root, tmp_path / "cache")


@pytest.fixture
def path(demo_root: Path, cache: Layout, tmp_path: Path) -> Path:
    """Write a list of the first context."""
    seen = listing.survey(written.disk_of(cache, written.told(demo_root, FORMER)), FIRST)
    made = ContextList(FIRST, "hst", written.SERVER, "2026-01-01 00:00:00", Mode.INSTRUMENT, ())
    files = [
        one._replace(path=contextlist.path_of(one.name, one.part, "hst", Mode.INSTRUMENT))
        for one in seen.files
    ]
    made = replace(made, files=tuple(sorted(files, key=lambda one: one.path)))
    (tmp_path / "first.sha1").write_text(contextlist.text(made))
    return tmp_path / "first.sha1"


def values(root: Path, path: Path | None = None, **more: object) -> dict[str, object]:
    environ = {"CRDS_PATH": str(root), "CRDS_OBSERVATORY": "hst", "CRDS_SERVER_URL": written.SERVER}
    found = {key: setting.value for key, setting in settings.resolve({}, environ).items()}
    return found | {"context_list": None if path is None else str(path)} | more


def config_of(root: Path, path: Path) -> Settings:
    return settings.typed(listed.narrow(values(root, path), ()))


def test_the_list_says_what_a_run_is_about_and_how_a_new_cache_is_laid_out(cache: Layout, path: Path) -> None:
    before = values(cache.root, path, last_n_contexts=3, dataset_ids=["J1:J1"])

    after = listed.narrow(before, ())

    assert {key: value for key, value in after.items() if value != before[key]} == {
        "contexts": [FIRST],
        "last_n_contexts": 0,
        "dataset_ids": [],
        "fetch_references": True,
        "adopt_sums": True,
        "layout": "instrument",
    }


def test_without_a_list_settings_stay_as_they_are(cache: Layout) -> None:
    assert listed.narrow(values(cache.root), {"contexts"}) == values(cache.root)


def test_another_selection_beside_a_list_is_refused(cache: Layout, path: Path) -> None:
    with pytest.raises(SettingsError, match="the list says what is wanted, so not with contexts"):
        listed.narrow(values(cache.root, path, contexts=[LATEST]), {"contexts", "all_contexts"})


def test_files_take_the_place_of_all_selections_and_purges(cache: Layout) -> None:
    site = {"last_n_contexts": 3, "instruments": ["acs"], "dataset_ids": ["J1"], "purge_references": True}
    before = values(cache.root, files=["x.fits"], **site)

    after = listed.narrow(before, {"files", "contexts"})

    assert {key: value for key, value in after.items() if value != before[key]} == {
        "last_n_contexts": 0,
        "instruments": [],
        "dataset_ids": [],
        "purge_references": False,
        "fetch_references": True,
    }


@pytest.mark.parametrize(
    "beside", [{"types": ["darkfile"]}, {"purge_mappings": True}, {"all_contexts": True}]
)
def test_another_selection_or_a_purge_beside_files_is_refused(
    cache: Layout, beside: dict[str, object]
) -> None:
    with pytest.raises(SettingsError, match=f"just these are looked after, so not with {next(iter(beside))}"):
        listed.narrow(values(cache.root, files=["x.fits"], **beside), {"files", *beside})


def test_list_of_another_observatory_is_refused(cache: Layout, path: Path) -> None:
    with pytest.raises(SettingsError, match="line 3: the list is for hst, the cache for jwst"):
        listed.narrow(values(cache.root, path, observatory="jwst"), ())


def test_a_new_cache_is_held_at_the_listed_context(tmp_path: Path, path: Path) -> None:
    config = config_of(tmp_path / "new", path)

    stamp = listed.admit(config, set_up=True)

    assert stamp == Identity("hst", written.SERVER, "ops", NONE, pinned=FIRST, pinned_by=LIST)
    with pytest.raises(NotACacheError):
        listed.admit(config, set_up=False)


def test_a_cache_that_has_a_default_keeps_it(cache: Layout, path: Path) -> None:
    assert listed.admit(config_of(cache.root, path), set_up=True).pinned is None

    identity.save(cache, Identity("hst", written.SERVER, "ops", NONE, pinned=LATEST))

    assert listed.admit(config_of(cache.root, path), set_up=True).pinned == LATEST


def test_sizes_and_sums_of_the_list_override_those_of_the_server(
    demo_root: Path, cache: Layout, path: Path, tmp_path: Path
) -> None:
    info = written.told(demo_root, LATEST, download_metadata={FIRST: {"size": "1", "sha1sum": "0" * 40}})
    found = contextlist.read(path, "hst")

    here = listed.settle(
        config_of(cache.root, path), info, listed.admit(config_of(cache.root, path), set_up=True)
    )
    new = config_of(tmp_path / "new", path)
    there = listed.settle(new, info, listed.admit(new, set_up=True))

    assert here.catalogue.records == found.records(info.bad_files)
    names = tuple(sorted(found.names))
    assert here.chosen == Chosen((FIRST,), takes_default=False, mappings=(FIRST,), problems=(), listed=names)
    assert there.chosen == Chosen((FIRST,), takes_default=True, mappings=(FIRST,), problems=(), listed=names)


def test_a_run_that_was_killed_after_its_first_configuration_still_takes_the_default(
    demo_root: Path, cache: Layout, path: Path
) -> None:
    """Else what the new cache promises to have would never be recorded."""
    identity.save(cache, Identity("hst", written.SERVER, "ops", NONE, pinned=FIRST, pinned_by=LIST))
    config = config_of(cache.root, path)

    said = listed.settle(config, written.told(demo_root, LATEST), listed.admit(config, set_up=True))

    assert said.chosen.takes_default


def test_a_list_that_is_replaced_while_a_run_is_at_work_is_noticed(
    demo_root: Path, cache: Layout, path: Path
) -> None:
    config = config_of(cache.root, path)
    listed.record(config, LATEST, path)

    with pytest.raises(SettingsError, match="replaced while the run was at work"):
        listed.settle(config, written.told(demo_root, LATEST), listed.admit(config, set_up=False))


def test_the_same_cache_gives_the_same_list(cache: Layout, tmp_path: Path) -> None:
    config = settings.typed(values(cache.root))

    assert listed.record(config, FIRST, tmp_path / "one") == ()
    assert listed.record(config, FIRST, tmp_path / "two") == ()

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert contextlist.read(tmp_path / "one").context == FIRST


def test_where_something_is_missing_there_is_no_list(cache: Layout, tmp_path: Path) -> None:
    config = settings.typed(values(cache.root))
    (cache.mappings / FIRST).unlink()

    (problem,) = listed.record(config, FIRST, tmp_path / "none")

    assert problem.name == FIRST
    assert not (tmp_path / "none").exists()
    assert listed.cure(FIRST, (Problem(FIRST, "why"),)) == (
        f"no list of {FIRST}: 1 files are missing or wrong; "
        f"cron_sync --contexts {FIRST} --fetch-references brings what is missing"
    )
