"""What random rules and headers are made of: parameters, elements and what fits them, junk, odd times."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

Raw: TypeAlias = Any  # a value as rules or headers write it: text, number, truth value or a tuple of them
Domain: TypeAlias = Sequence[str]
Kind: TypeAlias = Callable[[str, str], tuple[Raw, Sequence[Raw]]]

NAMES = {
    "cos": "hst_cos_flatfile_0001.rmap",
    "acs": "hst_acs_biasfile_0001.rmap",
    "wfc3": "hst_wfc3_biasfile_0001.rmap",
    "wfpc2": "hst_wfpc2_flatfile_0001.rmap",
    "miri": "jwst_miri_dark_0001.rmap",
    "wfi": "roman_wfi_dark_0001.rmap",
}
LETTERS = ("A", "B", "C", "AB", "BX", "T", "F", "UNDEFINED")
_NUMBERS = ("1", "2", "5", "6", "20", "-1", "0.5", "1.4")
_ACS: Mapping[str, Domain] = {
    "DETECTOR": ("WFC", "HRC", "SBC"),
    "CCDAMP": ("A", "B", "C", "D", "AD", "BC", "ABCD"),
    "CCDGAIN": ("0.5", "1", "1.4", "2", "4", "8"),
    "APERTURE": ("WFC", "WFC1-1K", "UVIS-SUB", "UNDEFINED"),
    "NAXIS1": ("4144", "1062", "2048", "62"),
    "NAXIS2": ("4136", "2068", "1044", "4137"),
    "NUMCOLS": ("4144", "1062"),
    "NUMROWS": ("4136", "2068", "1044"),
    "LTV1": ("24", "19"),
    "LTV2": ("0", "20"),
    "RAW_LTV1": ("24", "19"),
    "RAW_LTV2": ("0", "20"),
    "XCORNER": ("0", "1"),
    "YCORNER": ("0", "1"),
}
_WFPC2: Mapping[str, Domain] = {
    "FILTER1": ("F300W", "F450W", "F606W"),
    "FILTER2": ("F300W", "F450W", "F606W"),
}
_COS: Mapping[str, Domain] = {
    "OPT_ELEM": LETTERS,
    "OBSMODE": LETTERS,
    "CENWAVE": _NUMBERS,
    "FPPOS": _NUMBERS,
    "SUBARRAY": ("T", "F", "FULL", "GENERIC"),
}
_MIRI: Mapping[str, Domain] = {
    "META.INSTRUMENT.DETECTOR": ("MIRIMAGE", "MIRIFU", "N/A"),
    "META.INSTRUMENT.FILTER": LETTERS,
    "META.SUBARRAY.NAME": ("FULL", "GENERIC", "SUB64"),
    "META.EXPOSURE.READPATT": ("ALLIRS2", "FAST", "SLOW"),
    "META.SUBARRAY.XSTART": _NUMBERS,
}
_WFI: Mapping[str, Domain] = {
    "ROMAN.META.INSTRUMENT.DETECTOR": LETTERS,
    "ROMAN.META.INSTRUMENT.OPTICAL_ELEMENT": ("F062", "F087", "GRISM"),
    "ROMAN.META.EXPOSURE.NGROUPS": _NUMBERS,
}
_OTHERS = dict.fromkeys(("TEMP", "POSITION", "MAJOR", "MINOR", "VERSION"), _NUMBERS)
# What each parameter is about; the hooks know most of these names.
DOMAINS: Mapping[str, Domain] = {**_ACS, **_WFPC2, **_COS, **_MIRI, **_WFI, **_OTHERS}
PARKEYS = {
    "cos": ("DETECTOR", "CCDGAIN", *_COS),
    "acs": tuple(_ACS),
    "wfc3": ("DETECTOR", "SUBARRAY", "APERTURE", "CCDAMP", "CCDGAIN"),
    "wfpc2": ("DETECTOR", *_WFPC2),
    "miri": tuple(_MIRI),
    "wfi": tuple(_WFI),
}
TIMES = {
    "miri": ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME"),
    "wfi": ("ROMAN.META.EXPOSURE.START_TIME",),
}
FITS_NAMES = {
    "META.INSTRUMENT.DETECTOR": "DETECTOR",
    "META.INSTRUMENT.FILTER": "filter",
    "META.SUBARRAY.NAME": "SUBARRAY",
    "META.OBSERVATION.DATE": "DATE-OBS",
    "META.OBSERVATION.TIME": "time-obs",
}
HOOKS = {
    "acs": ("acs_biasfile_v1", "acs_biasfile_v2", "acs_biasfile_v3", "acs_biasfile_v9"),
    "wfc3": ("wfc3_biasfile_v1", "acs_biasfile_v2"),
    "wfpc2": ("wfpc2_flatfile_v1",),
}
# Classes of selectors, level by level; the most usual ones come often.
SHAPES = (
    *[("Match", "UseAfter")] * 12,
    ("Match",),
    ("UseAfter",),
    ("UseAfter", "Match"),
    ("UseAfter", "Match", "UseAfter"),
    *[("Match", "Match", "UseAfter")] * 2,
    ("Match", "VersionAfter"),
    ("Match", "VersionAfter", "UseAfter"),
    ("Match", "SelectVersion"),
    ("SelectVersion", "Match", "UseAfter"),
    ("Match", "ClosestTime"),
    ("Match", "UseAfter", "ClosestTime"),
    ("Match", "GeometricallyNearest"),
    ("GeometricallyNearest", "UseAfter"),
    ("Match", "Bracket"),
    ("Bracket", "UseAfter"),
    ("Match", "UseAfter", "Bracket"),
)
SIBLINGS = {"UseAfter": "ClosestTime", "VersionAfter": "SelectVersion", "Bracket": "GeometricallyNearest"}

TEXT_KINDS: tuple[Kind, ...] = (
    *[lambda a, _: (a, [a, a.lower(), f" {a} "])] * 5,
    lambda a, _: (a.lower(), [a]),
    lambda a, b: (f"{a}|{b}", [a, b]),
    lambda a, b: (f" {b} | |{a.lower()}", [a, b]),
    lambda a, b: ((a, b), [a, b]),
    lambda a, b: (f"{a[:1]}*|{b}", [a, f"{a[:1]}XX", b]),
    lambda a, b: (f"{a}|?{b[1:]}", [a, b]),
    lambda a, _: (f"[{a[:1]}x]*", [a]),
    lambda a, _: (f"({a}.*)", [a, f"{a}XX"]),
    lambda a, _: (f"{{{a}}}", [a]),
    lambda a, _: (f"{{{a.lower()}}}", [a]),
    lambda a, _: (f"NOT {a}", ["A", "B", "*", "FOO"]),
    lambda a, b: (f"not {a}|{b}", ["C", "FOO"]),
    lambda a, _: (f"#{a}#", [a]),
    lambda a, b: (f"#{a} or {b}#", [a, b]),
    lambda a, _: (f"?{a[1:]}", [f"?{a[1:]}"]),
    lambda a, _: (a == "T", [a]),
)
NUMBER_KINDS: tuple[Kind, ...] = (
    *[lambda a, _: (a, [a, float(a), f"+{a}", f"{a}e0"])] * 3,
    lambda a, _: (float(a), [a]),
    lambda a, _: (f"{float(a):08.3f}", [a]),
    lambda a, b: (f"{a}|{b}", [a, b]),
    lambda a, b: ((float(a), b), [a, b]),
    lambda a, b: (f">{a}|{b}", [b, f">{a}"]),
    lambda a, _: (f">{a}", ["30", 7, a]),
    lambda a, _: (f"<= {a}", [a, "-3"]),
    lambda a, b: (f"between {min(a, b, key=float)} {max(a, b, key=float)}", [a, b, "3"]),
    lambda a, b: (f"#>{a} and <={b}#", [b, "3"]),
    lambda a, b: (f"#>{a} and <6 and <{b}#", ["4", "5.5"]),
    lambda a, b: (f"#<{a} or >{b}#", [a, b, "-7", "99"]),
    lambda a, b: (f"{a}:{b}", ["3", a, b]),
    lambda a, _: (f"NOT {a}", [a, "3"]),
    lambda _a, _b: (-1, ["4294967295", "-1"]),
)
OPEN_KINDS: tuple[Kind, ...] = (
    *[lambda a, b: ("N/A", [a, b, "UNDEFINED"])] * 6,
    *[lambda a, b: ("*", [a, b, "N/A"])] * 2,
    lambda a, b: ("ANY", [a, b]),
    lambda a, _: (f"N/A|{a}", [a]),
    lambda _a, _b: ("()", ["FOO"]),
    lambda _a, _b: ("NOT N/A", ["FOO"]),
    lambda _a, _b: ("UNDEFINED", ["UNDEFINED"]),
    lambda a, _: (("N/A", a), [a]),
)
JUNK: tuple[object, ...] = (
    *("UNDEFINED", "undefined ", "N/A", "n/a foo", "*", "any", "", "FOO", "-999", "4294967295", "True"),
    *("NOT A", "NOT_APPLICABLE", "NOT_APPLICABLE2", "NOTHING", "not applicable", "{A}", "(A)", "#5#", "()x"),
    *("between 1 2", "nan", "inf", "1e400", "GENERIC", "-2147483648", "?", "A|B", "1.", "0x10", "straße"),
    *(True, False, None, 3, 2.5, -1, 10**20),
)
ODD_TIMES: tuple[tuple[object, object], ...] = (
    ("UNDEFINED", "00:00:00"),
    ("2005-01-01", "UNDEFINED"),
    ("2005-01-01", "undefined "),
    ("N/A", "N/A"),
    ("*", "*"),
    ("", ""),
    ("2005-01-01", ""),
    ("2005-02-30", "00:00:00"),
    ("2005-1-1", "00:00:00"),
    ("20050101", "00:00:00"),
    ("2005-01-01T00:00:00", "00:00:00"),
    ("2005-01-01T00:00:00.5", ""),
    ("2005-01-01", "12:00:10.1"),
    ("2005-01-01", "12:00:60"),
    ("2005-01-01", "24:00:00"),
    ("2005-01-01", "1:2"),
    ("2005-01-01", "11:00:00 PM"),
    ("31/12/99", "05:42:00"),
    ("19970114:053714", ""),
    ("JULY 27, 1999", "00:00:00"),
    ("03-JAN-2013", "00:00:00"),
    ("2005-01-01", "00:00:00 UT"),
    ("2005-01-01", "00:00:00Z"),
    (2005, 0),
    (None, None),
)
START_FORMS = (
    *["%Y-%m-%d %H:%M:%S"] * 6,
    "%Y-%m-%d %H:%M:%S.000",
    "%Y-%m-%d %H:%M:%S.5",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d",
)
DAY_FORMS = (*["%Y-%m-%d"] * 6, "%Y/%m/%d", "%m/%d/%Y", "%b %d %Y", "%d-%b-%Y")
LEAVES = ("N/A", "TEMP_N/A", "n/a", "OMIT", "omit", "n/A")
EPOCHS = ("1995-01-01", "2002-03-30", "2005-01-01", "2009-05-14", "2012-06-15", "2100-01-01")
