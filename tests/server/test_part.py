"""The temporary of a download, without any server."""

import os
from hashlib import sha1
from pathlib import Path

import pytest

from crdscache.contexts.records import FileRecord
from crdscache.errors import MismatchError
from crdscache.server.part import CHUNK_BYTES, Part

DATA = bytes(range(256)) * 4
RECORD = FileRecord("x_drk.fits", len(DATA), sha1(DATA).hexdigest())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".x_drk.fits.part"


def test_a_file_that_came_in_pieces_is_verified_and_named(path: Path) -> None:
    target = path.with_name("x_drk.fits")

    with Part(path, RECORD) as part:
        part.append(DATA[:100])
        part.append(DATA[100:])
        part.verify()
        part.finish(target)

    assert part.file_sha1 == RECORD.file_sha1
    assert target.read_bytes() == DATA
    assert not path.exists()


def test_what_came_stays_and_is_taken_up(path: Path) -> None:
    with Part(path, RECORD) as part:
        part.append(DATA[:100])

    with Part(path, RECORD) as part:
        n_bytes = part.n_bytes
        part.append(DATA[100:])
        part.verify()

    assert n_bytes == 100
    assert path.read_bytes() == DATA


def test_an_empty_file_is_a_file(path: Path) -> None:
    with Part(path, FileRecord("x", 0, sha1(b"").hexdigest())) as part:
        is_whole = part.is_whole
        part.verify()
        part.finish(None)

    assert not is_whole
    assert path.read_bytes() == b""


@pytest.mark.parametrize("left", [DATA + b"x", DATA[:-1] + b"x"], ids=["too long", "wrong"])
def test_what_cannot_become_the_file_is_dropped(path: Path, left: bytes) -> None:
    path.write_bytes(left)

    with Part(path, RECORD) as part:
        n_bytes = part.n_bytes

    assert n_bytes == 0
    assert not path.exists()


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
def test_a_link_is_dropped_and_never_written_through(path: Path, tmp_path: Path, kind: str) -> None:
    original = tmp_path / "original"
    original.write_bytes(DATA[:100])
    path.symlink_to(original) if kind == "symbolic" else path.hardlink_to(original)

    with Part(path, RECORD) as part:
        part.append(DATA)

    assert path.read_bytes() == DATA
    assert original.read_bytes() == DATA[:100]


def test_wrong_bytes_are_gone_when_the_error_comes(path: Path) -> None:
    with Part(path, RECORD) as part:
        part.append(DATA[:-1] + b"x")
        with pytest.raises(MismatchError, match=f"SHA-1 is .*, the catalogue says {RECORD.file_sha1}"):
            part.verify()
        is_there, n_bytes = path.exists(), part.n_bytes

    assert (is_there, n_bytes) == (False, 0)


def test_an_error_of_the_disk_takes_the_file_away(path: Path, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    path.write_bytes(DATA)

    with pytest.raises(IsADirectoryError), Part(path, RECORD) as part:
        part.finish(tmp_path / "directory")

    assert not path.exists()


def test_the_version_of_what_came_is_known_to_the_next_run_and_is_no_part_of_the_file(tmp_path: Path) -> None:
    data = b"x" * (2 * CHUNK_BYTES)
    large = FileRecord("big.fits", len(data), sha1(data).hexdigest())
    path, target = tmp_path / ".big.part", tmp_path / "big.fits"

    with Part(path, large) as cut:
        cut.mark('http://host "1"')
        cut.append(data[:100])
    with Part(path, large) as resumed:
        version = resumed.version
        resumed.append(data[100:])
        resumed.finish(target)

    try:
        os.setxattr(tmp_path, "user.test", b"")
    except OSError:
        assert version is None  # a file system that takes no notes: the sum decides alone
    else:
        assert version == 'http://host "1"'
    assert os.listxattr(target) == []
    assert target.read_bytes() == data
