import os
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import check, hashes, plan
from crdscache.cache.hashes import Hashed
from crdscache.cache.identity import ALL
from crdscache.cache.layout import Layout
from crdscache.cache.manifest import Disk
from crdscache.cache.plan import Scope
from crdscache.contexts.records import Problem, Verdict, VerdictRow
from tests import written
from tests.caches import LATEST, listing
from tests.checking import FOLDER
from tests.invariants import closure, references_of

CHECK = Scope((LATEST,), LATEST, fetch=False, check=True, source="")
RULES = "mappings/hst"


@pytest.fixture
def disk(cache: Layout, demo_root: Path) -> Disk:
    return written.disk_of(cache, written.told(demo_root, LATEST))


@pytest.fixture
def names(cache: Layout) -> list[str]:
    """Name the references of the context."""
    return sorted(references_of(cache.root, "hst", LATEST))


@pytest.fixture
def rmap(cache: Layout) -> str:
    """Name a mapping of the context."""
    return next(name for name in sorted(closure(cache.mappings, LATEST)) if name.endswith(".rmap"))


def judged(disk: Disk, scope: Scope = CHECK, *, reads_mappings: bool = True) -> list[VerdictRow]:
    """Check a cache; right files, and what is dark of other contexts, are left out."""
    drawn = plan.draw_up(disk, scope, ALL)
    rows = check.of_plan(drawn, disk, reads_mappings=reads_mappings)
    assert [row.name for row in rows] == sorted(row.name for row in rows)
    needed = {row.name for row in drawn.manifest}
    assert needed <= {row.name for row in rows}
    return [
        row for row in rows if row.verdict is not Verdict.OK and row.reason != "no selected context needs it"
    ]


def note(path: Path, data: bytes, expected: bytes) -> Hashed:
    return hashes.hashed(path.stat(), written.sha1_of(data), written.sha1_of(expected))


def test_whole_cache_is_right_and_each_file_is_told_once(disk: Disk, names: list[str]) -> None:
    drawn = plan.draw_up(disk, CHECK, ALL)

    rows = check.of_plan(drawn, disk)

    of_context = [row for row in rows if row.verdict is not Verdict.DARK]
    mappings = closure(disk.cache.mappings, LATEST)
    assert of_context == [VerdictRow(name, Verdict.OK) for name in sorted([*names, *mappings])]
    others = {path.name for path in disk.cache.mappings.iterdir()} - mappings
    dark = [row.name for row in rows if row.verdict is Verdict.DARK and row.name.startswith(RULES)]
    assert dark == sorted(f"{RULES}/{name}" for name in others)


def damage(cache: Layout, names: list[str]) -> dict[str, VerdictRow]:
    """Spoil a file in each way that a look at it tells; gives what is to be said, by its kind."""
    missing, dangling, short, pipe, tape = names[:5]
    for name in names[:5]:
        (cache.references / name).unlink()
    (cache.references / dangling).symlink_to("nowhere")
    (cache.references / short).write_bytes(b"short")
    os.mkfifo(cache.references / pipe)
    (cache.references / tape).touch()
    return {
        "missing": VerdictRow(missing, Verdict.MISSING, reason=f"{FOLDER}/{missing} is missing"),
        "dangling": VerdictRow(
            dangling, Verdict.MISSING, reason=f"{FOLDER}/{dangling} is missing: a dangling link to nowhere"
        ),
        "pipe": VerdictRow(
            pipe,
            Verdict.UNEXPECTED_KIND,
            "regular file",
            "pipe",
            f"{FOLDER}/{pipe} is not a regular file",
        ),
    }


