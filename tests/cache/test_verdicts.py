import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import hashes, layout, verdicts
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.contexts.records import ManifestRow, Verdict, VerdictRow
from tests import checking
from tests.checking import FOLDER
from tests.written import sha1_of

NAME = "x1234567j_drk.fits"
PATH = f"{FOLDER}/{NAME}"
RIGHT, OTHER = sha1_of(b"right"), sha1_of(b"other")
WHEN = "2026-01-01 00:00:00"


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    return layout.default_layout(tmp_path / "cache", "hst")


@pytest.fixture
def row(bare: Layout) -> ManifestRow:
    return checking.add(bare, NAME, b"right")


def known(file: Path, file_sha1: str = RIGHT, expected_sha1: str = RIGHT) -> Hashed:
    return hashes.hashed(file.stat(), file_sha1, expected_sha1)._replace(when=WHEN)


def judge(row: ManifestRow, cache: Layout, one: Hashed | None = None) -> VerdictRow:
    """Judge a file as it lies there, and make sure that both ways say the same."""
    path = cache.absolute(row.path)
    status = path.stat() if path.exists() else None
    found = verdicts.judge(row, path, status, one)
    if status is not None:
        assert verdicts.flaw(row, status, one) == (found.reason if found.verdict.is_bad else None)
        assert verdicts.decide(row, status, one) is found.verdict
    return found


@pytest.mark.parametrize("has_size", [False, True])
def test_file_of_the_right_length_is_right_as_far_as_anybody_knows(
    bare: Layout, row: ManifestRow, *, has_size: bool
) -> None:
    asked = row if has_size else replace(row, size_bytes=None)

    assert judge(asked, bare) == VerdictRow(NAME, Verdict.OK)
    assert judge(asked, bare, known(bare.absolute(PATH))) == VerdictRow(NAME, Verdict.OK)


def test_missing_file_is_told(bare: Layout, row: ManifestRow) -> None:
    bare.absolute(PATH).unlink()

    assert judge(row, bare) == VerdictRow(NAME, Verdict.MISSING, reason=f"{PATH} is missing")


def test_file_of_a_missing_directory_is_missing(bare: Layout, row: ManifestRow) -> None:
    bare.absolute(PATH).unlink()
    bare.references.rmdir()
    bare.references.touch()

    assert judge(row, bare) == VerdictRow(NAME, Verdict.MISSING, reason=f"{PATH} is missing")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("nowhere", "a dangling link to nowhere"),
        ("/gone/x.fits", "a dangling link to /gone/x.fits"),
        ("a\nb\x1b[0m", r"a dangling link to 'a\nb\x1b[0m'"),
        (NAME, "a loop of links"),
    ],
)
def test_D12_dangling_link_and_loop_of_links_are_missing_files(
    bare: Layout, row: ManifestRow, target: str, why: str
) -> None:
    bare.absolute(PATH).unlink()
    bare.absolute(PATH).symlink_to(target)

    assert judge(row, bare) == VerdictRow(NAME, Verdict.MISSING, reason=f"{PATH} is missing: {why}")


def test_D11_link_to_a_file_is_judged_by_what_it_leads_to(bare: Layout, row: ManifestRow) -> None:
    original = bare.absolute(PATH).rename(bare.root / "original")
    bare.absolute(PATH).symlink_to(original)

    assert judge(row, bare) == VerdictRow(NAME, Verdict.OK)
    assert judge(replace(row, size_bytes=6), bare).verdict is Verdict.WRONG_SIZE


@contextmanager
def listening(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        yield


def to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def to_directory(path: Path) -> None:
    path.symlink_to("..")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "directory"),
        (os.mkfifo, "pipe"),
        (to_device, "character device"),
        (to_directory, "directory"),
    ],
)
def test_D13_what_is_no_regular_file_is_told_with_its_kind(
    bare: Layout, row: ManifestRow, make: Callable[[Path], None], kind: str
) -> None:
    bare.absolute(PATH).unlink()
    make(bare.absolute(PATH))

    assert judge(row, bare) == VerdictRow(
        NAME, Verdict.UNEXPECTED_KIND, "regular file", kind, f"{PATH} is not a regular file"
    )


