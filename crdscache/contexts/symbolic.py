"""Symbolic names of single rules: what a context has for an instrument, or for one of its types.

Source: docs/protocol.md, "Selecting contexts".
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crdscache.contexts import names
from crdscache.contexts.mapping import Mapping
from crdscache.errors import MappingError, SettingsError, UnsafeNameError

# Of a type only: one name for each instrument.
ALL = "all"
# Rules for all instruments at once have no such type; the missions' client leaves it out too.
_NO_INSTRUMENT = "system"
_NARROW = re.compile(
    r"(?P<observatory>[a-z]+)-(?P<instrument>[a-z][a-z0-9]*)(?:-(?P<reftype>[a-z][a-z0-9_-]*?))?"
    r"-(?P<tag>operational|latest|edit|versions|\d{4}-\d\d-\d\d.*)",
    re.ASCII,
)

# Raises MappingError for a mapping that cannot be read, MissingMappingError for one that cannot be had.
Read = Callable[[str], Mapping]


@dataclass(frozen=True, slots=True)
class Narrow:
    """The rules of one instrument, or of one type, or of one type of all instruments."""

    text: str  # as it was asked for
    instrument: str
    reftype: str  # "" for the imap of the instrument
    tag: str  # means a context: edit, say, or a date


def parse(text: str, observatory: str) -> Narrow | None:
    """Read `<observatory>-<instrument>[-<type>]-<tag>`; None where the text is nothing of the kind."""
    found = _NARROW.fullmatch(text)
    if found is None or found["observatory"] != observatory:
        return None
    if found["instrument"] == ALL and not found["reftype"]:
        return None
    return Narrow(text, found["instrument"], found["reftype"] or "", found["tag"])


def find(narrow: Narrow, context: str, read: Read) -> tuple[str, ...]:
    """Find the rules that are meant in a context; none where it says N/A for them.

    Of all instruments those that have no such type are left out.

    Raises
    ------
    SettingsError
        The context has no such instrument, or no instrument has such a type.
    MappingError, MissingMappingError
        A mapping on the way cannot be had, or makes no sense.
    """
    imaps = _entries(context, read)
    if narrow.instrument != ALL:
        found = _one(narrow, context, imaps, narrow.instrument)
        if found is not None and narrow.reftype:
            found = _one(narrow, found, _entries(found, read), narrow.reftype)
        return () if found is None else (found,)
    tables = [
        _entries(imap, read)
        for instrument, imap in imaps.items()
        if imap is not None and instrument != _NO_INSTRUMENT
    ]
    if not any(narrow.reftype in table for table in tables):
        raise SettingsError(f"context {narrow.text!r}: no instrument of {context} has {narrow.reftype!r}")
    rmaps = (table.get(narrow.reftype) for table in tables)
    return tuple(rmap for rmap in rmaps if rmap is not None)


def _one(narrow: Narrow, mapping: str, entries: dict[str, str | None], key: str) -> str | None:
    if key not in entries:
        raise SettingsError(
            f"context {narrow.text!r}: {mapping} has no {key!r}, only {', '.join(sorted(entries))}"
        )
    return entries[key]


def _entries(name: str, read: Read) -> dict[str, str | None]:
    """Map each instrument of a pmap, or type of an imap, to its mapping; None where it says N/A."""
    return dict(_items(name, read(name)))


def _items(name: str, mapping: Mapping) -> Iterator[tuple[str, str | None]]:
    for key, value in mapping.selector.items:
        if not isinstance(key, str) or not isinstance(value, str):
            raise MappingError(name, "expected names of mappings, found a selector")
        if names.is_special(value):
            yield key.lower(), None
            continue
        try:
            yield key.lower(), names.require_safe(value)
        except UnsafeNameError as error:
            raise MappingError(name, str(error)) from error
