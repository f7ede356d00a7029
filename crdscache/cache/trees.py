"""The trees that a site has already: which files lie there, found by name."""

import errno
import logging
import os
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from crdscache.cache import verdicts, verify
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Sighting, SightingRow
from crdscache.errors import SettingsError

logger = logging.getLogger(__name__)

_LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Found(NamedTuple):
    """One file of a tree: a tuple, as there are tens of thousands."""

    tree: int  # its place among the trees
    path: str  # absolute, through the tree as it was named
    name: str
    size_bytes: int


def require_apart(trees: Sequence[Path], cache: Layout) -> None:
    """Make sure that trees are there, and neither in the cache nor in each other.

    Raises
    ------
    SettingsError
        One is not; the message names it.
    """
    ours = [place.resolve() for place in _places(cache)]
    seen: list[Path] = []
    for tree in trees:
        if not tree.is_absolute() or not os.access(tree, os.R_OK | os.X_OK) or not tree.is_dir():
            message = f"adopt: expected a directory that can be read, by an absolute path; found {tree}"
            raise SettingsError(message)
        real = tree.resolve()
        for other in (*ours, *seen):
            if real.is_relative_to(other) or other.is_relative_to(real):
                message = f"adopt: {tree} and {other} lie in each other: a tree must be apart"
                raise SettingsError(message)
        seen.append(real)


def _places(cache: Layout) -> tuple[Path, ...]:
    return cache.root, cache.mappings, cache.references, cache.config


class Forest:
    """The files of some trees, read when they are first asked for, each once.

    Parameters
    ----------
    trees
        The first one is preferred.
    """

    def __init__(self, trees: Sequence[Path], cache: Layout) -> None:
        self._trees, self._cache = trees, cache
        self._files: list[Found] | None = None
        self._unreadable: list[SightingRow] = []

    def files(self) -> list[Found]:
        """List the regular files, in order of tree and path."""
        if self._files is None:
            closed = [place.resolve() for place in _places(self._cache)]
            known = (*_places(self._cache), *self._trees)
            visited = {identity for place in known if (identity := _identity(place))}
            walks = (_Walk(number, closed, visited, self._unreadable) for number in range(len(self._trees)))
            self._files = [
                found
                for walk, tree in zip(walks, self._trees, strict=True)
                for found in walk.files(str(tree))
            ]
        return self._files

    def unreadable(self) -> list[SightingRow]:
        """List what is no file, or cannot be looked at."""
        self.files()
        return self._unreadable


def _identity(place: Path) -> tuple[int, int] | None:
    try:
        status = place.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _entries(place: str) -> list[os.DirEntry[str]]:
    with os.scandir(place) as entries:
        return list(entries)


class _Walk:
    """Reads a tree without recursion; directories are followed through links, none twice.

    Parameters
    ----------
    closed
        What lies there is never looked through.
    visited
        Directories that were, or need not be.
    """

    def __init__(
        self,
        number: int,
        closed: Sequence[Path],
        visited: set[tuple[int, int]],
        unreadable: list[SightingRow],
    ) -> None:
        self._number, self._closed = number, closed
        self._visited, self._unreadable = visited, unreadable
        self._found: list[Found] = []
        self._waiting: list[str] = []
        self._links: list[tuple[str, tuple[int, int]]] = []  # to directories

    def files(self, tree: str) -> list[Found]:
        """List the regular files below a directory, in order of path."""
        self._waiting.append(tree)
        while self._waiting or self._links:
            if not self._waiting:
                # The last to be looked at: a link may be moved, and what was adopted through it with it.
                self._links.sort(reverse=True)
                self._visit(*self._links.pop(), is_link=True)
                continue
            place = self._waiting.pop()
            try:
                entries = verify.again_once(partial(_entries, place))
            except OSError as error:
                self._refuse(place, verdicts.cause(error))
            else:
                for entry in entries:
                    self._look(entry)
        self._found.sort()
        return self._found

    def _look(self, entry: os.DirEntry[str]) -> None:
        try:
            status = verify.again_once(entry.stat)
        except OSError as error:
            is_dangling = entry.is_symlink() and error.errno in _LEADS_NOWHERE
            self._refuse(entry.path, ("a dangling link: " if is_dangling else "") + verdicts.cause(error))
            return
        identity = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode):
            self._found.append(Found(self._number, entry.path, entry.name, status.st_size))
        elif not stat.S_ISDIR(status.st_mode):
            self._refuse(entry.path, f"it is a {verdicts.kind_of(status)}")
        elif entry.is_symlink():
            self._links.append((entry.path, identity))
        else:
            self._visit(entry.path, identity)

    def _visit(self, path: str, identity: tuple[int, int], *, is_link: bool = False) -> None:
        is_closed = is_link and any(Path(path).resolve().is_relative_to(place) for place in self._closed)
        if is_closed or identity in self._visited:
            logger.warning("not looked through again, or it is the cache's own path=%s", path)
        else:
            self._visited.add(identity)
            self._waiting.append(path)

    def _refuse(self, path: str, why: str) -> None:
        name = path.rpartition("/")[2]
        self._unreadable.append(SightingRow(path, name, Sighting.UNREADABLE, why))
