import errno
import os
import random
import resource
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import adopt, hashes, layout, publish, tables, verdicts, verify
from crdscache.cache.adopt import Adopter, Taken
from crdscache.cache.layout import Layout
from crdscache.cache.trees import Forest
from crdscache.contexts.records import (
    Action,
    Adoption,
    AdoptMode,
    Outcome,
    PlanRow,
    Receipt,
    Sighting,
    SightingRow,
    Verdict,
    VerdictRow,
)
from crdscache.errors import DiskError
from tests import adopting, checking, mounts, written
from tests.adopting import NAME, OTHER, RIGHT, take, to_adopt
from tests.checking import FOLDER

LINKS = (AdoptMode.HARDLINK, AdoptMode.REFLINK)
IN_WAY = "cannot be taken over by {}: {} ({})"


@pytest.fixture
def source(tree: Path) -> Path:
    (tree / NAME).write_bytes(RIGHT)
    return tree / NAME


# What the plan makes of trees.

BASE = "http://localhost/"


def foreseen(
    cache: Layout, rows: list[PlanRow], *places: Path, catalogued: tuple[str, ...] = ()
) -> tuple[list[PlanRow], list[SightingRow]]:
    names = (*(row.file.name for row in rows), *catalogued)
    return adopt.foresee(Forest(places, cache), rows, written.catalogue_of(dict.fromkeys(names, RIGHT)))


def wanted(name: str = NAME, action: Action = Action.FETCH, reason: str = "") -> PlanRow:
    return PlanRow(adopting.file(name), action, reason, BASE if action is Action.FETCH else "")


def adopted(row: PlanRow, path: Path) -> PlanRow:
    return replace(row, action=Action.ADOPT, source=str(path), reason="")


def test_rows_keep_their_order_and_what_lies_in_a_tree_is_to_be_adopted(bare: Layout, tree: Path) -> None:
    written.write(tree / "deep", {"b.fits": RIGHT, "d.fits": RIGHT})
    written.write(tree, {"a.fits": RIGHT})
    rows = [wanted(name) for name in ("d.fits", "c.fits", "b.fits", "a.fits")]

    plan, sightings = foreseen(bare, rows, tree)

    d, c, b, a = rows
    deep = tree / "deep"
    assert plan == [adopted(d, deep / "d.fits"), c, adopted(b, deep / "b.fits"), adopted(a, tree / "a.fits")]
    assert sightings == [
        SightingRow(str(path), path.name, Sighting.ADOPTED)
        for path in (tree / "a.fits", deep / "b.fits", deep / "d.fits")
    ]


@pytest.mark.parametrize("action", [Action.FETCH, Action.MISSING, Action.PENDING])
def test_file_that_is_missing_for_any_reason_is_adopted_and_that_is_no_repair(
    bare: Layout, source: Path, action: Action
) -> None:
    row = wanted(action=action, reason="" if action is Action.FETCH else "it is missing")

    plan, _ = foreseen(bare, [row], source.parent)

    assert plan == [to_adopt(source)]
    assert not plan[0].is_repair


def test_file_that_is_to_be_replaced_keeps_the_reason(bare: Layout, source: Path) -> None:
    plan, sightings = foreseen(bare, [wanted(reason="it is short")], source.parent)

    assert plan == [to_adopt(source, reason="it is short")]
    assert plan[0].is_repair
    assert sightings == [SightingRow(str(source), NAME, Sighting.ADOPTED)]


def test_file_that_nothing_is_to_be_done_with_is_told_with_the_reason(bare: Layout, tree: Path) -> None:
    names = ["foreign.fits", "hst_1.pmap", "here.fits", "other.fits", "short.fits", "wrong.fits"]
    written.write(tree, {name: b"x" if name == "short.fits" else RIGHT for name in names})
    rows = [
        wanted("here.fits", Action.KEEP),
        wanted("short.fits"),
        wanted("wrong.fits", Action.WRONG, "it has 1 bytes"),
    ]

    plan, sightings = foreseen(bare, rows, tree, catalogued=("hst_1.pmap", "other.fits"))

    assert plan == rows
    assert sightings == [
        SightingRow(f"{tree}/{name}", name, sighting, reason)
        for name, sighting, reason in [
            ("foreign.fits", Sighting.FOREIGN, ""),
            ("here.fits", Sighting.HERE, ""),
            ("hst_1.pmap", Sighting.NOT_WANTED, ""),
            ("other.fits", Sighting.NOT_WANTED, ""),
            ("short.fits", Sighting.WRONG_SIZE, "it has 1 bytes, the catalogue says 5"),
            ("wrong.fits", Sighting.NOT_REPLACED, "it has 1 bytes; --repair-files does"),
        ]
    ]


