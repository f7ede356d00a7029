"""The letter and number in a name is a row of the fault matrix."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from crdscache.datasets import opening
from crdscache.errors import DatasetError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.fits"
    path.write_bytes(b"0123456789")
    return path


def refused(path: Path) -> str:
    with pytest.raises(DatasetError) as told, opening.opened(path):
        pass
    return str(told.value)


def test_a_file_is_read_wherever_one_likes(file: Path) -> None:
    with opening.opened(file) as source:
        parts = source.read_at(0, 2), source.read_at(8, 100), source.read_at(100, 1)

        assert (parts, source.size_bytes) == ((b"01", b"89", b""), 10)


def test_a_link_is_followed(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(file)

    with opening.opened(link) as source:
        assert source.read_at(0, 10) == b"0123456789"


def test_a_file_is_closed_whatever_happens(file: Path) -> None:
    with pytest.raises(KeyError), opening.opened(file) as source:
        raise KeyError

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(source.descriptor)


def test_B01_what_is_no_file_is_named_and_not_waited_for(tmp_path: Path) -> None:
    fifo, sock, dangling, loop = (tmp_path / name for name in ("fifo", "socket", "dangling", "loop"))
    os.mkfifo(fifo)
    dangling.symlink_to(tmp_path / "nowhere")
    loop.symlink_to(loop)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(sock))
        told = [refused(path) for path in (tmp_path, fifo, sock, Path("/dev/zero"), dangling, loop)]

    expected = "a file was expected, found"
    assert told == [
        f"{tmp_path}: {expected} a directory",
        f"{fifo}: {expected} a FIFO",
        f"{sock}: {expected} a socket",
        f"/dev/zero: {expected} a device",
        f"{dangling}: No such file or directory",
        f"{loop}: Too many levels of symbolic links",
    ]


def test_B10_a_path_is_shown_in_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path / "a\nb") == f"'{tmp_path}/a\\nb': No such file or directory"
    assert refused(tmp_path / "a\udcff") == f"'{tmp_path}/a\\udcff': No such file or directory"


def written(file: Path) -> None:
    file.write_bytes(b"9876543210")
    os.utime(file, ns=(0, 1))  # else the steps of the clock may hide it


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.rename(file)


def truncated(file: Path) -> None:
    os.truncate(file, 5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (written, "it was changed or replaced by someone else meanwhile"),
        (replaced, "it was changed or replaced by someone else meanwhile"),
        (truncated, "it was changed or replaced by someone else meanwhile"),
        (Path.unlink, "No such file or directory"),
    ],
)
def test_B06_a_change_while_it_is_open_is_noticed(
    file: Path, change: Callable[[Path], None], reason: str
) -> None:
    def read() -> None:
        with opening.opened(file) as source:
            source.require_unchanged()
            change(file)
            source.require_unchanged()

    with pytest.raises(DatasetError) as told:
        read()

    assert str(told.value) == f"{file}: {reason}"
