"""Who may write a cache, and with which modes: one account, or the accounts of one group.

Source: docs/design.md, "A shared cache".
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from crdscache.cache import accounts
from crdscache.cache.layout import Access, Layout
from crdscache.errors import StrangerError

_UMASKS = {
    Access.GROUP_WRITES: 0o002,
    Access.OWNER_WRITES: 0o022,
    Access.GROUP_ONLY: 0o007,
    Access.GROUP_READS: 0o027,
    Access.OWNER_ONLY: 0o077,
}


@dataclass(frozen=True, slots=True)
class Writers:
    """Whose files a cache has."""

    owner: int  # user id
    group: int | None  # group id; None: the owner alone writes

    def __str__(self) -> str:
        """Tell who may write, by name."""
        or_group = "" if self.group is None else f" or in group {accounts.group(self.group)}"
        return f"user {accounts.user(self.owner)}{or_group}"


def umask(cache: Layout) -> int:
    """Tell the umask of a writer: that of the settings, else as the root says."""
    if cache.access is not Access.AUTO:
        return _UMASKS[cache.access]
    return _UMASKS[Access.OWNER_WRITES if _group_of(cache.root) is None else Access.GROUP_WRITES]


def settle_umask(cache: Layout) -> None:
    """Let all that this process and its children make have the modes of the cache, whoever started it."""
    os.umask(umask(cache))


def present(cache: Layout, *signs: Path) -> Writers:
    """Tell whose a cache is: the owner of the first of some files that is there, else who runs this."""
    owner = os.geteuid()
    for path in signs:
        with suppress(OSError):
            owner = path.stat().st_uid
            break
    return Writers(owner, None if umask(cache) & stat.S_IWGRP else _group_of(cache.root))


def require(cache: Layout, owner: int) -> None:
    """Make sure that the other writers of a cache could replace what this process makes.

    Raises
    ------
    StrangerError
        They could not; nothing was made.
    """
    group = present(cache).group
    mine = {os.getegid(), *os.getgroups()}
    if os.geteuid() != owner and group not in mine:
        message = (
            f"{cache.root} is written by {Writers(owner, group)}; this is user "
            f"{accounts.user(os.geteuid())} in group {', '.join(map(accounts.group, sorted(mine)))}, whose "
            "files they could not replace. To another owner: chown -R, then remote_cache_init --rebind URL"
        )
        raise StrangerError(message)
    if group is not None:
        _require_group(cache)


def _require_group(cache: Layout) -> None:
    for directory in (cache.root, cache.state, cache.mappings, cache.references, cache.config):
        with suppress(FileNotFoundError, NotADirectoryError):
            status = directory.stat()
            if not status.st_mode & stat.S_ISGID and status.st_gid != os.getegid():
                message = (
                    f"{directory} is of group {accounts.group(status.st_gid)}, but what is made there would "
                    f"be of group {accounts.group(os.getegid())}, which the other writers could not replace: "
                    f"chmod g+s all directories of {cache.root}"
                )
                raise StrangerError(message)


def _group_of(root: Path) -> int | None:
    """Tell the group whose members may write in a root, there or to be made; None: its owner alone."""
    while not root.exists() and root != root.parent:
        root = root.parent
    status = root.stat()
    # A directory that all may write to is that of no group: /tmp, say.
    is_shared = status.st_mode & stat.S_ISGID or not status.st_mode & stat.S_IWOTH
    return status.st_gid if is_shared and status.st_mode & stat.S_IWGRP else None
