import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from crdscache.cache import hashes, layout, publish, supply
from crdscache.cache.adopt import Adopter
from crdscache.cache.layout import Layout
from crdscache.cache.repair import Mender
from crdscache.cache.supply import Supplied, Supplier
from crdscache.contexts.records import (
    Action,
    Adoption,
    AdoptMode,
    ManifestRow,
    Outcome,
    PlanRow,
    Policy,
    Receipt,
    Sighting,
    SightingRow,
)
from crdscache.errors import DiskError
from tests import adopting, checking, mounts, written
from tests.adopting import NAME, OTHER, RIGHT, file, to_adopt
from tests.checking import FOLDER

BASE = "http://localhost/"
SUM = written.sha1_of(RIGHT)
WRONG = b"wrong"
WHY = f"{FOLDER}/{NAME} has 1 bytes, the catalogue says 5"


@dataclass
class Bringer:
    """Has files to hand out, as a server has."""

    cache: Layout
    refuses: dict[str, Receipt] = field(default_factory=dict)
    orders: list[tuple[str, str, bool]] = field(default_factory=list)  # name, source, whether published
    meanwhile: Callable[[], object] = lambda: None

    def __call__(self, rows: Sequence[PlanRow], *, publish: bool) -> list[Receipt]:
        self.meanwhile()
        return [self._bring(row, publish=publish) for row in rows]

    def _bring(self, row: PlanRow, *, publish: bool) -> Receipt:
        name = row.file.name
        self.orders.append((name, row.source, publish))
        if name in self.refuses:
            return self.refuses[name]
        target = self.cache.absolute(row.file.path)
        (target if publish else part(self.cache, row.file)).write_bytes(RIGHT)
        return fetched(name)


def fetched(name: str = NAME) -> Receipt:
    return Receipt(name, Outcome.FETCHED, len(RIGHT), SUM, BASE, 1.0)


def part(cache: Layout, row: ManifestRow) -> Path:
    """Tell where a verified download lies that has no name yet."""
    return cache.absolute(row.path).with_name(publish.part_name(row.name, row.file_sha1))


@pytest.fixture
def bring(bare: Layout) -> Bringer:
    return Bringer(bare)


def to_fetch(name: str = NAME, *, reason: str = "") -> PlanRow:
    return PlanRow(file(name), Action.FETCH, reason, BASE)


def supplier(
    cache: Layout, bring: Bringer, source: str | None = None, *, mode: AdoptMode = AdoptMode.SYMLINK
) -> Supplier:
    """Make what does shards; what no tree has is fetched from `source`, if there is one."""
    adopter = Adopter(cache, Adoption(mode, falls_back=False, sums=True), ())
    mender = Mender(cache, "run-1", Policy(repairs=True), {})
    return Supplier(cache, adopter, mender, bring, lambda _: source)


def content(cache: Layout) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.references.iterdir()}


def trashed(cache: Layout) -> dict[str, bytes]:
    """Read what lies in the trash of the run."""
    place = cache.state / "trash" / "run-1"
    return {path.name: path.read_bytes() for path in place.glob("*.fits")}


def timeless(receipts: Sequence[Receipt]) -> list[Receipt]:
    """Leave out of receipts how long the work took, and put them in order of name."""
    return sorted((replace(one, seconds=0.0) for one in receipts), key=lambda one: one.name)


def test_shard_of_all_kinds_of_rows_gives_each_one_receipt(bare: Layout, tree: Path, bring: Bringer) -> None:
    names = ["a.fits", "b.fits", "gone.fits"]
    written.write(tree, dict.fromkeys(names[:2], RIGHT))
    written.write(bare.references, {"b.fits": WRONG, "d.fits": WRONG})
    rows = [
        PlanRow(file("kept.fits"), Action.KEEP),
        to_adopt(tree / "a.fits"),
        to_adopt(tree / "b.fits", reason="why b"),
        to_fetch("c.fits"),
        to_fetch("d.fits", reason="why d"),
        to_adopt(tree / "gone.fits"),
        PlanRow(file("pending.fits"), Action.PENDING, "its state is 'submitted'"),
        PlanRow(file("wrong.fits"), Action.WRONG, "it is short"),
    ]
    told: list[Receipt] = []

    done = supplier(bare, bring, "http://elsewhere/").do_shard(rows, told.append)

    assert timeless(done.receipts) == [
        Receipt("a.fits", Outcome.ADOPTED, 5, SUM, f"{tree}/a.fits"),
        Receipt("b.fits", Outcome.REPAIRED, 5, SUM, f"{tree}/b.fits", reason="why b"),
        replace(fetched("c.fits"), seconds=0.0),
        Receipt("d.fits", Outcome.REPAIRED, 5, SUM, BASE, reason="why d"),
        replace(fetched("gone.fits"), seconds=0.0),
        Receipt("kept.fits", Outcome.KEPT),
        Receipt("pending.fits", Outcome.PENDING, reason="its state is 'submitted'"),
        Receipt("wrong.fits", Outcome.FAILED, reason="it is short"),
    ]
    assert [one.name for one in told] == ["a.fits", "b.fits"]
    gone = "No such file or directory (ENOENT)"
    assert done.sightings == [SightingRow(f"{tree}/gone.fits", "gone.fits", Sighting.UNREADABLE, gone)]
    assert bring.orders == [
        ("c.fits", BASE, True),
        ("gone.fits", "http://elsewhere/", True),
        ("d.fits", BASE, False),
    ]
    assert content(bare) == dict.fromkeys(["a.fits", "b.fits", "c.fits", "d.fits", "gone.fits"], RIGHT)
    assert trashed(bare) == dict.fromkeys(["b.fits", "d.fits"], WRONG)


