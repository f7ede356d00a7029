import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.cache import plan, publish
from crdscache.cache.identity import ALL, NONE
from crdscache.cache.layout import Layout
from crdscache.cache.manifest import Disk
from crdscache.cache.plan import Plan, Scope, Totals
from crdscache.contexts.records import (
    Action,
    Kind,
    ManifestRow,
    Outcome,
    Parts,
    PlanRow,
    Problem,
    Receipt,
    Sighting,
    SightingRow,
)
from tests import written
from tests.caches import FORMER, LATEST, listing
from tests.invariants import references_of

BASE = "http://localhost/references/"
DELIVERED = {"archived", "operational", "delivered", "latest"}
FETCH = Scope((LATEST,), LATEST, fetch=True, check=False, source=BASE)
CHECK = replace(FETCH, fetch=False, check=True)
RULES_ONLY = replace(FETCH, fetch=False)
WORK = {Action.ADOPT, Action.FETCH}


@pytest.fixture
def disk(cache: Layout, demo_root: Path) -> Disk:
    return written.disk_of(cache, written.told(demo_root, LATEST))


def file(
    name: str, size_bytes: int | None = 1, *, is_held: bool = False, part: str = "acs/darkfile"
) -> ManifestRow:
    """Make a row of the manifest."""
    instrument, _, reftype = part.partition("/")
    return ManifestRow(name, Kind.REFERENCE, instrument, reftype, size_bytes, "ab" * 20, f"r/{name}", is_held)


def undone(drawn: Plan) -> dict[str, tuple[Action, str, str]]:
    """Tell what is to be done."""
    return {
        row.file.name: (row.action, row.reason, row.source)
        for row in drawn.rows
        if row.action is not Action.KEEP
    }


def test_whole_cache_wants_nothing(disk: Disk, demo_root: Path) -> None:
    drawn = plan.draw_up(disk, FETCH, ALL)

    assert [row.file.name for row in drawn.rows] == sorted(references_of(demo_root, "hst", LATEST))
    assert {row.action for row in drawn.rows} == {Action.KEEP}
    assert [row for row in drawn.manifest if row.kind is Kind.REFERENCE] == [row.file for row in drawn.rows]
    assert drawn.problems == ()


@pytest.mark.parametrize("size_bytes", [2**31 + 1, 2**32 + 1])
def test_N31_lengths_beyond_the_range_of_an_integer_are_exact(disk: Disk, size_bytes: int) -> None:
    """Two sparse files, one of which lacks a byte."""
    right, short = ("8221321au.r3d", "8221320aj_mdz.fits")
    for name, found_bytes in ((right, size_bytes), (short, size_bytes - 1)):
        disk.catalogue.records[name] = replace(disk.catalogue.records[name], size_bytes=size_bytes)
        (disk.cache.references / name).unlink()
        (disk.cache.references / name).touch()
        os.truncate(disk.cache.references / name, found_bytes)

    drawn = plan.draw_up(disk, FETCH, ALL)

    path = disk.cache.relative(disk.cache.references / short)
    reason = f"{path} has {size_bytes - 1} bytes, the catalogue says {size_bytes}"
    assert undone(drawn) == {short: (Action.WRONG, reason, "")}
    assert {row.file.size_bytes for row in drawn.rows if row.file.name in {right, short}} == {size_bytes}


def damage(cache: Layout) -> dict[str, str]:
    """Spoil a file in each way; tells which."""
    names = {
        "missing": "8221321au.r3d",
        "dangling": "8221321au.r3h",
        "short": "8221320aj_mdz.fits",
        "pipe": "82213200j_mdz.fits",
    }
    for name in names.values():
        (cache.references / name).unlink()
    (cache.references / names["dangling"]).symlink_to("nowhere")
    (cache.references / names["short"]).write_bytes(b"short")
    os.mkfifo(cache.references / names["pipe"])
    return names


