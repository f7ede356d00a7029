import errno
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.cache import hashes, layout, verdicts, verify
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.contexts import times
from crdscache.contexts.records import Kind, ManifestRow, Verdict, VerdictRow
from tests import checking, mounts
from tests.caches import listing
from tests.checking import FOLDER
from tests.written import sha1_of

NAME = "x1234567j_drk.fits"
PATH = f"{FOLDER}/{NAME}"
RIGHT = b"right"
NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
OK = VerdictRow(NAME, Verdict.OK)


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    return layout.default_layout(tmp_path / "cache", "hst")


@pytest.fixture
def row(bare: Layout) -> ManifestRow:
    return checking.add(bare, NAME, RIGHT)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "state" / hashes.FILE


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).strftime(times.FORM)


def wrong_sum(data: bytes, one: Hashed | None) -> VerdictRow:
    """Say what is to be said of a file that has other bytes than `RIGHT`."""
    assert one is not None
    right, found = sha1_of(RIGHT), sha1_of(data)
    reason = f"{PATH} has the SHA-1 {found}, the catalogue says {right}, hashed {one.when} UTC"
    return VerdictRow(NAME, Verdict.WRONG_SUM, right, found, reason)


def due(
    cache: Layout,
    rows: list[ManifestRow],
    when: dict[str, str],
    *,
    budget_bytes: int | None = None,
    max_age_days: float = 30,
    file_sha1: str = "a" * 40,
) -> list[str]:
    """Name what is due, where some files were hashed at some times."""
    found = checking.statuses(cache, rows)
    known = {
        row.name: hashes.hashed(found[row.path], file_sha1, None)._replace(when=when[row.name])
        for row in rows
        if row.name in when
    }
    chosen = verify.due(rows, found, known, now=NOW, max_age_days=max_age_days, budget_bytes=budget_bytes)
    return [row.name for row in chosen]


def files(cache: Layout, **lengths: int) -> list[ManifestRow]:
    return [checking.add(cache, name, b"x" * length) for name, length in lengths.items()]


def test_files_are_due_that_were_never_hashed_or_too_long_ago_the_oldest_first(bare: Layout) -> None:
    rows = files(bare, a=1, b=1, c=1, d=1, e=1)

    names = due(bare, rows, {"a": ago(days=31), "b": ago(days=29), "c": ago(days=40), "e": ago(seconds=0)})

    assert names == ["d", "c", "a"]


def test_all_files_are_due_if_the_age_is_none(bare: Layout) -> None:
    rows = files(bare, a=1, b=1)

    assert due(bare, rows, {"a": ago(seconds=0), "b": ago(seconds=1)}, max_age_days=0) == ["b", "a"]


@pytest.mark.parametrize("when", [ago(days=-400), "9999-01-01 00:00:00", "", "2026", "nonsense"])
def test_clock_that_was_put_back_starves_no_file(bare: Layout, when: str) -> None:
    rows = files(bare, a=1, b=1)

    assert due(bare, rows, {"a": when, "b": ago(days=31)}) == ["a", "b"]


def test_file_that_changed_since_it_was_hashed_is_due(bare: Layout) -> None:
    rows = files(bare, a=1, b=1)
    found = checking.statuses(bare, rows)
    known = {row.name: hashes.hashed(found[row.path], "a" * 40, None) for row in rows}
    checking.let_clock_tick(bare.root)
    bare.absolute(rows[1].path).touch()

    found = checking.statuses(bare, rows)
    chosen = verify.due(rows, found, known, now=datetime.now(UTC), max_age_days=30)

    assert chosen == [rows[1]]


def test_file_that_could_not_be_read_is_due_when_its_turn_comes_however_young(bare: Layout) -> None:
    """A disk that dies must not take all the time from the files that can be read."""
    rows = files(bare, a=1, b=1)
    when = {"a": ago(hours=1), "b": ago(hours=2)}

    assert due(bare, rows, when, file_sha1="") == ["b", "a"]
    assert due(bare, rows, when, file_sha1="", budget_bytes=1) == ["b"]


