"""Reading where the disk is another machine's: what was just written, or replaced, may be seen late."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PATIENCE_S = 5.0
_PAUSE_S = 0.1
_MOUNTS = Path("/proc/self/mountinfo")
_KINDS = frozenset({"nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p"})


def patiently(read: Callable[[], T], place: Path) -> T:
    """Read something; for some seconds again where a network file system says that it is not there.

    Parameters
    ----------
    place
        A directory of the file system that is read.

    Raises
    ------
    OSError
        As `read`; at once where waiting cannot help.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return read()
        except OSError as error:
            if time.monotonic() > deadline or not _may_pass(error, place):
                raise
        time.sleep(_PAUSE_S)


def _may_pass(error: OSError, place: Path) -> bool:
    return error.errno == errno.ESTALE or (error.errno == errno.ENOENT and _is_remote(place))


def _is_remote(place: Path) -> bool:
    try:
        device = place.stat().st_dev
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    kind = kinds_of_file_systems(mounts).get(f"{os.major(device)}:{os.minor(device)}", "")
    return kind in _KINDS or kind.startswith("fuse.")


def kinds_of_file_systems(mounts: str) -> dict[str, str]:
    """Read from the kernel's list of mounts the kind of file system of each device, `major:minor`."""
    kinds = {}
    for line in mounts.splitlines():
        mount, _, system = line.partition(" - ")
        kinds[mount.split()[2]] = system.split()[0]
    return kinds