def test_D13_socket_is_told(tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path / "c", "hst")
    row = checking.add(cache, NAME, b"right")
    cache.absolute(PATH).unlink()

    with listening(cache.absolute(PATH)):
        found = judge(row, cache)

    assert (found.verdict, found.found) == (Verdict.UNEXPECTED_KIND, "socket")


@pytest.mark.parametrize("data", [b"", b"righ", b"right\0"])
@pytest.mark.parametrize("is_known", [False, True])
def test_D15_wrong_length_is_told_before_any_sum(
    bare: Layout, row: ManifestRow, data: bytes, *, is_known: bool
) -> None:
    path = bare.absolute(PATH)
    path.write_bytes(data)

    assert judge(row, bare, known(path, OTHER) if is_known else None) == VerdictRow(
        NAME, Verdict.WRONG_SIZE, "5", str(len(data)), f"{PATH} has {len(data)} bytes, the catalogue says 5"
    )


def test_D14_wrong_sum_is_told_with_the_time_at_which_the_file_was_hashed(
    bare: Layout, row: ManifestRow
) -> None:
    found = judge(row, bare, known(bare.absolute(PATH), OTHER))

    reason = f"{PATH} has the SHA-1 {OTHER}, the catalogue says {RIGHT}, hashed {WHEN} UTC"
    assert found == VerdictRow(NAME, Verdict.WRONG_SUM, RIGHT, OTHER, reason)


def test_sum_is_not_compared_where_the_catalogue_has_none(bare: Layout, row: ManifestRow) -> None:
    asked = replace(row, file_sha1=None)

    assert judge(asked, bare, known(bare.absolute(PATH), OTHER, "")) == VerdictRow(NAME, Verdict.OK)


def test_file_that_could_not_be_read_is_told(bare: Layout, row: ManifestRow) -> None:
    found = judge(row, bare, known(bare.absolute(PATH), ""))

    assert found == VerdictRow(NAME, Verdict.UNREADABLE, reason=f"{PATH} could not be read, {WHEN} UTC")


@pytest.mark.parametrize("file_sha1", ["", OTHER])
def test_what_is_known_tells_nothing_of_a_file_that_changed_since(
    bare: Layout, row: ManifestRow, file_sha1: str
) -> None:
    one = known(bare.absolute(PATH), file_sha1)
    checking.let_clock_tick(bare.root)
    bare.absolute(PATH).touch()

    assert judge(row, bare, one) == VerdictRow(NAME, Verdict.OK)


def test_changed_catalogue_is_told_from_damage(bare: Layout, row: ManifestRow) -> None:
    """The file was delivered anew under its old name: the copy here is a former one, not a broken one."""
    path = bare.absolute(PATH)
    one = known(path, RIGHT, RIGHT)
    told = "; the catalogue changed: it was right when it was hashed"

    by_sum = judge(replace(row, file_sha1=OTHER), bare, one)
    by_size = judge(replace(row, size_bytes=7, file_sha1=OTHER), bare, one)

    summed = f"{PATH} has the SHA-1 {RIGHT}, the catalogue says {OTHER}, hashed {WHEN} UTC{told}"
    sized = f"{PATH} has 5 bytes, the catalogue says 7{told}"
    assert by_sum == VerdictRow(NAME, Verdict.WRONG_SUM, OTHER, RIGHT, summed)
    assert by_size == VerdictRow(NAME, Verdict.WRONG_SIZE, "7", "5", sized)