def test_first_tree_is_preferred_and_in_it_the_first_path_of_right_length(
    bare: Layout, tmp_path: Path
) -> None:
    first, second = tmp_path / "z", tmp_path / "a"
    written.write(first / "a", {NAME: b"short"[1:]})
    for place in (first / "b", first / "c", second):
        written.write(place, {NAME: RIGHT})

    plan, sightings = foreseen(bare, [wanted()], first, second)

    chosen = first / "b" / NAME
    others = [
        SightingRow(f"{p}/{NAME}", NAME, Sighting.DUPLICATE, f"{chosen} comes first")
        for p in (second, first / "c")
    ]
    assert plan == [to_adopt(chosen)]
    assert sightings == [
        others[0],
        SightingRow(f"{first}/a/{NAME}", NAME, Sighting.WRONG_SIZE, "it has 4 bytes, the catalogue says 5"),
        SightingRow(str(chosen), NAME, Sighting.ADOPTED),
        others[1],
    ]
    assert adopt.duplicates(sightings) == others


@pytest.mark.parametrize("spelling", [NAME.upper(), NAME.title(), NAME])
def test_D18_odd_case_in_a_tree_does_not_matter(bare: Layout, tree: Path, spelling: str) -> None:
    written.write(tree, {spelling: RIGHT})

    plan, sightings = foreseen(bare, [wanted()], tree)

    assert plan == [adopted(wanted(), tree / spelling)]
    assert sightings == [SightingRow(f"{tree}/{spelling}", NAME, Sighting.ADOPTED)]


def test_D18_of_one_tree_the_exact_name_is_preferred_but_the_first_tree_comes_first(
    bare: Layout, tmp_path: Path
) -> None:
    odd, both = tmp_path / "odd", tmp_path / "both"
    written.write(odd, {NAME.upper(): RIGHT})
    written.write(both, {NAME.upper(): RIGHT, NAME: RIGHT})

    one, _ = foreseen(bare, [wanted()], both)
    two, _ = foreseen(bare, [wanted()], odd, both)

    assert one == [adopted(wanted(), both / NAME)]
    assert two == [adopted(wanted(), odd / NAME.upper())]


def test_D18_where_the_catalogue_has_two_names_alike_only_the_exact_one_serves(
    bare: Layout, tree: Path
) -> None:
    rows = [wanted("x.fits"), wanted("X.fits")]
    written.write(tree, {"x.fits": RIGHT, "X.FITS": RIGHT})

    plan, sightings = foreseen(bare, rows, tree)

    assert plan == [adopted(rows[0], tree / "x.fits"), rows[1]]
    assert sightings == [
        SightingRow(f"{tree}/X.FITS", "X.FITS", Sighting.FOREIGN),
        SightingRow(f"{tree}/x.fits", "x.fits", Sighting.ADOPTED),
    ]


HEADER, DATA = "x1234567j.r3h", "x1234567j.r3d"


@pytest.mark.parametrize("half", [HEADER, DATA])
@pytest.mark.parametrize(
    ("other", "is_in_tree", "is_adopted"),
    [
        (Action.FETCH, False, False),
        (Action.MISSING, False, False),
        (Action.WRONG, False, False),
        (Action.KEEP, False, True),
        (Action.FETCH, True, True),
        (Action.MISSING, True, True),
        (Action.WRONG, True, False),
        (Action.KEEP, True, True),
        (None, False, True),  # not looked after in this run
    ],
)
def test_pair_is_adopted_whole_or_not_at_all(
    bare: Layout, tree: Path, half: str, other: Action | None, *, is_in_tree: bool, is_adopted: bool
) -> None:
    missing = DATA if half == HEADER else HEADER
    written.write(tree, dict.fromkeys([half, missing] if is_in_tree else [half], RIGHT))
    rows = [wanted(half), *([wanted(missing, other, "why")] if other else [])]
    if other is Action.FETCH:
        rows[1] = wanted(missing)

    plan, sightings = foreseen(bare, rows, tree)

    assert plan[0] == (adopted(rows[0], tree / half) if is_adopted else rows[0])
    why = "its other half is neither in the trees nor in the cache"
    expected = (Sighting.ADOPTED, "") if is_adopted else (Sighting.HALF, why)
    assert [(row.sighting, row.reason) for row in sightings if row.name == half] == [expected]


def test_half_of_a_pair_whose_other_half_is_wrong_in_the_tree_is_not_adopted(
    bare: Layout, tree: Path
) -> None:
    written.write(tree, {HEADER: RIGHT, DATA: b"short"[1:]})
    rows = [wanted(DATA), wanted(HEADER)]

    plan, sightings = foreseen(bare, rows, tree)

    assert plan == rows
    assert [row.sighting for row in sightings] == [Sighting.WRONG_SIZE, Sighting.HALF]


def test_D25_what_cannot_be_read_is_told_among_the_others_in_order_of_path(
    bare: Layout, tree: Path, source: Path
) -> None:
    os.mkfifo(tree / "a.fits")
    (tree / "z.fits").symlink_to("nowhere")

    _, sightings = foreseen(bare, [wanted()], tree)

    assert sightings == [
        SightingRow(f"{tree}/a.fits", "a.fits", Sighting.UNREADABLE, "it is a pipe"),
        SightingRow(str(source), NAME, Sighting.ADOPTED),
        SightingRow(
            f"{tree}/z.fits",
            "z.fits",
            Sighting.UNREADABLE,
            "a dangling link: No such file or directory (ENOENT)",
        ),
    ]


