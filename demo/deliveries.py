"""What the demo observatory has, as tables: rules by delivery, references, data sets."""

from dataclasses import dataclass, field

Scalar = str | int | float


@dataclass(frozen=True, slots=True)
class Rmap:
    """What the header of one rmap says, whatever its rows."""

    parkeys: tuple[str, ...]
    switch: str = "NONE"
    relevance: str = "ALWAYS"
    required: str = "YES"
    is_dated: bool = True
    more: dict[str, object] = field(default_factory=dict)

    @property
    def header(self) -> dict[str, object]:
        """All keys but those that tell the place of the rmap."""
        levels = (self.parkeys, ("DATE-OBS", "TIME-OBS")) if self.is_dated else (self.parkeys,)
        return {
            "parkey": levels,
            "reffile_format": "IMAGE",
            "reffile_required": self.required,
            "reffile_switch": self.switch,
            "rmap_relevance": self.relevance,
            **({} if self.is_dated else {"classes": ("Match",)}),
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One rule: for these values, from this start on ("": always), this reference."""

    key: tuple[Scalar, ...]
    start: str
    reference: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What makes a new context of the one before; a row with key and start of an older one replaces it."""

    start: str  # when it became the default
    reason: str
    rows: dict[tuple[str, str], tuple[Row, ...]]
    without_file: tuple[tuple[str, str], ...] = ()


# Without this key the missions' client would apply code of its own to two types; unknown names it ignores.
_NO_HOOKS = {"fallback_header": "none", "precondition_header": "none"}

RMAPS: dict[tuple[str, str], Rmap] = {
    ("acs", "biasfile"): Rmap(
        ("DETECTOR", "CCDAMP", "CCDGAIN", "NUMCOLS", "NUMROWS"),
        "BIASCORR",
        '((DETECTOR != "SBC") and (BIASCORR != "OMIT"))',
        more={"hooks": _NO_HOOKS},
    ),
    ("acs", "ccdtab"): Rmap(("DETECTOR",)),
    ("acs", "darkfile"): Rmap(("DETECTOR", "CCDAMP", "CCDGAIN"), "DARKCORR", '(DARKCORR != "OMIT")'),
    ("acs", "flshfile"): Rmap(
        ("DETECTOR", "FLASHCUR", "SHUTRPOS"),
        "FLSHCORR",
        '((FLASHCUR != "OFF") and (FLSHCORR != "OMIT"))',
        "NO",
    ),
    ("acs", "mdriztab"): Rmap(("DETECTOR",), "DRIZCORR", is_dated=False),
    ("wfc3", "darkfile"): Rmap(
        ("DETECTOR", "CCDAMP", "SAMP_SEQ", "SUBTYPE"), "DARKCORR", '(DARKCORR != "OMIT")'
    ),
    ("wfc3", "drkcfile"): Rmap(
        ("DETECTOR",), "PCTECORR", '(DETECTOR == "UVIS")', more={"rmap_omit": '(PCTECORR == "OMIT")'}
    ),
    ("wfc3", "idctab"): Rmap(("DETECTOR",), required="NONE"),
    ("wfc3", "pfltfile"): Rmap(
        ("DETECTOR", "FILTER", "BINAXIS1"),
        "FLATCORR",
        '((FILTER not in ["BLANK", "CLEAR"]) and (FLATCORR != "OMIT"))',
        "NONE",
        more={"parkey_relevance": {"binaxis1": '(DETECTOR == "UVIS")'}},
    ),
    ("wfpc2", "darkfile"): Rmap(("MODE", "ATODGAIN", "SERIALS"), required="NONE"),
    ("wfpc2", "flatfile"): Rmap(("MODE", "FILTNAM1", "LRFWAVE"), required="NONE", more={"hooks": _NO_HOOKS}),
    ("wfpc2", "maskfile"): Rmap(("MODE",), required="NO"),
}

# Values that recur in keys.
_AMPS = "A|ABCD|AC|AD|B|BC|BD|C|D"
_WFC_BIAS = ("WFC", _AMPS, 2.0, 4144, 2068)
_WFC_DARK = ("WFC", "ABCD|AD|BC", "1.0|2.0")
_UVIS_DARK = ("UVIS", "ABCD|AC|AD|BC|BD", "N/A", "FULLIMAG")

DELIVERIES: tuple[Delivery, ...] = (
    Delivery(
        "2021-03-01 12:00:00",
        "First rules of all instruments",
        {
            ("acs", "biasfile"): (
                Row(
                    ("HRC", "A|ABCD|AD", "1.0|2.0|4.0", 1062, 1044),
                    "1992-01-01 00:00:00",
                    "n2b1430aj_bia.fits",
                ),
                Row(("HRC", "N/A", 8.0, "N/A", "N/A"), "1992-01-01 00:00:00", "n2b1430bj_bia.fits"),
                Row(_WFC_BIAS, "2009-05-14 00:00:00", "t6k1015aj_bia.fits"),
            ),
            ("acs", "ccdtab"): (
                Row(("HRC",), "1991-01-01 00:00:00", "m5c1200aj_ccd.fits"),
                Row(("SBC",), "1991-01-01 00:00:00", "m5c1200bj_ccd.fits"),
                Row(("WFC",), "1991-01-01 00:00:00", "m5c1200cj_ccd.fits"),
            ),
            ("acs", "darkfile"): (
                Row(("HRC", "N/A", "N/A"), "1992-01-01 00:00:00", "n2b1431aj_drk.fits"),
                Row(_WFC_DARK, "2009-05-14 00:00:00", "t6k1016aj_drk.fits"),
                Row(_WFC_DARK, "2010-08-30 11:20:00", "u9115020j_drk.fits"),
            ),
            ("acs", "flshfile"): (
                Row(("WFC", "HIGH|MED", "A|B"), "2002-03-01 00:00:00", "n9d1445aj_fls.fits"),
                Row(("WFC", "LOW", "A"), "2002-03-01 00:00:00", "n9d1445bj_fls.fits"),
                Row(("HRC", "*", "*"), "2002-03-01 00:00:00", "N/A"),
            ),
            ("wfc3", "darkfile"): (
                Row(
                    ("IR", "ABCD", "SPARS50|STEP50", "FULLIMAG"), "2009-05-11 00:00:00", "t7h1622ai_drk.fits"
                ),
                Row(("IR", "ABCD", "*", "N/A"), "2009-05-11 00:00:00", "t7h1622bi_drk.fits"),
                Row(_UVIS_DARK, "2009-05-11 00:00:00", "t7h1623ai_drk.fits"),
            ),
            ("wfc3", "idctab"): (
                Row(("IR",), "2009-05-11 00:00:00", "w3m1800ai_idc.fits"),
                Row(("UVIS",), "2009-05-11 00:00:00", "w3m1800bi_idc.fits"),
            ),
            ("wfc3", "pfltfile"): (
                Row(("IR", "F105W|F110W", "N/A"), "2008-02-20 00:00:00", "uc71211ai_pfl.fits"),
                Row(("UVIS", "F606W", 1.0), "2008-02-20 00:00:00", "uc71211bi_pfl.fits"),
            ),
            ("wfpc2", "darkfile"): (
                Row(("AREA|FULL", 7, "OFF"), "1993-12-01 00:00:00", "e1b1000du.r3h"),
                Row(("AREA|FULL", 7, "OFF"), "1994-04-23 00:00:00", "e6o0938au.r3h"),
                Row(("AREA|FULL", 15, "N/A"), "1993-12-01 00:00:00", "e1b1001du.r3h"),
            ),
            ("wfpc2", "flatfile"): (
                Row(("FULL", "F555W|F606W", "N/A"), "1993-12-01 00:00:00", "e3a1100au.r4h"),
                Row(("*", "FR*", "# >3000 and <=4200 #"), "1993-12-01 00:00:00", "e3a1100bu.r4h"),
                Row(("*", "N/A", "between 4200.5 9000"), "1993-12-01 00:00:00", "e3a1100cu.r4h"),
            ),
            ("wfpc2", "maskfile"): (Row(("NOT AREA",), "1993-12-01 00:00:00", "e2b1215au.r0h"),),
        },
        without_file=(("acs", "d2imfile"), ("wfc3", "mlintab"), ("wfpc2", "offtab")),
    ),
    Delivery(
        "2021-06-15 09:30:00",
        "New monthly dark of ACS",
        {("acs", "darkfile"): (Row(_WFC_DARK, "2021-05-01 00:00:00", "56615301j_drk.fits"),)},
    ),
    Delivery(
        "2022-01-20 15:45:10",
        "New bias of ACS;\r\nflat fields of WFC3 for one more filter",
        {
            ("acs", "biasfile"): (Row(_WFC_BIAS, "2021-10-01 06:00:00", "61i15450j_bia.fits"),),
            ("wfc3", "pfltfile"): (
                Row(("UVIS", "F814W", "1.0|2.0"), "2009-05-11 00:00:00", "61i15460i_pfl.fits"),
            ),
        },
    ),
    Delivery(
        "2022-09-05 08:00:00",
        "A dark of ACS had been made of the wrong exposures and is replaced",
        {("acs", "darkfile"): (Row(_WFC_DARK, "2021-05-01 00:00:00", "68v08000j_drk.fits"),)},
    ),
    Delivery(
        "2023-04-11 10:10:10",
        "Darks of WFC3 corrected for transfer losses, asked for by M. Dupré",
        {
            ("wfc3", "darkfile"): (Row(_UVIS_DARK, "2023-02-01 00:00:00", "74a1010ai_drk.fits"),),
            ("wfc3", "drkcfile"): (
                Row(("UVIS",), "2009-05-11 00:00:00", "74a1010bi_dkc.fits"),
                Row(("UVIS",), "2023-02-01 00:00:00", "74a1010ci_dkc.fits"),
            ),
        },
    ),
    Delivery(
        "2024-02-02 13:20:00",
        "Drizzle parameters of ACS; a dark of WFPC2 made anew",
        {
            ("acs", "mdriztab"): (
                Row(("WFC",), "", "82213200j_mdz.fits"),
                Row(("HRC|SBC",), "", "8221320aj_mdz.fits"),
            ),
            ("wfpc2", "darkfile"): (Row(("AREA|FULL", 7, "ON"), "1993-12-01 00:00:00", "8221321au.r3h"),),
        },
    ),
    Delivery(
        "",
        "Not the default yet",
        {("acs", "biasfile"): (Row(_WFC_BIAS, "2024-06-01 00:00:00", "86r0900aj_bia.fits"),)},
    ),
)

# Declared bad after it was delivered; the contexts of its time still name it.
REJECTED = ("56615301j_drk.fits",)
# In the catalogue, though no rules name it.
ORPHANS = ("n1a0000aj_pfl.fits",)
# All others are a few thousand bytes long.
LARGE_BYTES = {
    "t6k1015aj_bia.fits": 3_000_960,
    "uc71211bi_pfl.fits": 3_000_960,
    "t7h1623ai_drk.fits": 1_501_920,
    "e6o0938au.r3d": 1_002_240,
}

# By product and exposure; a data set that is no part of an association is its own product.
DATASETS: dict[str, dict[str, Scalar]] = {
    "JDEM01010:JDEM01A1Q": {
        "INSTRUME": "ACS",
        "DETECTOR": "WFC",
        "CCDAMP": "ABCD",
        "CCDGAIN": 2.0,
        "NUMCOLS": 4144,
        "NUMROWS": 2068,
        "FLASHCUR": "OFF",
        "SHUTRPOS": "A",
        "BIASCORR": "PERFORM",
        "DARKCORR": "PERFORM",
        "FLSHCORR": "OMIT",
        "DRIZCORR": "PERFORM",
        "DATE-OBS": "2010-09-15",
        "TIME-OBS": "04:05:06",
    },
    "JDEM01010:JDEM01A2Q": {
        "INSTRUME": "ACS",
        "DETECTOR": "WFC",
        "CCDAMP": "ABCD",
        "CCDGAIN": 2.0,
        "NUMCOLS": 4144,
        "NUMROWS": 2068,
        "FLASHCUR": "LOW",
        "SHUTRPOS": "A",
        "BIASCORR": "PERFORM",
        "DARKCORR": "PERFORM",
        "FLSHCORR": "PERFORM",
        "DRIZCORR": "PERFORM",
        "DATE-OBS": "2021-11-03",
        "TIME-OBS": "23:59:59",
    },
    "JDEM02B1Q:JDEM02B1Q": {
        "INSTRUME": "ACS",
        "DETECTOR": "HRC",
        "CCDAMP": "A",
        "CCDGAIN": 8.0,
        "NUMCOLS": 1062,
        "NUMROWS": 1044,
        "FLASHCUR": "MED",
        "SHUTRPOS": "B",
        "BIASCORR": "PERFORM",
        "DARKCORR": "OMIT",
        "FLSHCORR": "PERFORM",
        "DRIZCORR": "OMIT",
        "DATE-OBS": "2004-07-01",
        "TIME-OBS": "12:00:00",
    },
    "IDEM01010:IDEM01C1Q": {
        "INSTRUME": "WFC3",
        "DETECTOR": "UVIS",
        "CCDAMP": "ABCD",
        "SAMP_SEQ": "NONE",
        "SUBTYPE": "FULLIMAG",
        "FILTER": "F606W",
        "BINAXIS1": 1,
        "DARKCORR": "PERFORM",
        "FLATCORR": "PERFORM",
        "PCTECORR": "PERFORM",
        "DATE-OBS": "2023-03-10",
        "TIME-OBS": "08:30:00",
    },
    "IDEM02D1Q:IDEM02D1Q": {
        "INSTRUME": "WFC3",
        "DETECTOR": "IR",
        "CCDAMP": "ABCD",
        "SAMP_SEQ": "SPARS50",
        "SUBTYPE": "FULLIMAG",
        "FILTER": "F105W",
        "BINAXIS1": 0,
        "DARKCORR": "PERFORM",
        "FLATCORR": "PERFORM",
        "PCTECORR": "OMIT",
        "DATE-OBS": "2012-12-12",
        "TIME-OBS": "12:12:12",
    },
    "UDEM0101T:UDEM0101T": {
        "INSTRUME": "WFPC2",
        "MODE": "FULL",
        "ATODGAIN": 7.0,
        "SERIALS": "OFF",
        "FILTNAM1": "F555W",
        "LRFWAVE": 0.0,
        "DATE-OBS": "1995-05-05",
        "TIME-OBS": "05:05:05",
    },
    "UDEM0102T:UDEM0102T": {
        "INSTRUME": "WFPC2",
        "MODE": "AREA",
        "ATODGAIN": 15.0,
        "SERIALS": "ON",
        "FILTNAM1": "FR418N",
        "LRFWAVE": 4100.0,
        "DATE-OBS": "1996-06-06",
        "TIME-OBS": "06:06:06",
    },
}
