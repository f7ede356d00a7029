import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdscache.cache import hashes, locks
from crdscache.cache.hashes import Hashed
from crdscache.errors import NotACacheError
from tests import checking, mounts
from tests.caches import CHECKOUT

HEAD = "# crdscache hashes 1\nname\tsize_bytes\tmtime_ns\tctime_ns\tinode\tfile_sha1\texpected_sha1\twhen\n"
A, B = "a" * 40, "b" * 40
ONE = Hashed(1, 2, 3, 4, A, B, "2026-01-01 00:00:00")

sums = st.just("") | st.from_regex(r"[0-9a-f]{40}", fullmatch=True)
numbers = st.integers(-(2**63), 2**64)
moments = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"))
notes = st.builds(Hashed, numbers, numbers, numbers, numbers, sums, sums, moments)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / hashes.FILE


def at(when: str, file_sha1: str = A) -> Hashed:
    return ONE._replace(when=when, file_sha1=file_sha1)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), notes))))
def test_last_note_of_each_file_is_read_as_it_was_written(
    path: Path, batches: list[list[tuple[str, Hashed]]]
) -> None:
    path.unlink(missing_ok=True)

    for batch in batches:
        hashes.append(path, batch)

    assert hashes.load(path) == {name: one for batch in batches for name, one in batch}


def test_notes_are_lines_of_a_table(path: Path) -> None:
    hashes.append(path, [("x.fits", ONE)])
    hashes.append(path, [("y.fits", ONE._replace(file_sha1="", expected_sha1=""))])

    assert path.read_text() == (
        f"{HEAD}x.fits\t1\t2\t3\t4\t{A}\t{B}\t2026-01-01 00:00:00\n"
        "y.fits\t1\t2\t3\t4\t\t\t2026-01-01 00:00:00\n"
    )
    assert sorted(other.name for other in path.parent.iterdir()) == ["hashes.lock", "hashes.tsv"]


def test_nothing_is_known_where_nothing_was_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert hashes.load(tmp_path / "none.tsv", tmp_path / "none" / "x.tsv", tmp_path / "file" / "x.tsv") == {}


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_memories_the_later_note_counts(tmp_path: Path, *, turned: bool) -> None:
    """A user who may not write in the state has a memory of his own; repair writes in the other."""
    paths = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    hashes.append(paths[0], [("x", at("2026-01-02 00:00:00")), ("y", at("2026-01-01 00:00:00"))])
    hashes.append(paths[1], [("x", at("2026-01-01 00:00:00")), ("y", at("2026-01-02 00:00:00")), ("z", ONE)])

    known = hashes.load(*(reversed(paths) if turned else paths))

    assert known == {"x": at("2026-01-02 00:00:00"), "y": at("2026-01-02 00:00:00"), "z": ONE}


LINE = f"x.fits\t1\t2\t3\t4\t{A}\t{B}\t2026-01-01 00:00:00"
WHOLE_TO = LINE.rindex("\t") + 1  # what is cut later has lost of its time alone


@pytest.mark.parametrize("length", range(len(LINE)))
def test_D16_half_a_line_is_no_note_and_spoils_no_other(path: Path, length: int) -> None:
    hashes.append(path, [("a", ONE)])
    path.write_text(path.read_text() + LINE[:length])
    before = hashes.load(path)

    hashes.append(path, [("b", ONE)])

    left = {"x.fits": ONE._replace(when=LINE[WHOLE_TO:length])} if length >= WHOLE_TO else {}
    assert before == {"a": ONE} | left
    assert hashes.load(path) == {"a": ONE, "b": ONE} | left


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\0" * 200,
        LINE.replace("\t2\t", "\ttwo\t"),
        LINE.replace("\t4\t", "\t\t"),
        LINE.replace(A, A[1:]),
        LINE.replace(A, A * 2),
        LINE + "\tmore",
        LINE.replace("\t", " "),
        "\xff\xfe",
    ],
)
def test_damaged_line_is_no_note(path: Path, line: str) -> None:
    path.parent.mkdir()
    path.write_bytes(f"{HEAD}{line}\n{LINE.replace('x.fits', 'y.fits')}\n".encode("latin-1"))

    assert hashes.load(path) == {"y.fits": ONE}


def test_memory_of_a_newer_version_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(HEAD.replace("hashes 1", "hashes 2") + LINE + "\n")

    with pytest.raises(NotACacheError, match=f"{path}: expected a table '# crdscache hashes 1'"):
        hashes.load(path)


@pytest.mark.parametrize(
    ("file_sha1", "expected_sha1", "is_so"), [(A, A, True), (A, "", False), (A, B, False), ("", "", False)]
)
def test_file_was_right_if_its_sum_was_the_one_of_the_catalogue(
    file_sha1: str, expected_sha1: str, *, is_so: bool
) -> None:
    assert ONE._replace(file_sha1=file_sha1, expected_sha1=expected_sha1).was_right == is_so


def test_what_is_noted_is_what_the_status_says(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    status = (tmp_path / "x").stat()

    one = hashes.hashed(status, A, None)

    assert one == Hashed(3, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, A, "", one.when)


def flip(file: Path) -> None:
    file.write_bytes(b"abd")


def replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"abc")
    other.replace(file)


@pytest.mark.parametrize("mtime_s", [10**9, -(10**9), 2**33])
@pytest.mark.parametrize("change", [flip, replace, Path.touch])
def test_D31_file_is_known_as_long_as_nobody_changed_it_whatever_its_time_says(
    tmp_path: Path, change: Callable[[Path], None], mtime_s: int
) -> None:
    """Its time of change tells, which no program can put back."""
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    os.utime(file, (mtime_s, mtime_s))
    one = hashes.hashed(file.stat(), A, A)
    is_known_before = one.is_of(file.stat())
    checking.let_clock_tick(tmp_path)

    change(file)
    os.utime(file, (mtime_s, mtime_s))

    assert is_known_before
    assert not one.is_of(file.stat())


