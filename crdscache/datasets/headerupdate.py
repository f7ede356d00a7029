"""Writes keywords into the primary header of a FITS file, which is replaced as a whole.

astropy's own update writes through hard links, and removes a file before its successor has the name.
"""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from crdscache.cache import accounts, publish
from crdscache.datasets import fitsfiles, headeredit, opening
from crdscache.datasets.opening import Source

_CHUNK_BYTES = 2**20
_MAX_AT_ONCE = 2**30
# The file system, the kernel or a sandbox does not do it for these two files: then bytes go through us.
_NOT_IN_KERNEL = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EXDEV, errno.EPERM}
_NO_ATTRIBUTES = {errno.EOPNOTSUPP, errno.ENOSYS}
_KEPT_ATTRIBUTES = ("user.", "system.posix_acl_")  # the others are the system's own business
_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def update(path: Path, values: Mapping[str, str], seen: os.stat_result | None = None) -> bool:
    """Set keywords of the primary header; False, and the file is untouched, where nothing differs.

    A new file takes the name: readers see the old one or the new one, whole, and so they do after a kill or a
    power cut. All bytes but those of the cards that are set, and of CHECKSUM, are the old ones; so are mode,
    owner, group, access lists and the user's extended attributes. A symbolic link stays one: the file that it
    leads to is replaced. Other hard links keep the old file.

    Who writes to the file meanwhile is noticed, until just before the new one takes its place. After a kill a
    temporary may remain beside the file, hidden and ending in `.crdstmp`.

    Parameters
    ----------
    seen
        Of the file that the values were found out for: another one is not given them.

    Raises
    ------
    DatasetError
        The file cannot be read, is not whole or not FITS; it is read-only, by its mode for everyone, even
        root; the disk refuses; or the owner could not be kept. The file is as it was (or, if the disk failed
        after the rename, the new one).
    """
    with opening.opened(Path(os.path.realpath(path))) as source:
        if seen is not None:
            source.require_seen(seen)
        primary = fitsfiles.scan(source)[0]
        old = source.read_at(0, primary.data_start)
        try:
            new = headeredit.edited(old, values)
        except ValueError as error:
            raise source.refusal(str(error)) from error
        if new == old:
            return False
        _require_writable(source)
        _replace(source, len(old), new)
    return True


def _require_writable(source: Source) -> None:
    mode = source.status.st_mode
    if not mode & _WRITE_BITS:  # nothing would stop root, but somebody meant it so
        raise source.refusal(f"it is read-only, its mode is {stat.S_IMODE(mode):04o}")
    if not os.access(source.path, os.W_OK):
        raise source.refusal("it is read-only: no permission, a read-only file system, or immutable")


def _replace(source: Source, old_header_bytes: int, header: bytes) -> None:
    temporary = publish.aside(source.path)
    try:
        _write(source, old_header_bytes, header, temporary)
        source.require_unchanged()
        publish.rename_into_place(temporary, source.path)
        publish.sync_directory(source.path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _write(source: Source, old_header_bytes: int, header: bytes, temporary: Path) -> None:
    """Make the new file, durable."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, stat.S_IRUSR | stat.S_IWUSR)
    try:
        # Where nothing moves, a file system that can shares all the blocks with the old file.
        moves = len(header) != old_header_bytes
        _copy(source, descriptor, *(old_header_bytes, len(header)) if moves else (0, 0))
        _write_at(descriptor, header, 0)
        _take_over(source, descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Source, descriptor: int, start: int, target_start: int) -> None:
    """Copy what is at `start` and after to `target_start` and after."""
    move, done = _in_kernel, 0
    while done < source.size_bytes - start:
        count = min(source.size_bytes - start - done, _MAX_AT_ONCE)
        try:
            moved = move(source, descriptor, count, start + done, target_start + done)
        except OSError as error:
            if move is _by_hand or error.errno not in _NOT_IN_KERNEL:
                raise
            move = _by_hand
            continue
        if moved == 0:
            raise source.refusal("it was truncated by someone else meanwhile")
        done += moved


def _in_kernel(source: Source, descriptor: int, count: int, start: int, target_start: int) -> int:
    return os.copy_file_range(source.descriptor, descriptor, count, start, target_start)


def _by_hand(source: Source, descriptor: int, count: int, start: int, target_start: int) -> int:
    data = source.read_at(start, min(count, _CHUNK_BYTES))
    _write_at(descriptor, data, target_start)
    return len(data)


def _write_at(descriptor: int, data: bytes, start: int) -> None:
    rest = memoryview(data)
    while rest:
        done = os.pwrite(descriptor, rest, start)
        rest, start = rest[done:], start + done


def _take_over(source: Source, descriptor: int) -> None:
    """Give the new file to whom the old one belongs, with the same rights for the others."""
    status = source.status
    try:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    except PermissionError as error:
        owner = f"user {accounts.user(status.st_uid)} in group {accounts.group(status.st_gid)}"
        raise source.refusal(f"it belongs to {owner}, and a new file cannot be given to them") from error
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    for name in _attributes(source):
        if name.startswith(_KEPT_ATTRIBUTES):
            os.setxattr(descriptor, name, os.getxattr(source.descriptor, name))


def _attributes(source: Source) -> list[str]:
    try:
        return os.listxattr(source.descriptor)
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            raise
        return []