def test_only_regular_files_of_the_right_length_on_this_disk_are_due(bare: Layout) -> None:
    rows = files(bare, right=3, missing=3, short=3, pipe=3, offline=3, unknown=3)
    names = {row.name: bare.absolute(row.path) for row in rows}
    names["missing"].unlink()
    names["short"].write_bytes(b"x")
    names["pipe"].unlink()
    os.mkfifo(names["pipe"])
    names["offline"].write_bytes(b"")
    os.truncate(names["offline"], 5000)
    rows[4] = replace(rows[4], size_bytes=5000)
    rows[5] = replace(rows[5], size_bytes=None, file_sha1=None)

    assert due(bare, rows, {}) == ["right", "unknown"]


@pytest.mark.parametrize(
    ("budget_bytes", "names"),
    [
        (0, ["a"]),  # one at least
        (10, ["a"]),
        (29, ["a"]),  # in order: none is passed over for a smaller one
        (30, ["a", "b"]),
        (35, ["a", "b", "c"]),
        (None, ["a", "b", "c"]),
    ],
)
def test_no_more_is_read_than_the_budget_allows(
    bare: Layout, budget_bytes: int | None, names: list[str]
) -> None:
    rows = files(bare, a=10, b=20, c=5)
    when = {"b": ago(days=50), "c": ago(days=40)}

    assert due(bare, rows, when, budget_bytes=budget_bytes) == names


def test_mappings_are_not_counted_in_the_budget(bare: Layout) -> None:
    rows = [*files(bare, a=10, b=10), *(checking.add(bare, f"hst_{n}.rmap", b"x" * 99) for n in (1, 2))]

    assert due(bare, rows, {"b": ago(days=50)}, budget_bytes=10) == ["a", "hst_1.rmap", "hst_2.rmap"]


def test_each_file_has_its_turn_within_so_many_nights_as_the_budget_needs(bare: Layout) -> None:
    rows = files(bare, **{f"x{number}": 10 + number for number in range(20)})
    when: dict[str, str] = {}

    for night in range(10):
        for name in due(bare, rows, when, budget_bytes=60):
            when[name] = ago(days=20 - night)

    assert when.keys() == {row.name for row in rows}


@given(st.lists(st.integers(0, 2**34), max_size=50), st.integers(1, 4))
def test_shards_are_of_equal_bytes(sizes: list[int], n_shards: int) -> None:
    rows = [
        ManifestRow(f"{n}", Kind.REFERENCE, "", "", size, None, "", is_held=False)
        for n, size in enumerate(sizes)
    ]

    loads = [sum(2**20 + (row.size_bytes or 0) for row in shard) for shard in verify.balance(rows, n_shards)]

    assert max(loads) - min(loads) <= 2**20 + max(sizes, default=0)
    assert sum(loads) == sum(sizes) + 2**20 * len(sizes)


def test_right_file_is_read_and_remembered(bare: Layout, row: ManifestRow) -> None:
    found, known = verify.hash_one(row, bare.absolute(PATH))

    assert known is not None
    assert found == OK
    assert known == Hashed(
        *hashes.hashed(bare.absolute(PATH).stat(), sha1_of(RIGHT), sha1_of(RIGHT))[:-1], known.when
    )


def test_file_that_the_catalogue_does_not_know_is_read_and_remembered(bare: Layout, row: ManifestRow) -> None:
    found, known = verify.hash_one(replace(row, size_bytes=None, file_sha1=None), bare.absolute(PATH))

    assert known is not None
    assert (found, known.file_sha1, known.expected_sha1) == (OK, sha1_of(RIGHT), "")


@pytest.mark.parametrize("mtime_s", [None, -(10**9), 2**33])
def test_D14_D31_flipped_bit_is_found_whatever_the_time_of_the_file_says(
    bare: Layout, row: ManifestRow, mtime_s: int | None
) -> None:
    path = bare.absolute(PATH)
    before = path.stat()
    path.write_bytes(b"rigit")
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns) if mtime_s is None else (mtime_s * 10**9,) * 2)

    found, known = verify.hash_one(row, path)

    assert found == wrong_sum(b"rigit", known)