@pytest.mark.parametrize("scope", [FETCH, CHECK])
def test_missing_files_are_fetched_if_asked_for_and_wrong_ones_are_only_told(
    disk: Disk, scope: Scope
) -> None:
    names = damage(disk.cache)
    right = disk.catalogue.records[names["short"]].size_bytes
    where = "references/hst/"

    drawn = plan.draw_up(disk, scope, ALL)

    missing = {
        name: (Action.FETCH, "", BASE)
        if scope.fetch
        else (Action.MISSING, f"{where}{name} is missing{why}", "")
        for name, why in ((names["missing"], ""), (names["dangling"], ": a dangling link to nowhere"))
    }
    wrong = f"{where}{names['short']} has 5 bytes, the catalogue says {right}"
    assert undone(drawn) == missing | {
        names["short"]: (Action.WRONG, wrong, ""),
        names["pipe"]: (Action.WRONG, f"{where}{names['pipe']} is not a regular file", ""),
    }


def test_file_that_the_catalogue_does_not_know_is_told_if_it_is_missing(disk: Disk) -> None:
    here, missing = "8221321au.r3d", "8221321au.r3h"
    del disk.catalogue.records[here], disk.catalogue.records[missing]
    (disk.cache.references / missing).unlink()

    drawn = plan.draw_up(disk, FETCH, ALL)

    assert undone(drawn) == {missing: (Action.UNKNOWN, "the server's catalogue has no entry for it", "")}


@pytest.mark.parametrize(
    ("scope", "forgotten", "action"),
    [(FETCH, [], Action.FETCH), (FETCH, ["8221321au.r3h"], Action.PENDING), (CHECK, [], Action.PENDING)],
)
def test_file_that_may_be_absent_is_no_failure_and_is_fetched_where_it_can_be(
    disk: Disk, scope: Scope, forgotten: list[str], action: Action
) -> None:
    name = "8221321au.r3h"
    (disk.cache.references / name).unlink()
    for one in forgotten:
        del disk.catalogue.records[one]

    drawn = plan.draw_up(disk, replace(scope, tolerated=frozenset({name})), ALL)

    assert {row.file.name: row.action for row in drawn.rows if row.action is not Action.KEEP} == {
        name: action
    }


def test_plan_without_references_lists_the_rules_alone(disk: Disk) -> None:
    drawn = plan.draw_up(disk, RULES_ONLY, ALL)

    assert drawn.rows == ()
    assert drawn.manifest == tuple(
        row for row in plan.draw_up(disk, FETCH, ALL).manifest if row.kind is Kind.MAPPING
    )


def test_problem_of_one_context_leaves_the_plan_of_the_others_as_it_is(disk: Disk, demo_root: Path) -> None:
    whole = plan.draw_up(disk, replace(FETCH, contexts=(FORMER,)), ALL)
    (disk.cache.mappings / "hst_wfpc2_0002.imap").unlink()
    again = written.disk_of(disk.cache, written.told(demo_root, LATEST))

    both = plan.draw_up(again, replace(FETCH, contexts=(FORMER, LATEST)), ALL)

    why = f"hst_wfpc2_0002.imap: neither here nor on the server (path: {LATEST} > hst_wfpc2_0002.imap)"
    assert both.problems == (Problem("hst_wfpc2_0002.imap", why),)
    assert {row.file.name for row in whole.rows} <= {row.file.name for row in both.rows}


@pytest.mark.parametrize("state", ["", "archived", "operational", "delivered", "latest"])
def test_files_that_the_archive_hands_out_are_fetched(state: str) -> None:
    rows = [PlanRow(file("a"), Action.FETCH)]

    assert plan.hold_back(rows, {"a": state}, DELIVERED) == rows


@pytest.mark.parametrize("state", ["submitted", "archiving", "uploaded", "cancelled", "OPERATIONAL"])
def test_files_in_any_other_state_are_pending(state: str) -> None:
    rows = [
        PlanRow(file("a"), Action.FETCH),
        PlanRow(file("b"), Action.KEEP),
        PlanRow(file("c"), Action.FETCH),
    ]

    held = plan.hold_back(rows, {"a": state, "b": state}, DELIVERED)

    assert held == [replace(rows[0], action=Action.PENDING, reason=f"its state is {state!r}"), *rows[1:]]


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (Action.KEEP, Outcome.KEPT),
        (Action.PENDING, Outcome.PENDING),
        (Action.WRONG, Outcome.FAILED),
        (Action.MISSING, Outcome.FAILED),
        (Action.UNKNOWN, Outcome.FAILED),
    ],
)
def test_file_that_nothing_is_done_for_ends_as_the_plan_says(action: Action, outcome: Outcome) -> None:
    assert plan.receipt_of(PlanRow(file("a"), action, "why")) == Receipt("a", outcome, reason="why")


