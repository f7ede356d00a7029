"""The server's catalogue: size and sum of every file."""

import binascii
import re
from dataclasses import dataclass

from crdscache.contexts import names
from crdscache.contexts.records import FileRecord, Problem
from crdscache.errors import ServerError, UnsafeNameError

_MAX_SIZE = 2**63 - 1
_SIZE_DIGITS = len(str(_MAX_SIZE))
_SHA1_DIGITS = 40
_USUAL = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9._-]{0,120}\.(?:fits|asdf|json|[pir]map|r[0-9][hd]) [0-9]{1,18} [0-9a-f]{40}",
    re.ASCII,
)
_NO_SUM = frozenset({"", "none"})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The files that the server knows, and the entries of its answer that make no sense."""

    records: dict[str, FileRecord]
    problems: tuple[Problem, ...] = ()

    def rejects(self, name: str) -> bool:
        """Tell whether the server has rejected a file, or the header of which it is the data."""
        halves = (self.records.get(half) for half in (name, names.geis_header(name)) if half is not None)
        return any(record is not None and record.is_rejected for record in halves)


def from_metadata(metadata: object, bad_files: frozenset[str]) -> Catalogue:
    """Check the server's table of sizes and sums, entry by entry.

    Parameters
    ----------
    metadata : ``{name: {"size": "12", "sha1sum": "..."}}``
    bad_files : names that the server has rejected

    Raises
    ------
    ServerError
        It is no such table at all.
    """
    if not isinstance(metadata, dict):
        raise ServerError(f"the catalogue is no table of files but a {type(metadata).__name__}")
    records: dict[str, FileRecord] = {}
    problems: list[Problem] = []
    is_usual = _USUAL.fullmatch
    for name, entry in metadata.items():
        if type(entry) is dict:  # what nearly all of tens of thousands are, told by one look
            size, file_sha1 = entry.get("size"), entry.get("sha1sum")
            is_text = type(name) is str and type(file_sha1) is str
            if is_text and type(size) is str and is_usual(f"{name} {size} {file_sha1}"):
                records[name] = FileRecord(name, int(size), file_sha1, "", name in bad_files)
                continue
        try:
            safe = names.require_safe(name)
            if not isinstance(entry, dict):
                raise _EntryError(f"the catalogue's entry is {names.printable(entry)}")
            size_bytes, file_sha1 = _size(entry.get("size")), _file_sha1(entry.get("sha1sum"))
        except (UnsafeNameError, _EntryError) as error:
            problems.append(Problem(names.printable(name), str(error)))
        else:
            records[safe] = FileRecord(safe, size_bytes, file_sha1, is_rejected=safe in bad_files)
    return Catalogue(records, tuple(problems))


class _EntryError(Exception):
    """An entry of the catalogue makes no sense."""


def _size(value: object) -> int:
    # No regular expression here or below: the catalogue has tens of thousands of entries.
    size = value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _SIZE_DIGITS:
        size = int(value)
    # Not isinstance: True is an int for Python.
    if type(size) is int and 0 <= size <= _MAX_SIZE:
        return size
    raise _EntryError(f"the catalogue's size is {names.printable(value)}")


def _file_sha1(value: object) -> str | None:
    if isinstance(value, str) and len(value) == _SHA1_DIGITS:
        try:
            return binascii.unhexlify(value).hex()  # in lower case
        except ValueError as error:
            raise _EntryError(f"the catalogue's sha1sum is {names.printable(value)}") from error
    if isinstance(value, str) and value.lower() in _NO_SUM:
        return None
    raise _EntryError(f"the catalogue's sha1sum is {names.printable(value)}")