def test_D14_two_files_of_one_length_that_were_swapped_are_both_found(bare: Layout) -> None:
    rows = [checking.add(bare, "a", b"aaa"), checking.add(bare, "b", b"bbb")]
    a, b = (bare.absolute(row.path) for row in rows)
    a.rename(bare.root / "aside")
    b.rename(a)
    (bare.root / "aside").rename(b)

    found = [verify.hash_one(row, bare.absolute(row.path))[0] for row in rows]

    assert [(one.verdict, one.found) for one in found] == [
        (Verdict.WRONG_SUM, sha1_of(b"bbb")),
        (Verdict.WRONG_SUM, sha1_of(b"aaa")),
    ]


@pytest.mark.parametrize("data", [b"", b"righ", b"rightly"])
def test_D15_file_of_wrong_length_is_not_read(bare: Layout, row: ManifestRow, data: bytes) -> None:
    bare.absolute(PATH).write_bytes(data)

    assert verify.hash_one(row, bare.absolute(PATH)) == (
        VerdictRow(
            NAME,
            Verdict.WRONG_SIZE,
            "5",
            str(len(data)),
            f"{PATH} has {len(data)} bytes, the catalogue says 5",
        ),
        None,
    )


@pytest.mark.parametrize("target", [None, "nowhere", NAME])
def test_D12_missing_file_dangling_link_and_loop_are_missing(
    bare: Layout, row: ManifestRow, target: str | None
) -> None:
    bare.absolute(PATH).unlink()
    if target is not None:
        bare.absolute(PATH).symlink_to(target)

    assert verify.hash_one(row, bare.absolute(PATH)) == (
        verdicts.judge(row, bare.absolute(PATH), None, None),
        None,
    )


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_D13_what_is_no_regular_file_is_never_opened(
    bare: Layout, row: ManifestRow, make: Callable[[Path], None]
) -> None:
    bare.absolute(PATH).unlink()
    make(bare.absolute(PATH))

    found, known = verify.hash_one(row, bare.absolute(PATH))

    assert (found.verdict, known) == (Verdict.UNEXPECTED_KIND, None)


def test_D11_link_is_read_through_and_its_original_stays_as_it_is(
    bare: Layout, row: ManifestRow, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    bare.absolute(PATH).rename(outside / NAME)
    bare.absolute(PATH).symlink_to(outside / NAME)
    (outside / NAME).chmod(0o440)
    before = listing(tmp_path)

    found, known = verify.hash_one(row, bare.absolute(PATH))

    assert known is not None
    assert (found, known.file_sha1) == (OK, sha1_of(RIGHT))
    assert listing(tmp_path) == before


@contextmanager
def leased(path: Path, meanwhile: Callable[[], None], *, lets_go: bool = True) -> Iterator[None]:
    """Let something happen when a file is opened, which fails with EAGAIN as another has its lease."""
    descriptor = os.open(path, os.O_RDWR)

    def let_go(*_: object) -> None:
        meanwhile()
        if lets_go:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    before = signal.signal(signal.SIGIO, let_go)
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"no leases on this file system: {error}")
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


def test_D28_EAGAIN_is_answered_by_another_try(bare: Layout, row: ManifestRow) -> None:
    happened = []

    with leased(bare.absolute(PATH), lambda: happened.append("refused")):
        found, known = verify.hash_one(row, bare.absolute(PATH))

    assert known is not None
    assert (found, happened, known.file_sha1) == (OK, ["refused"], sha1_of(RIGHT))