plans = st.lists(
    st.builds(
        PlanRow,
        st.builds(
            lambda name, size_bytes, is_held: file(name, size_bytes, is_held=is_held),
            st.text("abc", min_size=1, max_size=5),
            st.none() | st.integers(0, 2**40),
            st.booleans(),
        ),
        st.sampled_from(Action),
    ),
    unique_by=lambda row: row.file.name,
)


def costs(rows: list[PlanRow]) -> list[int]:
    return [2**18 + (row.file.size_bytes or 0) if row.action in WORK else 0 for row in rows]


@given(plans, st.integers(1, 5))
def test_shards_are_together_the_work_and_nothing_else(rows: list[PlanRow], n_shards: int) -> None:
    shards = plan.shard(rows, n_shards)

    work = sorted((row for row in rows if row.action is not Action.KEEP), key=lambda row: row.file.name)
    assert len(shards) == n_shards
    assert sorted((row for shard in shards for row in shard), key=lambda row: row.file.name) == work


@given(plans, st.integers(1, 5))
def test_no_shard_is_longer_than_another_by_more_than_one_file(rows: list[PlanRow], n_shards: int) -> None:
    lengths = [costs(shard) for shard in plan.shard(rows, n_shards)]

    largest = max((cost for shard in lengths for cost in shard), default=0)
    assert max(map(sum, lengths)) - min(map(sum, lengths)) <= largest


@given(plans, st.integers(1, 5))
def test_in_each_shard_what_the_default_needs_comes_first_and_then_what_is_small(
    rows: list[PlanRow], n_shards: int
) -> None:
    for shard in plan.shard(rows, n_shards):
        order = [
            (not row.file.is_held, cost, row.file.name) for row, cost in zip(shard, costs(shard), strict=True)
        ]
        assert order == sorted(order)


ROWS = (
    PlanRow(file("a", 10, part="acs/darkfile"), Action.FETCH),
    PlanRow(file("b", 5, part="acs/darkfile"), Action.FETCH),
    PlanRow(file("c", 2, part="wfc3/idctab"), Action.FETCH),
    PlanRow(file("d", 100), Action.KEEP),
    PlanRow(file("e", 100), Action.PENDING),
    PlanRow(file("f", 100), Action.WRONG),
    PlanRow(file("g", 100), Action.MISSING),
    PlanRow(file("h", None), Action.UNKNOWN),
)


def test_totals_are_read_as_they_were_written(tmp_path: Path) -> None:
    sightings = [SightingRow("/tree/x", "x", Sighting.ADOPTED), SightingRow("/tree/y", "y", Sighting.FOREIGN)]
    adopted = PlanRow(file("x", 5), Action.ADOPT, "it is wrong")
    numbers = plan.totals(Plan((), (*ROWS, adopted), (Problem("x", "why"),), tuple(sightings)))
    plan.save_totals(tmp_path / "totals.json", numbers)

    assert numbers == Totals(
        numbers.made,
        n_fetch=3,
        fetch_bytes=17,
        n_adopt=1,
        adopt_bytes=5,
        n_keep=1,
        n_pending=1,
        n_wrong=3,
        n_repair=1,
        n_seen={"adopted": 1, "not in the catalogue": 1},
        problems=(Problem("x", "why"),),
        keep_bytes=100,
    )
    assert plan.load_totals(tmp_path / "totals.json") == numbers
    assert str(numbers) == (
        "3 references (17 bytes) to fetch, 1 (5 bytes) to adopt, 1 here, 1 pending, 3 wrong, "
        f"by the plan of {numbers.made} UTC"
    )


def test_estimate_has_a_line_for_each_part_and_the_sum() -> None:
    lines = [line.split() for line in plan.estimate(ROWS).splitlines()]

    assert lines == [
        ["acs/darkfile", "2", "files", "15", "bytes"],
        ["wfc3/idctab", "1", "files", "2", "bytes"],
        ["to", "fetch", "3", "files", "17", "bytes"],
    ]
    assert [line.split() for line in plan.estimate([PlanRow(file("x", 5), Action.ADOPT)]).splitlines()] == [
        ["acs/darkfile", "1", "files", "5", "bytes"],
        ["to", "adopt", "1", "files", "5", "bytes"],
        ["to", "fetch", "0", "files", "0", "bytes"],
    ]
    assert plan.estimate([]).split() == ["to", "fetch", "0", "files", "0", "bytes"]


