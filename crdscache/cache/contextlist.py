"""A context as a list of sums: all its mappings and references, as `sha1sum -c` reads it.

Source: docs/design.md, "Context lists".
"""

import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from crdscache.cache import treehash
from crdscache.cache.layout import Mode
from crdscache.contexts import names
from crdscache.contexts.records import FileRecord, Kind, ManifestRow, Problem
from crdscache.errors import SettingsError, UnsafeNameError

VERSION = 1
MAX_BYTES = 2**28
MAX_FILES = 2**20

_FIRST_LINE = f"# crdscache context-list {VERSION}"
_KEYS = ("context", "observatory", "server", "catalogue of", "layout", "files", "bytes", "tree hash")
_N_HEAD_LINES = 1 + len(_KEYS)
_MAPPING = "mapping"
_MAX_TEXT = 500
_ABOUT = re.compile(r"# ([0-9]{1,19}) (mapping|[a-z0-9_-]+/[a-z0-9_-]+) (.*)")
_SUM = re.compile(r"([0-9a-f]{40})  (.*)")
_NUMBER = re.compile(r"[0-9]{1,19}")


class Listed(NamedTuple):
    """One file of a list: a tuple, as there are tens of thousands."""

    path: str  # from the root of a cache whose branches are where they usually are
    size_bytes: int
    file_sha1: str
    part: str  # instrument and type of a reference, as `acs/darkfile`; `mapping` of a mapping

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ContextList:
    """All files of a context, whole and right when it was written."""

    context: str
    observatory: str
    server: str
    catalogued: str  # when the server's catalogue was asked for, by its own clock
    mode: Mode
    files: tuple[Listed, ...]  # in order of path

    @property
    def size_bytes(self) -> int:
        """The bytes of all files."""
        return sum(one.size_bytes for one in self.files)

    @property
    def tree_hash(self) -> str:
        """What `cache_config --tree-hash` says of a cache that has just these files."""
        return treehash.of((one.path, one.file_sha1) for one in self.files)

    @property
    def names(self) -> frozenset[str]:
        """The names of all files."""
        return frozenset(one.name for one in self.files)

    def records(self, rejected: frozenset[str]) -> dict[str, FileRecord]:
        """Describe the files as a catalogue does; `rejected` are those that the server has rejected."""
        return {
            (name := one.name): FileRecord(name, one.size_bytes, one.file_sha1, is_rejected=name in rejected)
            for one in self.files
        }


def text(listing: ContextList) -> str:
    """Write a list; the same files give the same text."""
    files = sorted(listing.files, key=attrgetter("path"))
    values = (
        listing.context,
        listing.observatory,
        _one_line(listing.server),
        _one_line(listing.catalogued),
        listing.mode.value,
        str(len(files)),
        str(listing.size_bytes),
        listing.tree_hash,
    )
    head = [_FIRST_LINE, *(f"# {key}: {value}" for key, value in zip(_KEYS, values, strict=True))]
    body = [f"# {one.size_bytes} {one.part} {one.path}\n{one.file_sha1}  {one.path}" for one in files]
    return "\n".join([*head, *body, ""])


def _one_line(value: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() else " " for c in value)[:_MAX_TEXT].strip()