def test_D28_file_that_cannot_be_had_at_the_second_try_is_unreadable_and_not_remembered_as_bad(
    bare: Layout, row: ManifestRow
) -> None:
    """What a file server says today must not have a right file replaced."""
    path = bare.absolute(PATH)
    with leased(path, lambda: None, lets_go=False):
        found = verify.hash_one(row, path)

    reason = f"{PATH} cannot be read: Resource temporarily unavailable (EAGAIN)"
    assert found == (VerdictRow(NAME, Verdict.UNREADABLE, reason=reason), None)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EAGAIN])
def test_D28_what_may_pass_is_tried_again_once(number: int) -> None:
    answers: list[OSError | str] = [OSError(number, "why"), "read"]

    def read() -> str:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert verify.again_once(read) == "read"
    assert answers == []


@pytest.mark.parametrize(("number", "n_tries"), [(errno.ESTALE, 2), (errno.EIO, 1), (errno.EACCES, 1)])
def test_D28_no_more_than_once_and_nothing_that_stays(number: int, n_tries: int) -> None:
    tries = []

    def read() -> None:
        tries.append(number)
        raise OSError(number, "why")

    with pytest.raises(OSError, match="why"):
        verify.again_once(read)
    assert len(tries) == n_tries


def replaced(path: Path, data: bytes) -> None:
    aside = path.with_name("aside")
    aside.write_bytes(data)
    aside.replace(path)


def test_file_that_is_replaced_meanwhile_is_judged_as_it_is_at_the_end(
    bare: Layout, row: ManifestRow
) -> None:
    path = bare.absolute(PATH)
    path.write_bytes(b"wrong")

    with leased(path, lambda: replaced(path, RIGHT)):
        found, known = verify.hash_one(row, path)

    assert known is not None
    assert found == OK
    assert known.is_of(path.stat())


def test_file_that_is_spoilt_meanwhile_is_judged_as_it_is_at_the_end(bare: Layout, row: ManifestRow) -> None:
    path = bare.absolute(PATH)

    with leased(path, lambda: replaced(path, b"wrong")):
        found, known = verify.hash_one(row, path)

    assert found == wrong_sum(b"wrong", known)


def test_file_that_vanishes_meanwhile_is_missing(bare: Layout, row: ManifestRow) -> None:
    path = bare.absolute(PATH)

    with leased(path, path.unlink):
        found = verify.hash_one(row, path)

    assert found == (VerdictRow(NAME, Verdict.MISSING, reason=f"{PATH} is missing"), None)


def test_file_that_becomes_a_pipe_meanwhile_keeps_nobody_waiting(bare: Layout, row: ManifestRow) -> None:
    path = bare.absolute(PATH)

    def exchange() -> None:
        path.unlink()
        os.mkfifo(path)

    with leased(path, exchange):
        found, known = verify.hash_one(row, path)

    assert (found.verdict, known) == (Verdict.UNEXPECTED_KIND, None)


def test_file_that_has_other_bytes_than_the_system_says_is_not_taken_for_read(
    bare: Layout, row: ManifestRow
) -> None:
    path = bare.absolute(PATH)
    path.unlink()
    path.symlink_to("/proc/version")  # its length is 0

    found, known = verify.hash_one(replace(row, size_bytes=None, file_sha1=None), path)

    assert (found.verdict, known) == (Verdict.UNREADABLE, None)


@contextmanager
def repeated(work: Callable[[], None]) -> Iterator[None]:
    """Do something again and again beside the test."""
    stop = Event()

    def run() -> None:
        while not stop.is_set():
            work()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_file_that_always_changes_is_left_with_that_reason_and_is_not_remembered(bare: Layout) -> None:
    row = checking.add(bare, NAME, b"x" * 2**26)
    path = bare.absolute(PATH)

    with repeated(lambda: os.utime(path)):
        found = verify.hash_one(row, path)

    reason = f"{PATH} cannot be read: it changes while it is read"
    assert found == (VerdictRow(NAME, Verdict.UNREADABLE, reason=reason), None)


