"""The comprehensive check as a workflow, step by step in process; snakemake does it in tests/commands."""

from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import hashes, identity, tables, verify
from crdscache.cache.identity import ALL, Identity
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Kind, Problem, Verdict, VerdictRow
from crdscache.workflow import settings, verifying
from crdscache.workflow.settings import Settings
from crdscache.workflow.verifying import Begun
from demo.deliveries import REJECTED
from tests import mounts, written
from tests.caches import FORMER
from tests.invariants import references_of

SERVER = written.SERVER


@pytest.fixture
def cache(demo_root: Path, tmp_path: Path) -> Layout:
    return written.cache_of(demo_root, tmp_path / "cache")


@pytest.fixture
def config(cache: Layout) -> Settings:
    """Give the settings of a cache that promises all of its default context."""
    identity.save(cache, Identity("hst", SERVER, "test", ALL))
    environ = {"CRDS_PATH": str(cache.root), "CRDS_OBSERVATORY": "hst", "CRDS_SERVER_URL": SERVER}
    values = {key: setting.value for key, setting in settings.resolve({}, environ).items()}
    return settings.typed(values)


@pytest.fixture
def place(cache: Layout) -> Path:
    """Make the directory of the readers' workflow."""
    made = cache.state / "readers"
    made.mkdir(parents=True)
    return made


def read(config: Settings, place: Path, begun: Begun) -> list[VerdictRow]:
    """Do what the jobs do."""
    return verify.hash_shard(begun.due, config.cache, verifying.memory(config.cache, place)[-1])


def whole(config: Settings, place: Path) -> verifying.Summary:
    """Verify from begin to end."""
    begun = verifying.begin(config, place)
    summary, _ = verifying.end(config, "id", place, begun, read(config, place, begun))
    return summary


def test_everything_is_read_once_and_what_did_not_change_is_not_read_again(
    config: Settings, place: Path, demo_root: Path
) -> None:
    first, second = whole(config, place), whole(config, place)

    n_references = len(references_of(demo_root, "hst", FORMER))
    found = tables.read_verdicts(place / verifying.VERDICTS)
    named = [row.name for row in found if row.verdict is not Verdict.DARK]
    assert first.failures == second.failures == ()
    assert len(named) == first.n_read > n_references
    assert len(set(named)) == len(named)
    assert (second.n_read, second.read_bytes, second.verdicts) == (0, 0, first.verdicts)
    assert verifying.load(place / verifying.SUMMARY) == second


def test_what_the_first_step_settles_reaches_the_last_one_through_files(
    config: Settings, place: Path
) -> None:
    begun = replace(verifying.begin(config, place), problems=(Problem("x", "why"),))

    verifying.save(begun, place)

    assert verifying.resume(place) == begun


def test_reference_that_is_neither_promised_nor_here_is_not_missed(
    config: Settings, place: Path, cache: Layout, demo_root: Path
) -> None:
    identity.save(cache, Identity("hst", SERVER, "test", identity.NONE))
    gone, dangling = sorted(references_of(demo_root, "hst", FORMER))[:2]
    for name in (gone, dangling):
        (cache.references / name).unlink()
    (cache.references / dangling).symlink_to("nowhere")

    of_what_is_here = whole(config, place)
    of_all = whole(replace(config, check_files=True), place)

    assert [problem.name for problem in of_what_is_here.failures] == [dangling]
    assert [problem.name for problem in of_all.failures] == [gone, dangling]


def test_file_that_a_sync_replaces_meanwhile_is_no_false_alarm(
    config: Settings, place: Path, cache: Layout, demo_root: Path
) -> None:
    name = min(references_of(demo_root, "hst", FORMER))
    path = cache.references / name
    right = path.read_bytes()
    path.unlink()
    path.write_bytes(right[::-1])
    begun = verifying.begin(config, place)
    found = read(config, place, begun)
    path.unlink()
    path.write_bytes(right)

    summary, _ = verifying.end(config, "id", place, begun, found)

    assert [row.verdict for row in found if row.name == name] == [Verdict.WRONG_SUM]
    assert summary.failures == ()


def test_file_that_is_wanted_no_more_is_no_false_alarm(
    config: Settings, place: Path, cache: Layout, demo_root: Path
) -> None:
    """A purge takes rules and references of a context away while others are read."""
    other = replace(config, wanted=replace(config.wanted, contexts=("hst_0001.pmap", FORMER)))
    only = sorted(
        references_of(demo_root, "hst", "hst_0001.pmap").keys() - references_of(demo_root, "hst", FORMER)
    )
    begun = verifying.begin(other, place)
    found = read(other, place, begun)
    (cache.mappings / "hst_0001.pmap").unlink()
    gone = [row for row in begun.rows if row.name in only and row.kind is Kind.REFERENCE]
    for row in gone:
        cache.absolute(row.path).unlink()

    summary, _ = verifying.end(other, "id", place, begun, found)

    assert {problem.name for problem in summary.failures} <= {"hst_0001.pmap"}


def test_rejected_file_is_told_and_is_no_failure(config: Settings, place: Path) -> None:
    summary = whole(replace(config, check_files=True), place)

    found = {row.name: row.verdict for row in tables.read_verdicts(place / verifying.VERDICTS)}
    told = {name: found[name] for name in REJECTED if name in found and found[name] is not Verdict.DARK}
    assert set(told.values()) <= {Verdict.REJECTED}
    assert summary.failures == ()


def test_where_the_state_cannot_be_written_sums_are_remembered_beside_the_tables(
    cache: Layout, tmp_path: Path
) -> None:
    of_cache, place = cache.state / hashes.FILE, tmp_path / "readers"

    with mounts.read_only(cache.root):
        places = verifying.memory(cache, place)

    assert (verifying.memory(cache, place), places) == ([of_cache], [of_cache, place / hashes.FILE])