def read(path: Path, observatory: str | None = None) -> ContextList:
    """Read a list, and make sure that it is whole and that nothing of it leads out of a cache.

    Parameters
    ----------
    observatory
        Which one's it must be; None: any.

    Raises
    ------
    SettingsError
        It is no such list; the message names the file, the line and what is wrong.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            message = f"{path}: expected a regular file of at most {MAX_BYTES} bytes"
            raise SettingsError(message)
        lines = path.read_bytes().decode("ascii").split("\n")
    except OSError as error:
        message = f"{path}: the list cannot be read: {error.strerror}"
        raise SettingsError(message) from error
    except UnicodeDecodeError as error:
        n_before = error.object[: error.start].count(b"\n")
        message = f"{path}, line {n_before + 1}: expected ASCII, found other bytes"
        raise SettingsError(message) from error
    try:
        return _parse(lines, observatory)
    except _LineError as error:
        message = f"{path}, line {error.line}: {error}"
        raise SettingsError(message) from error


class _LineError(Exception):
    """A line of a list makes no sense."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def _parse(lines: list[str], observatory: str | None) -> ContextList:
    head = _head(lines, observatory)
    n_files = int(head["files"])
    if n_files > MAX_FILES:
        raise _LineError(1 + _KEYS.index("files") + 1, f"more than {MAX_FILES} files")
    n_lines = len(lines) - 1  # behind the last line feed there is nothing
    if lines[-1] or n_lines != _N_HEAD_LINES + 2 * n_files:
        reason = f"the list ends here, but {n_files} files make {_N_HEAD_LINES + 2 * n_files} lines"
        raise _LineError(len(lines) if lines[-1] else n_lines, reason)
    mode = Mode(head["layout"])
    files = tuple(_files(lines, head["observatory"], mode))
    made = ContextList(
        head["context"], head["observatory"], head["server"], head["catalogue of"], mode, files
    )
    for key, found in (("bytes", str(made.size_bytes)), ("tree hash", made.tree_hash)):
        if head[key] != found:
            raise _LineError(2 + _KEYS.index(key), f"{key} is {head[key]}, the lines below give {found}")
    if made.context not in made.names:
        raise _LineError(2, f"the context {made.context} is not in the list")
    return made


def _head(lines: list[str], observatory: str | None) -> dict[str, str]:
    if lines[0] != _FIRST_LINE:
        raise _LineError(1, f"expected {_FIRST_LINE!r}, found {lines[0]!r:.80}")
    head = {}
    for number, key in enumerate(_KEYS, start=2):
        line = lines[number - 1] if number <= len(lines) else ""
        found, colon, value = line.removeprefix("# ").partition(": ")
        if not line.startswith("# ") or found != key or not colon or not value.isprintable():
            raise _LineError(number, f"expected '# {key}: ...', found {line!r:.80}")
        head[key] = value
        reason = _nonsense(key, value, observatory)
        if reason is not None or len(value) > _MAX_TEXT:
            raise _LineError(number, reason or f"more than {_MAX_TEXT} characters")
    return head


def _nonsense(key: str, value: str, observatory: str | None) -> str | None:
    """Say what is wrong with a value of the head."""
    wrong = {
        "context": not value.endswith(".pmap") or not _is_safe(value),
        "observatory": value not in names.OBSERVATORIES,
        "layout": value not in {mode.value for mode in Mode},
        "files": _NUMBER.fullmatch(value) is None,
        "bytes": _NUMBER.fullmatch(value) is None,
    }
    if wrong.get(key):
        return f"the {key} is {value!r:.80}"
    if key == "observatory" and observatory not in {None, value}:
        return f"the list is for {value}, the cache for {observatory}"
    return None


def _is_safe(name: str) -> bool:
    try:
        names.require_safe(name)
    except UnsafeNameError:
        return False
    return True


def _files(lines: list[str], observatory: str, mode: Mode) -> Iterator[Listed]:
    seen: dict[str, int] = {}
    before = ""
    for number in range(_N_HEAD_LINES, len(lines) - 1, 2):
        about, summed = _ABOUT.fullmatch(lines[number]), _SUM.fullmatch(lines[number + 1])
        if about is None:
            raise _LineError(number + 1, f"expected '# SIZE TYPE PATH', found {lines[number]!r:.120}")
        if summed is None:
            raise _LineError(number + 2, f"expected 'SHA1  PATH', found {lines[number + 1]!r:.120}")
        size, part, path = about.groups()
        if summed[2] != path:
            raise _LineError(number + 2, f"the line before is about {path!r:.160}")
        reason = _misplaced(path, part, observatory, mode)
        if reason is not None:
            raise _LineError(number + 1, reason)
        one = Listed(path, int(size), summed[1], part)
        if one.name in seen:
            raise _LineError(number + 1, f"{one.name} stands in line {seen[one.name]} already")
        if path < before:
            raise _LineError(number + 1, f"{path} comes before {before}: the lines must be in order")
        seen[one.name], before = number + 1, path
        yield one