def test_D25_the_same_file_under_two_names_is_adopted_under_one(bare: Layout, source: Path) -> None:
    source.with_name(NAME.upper()).hardlink_to(source)

    plan, sightings = foreseen(bare, [wanted()], source.parent)

    assert plan == [to_adopt(source)]
    assert [row.sighting for row in sightings] == [Sighting.DUPLICATE, Sighting.ADOPTED]


@pytest.mark.parametrize("odd", ["a\tb", "a\nb", "a\rb", "caf\udce9", "a\u00a0b"])
def test_path_that_no_table_can_hold_is_refused_and_told(bare: Layout, tree: Path, odd: str) -> None:
    """The plan is a table: of such a path it would have another, where there may be another file."""
    written.write(tree / odd, {NAME: RIGHT})
    written.write(tree, {f"foreign{odd}": RIGHT})

    plan, sightings = foreseen(bare, [wanted()], tree)
    tables.write_sightings(tree.with_name("sightings.tsv"), sightings)
    read = tables.read_sightings(tree.with_name("sightings.tsv"))

    reason = "the tables of a run cannot hold its path"
    assert plan == [wanted()]
    assert sightings == [
        SightingRow(f"{tree}/{odd}/{NAME}", NAME, Sighting.UNREADABLE, reason),
        SightingRow(f"{tree}/foreign{odd}", f"foreign{odd}", Sighting.FOREIGN),
    ]
    shown = odd[0] + " b" if odd.endswith("b") else "caf "
    assert read == [
        SightingRow(f"{tree}/{shown}/{NAME}", NAME, Sighting.UNREADABLE, reason),
        SightingRow(f"{tree}/foreign{shown}", f"foreign{shown}", Sighting.FOREIGN),
    ]


def test_D19_names_at_the_limit_of_length_do_no_harm(bare: Layout, tree: Path, source: Path) -> None:
    written.write(tree, {"x" * 250 + ".fits": RIGHT})

    plan, sightings = foreseen(bare, [wanted()], tree)

    assert plan == [to_adopt(source)]
    assert [row.sighting for row in sightings] == [Sighting.ADOPTED, Sighting.FOREIGN]


ACTIONS = [action for action in Action if action not in {Action.ADOPT, Action.UNKNOWN}]