def test_shard_without_rows_does_nothing(bare: Layout, bring: Bringer) -> None:
    assert supplier(bare, bring).do_shard([]) == Supplied([], [])
    assert bring.orders == []


def test_D24_what_no_tree_has_after_all_fails_with_the_reasons_where_nothing_is_fetched(
    bare: Layout, tree: Path, bring: Bringer
) -> None:
    written.write(tree, {NAME: OTHER})

    done = supplier(bare, bring).do_shard([to_adopt(tree / NAME)])

    seen = f"its SHA-1 is {written.sha1_of(OTHER)}, the catalogue says {SUM}"
    reason = f"no tree has a right one; {tree}/{NAME}: {seen}"
    assert done == Supplied(
        [Receipt(NAME, Outcome.FAILED, reason=reason)],
        [SightingRow(f"{tree}/{NAME}", NAME, Sighting.WRONG_SUM, seen)],
    )
    assert bring.orders == []
    assert content(bare) == {}


def test_D24_all_files_of_the_name_are_told_where_none_is_right(
    bare: Layout, tree: Path, bring: Bringer
) -> None:
    written.write(tree / "a", {NAME: b"x"})
    other = SightingRow(f"{tree}/b/{NAME}", NAME, Sighting.DUPLICATE)
    adopter = Adopter(bare, Adoption(AdoptMode.COPY, falls_back=False, sums=False), [other])
    mender = Mender(bare, "run-1", Policy(repairs=True), {})

    done = Supplier(bare, adopter, mender, bring, lambda _: None).do_shard(
        [to_adopt(tree / "a" / NAME, reason=WHY)]
    )

    first = f"{tree}/a/{NAME}: it has 1 bytes, the catalogue says 5"
    second = f"{tree}/b/{NAME}: No such file or directory (ENOENT)"
    reason = f"{WHY}; no tree has a right one; {first}; {second}"
    assert done.receipts == [Receipt(NAME, Outcome.FAILED, reason=reason)]


def test_wrong_file_that_no_tree_can_replace_is_replaced_from_the_server(
    bare: Layout, tree: Path, bring: Bringer
) -> None:
    written.write(tree, {NAME: OTHER})
    written.write(bare.references, {NAME: WRONG})

    done = supplier(bare, bring, BASE).do_shard([to_adopt(tree / NAME, reason=WHY)])

    assert timeless(done.receipts) == [Receipt(NAME, Outcome.REPAIRED, 5, SUM, BASE, reason=WHY)]
    assert bring.orders == [(NAME, BASE, False)]
    assert (content(bare), trashed(bare)) == ({NAME: RIGHT}, {NAME: WRONG})


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PENDING])
def test_wrong_file_stays_where_no_good_copy_can_be_had(
    bare: Layout, bring: Bringer, outcome: Outcome
) -> None:
    written.write(bare.references, {NAME: WRONG})
    bring.refuses[NAME] = Receipt(NAME, outcome, seconds=1.0, reason="status 404")

    done = supplier(bare, bring).do_shard([to_fetch(reason=WHY)])

    reason = f"{WHY}; it stays, as no good copy could be had: status 404"
    assert done.receipts == [Receipt(NAME, Outcome.FAILED, seconds=1.0, reason=reason)]
    assert (content(bare), trashed(bare)) == ({NAME: WRONG}, {})


def test_missing_file_that_is_pending_stays_so(bare: Layout, bring: Bringer) -> None:
    bring.refuses[NAME] = Receipt(NAME, Outcome.PENDING, reason="status 404")

    assert supplier(bare, bring).do_shard([to_fetch()]).receipts == [bring.refuses[NAME]]


def test_D20_repair_of_a_hard_link_gives_a_new_file_and_leaves_the_original(
    bare: Layout, tree: Path, bring: Bringer
) -> None:
    original = tree / NAME
    original.write_bytes(WRONG)
    (bare.references / NAME).hardlink_to(original)
    before = original.stat()

    supplier(bare, bring).do_shard([to_fetch(reason=WHY)])

    after = original.stat()
    assert content(bare) == {NAME: RIGHT}
    assert (original.read_bytes(), after.st_ino, after.st_mtime_ns) == (
        WRONG,
        before.st_ino,
        before.st_mtime_ns,
    )
    assert (bare.references / NAME).stat().st_ino != before.st_ino