def test_each_file_that_is_not_right_has_its_verdict(disk: Disk, names: list[str], cache: Layout) -> None:
    said = damage(cache, names)
    short, tape, wrong, unread, bad = names[2], *names[4:8]
    sizes = {name: record.size_bytes for name, record in disk.catalogue.records.items()}
    os.truncate(cache.references / tape, sizes[tape])
    written.write(cache.references, {"stray.fits": b"stray"})
    known = {
        wrong: hashes.hashed((cache.references / wrong).stat(), "a" * 40, None),
        unread: hashes.hashed((cache.references / unread).stat(), "", None),
    }
    disk.catalogue.records[bad] = replace(disk.catalogue.records[bad], is_rejected=True)
    when = known[wrong].when

    found = judged(replace(disk, known=known))

    short_of = f"{FOLDER}/{short} has 5 bytes, the catalogue says {sizes[short]}"
    right = disk.catalogue.records[wrong].file_sha1
    wrong_sum = f"{FOLDER}/{wrong} has the SHA-1 {'a' * 40}, the catalogue says {right}, hashed {when} UTC"
    offline = f"{FOLDER}/{tape} is not on this disk: its bytes were not looked at"
    expected = [
        *said.values(),
        VerdictRow(short, Verdict.WRONG_SIZE, str(sizes[short]), "5", short_of),
        VerdictRow(tape, Verdict.OFFLINE, reason=offline),
        VerdictRow(wrong, Verdict.WRONG_SUM, right or "", "a" * 40, wrong_sum),
        VerdictRow(
            unread,
            Verdict.UNREADABLE,
            reason=f"{FOLDER}/{unread} could not be read, {known[unread].when} UTC",
        ),
        VerdictRow(bad, Verdict.REJECTED, reason="the server has rejected it"),
        VerdictRow(f"{FOLDER}/stray.fits", Verdict.DARK, found="5", reason="not in the catalogue"),
    ]
    assert found == sorted(expected, key=lambda row: row.name)
    assert check.failures(found) == tuple(
        Problem(row.name, row.reason) for row in found if row.verdict.is_bad
    )
    assert check.counts(found) == {
        "missing": 2,
        "wrong-size": 1,
        "wrong-sum": 1,
        "unreadable": 1,
        "unexpected-kind": 1,
        "offline": 1,
        "rejected": 1,
        "dark": 1,
    }


def test_file_that_may_be_absent_is_pending(disk: Disk, names: list[str]) -> None:
    (disk.cache.references / names[0]).unlink()

    found = judged(disk, replace(CHECK, tolerated=frozenset(names[:2])))

    why = "it may be absent, by tolerate_missing"
    assert found == [VerdictRow(names[0], Verdict.PENDING, reason=why)]
    assert check.failures(found) == ()


def test_file_that_is_not_archived_yet_is_pending(disk: Disk, names: list[str]) -> None:
    (disk.cache.references / names[0]).unlink()
    scope = replace(CHECK, fetch=True)
    drawn = plan.draw_up(disk, scope, ALL)
    rows = tuple(plan.hold_back(drawn.rows, {names[0]: "submitted"}, ()))

    found = check.of_plan(replace(drawn, rows=rows), disk)

    pending = VerdictRow(names[0], Verdict.PENDING, reason="its state is 'submitted'")
    assert [row for row in found if row.name == names[0]] == [pending]


@pytest.mark.parametrize("fetch", [False, True])
def test_file_that_is_missing_is_told_so_whatever_is_to_be_done_about_it(
    disk: Disk, names: list[str], *, fetch: bool
) -> None:
    (disk.cache.references / names[0]).unlink()
    del disk.catalogue.records[names[1]]  # nothing is known of it
    (disk.cache.references / names[1]).unlink()

    found = judged(disk, replace(CHECK, fetch=fetch))

    assert found == [
        VerdictRow(name, Verdict.MISSING, reason=f"{FOLDER}/{name} is missing") for name in names[:2]
    ]


def test_file_that_has_come_since_the_plan_was_made_is_looked_at(disk: Disk, names: list[str]) -> None:
    path = disk.cache.references / names[0]
    aside = path.rename(path.with_name(".aside.0123abcd.crdstmp"))
    drawn = plan.draw_up(disk, CHECK, ALL)
    aside.rename(path)

    rows = check.of_plan(drawn, disk)

    assert [row for row in rows if row.name == names[0]] == [VerdictRow(names[0], Verdict.OK)]