def part(disk: Disk, name: str) -> str:
    return publish.part_name(name, disk.catalogue.records[name].file_sha1)


def test_D17_own_temporaries_that_no_plan_wants_are_removed_and_nothing_else(disk: Disk) -> None:
    cache, missing, kept = disk.cache, "8221321au.r3d", "8221321au.r3h"
    waiting, here = "hst_acs_0006.imap", "hst_acs_0005.imap"
    (cache.references / missing).unlink()
    (cache.mappings / waiting).unlink()
    (cache.state / "plan").mkdir()
    foreign = [".tmp_x_12", "x.fits.lock", ".x.swp", ".x.part", "x.0123abcd.crdstmp", "notes.txt"]
    for place in (cache.references, cache.mappings, cache.config):
        written.write(place, dict.fromkeys(foreign, b""))
    before = listing(cache.root).keys()
    dead = [
        cache.references / part(disk, kept),
        cache.references / publish.part_name(missing, "0" * 40),
        cache.references / ".x.fits.0123abcd.crdstmp",
        cache.mappings / part(disk, here),
        cache.config / ".server_config.0123abcd.crdstmp",
        cache.state / ".catalogue.tsv.0123abcd.crdstmp",
        cache.state / "plan" / ".0.tsv.0123abcd.crdstmp",
    ]
    wanted = [cache.references / part(disk, missing), cache.mappings / part(disk, waiting)]
    for path in (*dead, *wanted):
        path.touch()
    drawn = plan.draw_up(disk, FETCH, ALL)

    found = plan.leftovers(disk, drawn.rows, FETCH)
    plan.sweep(disk, drawn.rows, FETCH)

    assert found == sorted(dead)
    assert listing(cache.root).keys() == before | set(map(str, wanted))


@pytest.mark.parametrize("action", [Action.PENDING, Action.FETCH])
def test_part_of_a_file_that_is_still_to_come_is_kept(disk: Disk, action: Action) -> None:
    name = "8221321au.r3d"
    (disk.cache.references / name).unlink()
    (disk.cache.references / part(disk, name)).touch()
    drawn = plan.draw_up(disk, FETCH, NONE)
    rows = tuple(replace(row, action=action) if row.action is Action.FETCH else row for row in drawn.rows)

    assert plan.leftovers(disk, rows, FETCH) == []


@pytest.mark.parametrize(
    "scope", [replace(FETCH, fetch=False), replace(FETCH, contexts=(), files=("8221321au.r3d",))]
)
def test_run_that_fetches_no_references_of_contexts_leaves_their_parts(disk: Disk, scope: Scope) -> None:
    """A crontab may have runs of both kinds: what one has begun is not for the other to drop."""
    (disk.cache.references / ".x.fits.0123456789ab.part").touch()
    drawn = plan.draw_up(disk, scope, NONE)

    assert plan.leftovers(disk, drawn.rows, scope) == []


def test_cache_without_directories_has_no_leftovers(tmp_path: Path, disk: Disk) -> None:
    bare = replace(
        disk,
        cache=replace(disk.cache, mappings=tmp_path / "a", references=tmp_path / "b", config=tmp_path / "c"),
    )

    assert plan.leftovers(bare, [], FETCH) == []


def test_type_that_no_rules_have_is_a_problem_and_the_others_are_brought(cache: Layout, disk: Disk) -> None:
    """A slip of the pen would fetch nothing, in silence."""
    (cache.references / "68v08000j_drk.fits").unlink()
    parts = Parts(instruments=("acs",), types=("darkfile", "idctab", "darkfil"))

    drawn = plan.draw_up(disk, replace(FETCH, parts=parts), NONE)

    problem = Problem("type darkfil", "the contexts have no rules for such a type")  # idctab is of wfc3
    assert (list(undone(drawn)), drawn.problems) == (["68v08000j_drk.fits"], (problem,))
