"""One sum for all files of a cache: two caches with the same one have the same files. Every byte is read.

Source: docs/design.md, "Context lists".
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from crdscache.cache import inventory, sums, verdicts
from crdscache.cache.layout import Layout
from crdscache.contexts import names
from crdscache.contexts.records import Problem


@dataclass(frozen=True, slots=True)
class TreeHash:
    """What was read of a cache."""

    tree_hash: str | None  # None where something could not be read
    n_files: int
    size_bytes: int
    problems: tuple[Problem, ...]


def of(files: Iterable[tuple[str, str]]) -> str:
    """Sum up paths and sums: the SHA-1 of the lines that `sha1sum` writes, in order of path."""
    lines = [f"{file_sha1}  {path}\n" for path, file_sha1 in sorted(files)]
    return hashlib.sha1("".join(lines).encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()


def read(cache: Layout, n_threads: int) -> TreeHash:
    """Read all files among the mappings and references of a cache; what links lead to counts."""
    problems: list[Problem] = []
    found = list(_files(cache, problems))
    with ThreadPoolExecutor(n_threads) as pool:
        done = list(pool.map(_sum, found))
    files = []
    size_bytes = 0
    for (path, _), (file_sha1, figure) in zip(found, done, strict=True):
        if isinstance(figure, str):
            problems.append(Problem(path, figure))
        else:
            files.append((path, file_sha1))
            size_bytes += figure
    return TreeHash(None if problems else of(files), len(files), size_bytes, tuple(problems))


def _sum(found: tuple[str, Path]) -> tuple[str, int | str]:
    """Give the sum of a file and its length; else why there is none."""
    try:
        with sums.opened(found[1]) as descriptor:
            if descriptor is None:
                return "", "it is not a regular file"
            return sums.file_sha1(descriptor)
    except OSError as error:
        return "", f"it cannot be read: {verdicts.cause(error)}"


def _files(cache: Layout, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    """Yield what lies there but for directories and our own temporaries, by the paths that a list has."""
    instruments = names.INSTRUMENTS[cache.observatory]
    waiting = [
        (f"{branch}/{cache.observatory}", place)
        for branch, place in (("mappings", cache.mappings), ("references", cache.references))
        if place.is_dir()
    ]
    links: list[tuple[bool, str, Path]] = []
    visited: set[tuple[int, int]] = set()
    while waiting or links:
        if not waiting:
            # Links last: a directory counts by its own name, if it has one here; else by its instrument's.
            links.sort(reverse=True)
            waiting.append(links.pop()[1:])
        where, directory = waiting.pop()
        try:
            inside = _entries(directory, visited)
        except OSError as error:
            problems.append(Problem(where, f"it cannot be read: {verdicts.cause(error)}"))
            continue
        for entry in inside:
            path = f"{where}/{entry.name}"
            if not _is_directory(entry):
                yield path, Path(entry.path)
            elif entry.is_symlink():
                links.append((entry.name not in instruments, path, Path(entry.path)))
            else:
                waiting.append((path, Path(entry.path)))


def _entries(directory: Path, visited: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """List what lies in a directory that was not visited before; nothing of one that was."""
    status = directory.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return []
    visited.add(identity)
    with os.scandir(directory) as entries:
        return [
            entry
            for entry in sorted(entries, key=lambda entry: entry.name)
            if not inventory.is_ours(entry.name)
        ]


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISDIR(entry.stat().st_mode)
    except OSError:  # a dangling link, or a loop: to be told when it is read
        return False