def spoiled(disk: Disk, rmap: str) -> tuple[bytes, bytes]:
    """Change a mapping, but neither its length nor what it says; gives its bytes before and after."""
    path = disk.cache.mappings / rmap
    right = path.read_bytes()
    wrong = right.replace(b"derived_from", b"derived_frpm")
    assert wrong != right
    path.unlink()  # a link: the original stays
    path.write_bytes(wrong)
    return right, wrong


def wrong_rmap(rmap: str, right: bytes, wrong: bytes, found: list[VerdictRow]) -> VerdictRow:
    """Say what is to be said of a spoiled mapping; the time is its own."""
    (when,) = (row.reason.rpartition(", ")[2] for row in found)
    expected, actual = written.sha1_of(right), written.sha1_of(wrong)
    reason = f"{RULES}/{rmap} has the SHA-1 {actual}, the catalogue says {expected}, {when}"
    return VerdictRow(rmap, Verdict.WRONG_SUM, expected, actual, reason)


def test_mappings_are_summed_anew_whatever_is_remembered(disk: Disk, rmap: str) -> None:
    right, wrong = spoiled(disk, rmap)
    vouched = {rmap: note(disk.cache.mappings / rmap, right, right)}

    found = judged(replace(disk, known=vouched))

    assert found == [wrong_rmap(rmap, right, wrong, found)]


@pytest.mark.parametrize("is_known", [False, True])
def test_mappings_are_judged_by_what_is_remembered_where_they_are_not_read(
    disk: Disk, rmap: str, *, is_known: bool
) -> None:
    right, wrong = spoiled(disk, rmap)
    known = {rmap: note(disk.cache.mappings / rmap, wrong, right)} if is_known else {}
    found = judged(replace(disk, known=known), reads_mappings=False)

    assert found == ([wrong_rmap(rmap, right, wrong, found)] if is_known else [])


def test_mapping_that_is_missing_is_told_where_the_rules_were_read_before(disk: Disk, rmap: str) -> None:
    drawn = plan.draw_up(disk, CHECK, ALL)
    (disk.cache.mappings / rmap).unlink()

    for reads in (False, True):
        rows = check.of_plan(drawn, disk, reads_mappings=reads)

        missing = VerdictRow(rmap, Verdict.MISSING, reason=f"{RULES}/{rmap} is missing")
        assert [row for row in rows if row.name == rmap] == [missing]


def test_rejection_is_told_of_right_files_only(disk: Disk, names: list[str], rmap: str) -> None:
    before = check.rejected(disk.catalogue)
    for name in (names[0], names[1], rmap):
        disk.catalogue.records[name] = replace(disk.catalogue.records[name], is_rejected=True)
    (disk.cache.references / names[1]).unlink()

    found = judged(disk)

    assert sorted(found, key=lambda row: row.verdict.value) == [
        VerdictRow(names[1], Verdict.MISSING, reason=f"{FOLDER}/{names[1]} is missing"),
        *(
            VerdictRow(name, Verdict.REJECTED, reason="the server has rejected it")
            for name in sorted([names[0], rmap])
        ),
    ]
    assert check.rejected(disk.catalogue) == before | {names[0], names[1], rmap}


def test_check_without_references_judges_the_rules_and_takes_no_reference_for_right(disk: Disk) -> None:
    scope = replace(CHECK, check=False)
    drawn = plan.draw_up(disk, scope, ALL)

    rows = check.of_plan(drawn, disk)

    assert [row.name for row in rows if row.verdict is Verdict.OK] == sorted(
        closure(disk.cache.mappings, LATEST)
    )


def test_check_writes_nothing(disk: Disk) -> None:
    before = listing(disk.cache.root)
    drawn = plan.draw_up(disk, CHECK, ALL)

    check.of_plan(drawn, disk)

    assert listing(disk.cache.root) == before
