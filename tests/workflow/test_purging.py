"""The purge in the terms of a run, step by step in process; snakemake does it in tests/commands."""

from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import answer, identity, purgereport
from crdscache.cache.answer import Answer
from crdscache.cache.identity import NONE, Identity
from crdscache.cache.rules import Rules
from crdscache.contexts.records import Problem, Purging
from crdscache.workflow import purging, settings
from crdscache.workflow.settings import Settings
from demo import observatory
from tests import purging as sites
from tests import written
from tests.caches import FORMER, LATEST
from tests.mounts import read_only
from tests.purging import Site

FIRST = observatory.CONTEXTS[0]


@pytest.fixture
def site(demo_root: Path, tmp_path: Path) -> Site:
    return sites.demo_site(demo_root, tmp_path / "cache")


@pytest.fixture
def config(site: Site) -> Settings:
    """Give the settings of a run that purges mappings and references."""
    identity.save(site.cache, Identity("hst", written.SERVER, "test", NONE))
    environ = {
        "CRDS_PATH": str(site.cache.root),
        "CRDS_OBSERVATORY": "hst",
        "CRDS_SERVER_URL": written.SERVER,
    }
    values = {key: setting.value for key, setting in settings.resolve({}, environ).items()}
    return settings.typed(values | {"purge_mappings": True, "purge_references": True, "max_purge": 100})


def named(config: Settings, plan: str | None) -> Settings:
    return replace(config, purging=replace(config.purging, plan=plan))


def load(site: Site, said: Answer) -> Rules:
    return Rules(site.cache.mappings, said.catalogue, None)


def test_the_pin_of_the_cache_is_kept(site: Site, config: Settings) -> None:
    identity.save(site.cache, Identity("hst", written.SERVER, "test", NONE, pinned=FIRST))

    assert purging.kept(config, site.said).why[FIRST] == ("pinned",)


def test_rules_of_all_that_is_kept_are_looked_after(site: Site, config: Settings) -> None:
    pinned = replace(config, keeping=replace(config.keeping, pinned=(FIRST, "hst_0900.pmap")))

    assert purging.with_kept(pinned, site.said).chosen.mappings == (FIRST, FORMER)
    assert purging.with_kept(replace(pinned, purging=Purging()), site.said) == site.said


def test_rules_that_a_purge_lacks_are_noticed(site: Site, config: Settings) -> None:
    pinned = replace(config, keeping=replace(config.keeping, pinned=(FIRST,)))
    assert not purging.lacks_rules(pinned, site.said, load(site, site.said).load)
    (site.cache.mappings / FIRST).unlink()

    assert purging.lacks_rules(pinned, site.said, load(site, site.said).load)
    assert not purging.lacks_rules(replace(pinned, purging=Purging()), site.said, load(site, site.said).load)


def test_estimate_that_is_named_is_carried_out(site: Site, config: Settings) -> None:
    made = purging.estimate(config, site.said)

    deed = purging.carry_out(named(config, made.plan), site.said, "run-1")

    assert (deed.n_files, deed.failures) == (len(made.rows), ())
    assert purging.load_deed(site.cache.state / purging.DEED) == deed


def test_without_a_named_estimate_nothing_goes_and_the_way_is_told(site: Site, config: Settings) -> None:
    before = site.here()
    plan = purging.estimate(config, site.said).plan

    deed = purging.carry_out(config, site.said, "run-1")

    told = f"nothing was purged: --config purge_plan={plan} carries this estimate out"
    assert deed.failures == (Problem(plan, told),)
    assert site.here() == before


@pytest.mark.parametrize("change", ["default", "edit", "cut"])
def test_what_has_changed_since_the_estimate_keeps_all_from_going(
    site: Site, config: Settings, change: str
) -> None:
    plan = purging.estimate(config, site.said).plan
    said = site.said
    if change == "default":
        said = site.says(operational_context=LATEST, latest_context=LATEST).said
    elif change == "edit":
        said = site.says(edit_context=FIRST).said
    else:
        (site.cache.mappings / FORMER).write_bytes(b"cut")
    before = site.here()

    deed = purging.carry_out(named(config, plan), said, "run-1")

    assert deed.failures
    assert deed.n_files == 0
    assert site.here() == before


def test_numbers_are_saved_with_the_plan(site: Site, config: Settings) -> None:
    made = purging.estimate(config, site.said)

    purging.save(config, made)

    totals = purgereport.load_totals(site.cache.state / "purge" / "estimate.json")
    assert (totals.plan, totals.frees_now_bytes) == (made.plan, 0)
    emptying = replace(config, keeping=replace(config.keeping, trash_days=0))
    assert purging.totals(emptying, made).frees_now_bytes == made.frees_bytes


def test_D06_cache_that_is_read_only_has_an_estimate_too(site: Site, config: Settings) -> None:
    writable = purging.estimate(config, site.said)

    with read_only(site.cache.root):
        assert purging.estimate(config, site.said).plan == writable.plan


def test_answer_with_kept_rules_comes_back_as_it_was_written(site: Site, config: Settings) -> None:
    said = purging.with_kept(config, site.said)
    answer.save(said, site.cache.state)

    assert answer.load(site.cache.state, "hst").chosen == said.chosen
