"""What the names of files say, and which of them may become part of a path.

Source: docs/protocol.md, "Names".
"""

import re

from crdscache.errors import UnsafeNameError

# In the order in which an instrument is looked for in a name.
INSTRUMENTS: dict[str, tuple[str, ...]] = {
    "hst": ("acs", "cos", "nicmos", "stis", "synphot", "wfc3", "wfpc2"),
    "jwst": ("fgs", "miri", "nircam", "niriss", "nirspec", "system"),
    "roman": ("wfi",),
    "tobs": ("tinstr",),
}
OBSERVATORIES: tuple[str, ...] = tuple(INSTRUMENTS)

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_LONG = 2**64
_TEMPORARY_ENDINGS = (".part", ".crdstmp", ".lock")
_MAPPING_ENDINGS = (".pmap", ".imap", ".rmap")
_REFERENCE_ENDING = re.compile(r".+\.(fits|asdf|json|yaml|text|r[0-9][hd])", re.IGNORECASE)
_SPECIAL_VALUES = frozenset({"N/A", "OMIT", "TEMP_N/A", "TEMP_OMIT", "UNDEFINED"})
_GEIS_ENDING = re.compile(r"\.r[0-9]h", re.IGNORECASE)
_GEIS_DATA_ENDING = re.compile(r"\.r[0-9]d", re.IGNORECASE)

# hst's pipelines generate names whose first piece ends in a letter for the instrument.
_HST_LETTERS = {
    "j": "acs",
    "o": "stis",
    "n": "nicmos",
    "u": "wfpc2",
    "i": "wfc3",
    "l": "cos",
    "m": "synphot",
}


def require_safe(name: object) -> str:
    """Return the name if it may become part of a path.

    Raises
    ------
    UnsafeNameError
        It is no text, could lead out of its directory, or looks like a temporary or a lock.
    """
    if not isinstance(name, str):
        raise UnsafeNameError(printable(name), "it is no text")
    if _SAFE_NAME.fullmatch(name) is None:
        raise UnsafeNameError(
            name, "only letters, digits and . _ - are allowed, 128 at most, no . or - first"
        )
    # A disk that does not know case would take X.LOCK for x.lock.
    if name.lower().endswith(_TEMPORARY_ENDINGS):
        raise UnsafeNameError(name, "it ends like a temporary or a lock")
    return name


def printable(value: object) -> str:
    """Show what came from outside in one short line that harms no terminal; a safe name as it is."""
    if isinstance(value, str):
        return value if _SAFE_NAME.fullmatch(value) else f"{value!r:.140}"
    # Of a list the text may be endless, and of a long number Python refuses to make one.
    is_short = value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < _LONG)
    return repr(value) if is_short else f"<{type(value).__name__}>"


def is_mapping(name: str) -> bool:
    """Tell whether a name is that of a mapping; any other is a reference's."""
    return name.endswith(_MAPPING_ENDINGS)


def depth(name: str) -> int:
    """Tell how far below a root a file stands: 0 of a pmap, 1 of an imap, 2 of an rmap, 3 of a reference."""
    return _MAPPING_ENDINGS.index(name[-5:]) if is_mapping(name) else len(_MAPPING_ENDINGS)


def is_reference(name: str) -> bool:
    """Tell whether a name is one that references have; source: docs/protocol.md, "Names"."""
    return _SAFE_NAME.fullmatch(name) is not None and _REFERENCE_ENDING.fullmatch(name) is not None


def is_special(value: str) -> bool:
    """Tell whether a value stands where a name could, but says that there is no file."""
    return value.strip().upper() in _SPECIAL_VALUES


def observatory_of(name: str) -> str | None:
    """Tell the observatory that a file belongs to, None if the name does not show it."""
    lowered = name.lower()
    if is_mapping(lowered):
        first = lowered.replace(".", "_").partition("_")[0]
        return first if first in OBSERVATORIES else None
    for observatory in OBSERVATORIES:
        if lowered.startswith(f"{observatory}_") or f"_{observatory}." in lowered:
            return observatory
    return next((each for each in OBSERVATORIES if instrument_of(name, each) is not None), None)


def instrument_of(name: str, observatory: str) -> str | None:
    """Tell the instrument of a reference, None if the name does not show it."""
    lowered = name.lower()
    if observatory == "hst":
        return _hst_instrument(lowered)
    for instrument in INSTRUMENTS.get(observatory, ()):
        if f"_{instrument}_" in lowered or lowered.startswith(f"{instrument}_"):
            return instrument
    return None


def _hst_instrument(lowered: str) -> str | None:
    pieces = lowered.replace(".", "_").split("_")
    match pieces:
        case ["hst", instrument, _, _, *_] if instrument in INSTRUMENTS["hst"]:
            return instrument
    if "syn" in pieces[-2:] or "th" in pieces[-2:]:
        return "synphot"
    return _HST_LETTERS.get(pieces[0][-1:])


def geis_data(name: str) -> str | None:
    """Name the data half of a GEIS header: mappings name only the header; None for any other file."""
    if _GEIS_ENDING.fullmatch(name[-4:]) is None:
        return None
    return name[:-1] + ("d" if name.endswith("h") else "D")


def geis_header(name: str) -> str | None:
    """Name the header half of a GEIS data file; None for any other file."""
    if _GEIS_DATA_ENDING.fullmatch(name[-4:]) is None:
        return None
    return name[:-1] + ("h" if name.endswith("d") else "H")