@pytest.mark.parametrize("seed", range(20))
def test_each_file_of_the_trees_is_told_once_in_order_of_path(
    bare: Layout, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    names = [f"{letter}{ending}" for letter in "xyzX" for ending in (".fits", ".r3h", ".r3d", ".FITS")]
    places = [tmp_path / "one", tmp_path / "two"]
    made = set()
    for place in places:
        place.mkdir()
        for _ in range(chance.randrange(25)):
            path = place / chance.choice(["", "a", "b/c"]) / chance.choice([*names, "f.fits"])
            path.parent.mkdir(parents=True, exist_ok=True)
            if path not in made:
                os.mkfifo(path) if chance.random() < 0.1 else path.write_bytes(RIGHT[: chance.randint(4, 5)])
            made.add(path)
    catalogued = [name for name in names if chance.random() < 0.7]
    rows = [
        wanted(name, chance.choice(ACTIONS), chance.choice(["", "why"]))
        for name in catalogued
        if chance.random() < 0.8
    ]

    plan, sightings = foreseen(bare, rows, *places, catalogued=tuple(catalogued))

    told = [row.path for row in sightings]
    assert told == sorted(map(str, made))
    assert [row.file for row in plan] == [row.file for row in rows]
    to_come = [(row.source, row.file.name) for row in plan if row.action is Action.ADOPT]
    by_sighting = [(row.path, row.name) for row in sightings if row.sighting is Sighting.ADOPTED]
    assert sorted(to_come) == sorted(by_sighting)
    assert [row for row in plan if row.action is not Action.ADOPT] == [
        row for row in rows if row.file.name not in {name for _, name in to_come}
    ]


# What is made of files that the plan has chosen.


def here(cache: Layout, name: str = NAME) -> Path:
    return cache.references / name


def state(path: Path) -> tuple[object, ...]:
    """Tell all of an original that must stay as it is."""
    status = path.lstat()
    link = path.readlink() if path.is_symlink() else None
    owner = (status.st_mode, status.st_uid, status.st_gid)
    return (*owner, status.st_ino, status.st_size, status.st_mtime_ns, link, path.read_bytes())


def receipt(
    taken: Taken, source: Path, outcome: Outcome = Outcome.ADOPTED, sum_: str | None = None
) -> Receipt:
    (made,) = taken.receipts
    return Receipt(NAME, outcome, len(RIGHT), sum_, str(source), made.seconds)


def refused(source: Path, sighting: Sighting, reason: str) -> SightingRow:
    return SightingRow(str(source), NAME, sighting, reason)


def wrong_sum(data: bytes = OTHER) -> str:
    return f"its SHA-1 is {written.sha1_of(data)}, the catalogue says {written.sha1_of(RIGHT)}"


def assert_left_over(cache: Layout, taken: Taken, *sightings: SightingRow) -> None:
    """Assert that nothing came of one file, and why."""
    assert [row.file.name for row in taken.left_over] == [NAME]
    assert (taken.receipts, taken.sightings, taken.known) == ([], list(sightings), {})
    assert list(cache.references.iterdir()) == []


def test_symlink_has_the_absolute_path_in_the_tree(bare: Layout, source: Path) -> None:
    source.rename(source.with_name("elsewhere"))
    source.symlink_to("elsewhere")

    taken = take(bare, AdoptMode.SYMLINK, to_adopt(source))

    assert taken == Taken([receipt(taken, source)])
    assert here(bare).readlink() == source
    assert list(bare.references.iterdir()) == [here(bare)]


@pytest.mark.parametrize("is_link", [False, True])
def test_hard_link_is_one_to_the_file_even_where_the_tree_has_a_link(
    bare: Layout, source: Path, *, is_link: bool
) -> None:
    original = source.rename(source.with_name("elsewhere")) if is_link else source
    if is_link:
        source.symlink_to("elsewhere")

    taken = take(bare, AdoptMode.HARDLINK, to_adopt(source))

    assert taken == Taken([receipt(taken, source)])
    assert not here(bare).is_symlink()
    assert here(bare).stat().st_ino == original.stat().st_ino
    assert list(bare.references.iterdir()) == [here(bare)]


def test_copy_is_another_file_and_verified_though_nobody_asked_for_sums(bare: Layout, source: Path) -> None:
    taken = take(bare, AdoptMode.COPY, to_adopt(source))
    sum_ = written.sha1_of(RIGHT)

    known = hashes.hashed(here(bare).stat(), sum_, sum_)._replace(when=when(taken))
    assert taken == Taken([receipt(taken, source, sum_=sum_)], known={NAME: known})
    assert here(bare).read_bytes() == RIGHT
    assert (here(bare).stat().st_ino, here(bare).stat().st_nlink) != (source.stat().st_ino, 2)
    assert list(bare.references.iterdir()) == [here(bare)]


def when(taken: Taken) -> str:
    one = taken.known[NAME]
    assert one is not None
    return one.when


@contextmanager
def reflinking(place: Path) -> Iterator[None]:
    """Give a directory a disk of its own that can share blocks."""
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("no mkfs.xfs: apt-get install xfsprogs")
    image = place.with_name("image")
    with image.open("wb") as stream:
        stream.truncate(300 * 2**20)  # the least that it takes; nearly nothing is written
    subprocess.run(["mkfs.xfs", "-q", image], check=True)
    with mounts.mounted(place, "-o", "loop", str(image)):
        yield


def test_reflink_is_another_file_on_the_same_blocks(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    data = os.urandom(2**20)
    with reflinking(place):
        cache, source = adopting.bare_cache(place / "cache"), place / "tree" / NAME
        written.write(source.parent, {NAME: data})
        os.sync()
        free = shutil.disk_usage(place).free
        row = to_adopt(source, data)

        taken = take(cache, AdoptMode.REFLINK, row)

        assert taken == Taken([replace(receipt(taken, source), size_bytes=2**20)])
        assert here(cache).read_bytes() == data
        assert (here(cache).stat().st_ino, source.stat().st_nlink) != (source.stat().st_ino, 2)
        assert free - shutil.disk_usage(place).free < 2**19
        source.write_bytes(OTHER)
        assert here(cache).read_bytes() == data
        assert list(cache.references.iterdir()) == [here(cache)]


@pytest.mark.parametrize("mode", AdoptMode)
def test_with_sums_what_is_right_is_adopted_and_the_sum_told(
    bare: Layout, source: Path, mode: AdoptMode
) -> None:
    taken = take(bare, mode, to_adopt(source), falls_back=True, sums=True)

    sum_ = written.sha1_of(RIGHT)
    known = hashes.hashed(here(bare).stat(), sum_, sum_)._replace(when=when(taken))
    assert taken == Taken([receipt(taken, source, sum_=sum_)], known={NAME: known})


@pytest.mark.parametrize("mode", AdoptMode)
def test_sum_is_told_where_the_catalogue_has_none_to_compare_it_with(
    bare: Layout, source: Path, mode: AdoptMode
) -> None:
    row = to_adopt(source)
    row = replace(row, file=replace(row.file, file_sha1=None))

    taken = take(bare, mode, row, falls_back=True, sums=True)

    assert taken.receipts == [receipt(taken, source, sum_=written.sha1_of(RIGHT))]
    assert (taken.left_over, taken.sightings) == ([], [])


@pytest.mark.parametrize("mode", AdoptMode)
@pytest.mark.parametrize("sums", [False, True])
def test_D22_nothing_of_an_original_changes_but_the_number_of_its_links(
    bare: Layout, source: Path, mode: AdoptMode, *, sums: bool
) -> None:
    source.chmod(0o444)
    os.utime(source, (10**9, 10**9))
    link = source.with_name("y.fits")
    link.symlink_to(NAME)
    before = state(source), state(link)
    ctime_ns = source.stat().st_ctime_ns

    take(bare, mode, to_adopt(source), to_adopt(link), falls_back=True, sums=sums)

    assert (state(source), state(link)) == before
    assert source.stat().st_nlink == (3 if mode is AdoptMode.HARDLINK else 1)
    if mode is not AdoptMode.HARDLINK:
        assert source.stat().st_ctime_ns == ctime_ns


@pytest.mark.parametrize("mode", AdoptMode)
def test_link_or_copy_replaces_what_is_linked_and_does_not_write_through_it(
    bare: Layout, source: Path, tmp_path: Path, mode: AdoptMode
) -> None:
    original = tmp_path / "original"
    original.write_bytes(b"wrong")
    here(bare).symlink_to(original)

    taken = take(bare, mode, to_adopt(source, reason="why"), falls_back=True)

    told = replace(receipt(taken, source, Outcome.REPAIRED, written.sha1_of(RIGHT)), reason="why")
    assert taken.receipts == [told]
    assert (here(bare).read_bytes(), original.read_bytes()) == (RIGHT, b"wrong")


def test_hard_link_in_the_place_of_one_to_the_same_file_leaves_no_temporary(
    bare: Layout, source: Path
) -> None:
    here(bare).hardlink_to(source)

    take(bare, AdoptMode.HARDLINK, to_adopt(source))

    assert list(bare.references.iterdir()) == [here(bare)]
    assert source.stat().st_nlink == 2


def test_each_receipt_is_told_as_soon_as_there_is_one(bare: Layout, tree: Path) -> None:
    written.write(tree, {"a.fits": RIGHT, "c.fits": RIGHT})
    rows = [to_adopt(tree / f"{letter}.fits") for letter in "abc"]
    told: list[Receipt] = []
    adopter = Adopter(bare, Adoption(AdoptMode.SYMLINK, falls_back=False, sums=False), [])

    def put(row: PlanRow, temporary: Path) -> None:
        assert [one.name for one in told] == [each.file.name for each in (rows[0],) if row is rows[2]]
        publish.rename_into_place(temporary, bare.absolute(row.file.path))

    taken = adopter.take_all(rows, put, told.append)

    assert told == taken.receipts
    assert [one.name for one in told] == ["a.fits", "c.fits"]
    assert taken.left_over == [rows[1]]


# Links that cannot be made.


@pytest.mark.parametrize("mode", LINKS)
@pytest.mark.parametrize("falls_back", [False, True])
def test_D08_file_on_another_disk_is_copied_only_if_the_settings_allow_and_never_linked(
    bare: Layout, tree: Path, mode: AdoptMode, *, falls_back: bool
) -> None:
    with mounts.mounted(tree, "-t", "tmpfs", "tmpfs"):
        source = tree / NAME
        source.write_bytes(RIGHT)

        taken = take(bare, mode, to_adopt(source), falls_back=falls_back)

    assert_copied_or_refused(bare, source, taken, mode, "EXDEV", falls_back=falls_back)


def assert_copied_or_refused(
    cache: Layout, source: Path, taken: Taken, mode: AdoptMode, error: str, *, falls_back: bool
) -> None:
    if falls_back:
        assert taken.receipts == [receipt(taken, source, sum_=written.sha1_of(RIGHT))]
        assert (taken.left_over, taken.sightings) == ([], [])
        assert (here(cache).is_symlink(), here(cache).read_bytes()) == (False, RIGHT)
        assert list(cache.references.iterdir()) == [here(cache)]
        return
    reason = IN_WAY.format(mode.value, os.strerror(getattr(errno, error)), error)
    failed = Receipt(NAME, Outcome.FAILED, reason=f"{source} {reason}")
    assert taken == Taken([failed], sightings=[refused(source, Sighting.NO_LINK, reason)])
    assert list(cache.references.iterdir()) == []


@pytest.mark.parametrize("falls_back", [False, True])
def test_D09_file_that_may_not_be_linked_is_copied_only_if_the_settings_allow(
    bare: Layout, source: Path, *, falls_back: bool
) -> None:
    with mounts.immutable(source):
        taken = take(bare, AdoptMode.HARDLINK, to_adopt(source), falls_back=falls_back)

    assert_copied_or_refused(bare, source, taken, AdoptMode.HARDLINK, "EPERM", falls_back=falls_back)


@pytest.mark.parametrize("falls_back", [False, True])
def test_file_system_without_reflinks_has_copies_only_if_the_settings_allow(
    bare: Layout, source: Path, *, falls_back: bool
) -> None:
    taken = take(bare, AdoptMode.REFLINK, to_adopt(source), falls_back=falls_back)

    assert_copied_or_refused(bare, source, taken, AdoptMode.REFLINK, "ENOTSUP", falls_back=falls_back)


@pytest.mark.parametrize("error", ["EMLINK", "EPERM", "ENOSYS"])
def test_D09_any_error_of_a_link_that_a_copy_cures_is_answered_so(
    bare: Layout, source: Path, error: str
) -> None:
    calls = f"link,linkat:error={error}"

    words: list[str | Path] = ["take", source, bare.root, "hardlink"]
    plain = adopting.struck(words, source, calls)
    with_copy = adopting.struck([*words, "copy"], source, calls)

    why = IN_WAY.format("hardlink", os.strerror(getattr(errno, error)), error)
    assert plain == ["failed", f"cannot be linked: {why}"]
    assert with_copy == ["adopted"]
    assert (here(bare).read_bytes(), here(bare).stat().st_nlink) == (RIGHT, 1)


def test_failed_repair_says_what_is_wrong_with_the_file_that_stays(bare: Layout, source: Path) -> None:
    taken = take(bare, AdoptMode.REFLINK, to_adopt(source, reason="it is short"))

    why = IN_WAY.format("reflink", os.strerror(errno.ENOTSUP), "ENOTSUP")
    assert taken.receipts == [Receipt(NAME, Outcome.FAILED, reason=f"it is short; {source} {why}")]


# Files that are not what the plan took them for.


def gone(path: Path) -> None:
    path.unlink()


def shorter(path: Path) -> None:
    path.write_bytes(RIGHT[1:])


def longer(path: Path) -> None:
    path.write_bytes(RIGHT * 3)


def other(path: Path) -> None:
    path.write_bytes(OTHER)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    path.unlink()
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def size(n_bytes: int) -> str:
    return f"it has {n_bytes} bytes, the catalogue says 5"


GONE = (Sighting.UNREADABLE, "No such file or directory (ENOENT)")
NO_FILE = (Sighting.UNREADABLE, "it is no file any more")
CHANGES = [
    (shorter, (Sighting.WRONG_SIZE, size(4))),
    (longer, (Sighting.WRONG_SIZE, size(15))),
    (other, (Sighting.WRONG_SUM, wrong_sum())),
    (gone, GONE),
    (dangling, GONE),
    (loop, (Sighting.UNREADABLE, "Too many levels of symbolic links (ELOOP)")),
    (pipe, NO_FILE),
    (a_socket, NO_FILE),
    (directory, NO_FILE),
]


@pytest.mark.parametrize("mode", AdoptMode)
@pytest.mark.parametrize(("change", "why"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_D23_file_that_changed_since_the_plan_is_refused_and_left_over(
    bare: Layout,
    source: Path,
    mode: AdoptMode,
    change: Callable[[Path], None],
    why: tuple[Sighting, str],
) -> None:
    change(source)

    taken = take(bare, mode, to_adopt(source), falls_back=True, sums=True)

    assert_left_over(bare, taken, refused(source, *why))


@pytest.mark.parametrize("mode", AdoptMode)
def test_D23_other_bytes_of_the_same_length_are_found_out_by_a_copy_even_without_sums(
    bare: Layout, source: Path, mode: AdoptMode
) -> None:
    other(source)

    taken = take(bare, mode, to_adopt(source), falls_back=True)

    if mode in {AdoptMode.COPY, AdoptMode.REFLINK}:  # which is a copy here
        assert_left_over(bare, taken, refused(source, Sighting.WRONG_SUM, wrong_sum()))
    else:
        assert taken == Taken([receipt(taken, source)])  # and no sum: nobody has verified it


@pytest.mark.parametrize("mode", AdoptMode)
def test_repair_is_verified_by_sum_even_without_sums(bare: Layout, source: Path, mode: AdoptMode) -> None:
    other(source)
    here(bare).write_bytes(b"wrong")

    taken = take(bare, mode, to_adopt(source, reason="why"), falls_back=True)

    assert taken.sightings == [refused(source, Sighting.WRONG_SUM, wrong_sum())]
    assert (taken.receipts, [row.file.name for row in taken.left_over]) == ([], [NAME])
    assert {path.name: path.read_bytes() for path in bare.references.iterdir()} == {NAME: b"wrong"}


def two(tree: Path, first: bytes, second: bytes) -> tuple[PlanRow, SightingRow, list[Path]]:
    paths = [tree / "a" / NAME, tree / "b" / NAME]
    for path, data in zip(paths, (first, second), strict=True):
        written.write(path.parent, {NAME: data})
    return to_adopt(paths[0]), SightingRow(str(paths[1]), NAME, Sighting.DUPLICATE), paths


@pytest.mark.parametrize("mode", AdoptMode)
@pytest.mark.parametrize("right", [0, 1])
def test_D24_of_two_files_with_one_name_the_one_of_right_content_is_taken(
    bare: Layout, tree: Path, mode: AdoptMode, right: int
) -> None:
    row, duplicate, paths = two(tree, *((RIGHT, OTHER) if right == 0 else (OTHER, RIGHT)))

    taken = take(bare, mode, row, falls_back=True, others=[duplicate])

    assert taken.receipts == [receipt(taken, paths[right], sum_=written.sha1_of(RIGHT))]
    assert taken.left_over == []
    assert taken.sightings == (
        []
        if right == 0
        else [
            refused(paths[0], Sighting.WRONG_SUM, wrong_sum()),
            SightingRow(str(paths[1]), NAME, Sighting.ADOPTED),
        ]
    )
    assert here(bare).read_bytes() == RIGHT
    assert list(bare.references.iterdir()) == [here(bare)]


@pytest.mark.parametrize("mode", AdoptMode)
def test_D24_where_none_has_the_right_content_the_file_is_left_over(
    bare: Layout, tree: Path, mode: AdoptMode
) -> None:
    row, duplicate, paths = two(tree, OTHER, b"wrong")

    taken = take(bare, mode, row, falls_back=True, others=[duplicate])

    assert_left_over(
        bare,
        taken,
        refused(paths[0], Sighting.WRONG_SUM, wrong_sum()),
        refused(paths[1], Sighting.WRONG_SUM, wrong_sum(b"wrong")),
    )


def test_what_files_proved_to_be_is_told_in_the_place_of_what_the_plan_took_them_for() -> None:
    planned = [SightingRow(path, NAME, Sighting.DUPLICATE, "why") for path in ("/a", "/b", "/c")]
    proved = SightingRow("/b", NAME, Sighting.WRONG_SUM, "why")

    assert adopt.settle(planned, [proved]) == [planned[0], proved, planned[2]]


@pytest.mark.parametrize("mode", AdoptMode)
def test_D25_file_that_may_not_be_read_is_refused(mode: AdoptMode) -> None:
    """A link to it would be of the right length, and of no use to any reader."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to other users
        place = Path(name)
        source = place / NAME
        source.write_bytes(RIGHT)
        source.chmod(0o600)
        (place / "mine").mkdir(mode=0o777)
        (place / "mine").chmod(0o777)
        with adopting.somebody(place):
            cache = adopting.bare_cache(place / "mine" / "cache")

            taken = take(cache, mode, to_adopt(source), falls_back=True)

        denied = "Permission denied (EACCES)"
        assert_left_over(cache, taken, refused(source, Sighting.UNREADABLE, denied))


@pytest.mark.parametrize("mode", ["symlink", "copy"])
def test_D25_file_that_the_disk_cannot_read_is_refused(bare: Layout, source: Path, mode: str) -> None:
    words: list[str | Path] = ["take", source, bare.root, mode, "sums"]

    said = adopting.struck(words, source, "readv:error=EIO")

    assert said == ["unreadable: Input/output error (EIO)"]
    assert list(bare.references.iterdir()) == []


@pytest.mark.parametrize("error", ["ESTALE", "EAGAIN"])
@pytest.mark.parametrize(
    ("mode", "call"),
    [
        ("symlink", "readv"),
        ("hardlink", "link,linkat"),
        ("copy", "openat"),
        ("copy", "readv"),
    ],
)
def test_D28_what_may_pass_is_tried_again_once(
    bare: Layout, source: Path, mode: str, call: str, error: str
) -> None:
    words: list[str | Path] = ["take", source, bare.root, mode, "sums"]

    lasting = adopting.struck(words, source, f"{call}:error={error}")
    left = list(bare.references.iterdir())
    passing = adopting.struck(words, source, f"{call}:error={error}:when=1")

    assert lasting == [f"unreadable: {os.strerror(getattr(errno, error))} ({error})"]
    assert left == []
    assert passing == ["adopted"]
    assert here(bare).read_bytes() == RIGHT
    assert list(bare.references.iterdir()) == [here(bare)]


@pytest.mark.parametrize("mode", AdoptMode)
def test_D19_name_that_is_too_long_for_a_temporary_is_refused_and_leaves_nothing(
    bare: Layout, tree: Path, mode: AdoptMode
) -> None:
    name = "x" * 240 + ".fits"
    written.write(tree, {name: RIGHT})

    taken = take(bare, mode, to_adopt(tree / name), falls_back=True)

    reason = "File name too long (ENAMETOOLONG)"
    assert taken.sightings == [SightingRow(f"{tree}/{name}", name, Sighting.UNREADABLE, reason)]
    assert [row.file.name for row in taken.left_over] == [name]
    assert list(bare.references.iterdir()) == []


def test_D19_too_many_open_files_refuse_the_file_and_leave_nothing(bare: Layout, source: Path) -> None:
    row = to_adopt(source)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(source, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        taken = take(bare, AdoptMode.COPY, row)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert_left_over(bare, taken, refused(source, Sighting.UNREADABLE, "Too many open files (EMFILE)"))


# The disk of the cache refuses.


def test_D01_full_disk_stops_the_work_and_leaves_what_was_adopted_before(bare: Layout, tree: Path) -> None:
    data = os.urandom(40_000)
    written.write(tree, dict.fromkeys(("a.fits", "b.fits"), data))
    rows = [to_adopt(tree / name, data) for name in ("a.fits", "b.fits")]

    with mounts.small_disk(bare.references, "64k"):
        with pytest.raises(DiskError) as caught:
            take(bare, AdoptMode.COPY, *rows)

        assert {path.name: path.read_bytes() for path in bare.references.iterdir()} == {"a.fits": data}
        free = shutil.disk_usage(bare.references).free

    target = here(bare, "b.fits")
    assert str(caught.value).startswith(f"{target}: No space left on device, 40000 bytes needed, ")
    assert free >= 20_000


@pytest.mark.parametrize("mode", AdoptMode)
def test_D02_disk_that_is_read_only_stops_the_work(bare: Layout, source: Path, mode: AdoptMode) -> None:
    with mounts.read_only(bare.references), pytest.raises(DiskError, match=f"{NAME}: Read-only file system"):
        take(bare, mode, to_adopt(source), falls_back=True)

    assert list(bare.references.iterdir()) == []


@pytest.mark.parametrize("mode", AdoptMode)
def test_D03_directory_that_may_not_be_written_to_stops_the_work(mode: AdoptMode) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        cache, source = adopting.bare_cache(place / "cache"), place / NAME
        source.write_bytes(RIGHT)
        with adopting.somebody(place), pytest.raises(DiskError, match=f"{NAME}: Permission denied"):
            take(cache, mode, to_adopt(source), falls_back=True)

        assert list(cache.references.iterdir()) == []


@pytest.mark.parametrize("mode", [AdoptMode.SYMLINK, AdoptMode.COPY])
def test_D03_directory_that_nobody_may_write_to_stops_the_work(
    bare: Layout, source: Path, mode: AdoptMode
) -> None:
    with (
        mounts.immutable(bare.references),
        pytest.raises(DiskError, match=f"{NAME}: Operation not permitted"),
    ):
        take(bare, mode, to_adopt(source))

    assert list(bare.references.iterdir()) == []


@pytest.mark.parametrize("mode", AdoptMode)
def test_D03_file_that_may_not_be_replaced_stays_and_the_others_are_adopted(
    bare: Layout, source: Path, mode: AdoptMode
) -> None:
    here(bare).write_bytes(b"wrong")
    written.write(source.parent, {"y.fits": RIGHT})
    rows = [to_adopt(source, reason="why"), to_adopt(source.with_name("y.fits"))]

    with mounts.immutable(here(bare)):
        taken = take(bare, mode, *rows, falls_back=True)

    reason = f"cannot be put at {FOLDER}/{NAME}: Operation not permitted (EPERM)"
    assert taken.receipts[0] == Receipt(NAME, Outcome.FAILED, reason=f"why; {source} {reason}")
    assert taken.sightings == [refused(source, Sighting.NOT_REPLACED, reason)]
    assert [(one.name, one.outcome) for one in taken.receipts[1:]] == [("y.fits", Outcome.ADOPTED)]
    assert {path.name: path.read_bytes() for path in bare.references.iterdir()} == {
        NAME: b"wrong",
        "y.fits": RIGHT,
    }


# What becomes of an original later.


@pytest.mark.parametrize("mode", AdoptMode)
def test_D20_original_that_is_edited_later_is_found_out_by_sum_where_it_is_linked(
    bare: Layout, source: Path, mode: AdoptMode
) -> None:
    row = to_adopt(source)
    take(bare, mode, row, falls_back=True)
    with source.open("r+b") as stream:
        stream.write(OTHER)

    found, known = verify.hash_one(row.file, here(bare))

    if mode in {AdoptMode.SYMLINK, AdoptMode.HARDLINK}:
        assert known is not None
        right, wrong = written.sha1_of(RIGHT), written.sha1_of(OTHER)
        reason = f"{FOLDER}/{NAME} has the SHA-1 {wrong}, the catalogue says {right}, hashed {known.when} UTC"
        assert found == VerdictRow(NAME, Verdict.WRONG_SUM, right, wrong, reason)
    else:
        assert found == VerdictRow(NAME, Verdict.OK)


@pytest.mark.parametrize("mode", AdoptMode)
def test_D20_repair_of_an_edited_file_leaves_the_original_as_it_is(
    bare: Layout, source: Path, tmp_path: Path, mode: AdoptMode
) -> None:
    take(bare, mode, to_adopt(source), falls_back=True)
    source.write_bytes(OTHER)
    before = state(source)
    good = tmp_path / "good" / NAME
    written.write(good.parent, {NAME: RIGHT})

    take(bare, mode, to_adopt(good, reason="why"), falls_back=True)

    assert state(source) == before
    assert here(bare).read_bytes() == RIGHT


def test_D21_original_that_is_removed_later_is_missing_and_the_link_tells_which(
    bare: Layout, source: Path
) -> None:
    row = to_adopt(source)
    take(bare, AdoptMode.SYMLINK, row)
    source.unlink()

    found = verdicts.judge(row.file, here(bare), layout.status(here(bare)), None)

    assert found == VerdictRow(
        NAME, Verdict.MISSING, reason=f"{FOLDER}/{NAME} is missing: a dangling link to {source}"
    )


def test_D23_original_that_is_edited_as_it_is_summed_is_not_known_to_be_right(
    bare: Layout, source: Path
) -> None:
    checking.let_clock_tick(source.parent)
    adopter = Adopter(bare, Adoption(AdoptMode.HARDLINK, falls_back=False, sums=True), [])

    def put(row: PlanRow, temporary: Path) -> None:
        source.write_bytes(OTHER)
        publish.rename_into_place(temporary, bare.absolute(row.file.path))

    taken = adopter.take_all([to_adopt(source)], put)

    assert taken.known == {NAME: None}
