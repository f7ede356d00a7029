"""Which keyword of a header names the reference of a type, and how.

Source: docs/protocol.md, "Keywords of references".
"""

from collections.abc import Mapping

from crdscache.bestrefs.conditioning import NOT_APPLICABLE

# Directories of hst's instruments, as calibration programs know them.
_PREFIXES = {
    "acs": "jref$",
    "cos": "lref$",
    "nicmos": "nref$",
    "stis": "oref$",
    "synphot": "ttab$",
    "wfc3": "iref$",
    "wfpc2": "uref$",
}
_LINK = "crds://"
# What jwst's schema calls them; other types have their own name as keyword.
_JWST = {
    "area": "R_AREA",
    "barshadow": "R_BARSHA",
    "camera": "R_CAMERA",
    "collimator": "R_COLLIM",
    "cubepar": "R_CUBPAR",
    "dark": "R_DARK",
    "dflat": "R_DFLAT",
    "disperser": "R_DISPER",
    "distortion": "R_DISTOR",
    "extract1d": "R_EXTR1D",
    "fflat": "R_FFLAT",
    "filteroffset": "R_FILOFF",
    "flat": "R_FLAT",
    "fore": "R_FORE",
    "fpa": "R_FPA",
    "fringe": "R_FRINGE",
    "gain": "R_GAIN",
    "ifufore": "R_IFUFOR",
    "ifupost": "R_IFUPOS",
    "ifuslicer": "R_IFUSLI",
    "ipc": "R_IPC",
    "lastframe": "R_LASTFR",
    "linearity": "R_LINEAR",
    "mask": "R_MASK",
    "msa": "R_MSA",
    "ote": "R_OTE",
    "pathloss": "R_PTHLOS",
    "persat": "R_PERSAT",
    "photom": "R_PHOTOM",
    "psfmask": "R_PSFMAS",
    "readnoise": "R_READNO",
    "refpix": "R_REFPIX",
    "regions": "R_REGION",
    "reset": "R_RESET",
    "rscd": "R_RSCD",
    "saturation": "R_SATURA",
    "sflat": "R_SFLAT",
    "specwcs": "R_SPCWCS",
    "superbias": "R_SUPERB",
    "throughput": "R_THRPUT",
    "trapdensity": "R_TRPDEN",
    "trappars": "R_TRPPAR",
    "v2v3": "R_V2V3",
    "wavecorr": "R_WAVCOR",
    "wavelengthrange": "R_WAVRAN",
}


def keyword(observatory: str, reftype: str) -> str:
    """Name the keyword of a type."""
    return _JWST.get(reftype, reftype.upper()) if observatory == "jwst" else reftype.upper()


def value(observatory: str, instrument: str, reference: str) -> str:
    """Write the name of a reference as headers have it, in lower case; N/A stays as it is."""
    if reference == NOT_APPLICABLE:
        return NOT_APPLICABLE
    prefix = _PREFIXES.get(instrument, "") if observatory == "hst" else _LINK
    return prefix + reference.lower()


def recorded(observatory: str, reftype: str, header: Mapping[str, object]) -> str:
    """Read the reference that a header names for a type, in lower case; `n/a` where it names none."""
    named = str(header.get(keyword(observatory, reftype), header.get(reftype.upper(), ""))).strip().lower()
    name = named.rpartition("ref$")[2].removeprefix(_LINK).strip()
    return NOT_APPLICABLE.lower() if name in {"", "undefined", "none", "*"} else name
