import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crdscache.cache import sums


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = sums.open_regular(path)
    assert descriptor is not None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("size_bytes", [0, 1, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18 + 5])
@pytest.mark.parametrize("limited", [False, True])
def test_sum_is_that_of_all_bytes(tmp_path: Path, size_bytes: int, *, limited: bool) -> None:
    data = os.urandom(size_bytes)
    (tmp_path / "x").write_bytes(data)

    with opened(tmp_path / "x") as descriptor:
        found = sums.file_sha1(descriptor, limit_bytes=size_bytes if limited else None)

    assert found == (hashlib.sha1(data).hexdigest(), size_bytes)


@pytest.mark.parametrize("limit_bytes", [0, 7, 2**18 - 1, 2**18])
def test_no_more_than_a_byte_beyond_the_limit_is_read(tmp_path: Path, limit_bytes: int) -> None:
    """A file that grows without end must not keep a check for ever."""
    data = os.urandom(3 * 2**18)
    (tmp_path / "x").write_bytes(data)

    with opened(tmp_path / "x") as descriptor:
        found = sums.file_sha1(descriptor, limit_bytes=limit_bytes)
        place = os.lseek(descriptor, 0, os.SEEK_CUR)

    assert found == (hashlib.sha1(data[: limit_bytes + 1]).hexdigest(), limit_bytes + 1)
    assert place == limit_bytes + 1


def test_reading_begins_where_the_descriptor_stands(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")

    with opened(tmp_path / "x") as descriptor:
        os.lseek(descriptor, 4, os.SEEK_SET)
        found = sums.file_sha1(descriptor)

    assert found == (hashlib.sha1(b"456789").hexdigest(), 6)


def test_what_comes_in_pieces_is_read_to_its_end() -> None:
    out, into = os.pipe()
    try:
        os.write(into, b"abc")
        os.write(into, b"def")
        os.close(into)
        found = sums.file_sha1(out)
    finally:
        os.close(out)

    assert found == (hashlib.sha1(b"abcdef").hexdigest(), 6)


def test_D11_link_is_read_through(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("x")

    with opened(tmp_path / "link") as descriptor:
        found = sums.file_sha1(descriptor)

    assert found == (hashlib.sha1(b"abc").hexdigest(), 3)


@pytest.mark.parametrize("kind", ["directory", "pipe", "socket", "device", "link"])
def test_D13_only_regular_files_are_opened_and_nothing_waits(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 (names only)

    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "directory":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        else:
            path.symlink_to({"device": "/dev/zero", "link": tmp_path}[kind])
        found = sums.open_regular(path)

    assert found is None
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


@pytest.mark.parametrize(("target", "error"), [("nowhere", FileNotFoundError), ("x", OSError)])
def test_D12_dangling_link_and_loop_are_errors_of_the_system(
    tmp_path: Path, target: str, error: type[OSError]
) -> None:
    (tmp_path / "x").symlink_to(target)

    with pytest.raises(error):
        sums.open_regular(tmp_path / "x")


def test_descriptor_is_not_inherited(tmp_path: Path) -> None:
    (tmp_path / "x").touch()

    with opened(tmp_path / "x") as descriptor:
        assert not os.get_inheritable(descriptor)
