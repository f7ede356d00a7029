"""Which values of a header the rules look at, and under which names.

Source: docs/protocol.md, "Parameters".
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crdscache.bestrefs.answers import UNDEFINED
from crdscache.bestrefs.conditioning import condition
from crdscache.bestrefs.expressions import plain
from crdscache.contexts.mapping import Mapping as MappingFile
from crdscache.contexts.mapping import Value
from crdscache.errors import BestrefsError

Header: TypeAlias = Mapping[str, object]  # as a data set has it

_INSTRUMENT_KEYS = (
    "INSTRUME",
    "META.INSTRUMENT.NAME",
    "META_INSTRUMENT_NAME",
    "INSTRUMENT",
    "ROMAN.META.INSTRUMENT.NAME",
    "META.INSTRUMENT.TYPE",
    "META_INSTRUMENT_TYPE",
)
_OLD_NAMES = {"wfii": "wfpc2"}
_OLD_NAMES_IN_FILES = {"hst": "SYNPHOT", "wfii": "WFPC2"}  # letter case counts
# jwst's rules need these beside what they name.
_BUILT_IN = {"jwst": ("META.VISIT.TSOVISIT", "META.INSTRUMENT.LAMP_STATE")}
# FITS keywords that reach the rules of jwst; all others reach none.
_JWST_PATHS = {
    "INSTRUME": "META.INSTRUMENT.NAME",
    "DETECTOR": "META.INSTRUMENT.DETECTOR",
    "FILTER": "META.INSTRUMENT.FILTER",
    "PUPIL": "META.INSTRUMENT.PUPIL",
    "GRATING": "META.INSTRUMENT.GRATING",
    "CHANNEL": "META.INSTRUMENT.CHANNEL",
    "BAND": "META.INSTRUMENT.BAND",
    "MODULE": "META.INSTRUMENT.MODULE",
    "CORONMSK": "META.INSTRUMENT.CORONAGRAPH",
    "LAMP": "META.INSTRUMENT.LAMP_STATE",
    "CAL_VER": "META.CALIBRATION_SOFTWARE_VERSION",
    "EXP_TYPE": "META.EXPOSURE.TYPE",
    "READPATT": "META.EXPOSURE.READPATT",
    "DATE-OBS": "META.OBSERVATION.DATE",
    "TIME-OBS": "META.OBSERVATION.TIME",
    "SUBARRAY": "META.SUBARRAY.NAME",
    "SUBSTRT1": "META.SUBARRAY.XSTART",
    "SUBSTRT2": "META.SUBARRAY.YSTART",
    "SUBSIZE1": "META.SUBARRAY.XSIZE",
    "SUBSIZE2": "META.SUBARRAY.YSIZE",
    "TSOVISIT": "META.VISIT.TSOVISIT",
}


def texts(value: Value) -> tuple[str, ...]:
    """List the names in a header value of a mapping, which may be one or many."""
    if isinstance(value, tuple):
        return tuple(text for each in value for text in texts(each))
    return (value,) if isinstance(value, str) else ()


def levels(rmap: MappingFile) -> tuple[tuple[str, ...], ...]:
    """Tell the parkeys of each level of selectors."""
    parkey = rmap.header["parkey"]
    return tuple(map(texts, parkey)) if isinstance(parkey, tuple) else (texts(parkey),)


def own_names(rmap: MappingFile) -> tuple[str, ...]:
    """List the parameters that an rmap itself asks for, in capitals, each once."""
    switch = rmap.header.get("reffile_switch")
    named = [name for level in levels(rmap) for name in level]
    if isinstance(switch, str) and switch.upper() != "NONE":
        named.append(switch)
    named += texts(rmap.header.get("extra_keys"))
    named += _BUILT_IN.get(rmap.observatory, ())
    return tuple(dict.fromkeys(name.upper() for name in named))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Parameters by the names under which a header may have them."""

    names: tuple[tuple[str, str, str], ...]  # in small letters, in capitals, and as conditions write them

    @classmethod
    def of(cls, names: Iterable[str]) -> "Wanted":
        """Prepare the names, in capitals."""
        return cls(tuple((name.lower(), name, plain(name)) for name in dict.fromkeys(names)))

    def minimum(self, header: Header, form: Callable[[object], str] = condition) -> dict[str, str]:
        """Take the values that the rules look at, in their one form; a name in small letters comes first."""
        found: dict[str, str] = {}
        for lower, upper, underscored in self.names:
            value = header[lower] if lower in header else header.get(upper, UNDEFINED)
            found[upper] = found[underscored] = form(value)
        return found

    def columns(self, headers: Sequence[Header]) -> dict[str, list[object]]:
        """Take the raw values that the rules look at, of many headers, by name in capitals."""
        return {
            upper: [header[lower] if lower in header else header.get(upper, UNDEFINED) for header in headers]
            for lower, upper, _ in self.names
        }


def renamed(header: Header, observatory: str) -> Header:
    """Give the parameters of a header the names that rules have: jwst's FITS keywords become paths."""
    if observatory != "jwst":
        return header
    found: dict[str, object] = {}
    for key, value in header.items():
        upper = key.upper()
        found[upper if upper.startswith("META.") else _JWST_PATHS.get(upper, upper)] = str(value)
    return found


def instrument(header: Header, primary: str, context: str) -> str:
    """Tell the instrument of a header, in lower case.

    Parameters
    ----------
    primary
        The parameter by which the context distinguishes instruments, in capitals.

    Raises
    ------
    BestrefsError
        No key has it, or what it has is no text.
    """
    for key in (primary, primary.lower(), *_INSTRUMENT_KEYS):
        value = header.get(key)
        if value is None and key not in header:
            continue
        if not isinstance(value, str):
            raise BestrefsError(
                "AttributeError", f"{context}: the instrument, {key} = {value!r:.80}, is no text"
            )
        if value.upper() != UNDEFINED:
            return _OLD_NAMES.get(value.lower(), value.lower())
    raise BestrefsError("CrdsError", f"Missing {primary!r} keyword in header for determining instrument.")


def recommended(header: Header, observatory: str) -> dict[str, str]:
    """Prepare a header as the client's `getrecommendations` does: names in capitals, values conditioned."""
    found = {}
    for key, value in header.items():
        upper = key.upper()
        if observatory == "roman" and upper.partition(".")[0] == "META":
            upper = f"ROMAN.{upper}"
        found[upper] = condition(value)
    return found


def identified(header: Header) -> Header:
    """Put the instrument of a file's header under the names by which rules look for it, whatever it has.

    Nothing is changed where no key tells the instrument: the look-up says so.
    """
    for key in _spellings(_INSTRUMENT_KEYS):
        value = str(header.get(key, UNDEFINED))
        if value != UNDEFINED:
            name = _OLD_NAMES_IN_FILES.get(value, value.upper())
            return ChainMap({"INSTRUME": name, "META.INSTRUMENT.NAME": name}, header)  # type: ignore[arg-type]
    return header


def simple(header: Header) -> dict[str, object]:
    """Leave out what is no text, number or truth value."""
    return {key: value for key, value in header.items() if isinstance(value, str | float | int)}


def names_instrument(header: Header) -> bool:
    """Tell whether the instrument stands under a key in capitals or in small letters."""
    return any(str(header.get(key, UNDEFINED)) != UNDEFINED for key in _spellings(_INSTRUMENT_KEYS))


def _spellings(keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        yield from (key.upper(), key.lower())