def test_D03_wrong_file_that_may_not_be_replaced_stays_and_the_others_are_replaced(
    bare: Layout, bring: Bringer
) -> None:
    written.write(bare.references, {NAME: WRONG, "y.fits": WRONG})
    fixed = bare.references / NAME
    with mounts.immutable(fixed):
        shard = [to_fetch(reason=WHY), to_fetch("y.fits", reason="why y")]
        receipts = supplier(bare, bring).do_shard(shard).receipts

    reason = f"{WHY}; it stays, as it cannot be replaced: Operation not permitted (EPERM)"
    assert receipts == [
        replace(fetched(), outcome=Outcome.FAILED, reason=reason),
        replace(fetched("y.fits"), outcome=Outcome.REPAIRED, reason="why y"),
    ]
    copy = part(bare, file()).name  # verified: the next run does not fetch it again
    assert content(bare) == {NAME: WRONG, "y.fits": RIGHT, copy: RIGHT}


def test_D02_disk_that_is_read_only_when_the_copy_is_there_stops_the_work(
    bare: Layout, bring: Bringer
) -> None:
    written.write(bare.references, {NAME: WRONG})
    part(bare, file()).write_bytes(RIGHT)
    bring.refuses[NAME] = fetched()  # as if it had just been brought

    with mounts.read_only(bare.root), pytest.raises(DiskError, match=f"{NAME}: Read-only file system"):
        supplier(bare, bring).do_shard([to_fetch(reason=WHY)])

    assert content(bare)[NAME] == WRONG


def remembered(cache: Layout, rows: Sequence[PlanRow], done: Supplied) -> dict[str, tuple[str, bool]]:
    """Have it written down what was brought; gives the sums, and whether files are still as they were."""
    path = cache.state / hashes.FILE
    supply.remember(cache, path, (row.file for row in rows), done.receipts, done.known)
    statuses = {row.file.name: layout.status(cache.absolute(row.file.path)) for row in rows}
    known = hashes.load(path)
    return {
        name: (one.file_sha1, (status := statuses[name]) is not None and one.is_of(status))
        for name, one in known.items()
    }


@pytest.mark.parametrize("mode", [AdoptMode.SYMLINK, AdoptMode.HARDLINK, AdoptMode.COPY])
def test_sums_of_what_was_brought_are_written_down_and_no_others(
    bare: Layout, tree: Path, bring: Bringer, mode: AdoptMode
) -> None:
    names = ["a.fits", "b.fits", "c.fits", "d.fits"]
    written.write(tree, {"a.fits": RIGHT, "b.fits": RIGHT, "e.fits": OTHER})
    written.write(bare.references, dict.fromkeys(["b.fits", "d.fits", "kept.fits", "lost.fits"], WRONG))
    bring.refuses["lost.fits"] = Receipt("lost.fits", Outcome.FAILED, reason="status 500")
    rows = [
        to_adopt(tree / "a.fits"),
        to_adopt(tree / "b.fits", reason="why"),
        to_adopt(tree / "e.fits"),
        to_fetch("c.fits"),
        to_fetch("d.fits", reason="why"),
        to_fetch("lost.fits", reason="why"),
        PlanRow(file("kept.fits"), Action.KEEP),
        PlanRow(file("wrong.fits"), Action.WRONG, "why"),
    ]

    done = supplier(bare, bring, mode=mode).do_shard(rows)

    assert remembered(bare, rows, done) == dict.fromkeys(names, (SUM, True))


def test_what_was_verified_by_length_alone_is_not_written_down(bare: Layout, tree: Path) -> None:
    written.write(tree, {NAME: OTHER})
    rows = [to_adopt(tree / NAME)]

    taken = adopting.take(bare, AdoptMode.HARDLINK, *rows)

    assert remembered(bare, rows, Supplied(taken.receipts, taken.sightings, taken.known)) == {}
    assert not (bare.state / hashes.FILE).exists()


def test_what_is_gone_again_is_not_written_down(bare: Layout, bring: Bringer) -> None:
    rows = [to_fetch()]
    done = supplier(bare, bring).do_shard(rows)
    (bare.references / NAME).unlink()

    assert remembered(bare, rows, done) == {}


@pytest.mark.parametrize("mode", [AdoptMode.SYMLINK, AdoptMode.HARDLINK])
def test_D20_original_that_is_edited_before_the_shard_is_done_is_not_vouched_for(
    bare: Layout, tree: Path, bring: Bringer, mode: AdoptMode
) -> None:
    """A shard takes hours, and what is written down at its end is believed for weeks."""
    written.write(tree, {NAME: RIGHT})
    rows = [to_adopt(tree / NAME), to_fetch("y.fits")]

    def edit() -> None:
        checking.let_clock_tick(tree)
        with (tree / NAME).open("r+b") as stream:
            stream.write(OTHER)
            os.fsync(stream.fileno())

    bring.meanwhile = edit

    done = supplier(bare, bring, mode=mode).do_shard(rows)

    assert remembered(bare, rows, done) == {NAME: (SUM, False), "y.fits": (SUM, True)}
