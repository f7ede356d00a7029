"""Changes of a header before a look-up, and after a failed one: rules that are code in the client.

Source: docs/protocol.md, "Hooks".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from crdscache.bestrefs import dates
from crdscache.bestrefs.answers import UNDEFINED
from crdscache.bestrefs.conditioning import NOT_APPLICABLE, condition
from crdscache.contexts.mapping import Value

Header: TypeAlias = Mapping[str, str]
Hook: TypeAlias = Callable[[Header], Header]

_ACS_REPAIR = "2002-03-30 00:00:00"
_ACS_SERVICING = "2009-05-14 00:00:00"
# Dates at which a hook begins to act otherwise.
THRESHOLDS = frozenset({_ACS_REPAIR, _ACS_SERVICING})
TIME_PARKEYS = ("DATE-OBS", "TIME-OBS")
# A time in each of the eras between them.
ERAS = tuple(
    dict(zip(TIME_PARKEYS, (day, "00:00:00"), strict=True))
    for day in ("2000-01-01", "2005-01-01", "2010-01-01")
)
# All that any of them looks at.
INPUTS = frozenset(
    {
        *TIME_PARKEYS,
        *("APERTURE", "CCDAMP", "CCDGAIN", "DETECTOR", "FILTER1", "FILTER2", "NAXIS1", "NAXIS2"),
        *("NUMCOLS", "NUMROWS", "SUBARRAY", "XCORNER", "YCORNER"),
    }
)
_OLD_CHIP_COLUMNS = 2048
_FULL_FRAME = {"DETECTOR": "WFC", "XCORNER": "0.0", "YCORNER": "0.0"}
_BOTH_AMPLIFIERS = {"A": "AD", "D": "AD", "B": "BC", "C": "BC"}


class HookError(Exception):
    """A hook cannot read the header."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What an rmap does to headers."""

    precondition: Hook | None = None
    fallback: Hook | None = None


def of(header: Mapping[str, Value], instrument: str, reftype: str) -> Hooks:
    """Find the hooks of an rmap: those it names, else those with the name of its type; unknown ones are none.

    Parameters
    ----------
    header
        The rmap's.
    """
    named = header.get("hooks")

    def find(kind: str) -> Hook | None:
        default = f"{kind}_header_{instrument}_{reftype}_v1"
        name = named.get(f"{kind}_header") if isinstance(named, dict) and named else default
        # The client looks among the hooks of the instrument only.
        return _KNOWN.get(name) if isinstance(name, str) and f"_header_{instrument}_" in name else None

    return Hooks(find("precondition"), find("fallback"))


def _value(header: Header, key: str) -> str:
    """Take a value; no rule of the instrument asks for it if it is not there."""
    if key not in header:
        raise HookError(repr(key))
    return header[key]


def _time(header: Header) -> str:
    try:
        return dates.normal_form(" ".join(_value(header, parkey) for parkey in TIME_PARKEYS))
    except dates.DateError as error:
        raise HookError(str(error)) from error


def _whole(header: Header, key: str) -> int | None:
    try:
        return int(float(_value(header, key)))
    except ValueError:
        return None
    except OverflowError as error:  # of infinity the client makes no exception
        raise HookError(str(error)) from error


def _acs_biasfile(header: Header, columns: str, rows: str) -> Header:
    """Bring the size of the raw image, and how it was read, to what the rules know."""
    changed, time = dict(header), _time(header)
    if time < _ACS_SERVICING:
        changed["APERTURE"] = NOT_APPLICABLE
    n_columns = _whole(header, columns)
    if n_columns is not None:
        changed[columns] = condition(n_columns)
        if time < _ACS_SERVICING and n_columns > _OLD_CHIP_COLUMNS:
            amplifiers = _value(header, "CCDAMP")
            changed["CCDAMP"] = _BOTH_AMPLIFIERS.get(amplifiers, amplifiers)
    is_full_frame = all(_value(header, key) == value for key, value in _FULL_FRAME.items())
    n_rows = _whole(header, rows) if is_full_frame else None
    if n_rows is not None:
        changed[rows] = condition(n_rows / 2)
    return changed


def _acs_biasfile_v1(header: Header) -> Header:
    return _acs_biasfile(header, "NUMCOLS", "NUMROWS")


def _acs_biasfile_v2(header: Header) -> Header:
    return _acs_biasfile(header, "NAXIS1", "NAXIS2")


def _acs_biasfile_v3(header: Header) -> Header:
    return _acs_biasfile_v2(header) if _is_without_own_bias(header) else header


def _is_without_own_bias(header: Header) -> bool:
    """Tell whether an image shares the bias of the whole frame; the tests end at the first that says so."""
    time = _time(header)
    if _value(header, "DETECTOR") != "WFC" or time < _ACS_REPAIR:
        return True
    if header.get("APERTURE", UNDEFINED) == UNDEFINED:
        return True
    try:
        gain = float(_value(header, "CCDGAIN"))
    except ValueError as error:
        raise HookError(str(error)) from error
    return gain in {4, 8} or _value(header, "CCDAMP") in {"AD", "BC"}


def _acs_biasfile_whole_frame(header: Header, ltv: str) -> Header:
    """Fall back to the bias of the whole frame."""
    for key in ("NAXIS1", "NAXIS2", f"{ltv}1", f"{ltv}2"):  # the client tells what they were
        _value(header, key)
    if _value(header, "DETECTOR") == "WFC":
        return {**header, "NAXIS1": "4144.0", "NAXIS2": "2068.0", f"{ltv}1": "24.0", f"{ltv}2": "0.0"}
    ltv2 = "0.0" if _value(header, "CCDAMP") in {"C", "D"} else "20.0"
    return {**header, "NAXIS1": "1062.0", "NAXIS2": "1044.0", f"{ltv}1": "19.0", f"{ltv}2": ltv2}


def _acs_biasfile_fallback_v2(header: Header) -> Header:
    return _acs_biasfile_whole_frame(_acs_biasfile_v2(header), "LTV")


def _acs_biasfile_fallback_v3(header: Header) -> Header:
    return _acs_biasfile_whole_frame(_acs_biasfile_v3(header), "RAW_LTV")


def _wfc3_biasfile_v1(header: Header) -> Header:
    is_own_subarray = _value(header, "SUBARRAY") == "T" and "SUB" not in _value(header, "APERTURE")
    return {**header, "APERTURE": NOT_APPLICABLE} if is_own_subarray else header


def _wfpc2_flatfile_fallback_v1(header: Header) -> Header:
    first, second = (_value(header, key) for key in ("FILTER1", "FILTER2"))
    return {**header, "FILTER1": second, "FILTER2": first}


_KNOWN: Mapping[str, Hook] = {
    "precondition_header_acs_biasfile_v1": _acs_biasfile_v1,
    "precondition_header_acs_biasfile_v2": _acs_biasfile_v2,
    "precondition_header_acs_biasfile_v3": _acs_biasfile_v3,
    "fallback_header_acs_biasfile_v2": _acs_biasfile_fallback_v2,
    "fallback_header_acs_biasfile_v3": _acs_biasfile_fallback_v3,
    "precondition_header_wfc3_biasfile_v1": _wfc3_biasfile_v1,
    "fallback_header_wfpc2_flatfile_v1": _wfpc2_flatfile_fallback_v1,
}
