"""What presence, kind, length, and the record of what was hashed tell of one file; no file is opened."""

import errno
import os
import stat
from pathlib import Path

from crdscache.cache.hashes import Hashed
from crdscache.contexts.records import ManifestRow, Policy, Verdict, VerdictRow

# A smaller file may have all its bytes beside its status.
_IN_INODE_BYTES = 1024
_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def decide(row: ManifestRow, status: os.stat_result, known: Hashed | None) -> Verdict:
    """Decide what is the matter with a file that is there: the one place for it, and a quick one.

    Parameters
    ----------
    status
        Of what links lead to.
    known
        What it was when it was hashed last; it tells nothing of a file that changed since.
    """
    if not stat.S_ISREG(status.st_mode):
        return Verdict.UNEXPECTED_KIND
    if row.size_bytes != status.st_size and row.size_bytes is not None:
        return Verdict.WRONG_SIZE
    if known is not None and known.is_of(status):
        if not known.file_sha1:
            return Verdict.UNREADABLE
        if row.file_sha1 != known.file_sha1 and row.file_sha1 is not None:
            return Verdict.WRONG_SUM
    return Verdict.OFFLINE if is_offline(status) else Verdict.OK


def kind_of(status: os.stat_result) -> str:
    """Name what stands where a regular file should."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "unknown kind of file")


def is_offline(status: os.stat_result) -> bool:
    """Tell whether the bytes of a file are elsewhere: to read them would call them back from tape."""
    return status.st_blocks == 0 and status.st_size > _IN_INODE_BYTES


def is_changed_content(row: ManifestRow, status: os.stat_result, known: Hashed | None) -> bool:
    """Tell whether it is the catalogue that changed: the file is as it was when it was right."""
    return (
        known is not None
        and known.was_right
        and known.is_of(status)
        and (row.file_sha1 not in {None, known.file_sha1} or row.size_bytes not in {None, known.size_bytes})
    )


def is_replaced(policy: Policy, row: ManifestRow, status: os.stat_result, known: Hashed | None) -> bool:
    """Tell whether a wrong file is to be replaced."""
    return policy.repairs or (policy.follows_changes and is_changed_content(row, status, known))


def flaw(row: ManifestRow, status: os.stat_result, known: Hashed | None) -> str | None:
    """Say what is wrong with a file that is there, None where nothing is known to be."""
    verdict = decide(row, status, known)
    return _tell(row, verdict, status, known).reason if verdict.is_bad else None


def judge(row: ManifestRow, path: Path, status: os.stat_result | None, known: Hashed | None) -> VerdictRow:
    """Tell all that is known of a file, as `decide` decides.

    Parameters
    ----------
    path
        Where it lies; looked at again only where there was nothing.
    status
        Of what links lead to; None where that is nothing.
    """
    if status is None:
        return _look_closer(row, path, known)
    return _tell(row, decide(row, status, known), status, known)


def unreadable(row: ManifestRow, why: str) -> VerdictRow:
    """Tell that the bytes of a file cannot be had."""
    return VerdictRow(row.name, Verdict.UNREADABLE, reason=f"{row.path} cannot be read: {why}")


def cause(error: OSError) -> str:
    """Say what the system said, with the name by which people look it up."""
    return f"{error.strerror} ({errno.errorcode.get(error.errno or 0, error.errno)})"


def _look_closer(row: ManifestRow, path: Path, known: Hashed | None) -> VerdictRow:
    why = ""
    try:
        # Most often there is nothing at all, which a look at the link tells as well, and once.
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            target = os.fspath(path.readlink())
            why = f": a dangling link to {target if target.isprintable() else repr(target)}"
            status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno != errno.ELOOP:
            return unreadable(row, cause(error))
        why = ": a loop of links"
    else:  # it has come meanwhile
        return _tell(row, decide(row, status, known), status, known)
    return VerdictRow(row.name, Verdict.MISSING, reason=f"{row.path} is missing{why}")


def _tell(row: ManifestRow, verdict: Verdict, status: os.stat_result, known: Hashed | None) -> VerdictRow:
    expected = found = reason = ""
    if verdict is Verdict.UNEXPECTED_KIND:
        expected, found = "regular file", kind_of(status)
        reason = f"{row.path} is not a regular file"
    elif verdict is Verdict.WRONG_SIZE:
        expected, found = str(row.size_bytes), str(status.st_size)
        reason = f"{row.path} has {found} bytes, the catalogue says {expected}"
    elif verdict is Verdict.WRONG_SUM and known is not None:
        expected, found = row.file_sha1 or "", known.file_sha1
        reason = f"{row.path} has the SHA-1 {found}, the catalogue says {expected}, hashed {known.when} UTC"
    elif verdict is Verdict.UNREADABLE and known is not None:
        reason = f"{row.path} could not be read, {known.when} UTC"
    elif verdict is Verdict.OFFLINE:
        reason = f"{row.path} is not on this disk: its bytes were not looked at"
    if is_changed_content(row, status, known):
        reason += "; the catalogue changed: it was right when it was hashed"
    return VerdictRow(row.name, verdict, expected, found, reason)