def test_file_that_gets_another_length_meanwhile_has_the_wrong_one(bare: Layout, row: ManifestRow) -> None:
    path = bare.absolute(PATH)

    with leased(path, lambda: replaced(path, b"x" * 2**20)):
        found, known = verify.hash_one(row, path)

    reason = f"{PATH} has {2**20} bytes, the catalogue says 5"
    assert (found, known) == (VerdictRow(NAME, Verdict.WRONG_SIZE, "5", str(2**20), reason), None)


@contextmanager
def dying(place: Path, image: Path, read_before: str) -> Iterator[None]:
    """Give a directory a disk of its own, with what is in it, whose blocks can be read no more."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no mkfs.ext4")
    data = {path.name: path.read_bytes() for path in place.iterdir()}
    with image.open("wb") as stream:
        stream.truncate(2**23)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", image], check=True)
    with mounts.mounted(place, "-o", "loop", str(image)):
        for name, content in data.items():
            (place / name).write_bytes(content)
    with mounts.mounted(place, "-o", "loop,ro", str(image)):
        for name in data:
            (place / name).stat()
        (place / read_before).read_bytes()  # stays in memory
        os.truncate(image, 2**16)
        yield


def test_D05_file_that_the_disk_cannot_read_is_unreadable_and_the_others_are_judged(
    bare: Layout, memory: Path, tmp_path: Path
) -> None:
    rows = [checking.add(bare, name, os.urandom(2**21)) for name in ("good", "bad")]

    with dying(bare.references, tmp_path / "image", read_before="good"):
        found = verify.hash_shard(rows, bare, memory)
        known = hashes.load(memory)
        now = checking.statuses(bare, rows)
        again = [verdicts.judge(row, bare.absolute(row.path), now[row.path], known[row.name]) for row in rows]
        before = memory.read_text()
        rechecked = verify.recheck(found, rows, bare, [memory], {"good", "bad"})

    bad = f"{FOLDER}/bad"
    assert found == [
        VerdictRow("good", Verdict.OK),
        VerdictRow("bad", Verdict.UNREADABLE, reason=f"{bad} cannot be read: Input/output error (EIO)"),
    ]
    assert {name: one.file_sha1 for name, one in known.items()} == {"good": rows[0].file_sha1, "bad": ""}
    reason = f"{bad} could not be read, {known['bad'].when} UTC"
    assert again == [found[0], VerdictRow("bad", Verdict.UNREADABLE, reason=reason)]
    assert (rechecked, memory.read_text()) == (found, before)  # a dying disk takes minutes for each try


def test_shard_gives_a_verdict_for_each_file_in_order_and_remembers_those_that_it_read(
    bare: Layout, memory: Path
) -> None:
    rows = files(bare, a=3, b=3, c=3, d=3)
    bare.absolute(rows[1].path).unlink()
    bare.absolute(rows[2].path).write_bytes(b"yyy")
    done: list[ManifestRow] = []

    found = verify.hash_shard(rows, bare, memory, done.append)

    assert checking.by_name(found) == {"a": "ok", "b": "missing", "c": "wrong-sum", "d": "ok"}
    assert [one.name for one in found] == ["a", "b", "c", "d"]
    assert done == rows
    sums = {name: one.file_sha1 for name, one in hashes.load(memory).items()}
    assert sums == {"a": sha1_of(b"xxx"), "c": sha1_of(b"yyy"), "d": sha1_of(b"xxx")}


def test_shard_without_files_writes_nothing(bare: Layout, memory: Path) -> None:
    assert verify.hash_shard([], bare, memory) == []
    assert not memory.parent.exists()


def test_large_file_is_remembered_as_soon_as_it_was_read_with_all_before_it(
    bare: Layout, memory: Path
) -> None:
    rows = files(bare, a=1, b=10**6, c=1)
    known: list[list[str]] = []

    verify.hash_shard(rows, bare, memory, lambda _: known.append(list(hashes.load(memory))))

    assert known == [[], ["a", "b"], ["a", "b"]]
    assert list(hashes.load(memory)) == ["a", "b", "c"]


def test_what_was_read_before_a_shard_is_stopped_is_remembered(bare: Layout, memory: Path) -> None:
    rows = files(bare, a=1, b=1, c=1)

    def stop(row: ManifestRow) -> None:
        if row.name == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify.hash_shard(rows, bare, memory, stop)

    assert list(hashes.load(memory)) == ["a", "b"]


def test_bad_verdict_that_is_still_true_stays_as_it_is(bare: Layout, memory: Path) -> None:
    rows = files(bare, a=3, b=3, c=3, d=3, e=3)
    paths = [bare.absolute(row.path) for row in rows]
    paths[0].write_bytes(b"yyy")
    paths[1].write_bytes(b"y")
    paths[2].unlink()
    paths[3].unlink()
    paths[3].mkdir()
    found = verify.hash_shard(rows, bare, memory)
    before = memory.read_text()

    looked = verify.recheck(found, rows, bare, [memory], {row.name for row in rows})

    assert looked == found
    assert memory.read_text() == before


def test_file_that_came_or_was_mended_meanwhile_is_not_told(bare: Layout, memory: Path) -> None:
    """A sync may be at work beside a verify."""
    rows = files(bare, a=3, b=3, c=3, d=3)
    paths = [bare.absolute(row.path) for row in rows]
    paths[0].write_bytes(b"yyy")
    paths[1].write_bytes(b"y")
    paths[2].unlink()
    paths[3].unlink()
    paths[3].symlink_to("nowhere")
    found = verify.hash_shard(rows, bare, memory)

    for path in paths:
        replaced(path, b"xxx")
    looked = verify.recheck(found, rows, bare, [memory], {row.name for row in rows})

    assert looked == [VerdictRow(row.name, Verdict.OK) for row in rows]
    known, now = hashes.load(memory), checking.statuses(bare, rows)
    assert {name for name, one in known.items() if one.is_of(now[f"{FOLDER}/{name}"])} == set("abcd")


def test_file_that_became_bad_in_another_way_is_told_as_it_is_now(bare: Layout, memory: Path) -> None:
    rows = files(bare, a=3, b=3)
    paths = [bare.absolute(row.path) for row in rows]
    for path in paths:
        path.write_bytes(b"yyy")
    found = verify.hash_shard(rows, bare, memory)

    paths[0].unlink()
    replaced(paths[1], b"zzz")
    looked = verify.recheck(found, rows, bare, [memory], {"a", "b"})

    assert [(one.verdict, one.found) for one in looked] == [
        (Verdict.MISSING, ""),
        (Verdict.WRONG_SUM, sha1_of(b"zzz")),
    ]


def test_bad_file_that_is_not_wanted_any_more_is_left_out(bare: Layout, memory: Path) -> None:
    rows = files(bare, a=3, b=3, c=3)
    for row in rows[:2]:
        bare.absolute(row.path).unlink()
    found = verify.hash_shard(rows, bare, memory)

    looked = verify.recheck(found, rows, bare, [memory], {"b"})

    assert looked == found[1:]


def test_file_that_could_not_be_read_and_was_right_once_is_read_again(bare: Layout, memory: Path) -> None:
    """That it was right long ago must not hide that it cannot be read."""
    (row,) = files(bare, a=3)
    verify.hash_shard([row], bare, memory)
    bad = verdicts.unreadable(row, "Stale file handle (ESTALE)")

    looked = verify.recheck([bad], [row], bare, [memory], {"a"})

    assert looked == [VerdictRow("a", Verdict.OK)]
    assert len(memory.read_text().splitlines()) == 4


def test_sum_that_another_memory_knows_is_not_computed_again(
    bare: Layout, memory: Path, tmp_path: Path
) -> None:
    (row,) = files(bare, a=3)
    bare.absolute(row.path).write_bytes(b"yyy")
    found = verify.hash_shard([row], bare, memory)

    looked = verify.recheck(found, [row], bare, [memory, tmp_path / "own" / hashes.FILE], {"a"})

    assert looked == found
    assert not (tmp_path / "own").exists()