@pytest.mark.parametrize(
    ("now", "then", "is_so"),
    [
        ((5, OTHER), (RIGHT, RIGHT), True),
        ((7, OTHER), (RIGHT, RIGHT), True),
        ((7, None), (RIGHT, RIGHT), True),
        ((5, OTHER), (RIGHT, ""), False),  # the catalogue had no sum then: nobody knew
        ((5, RIGHT), (RIGHT, RIGHT), False),  # right
        ((None, None), (RIGHT, RIGHT), False),  # the catalogue has forgotten it
        ((5, RIGHT), (OTHER, RIGHT), False),  # damaged
        ((5, RIGHT), (OTHER, ""), False),
        ((7, OTHER), ("", RIGHT), False),  # it could not be read
    ],
)
def test_content_has_changed_if_the_file_is_what_the_catalogue_once_said(
    row: ManifestRow, bare: Layout, now: tuple[int | None, str | None], then: tuple[str, str], *, is_so: bool
) -> None:
    path = bare.absolute(PATH)
    asked = replace(row, size_bytes=now[0], file_sha1=now[1])

    assert verdicts.is_changed_content(asked, path.stat(), known(path, *then)) == is_so


def test_content_of_a_file_that_changed_or_was_never_hashed_has_not_changed(
    bare: Layout, row: ManifestRow
) -> None:
    path = bare.absolute(PATH)
    one = known(path)
    checking.let_clock_tick(bare.root)
    path.touch()
    asked = replace(row, file_sha1=OTHER)

    assert not verdicts.is_changed_content(asked, path.stat(), one)
    assert not verdicts.is_changed_content(asked, path.stat(), None)


@pytest.mark.parametrize(("size_bytes", "is_offline"), [(1024, False), (1025, True), (2**40, True)])
def test_file_without_blocks_is_offline_if_it_cannot_lie_beside_its_status(
    bare: Layout, row: ManifestRow, size_bytes: int, *, is_offline: bool
) -> None:
    """To read it would call it back from tape. A file of nothing but a hole has no blocks either."""
    path = bare.absolute(PATH)
    path.write_bytes(b"")
    os.truncate(path, size_bytes)

    found = judge(replace(row, size_bytes=size_bytes), bare)

    why = f"{PATH} is not on this disk: its bytes were not looked at"
    assert found == (
        VerdictRow(NAME, Verdict.OFFLINE, reason=why) if is_offline else VerdictRow(NAME, Verdict.OK)
    )
    assert verdicts.is_offline(path.stat()) == is_offline


@pytest.mark.parametrize("mtime_s", [-(10**9), 0, 2**33])
def test_D31_time_of_a_file_has_no_effect(bare: Layout, row: ManifestRow, mtime_s: int) -> None:
    path = bare.absolute(PATH)
    os.utime(path, (mtime_s, mtime_s))

    assert judge(row, bare) == VerdictRow(NAME, Verdict.OK)
    assert judge(row, bare, known(path)) == VerdictRow(NAME, Verdict.OK)
    assert judge(row, bare, known(path, OTHER)).verdict is Verdict.WRONG_SUM


def test_file_that_has_come_meanwhile_is_looked_at(bare: Layout, row: ManifestRow) -> None:
    path = bare.absolute(PATH)

    assert verdicts.judge(row, path, None, None) == VerdictRow(NAME, Verdict.OK)
    assert verdicts.judge(row, path, None, known(path, OTHER)).verdict is Verdict.WRONG_SUM


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user: run as root")
def test_file_that_may_not_be_looked_at_is_unreadable_not_missing() -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own directories are closed to other users
        Path(place).chmod(0o755)
        cache = layout.default_layout(Path(place), "hst")
        row = checking.add(cache, NAME, b"right")
        hidden = cache.root / "hidden"
        hidden.mkdir(mode=0o700)
        path = cache.absolute(PATH)
        path.rename(hidden / NAME)
        path.symlink_to(hidden / NAME)

        os.seteuid(12345)
        try:
            found = verdicts.judge(row, path, None, None)
        finally:
            os.seteuid(0)

    reason = f"{PATH} cannot be read: Permission denied (EACCES)"
    assert found == VerdictRow(NAME, Verdict.UNREADABLE, reason=reason)