def _misplaced(path: str, part: str, observatory: str, mode: Mode) -> str | None:
    """Say why a file may not lie there; None where it may."""
    name = path.rpartition("/")[2]
    if not _is_safe(name):
        return f"{path!r:.160} is refused: no safe file name"
    if names.is_mapping(name) is not (part == _MAPPING):
        return f"{name} is not of type {part}"
    instrument = part.partition("/")[0]
    usual = path_of(name, part, observatory, mode)
    if not _is_safe(instrument) or path != usual:
        return f"{path!r:.160} is refused: in the layout {mode.value} it must be {usual!r:.160}"
    return None


def part_of(row: ManifestRow) -> str:
    """Name what a file is counted with."""
    return _MAPPING if row.kind is Kind.MAPPING else f"{row.instrument}/{row.reftype}"


def path_of(name: str, part: str, observatory: str, mode: Mode) -> str:
    """Tell where a file lies in a cache whose branches are where they usually are."""
    if part == _MAPPING:
        return f"mappings/{observatory}/{name}"
    below = "" if mode is Mode.FLAT else f"{part.partition('/')[0]}/"
    return f"references/{observatory}/{below}{name}"


def departures(listed: frozenset[str], needed: Iterable[str]) -> Iterator[Problem]:
    """Tell where the files of a context are not those that a list says it has."""
    found = frozenset(needed)
    for name in sorted(found - listed):
        yield Problem(name, "the context needs it, but the list does not have it")
    for name in sorted(listed - found):
        yield Problem(name, "the list has it, but the context does not need it")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one file from one list to another."""

    name: str
    kind: str  # added, removed, changed
    part: str
    old_bytes: int
    new_bytes: int
    old_sha1: str = ""
    new_sha1: str = ""


KINDS = ("added", "removed", "changed")


def compare(old: ContextList, new: ContextList) -> list[Change]:
    """Tell which files came, went or changed, in order of name; where they lie does not count.

    Raises
    ------
    SettingsError
        The lists are of two observatories.
    """
    if old.observatory != new.observatory:
        message = f"the lists are of two observatories: {old.observatory}, {new.observatory}"
        raise SettingsError(message)
    before, after = ({one.name: one for one in each.files} for each in (old, new))
    return [
        _change(name, before, after)
        for name in sorted(before.keys() | after.keys())
        if name not in before or name not in after or before[name].file_sha1 != after[name].file_sha1
    ]


def _change(name: str, before: Mapping[str, Listed], after: Mapping[str, Listed]) -> Change:
    old, new = before.get(name), after.get(name)
    if new is None:
        one = before[name]
        return Change(name, "removed", one.part, one.size_bytes, 0, one.file_sha1)
    if old is None:
        return Change(name, "added", new.part, 0, new.size_bytes, "", new.file_sha1)
    return Change(name, "changed", new.part, old.size_bytes, new.size_bytes, old.file_sha1, new.file_sha1)


def changes_text(changes: Iterable[Change]) -> str:
    """Tell changes in lines, by what became of the files and by type, with sums at the end."""
    n_files: Counter[tuple[str, str]] = Counter()
    size_bytes: Counter[tuple[str, str]] = Counter()
    for one in changes:
        for part in (one.part, ""):
            n_files[one.kind, part] += 1
            size_bytes[one.kind, part] += one.old_bytes if one.kind == "removed" else one.new_bytes
    keys = sorted(n_files, key=lambda key: (KINDS.index(key[0]), key[1] == "", key[1]))
    lines = [
        f"{kind:8} {part or 'all':24} {n_files[kind, part]:8} files {size_bytes[kind, part]:18} bytes"
        for kind, part in keys
    ]
    return "\n".join([*lines, ""]) if lines else "nothing has changed\n"
