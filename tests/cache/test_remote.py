"""Files that a network file system shows late: a test cannot have one, but its errors."""

import errno
import time
from pathlib import Path

import pytest

from crdscache.cache import remote

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
36 22 0:44 / /data rw,relatime - nfs4 server:/export rw,vers=4.2
37 22 0:45 /sub /home/a\\040b rw,relatime shared:2 master:1 - fuse.sshfs host:/ rw
"""


class Late:
    """What cannot be read before the n-th time."""

    def __init__(self, number: int, n_failures: int) -> None:
        self.number, self.n_failures, self.n_calls = number, n_failures, 0

    def __call__(self) -> str:
        self.n_calls += 1
        if self.n_calls <= self.n_failures:
            raise OSError(self.number, "late", "file")
        return "content"


@pytest.fixture
def is_remote(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the kernel say that the test's directory is on a network file system."""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 22 {device >> 8}:{device & 255} / / rw - nfs4 server:/export rw\n")
    monkeypatch.setattr(remote, "_MOUNTS", mounts)


def test_D28_stale_handle_is_cured_by_reading_again(tmp_path: Path) -> None:
    late = Late(errno.ESTALE, 2)

    assert remote.patiently(late, tmp_path) == "content"
    assert late.n_calls == 3


@pytest.mark.usefixtures("is_remote")
def test_D28_file_that_is_not_there_yet_is_waited_for_on_a_network_file_system(tmp_path: Path) -> None:
    late = Late(errno.ENOENT, 2)

    assert remote.patiently(late, tmp_path) == "content"
    assert late.n_calls == 3


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EIO])
def test_D28_what_waiting_does_not_cure_is_told_at_once(number: int, tmp_path: Path) -> None:
    late = Late(number, 1)

    with pytest.raises(OSError, match="late") as caught:
        remote.patiently(late, tmp_path)

    assert (caught.value.errno, late.n_calls) == (number, 1)


def test_D28_patience_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PATIENCE_S", 0.3)
    began = time.monotonic()

    with pytest.raises(OSError, match="late"):
        remote.patiently(Late(errno.ESTALE, 1000), tmp_path)

    assert 0.3 <= time.monotonic() - began < 3


def test_kind_of_file_system_is_that_of_the_kernels_list() -> None:
    assert remote.kinds_of_file_systems(MOUNTS) == {"254:0": "ext4", "0:44": "nfs4", "0:45": "fuse.sshfs"}


def test_this_machines_own_list_can_be_read() -> None:
    mounts = Path("/proc/self/mountinfo").read_text()

    assert len(remote.kinds_of_file_systems(mounts)) > 0