@pytest.mark.parametrize("number", range(4))
def test_each_number_of_the_status_tells(tmp_path: Path, number: int) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    status = (tmp_path / "x").stat()
    one = hashes.hashed(status, A, A)

    other = Hashed(*(cell + 1 if at == number else cell for at, cell in enumerate(one[:4])), *one[4:])

    assert (one.is_of(status), other.is_of(status)) == (True, False)


WRITER = """
import sys
from pathlib import Path
from crdscache.cache import hashes, locks
path, name, n_batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
one = hashes.Hashed(1, 2, 3, 4, "a" * 40, "b" * 40, "2026-01-01 00:00:00")
for batch in range(n_batches):
    hashes.append(path, [(f"{name}-{batch}-{row}", one) for row in range(5)])
    print(batch, flush=True)
"""


@contextmanager
def writer(path: Path, name: str, n_batches: int) -> Iterator[subprocess.Popen[bytes]]:
    line = [sys.executable, "-c", WRITER, path, name, str(n_batches)]
    with subprocess.Popen(line, cwd=CHECKOUT, stdout=subprocess.PIPE) as child:
        try:
            yield child
        finally:
            child.kill()


def test_writers_at_the_same_time_mix_no_lines_and_a_compaction_between_them_loses_none(path: Path) -> None:
    hashes.append(path, [("old", at(f"2026-01-01 00:00:{second % 60:02}")) for second in range(20_000)])

    with writer(path, "a", 40) as first, writer(path, "b", 40) as second:
        while first.poll() is None or second.poll() is None:
            hashes.compact(path)

    assert (first.returncode, second.returncode) == (0, 0)
    written = {f"{name}-{batch}-{row}" for name in "ab" for batch in range(40) for row in range(5)}
    assert hashes.load(path) == dict.fromkeys(written, ONE) | {"old": at("2026-01-01 00:00:19")}
    assert len(path.read_text().splitlines()) == 2 + 1 + 400


@pytest.mark.parametrize("seed", range(5))
def test_writer_that_is_killed_has_lost_nothing_that_it_wrote_before(path: Path, seed: int) -> None:
    n_before = random.Random(seed).randrange(1, 100)

    with writer(path, "a", 10**6) as child:
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(n_before)]
        child.send_signal(signal.SIGKILL)
        told += [int(line) for line in child.stdout.read().splitlines()]
    known = hashes.load(path)
    hashes.append(path, [("next", ONE)])

    whole = {f"a-{batch}-{row}" for batch in told for row in range(5)}
    in_flight = {f"a-{len(told)}-{row}" for row in range(5)}
    assert whole <= known.keys() <= whole | in_flight
    assert set(known.values()) == {ONE}
    assert hashes.load(path) == known | {"next": ONE}


def test_full_disk_is_told_with_the_name_and_what_was_written_stays(path: Path) -> None:
    path.parent.mkdir()
    with mounts.small_disk(path.parent, "64k"):
        hashes.append(path, [("a", ONE)])

        with pytest.raises(OSError, match=f"No space left on device: '{path}'"):
            hashes.append(path, [(f"b{number}", ONE) for number in range(2000)])

        known = hashes.load(path)
        assert list(known) == ["a", *(f"b{number}" for number in range(len(known) - 1))]
        assert set(known.values()) == {ONE}


def lines(n_names: int, n_lines: int) -> list[tuple[str, Hashed]]:
    return [(f"x{number % n_names}", at(f"2026-01-01 00:00:{number % 60:02}")) for number in range(n_lines)]


@pytest.mark.parametrize(
    ("n_names", "n_lines", "left"),
    [
        (100, 10_000, 10_000),  # short
        (6_000, 12_000, 12_000),  # not more than twice as many lines as files
        (5_998, 11_998, 5_998),
    ],
)
def test_memory_is_compacted_where_most_of_it_is_old(
    path: Path, n_names: int, n_lines: int, left: int
) -> None:
    hashes.append(path, lines(n_names, n_lines))
    before = hashes.load(path)

    hashes.compact(path)

    assert hashes.load(path) == before
    assert len(path.read_text().splitlines()) - 2 == left


@pytest.mark.parametrize("work", [hashes.compact, lambda path: hashes.append(path, [("new", ONE)])])
def test_nobody_writes_while_another_does(path: Path, work: Callable[[Path], None]) -> None:
    hashes.append(path, lines(100, 12_000))

    with locks.exclusive(path.with_name("hashes.lock")):
        thread = Thread(target=work, args=(path,))
        thread.start()
        thread.join(timeout=0.2)
        is_waiting = thread.is_alive()
        with path.open("a") as stream:
            stream.write(LINE + "\n")
    thread.join()

    assert is_waiting
    assert hashes.load(path)["x.fits"] == ONE


def test_compacted_memory_is_in_order_of_name(path: Path) -> None:
    hashes.append(path, lines(100, 10_001))

    hashes.compact(path)

    assert list(hashes.load(path)) == sorted(f"x{number}" for number in range(100))
    assert sorted(other.name for other in path.parent.iterdir()) == ["hashes.lock", "hashes.tsv"]


def test_memory_that_is_not_there_needs_no_compaction(path: Path) -> None:
    hashes.compact(path)

    assert not path.parent.exists()
