import pytest

from crdscache.bestrefs import hooks
from crdscache.bestrefs.answers import Answer, Cause, Failure, NoFile
from crdscache.bestrefs.hooks import Header, HookError
from crdscache.contexts.mapping import Value
from tests.bestrefs import rules
from tests.bestrefs.rules import DATE, answer

BEFORE_SERVICING, AFTER_SERVICING, BEFORE_REPAIR = "2005-01-01", "2010-01-01", "2002-01-01"
FALLBACK = "fallback_header_acs_biasfile_v"
V2 = "precondition_header_acs_biasfile_v2"
NO_TIME = "One or more required date/time values is UNDEFINED"
WHOLE = {"NAXIS1": "4144.0", "NAXIS2": "2068.0"}
OTHER = {"NAXIS1": "1062.0", "NAXIS2": "1044.0"}
FULL_FRAME = {
    "DETECTOR": "WFC",
    "CCDGAIN": "2.0",
    "CCDAMP": "A",
    "APERTURE": "WFC",
    "NAXIS1": "4144.0",
    "NAXIS2": "4136.0",
    "XCORNER": "0.0",
    "YCORNER": "0.0",
    **dict.fromkeys(("LTV1", "LTV2", "RAW_LTV1", "RAW_LTV2", "NUMCOLS", "NUMROWS"), "UNDEFINED"),
    "DATE-OBS": BEFORE_SERVICING,
    "TIME-OBS": "00:00:00",
}


def named(precondition: str = "", fallback: str = "") -> dict[str, Value]:
    return {"hooks": {"precondition_header": precondition, "fallback_header": fallback}}


def changes_by(name: str, header: Header) -> dict[str, str]:
    """Tell what a hook changed."""
    _, _, instrument, reftype, _ = name.split("_")
    found = hooks.of(named(name, name), instrument, reftype)
    assert found.precondition
    changed = found.precondition(header)
    return {key: value for key, value in changed.items() if header.get(key) != value}


@pytest.mark.parametrize(
    ("header", "instrument", "reftype", "expected"),
    [
        # Trap 9: without a table the name of the type counts, and an unknown name counts for nothing.
        ({}, "acs", "biasfile", ("_acs_biasfile_v1", None)),
        ({}, "wfc3", "biasfile", ("_wfc3_biasfile_v1", None)),
        ({}, "wfpc2", "flatfile", (None, "_wfpc2_flatfile_fallback_v1")),
        ({}, "acs", "darkfile", (None, None)),
        ({}, "wfi", "epsf", (None, None)),
        ({"hooks": {}}, "acs", "biasfile", ("_acs_biasfile_v1", None)),  # as good as none
        ({"hooks": {"other": "none"}}, "acs", "biasfile", (None, None)),
        ({"hooks": "none"}, "acs", "biasfile", ("_acs_biasfile_v1", None)),
        (named("precondition_header_wfi_epsf_v1"), "wfi", "epsf", (None, None)),
        (named("rmap_update_headers_acs_biasfile_v1"), "acs", "biasfile", (None, None)),
        (named("precondition_header_acs_biasfile_v2"), "acs", "biasfile", ("_acs_biasfile_v2", None)),
        (named("precondition_header_acs_biasfile_v3"), "acs", "biasfile", ("_acs_biasfile_v3", None)),
        (named("", FALLBACK + "2"), "acs", "biasfile", (None, "_acs_biasfile_fallback_v2")),
        (named("", FALLBACK + "3"), "acs", "biasfile", (None, "_acs_biasfile_fallback_v3")),
        (named("", FALLBACK + "1"), "acs", "biasfile", (None, None)),
        # A hook of another instrument is not in the client's module of this one.
        (named("precondition_header_wfc3_biasfile_v1"), "cos", "flatfile", (None, None)),
    ],
)
def test_hooks_are_found_by_name(
    header: dict[str, Value], instrument: str, reftype: str, expected: tuple[str | None, str | None]
) -> None:
    found = hooks.of(header, instrument, reftype)

    assert tuple(getattr(each, "__name__", None) for each in (found.precondition, found.fallback)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"APERTURE": "N/A", "CCDAMP": "AD", "NAXIS2": "2068.0"}),
        ({"CCDAMP": "D"}, {"APERTURE": "N/A", "CCDAMP": "AD", "NAXIS2": "2068.0"}),
        ({"CCDAMP": "B"}, {"APERTURE": "N/A", "CCDAMP": "BC", "NAXIS2": "2068.0"}),
        ({"CCDAMP": "C"}, {"APERTURE": "N/A", "CCDAMP": "BC", "NAXIS2": "2068.0"}),
        ({"CCDAMP": "ABCD"}, {"APERTURE": "N/A", "NAXIS2": "2068.0"}),
        ({"DATE-OBS": AFTER_SERVICING}, {"NAXIS2": "2068.0"}),
        ({"DATE-OBS": "2009-05-14"}, {"NAXIS2": "2068.0"}),
        (
            {"DATE-OBS": "2009-05-13", "TIME-OBS": "23:59:59.9"},
            {"APERTURE": "N/A", "CCDAMP": "AD", "NAXIS2": "2068.0"},
        ),
        ({"NAXIS1": "2048.0"}, {"APERTURE": "N/A", "NAXIS2": "2068.0"}),
        ({"NAXIS1": "2048.9"}, {"APERTURE": "N/A", "NAXIS1": "2048.0", "NAXIS2": "2068.0"}),
        ({"NAXIS1": "UNDEFINED"}, {"APERTURE": "N/A", "NAXIS2": "2068.0"}),
        ({"NAXIS2": "4137.0"}, {"APERTURE": "N/A", "CCDAMP": "AD", "NAXIS2": "2068.5"}),  # not cut off
        ({"NAXIS2": "N/A"}, {"APERTURE": "N/A", "CCDAMP": "AD"}),
        *[
            ({key: value}, {"APERTURE": "N/A", "CCDAMP": "AD"})
            for key, value in (("XCORNER", "1.0"), ("YCORNER", "UNDEFINED"), ("DETECTOR", "HRC"))
        ],
    ],
)
def test_a_bias_of_acs_is_looked_up_by_the_size_and_amplifiers_of_the_chip(
    changes: dict[str, str], expected: dict[str, str]
) -> None:
    assert changes_by(V2, FULL_FRAME | changes) == expected


def test_the_first_version_takes_the_size_from_other_keywords() -> None:
    header = FULL_FRAME | {"NUMCOLS": "4144.5", "NUMROWS": "2068.0"}

    assert changes_by("precondition_header_acs_biasfile_v1", header) == {
        "APERTURE": "N/A",
        "CCDAMP": "AD",
        "NUMCOLS": "4144.0",
        "NUMROWS": "1034.0",
    }


@pytest.mark.parametrize(
    ("changes", "is_changed"),
    [
        ({}, False),
        ({"DETECTOR": "HRC"}, True),
        ({"DATE-OBS": "2002-03-29", "TIME-OBS": "23:59:59"}, True),
        ({"DATE-OBS": "2002-03-30"}, False),
        ({"APERTURE": "UNDEFINED"}, True),
        *[({"CCDGAIN": gain}, True) for gain in ("4.0", "8.0", "4")],
        *[({"CCDGAIN": gain}, False) for gain in ("1.0", "0.5", "nan")],
        *[({"CCDAMP": amplifiers}, True) for amplifiers in ("AD", "BC")],
        ({"CCDAMP": "ABCD"}, False),
        # A gain that is no number is not reached where an earlier test holds.
        ({"DETECTOR": "HRC", "CCDGAIN": "UNDEFINED"}, True),
    ],
)
def test_the_third_version_leaves_images_alone_that_have_a_bias_of_their_own(
    changes: dict[str, str],
    is_changed: bool,  # noqa: FBT001
) -> None:
    header = FULL_FRAME | changes
    by_second = changes_by(V2, header)

    assert by_second != {}
    assert changes_by("precondition_header_acs_biasfile_v3", header) == (by_second if is_changed else {})


@pytest.mark.parametrize(
    ("version", "changes", "reason"),
    [
        ("v1", {"DATE-OBS": "UNDEFINED"}, NO_TIME),
        ("v2", {"TIME-OBS": "UNDEFINED"}, NO_TIME),
        ("v2", {"DATE-OBS": "2005.0"}, "Unknown numerical date format: '2005.0 00:00:00'"),
        ("v2", {"DATE-OBS": "2005-1-1"}, "Unknown numerical date format: '2005/1/1 00:00:00'"),
        ("v2", {"DATE-OBS": "", "TIME-OBS": ""}, "list index out of range"),
        *[("v2", {key: "inf"}, "cannot convert float infinity to integer") for key in ("NAXIS1", "NAXIS2")],
        ("v3", {"DATE-OBS": "UNDEFINED", "DETECTOR": "HRC"}, NO_TIME),
        ("v3", {"CCDGAIN": "UNDEFINED"}, "could not convert string to float: 'UNDEFINED'"),
        ("v3", {"CCDGAIN": ""}, "could not convert string to float: ''"),
    ],
)
def test_what_a_hook_of_acs_cannot_read_is_told(version: str, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(HookError) as caught:
        changes_by(f"precondition_header_acs_biasfile_{version}", FULL_FRAME | changes)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("version", "changes", "expected"),
    [
        # Trap 15: it begins with the header as it was, and preconditions it itself.
        ("v2", {"NAXIS1": "1062.0"}, {"APERTURE": "N/A", **WHOLE, "LTV1": "24.0", "LTV2": "0.0"}),
        ("v2", {"DATE-OBS": AFTER_SERVICING}, {"NAXIS2": "2068.0", "LTV1": "24.0", "LTV2": "0.0"}),
        *[
            (
                "v2",
                {"DETECTOR": "HRC", "CCDAMP": amplifier, "NAXIS1": "62.0"},
                {"APERTURE": "N/A", **OTHER, "LTV1": "19.0", "LTV2": ltv2},
            )
            for amplifier, ltv2 in (("A", "20.0"), ("C", "0.0"), ("D", "0.0"), ("N/A", "20.0"))
        ],
        (
            "v2",  # the precondition makes BC of C before LTV2 is chosen
            {"DETECTOR": "HRC", "CCDAMP": "C"},
            {"APERTURE": "N/A", "CCDAMP": "BC", **OTHER, "LTV1": "19.0", "LTV2": "20.0"},
        ),
        ("v3", {"NAXIS1": "1062.0"}, {**WHOLE, "RAW_LTV1": "24.0", "RAW_LTV2": "0.0"}),
        (
            "v3",
            {"DETECTOR": "HRC", "CCDAMP": "ABCD"},
            {"APERTURE": "N/A", **OTHER, "RAW_LTV1": "19.0", "RAW_LTV2": "20.0"},
        ),
    ],
)
def test_the_fallback_of_acs_is_the_whole_frame(
    version: str, changes: dict[str, str], expected: dict[str, str]
) -> None:
    assert changes_by(f"fallback_header_acs_biasfile_{version}", FULL_FRAME | changes) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"SUBARRAY": "T", "APERTURE": "UVIS"}, {"APERTURE": "N/A"}),
        ({"SUBARRAY": "T", "APERTURE": "UNDEFINED"}, {"APERTURE": "N/A"}),
        ({"SUBARRAY": "T", "APERTURE": "UVIS1-M1K1C-SUB"}, {}),
        ({"SUBARRAY": "F", "APERTURE": "UVIS"}, {}),
        ({"SUBARRAY": "TRUE", "APERTURE": "UVIS"}, {}),
    ],
)
def test_a_bias_of_wfc3_ignores_the_aperture_of_a_subarray_without_a_name(
    header: dict[str, str], expected: dict[str, str]
) -> None:
    assert changes_by("precondition_header_wfc3_biasfile_v1", header) == expected


def test_the_fallback_of_wfpc2_exchanges_the_filters() -> None:
    header = {"FILTER1": "F300W", "FILTER2": "N/A", "MODE": "FULL"}

    assert changes_by("fallback_header_wfpc2_flatfile_v1", header) == {"FILTER1": "N/A", "FILTER2": "F300W"}


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        *[(V2, key) for key in ("DATE-OBS", "TIME-OBS", "NAXIS1", "CCDAMP", "DETECTOR", "XCORNER", "NAXIS2")],
        ("precondition_header_acs_biasfile_v1", "NUMROWS"),
        ("precondition_header_acs_biasfile_v3", "CCDGAIN"),
        *[(f"{FALLBACK}2", key) for key in ("NAXIS1", "LTV1", "LTV2")],
        (f"{FALLBACK}3", "RAW_LTV2"),
        *[("precondition_header_wfc3_biasfile_v1", key) for key in ("SUBARRAY", "APERTURE")],
        *[("fallback_header_wfpc2_flatfile_v1", key) for key in ("FILTER1", "FILTER2")],
    ],
)
def test_a_hook_fails_without_a_parameter_that_no_rule_of_the_instrument_asks_for(
    name: str, missing: str
) -> None:
    header = {**FULL_FRAME, "SUBARRAY": "T", "FILTER1": "F300W", "FILTER2": "F606W"}
    del header[missing]

    with pytest.raises(HookError) as caught:
        changes_by(name, header)

    assert str(caught.value) == repr(missing)


def test_a_hook_does_not_miss_what_it_does_not_get_to() -> None:
    bare = {"DETECTOR": "HRC", "NAXIS1": "62.0", "DATE-OBS": AFTER_SERVICING, "TIME-OBS": "00:00:00"}

    assert changes_by(V2, bare) == {}
    assert changes_by("precondition_header_acs_biasfile_v3", bare) == {}
    assert changes_by("precondition_header_wfc3_biasfile_v1", {"SUBARRAY": "F"}) == {}


def test_no_hook_changes_what_it_is_given() -> None:
    for name in ("v1", "v2", "v3"):
        header = dict(FULL_FRAME)
        changes_by(f"precondition_header_acs_biasfile_{name}", header)
        assert header == FULL_FRAME


ACS = "hst_acs_biasfile_0001.rmap"
ACS_PARKEYS = (("DETECTOR", "CCDAMP", "APERTURE", "NAXIS1", "NAXIS2"), DATE)
ACS_HOOKS = {
    "precondition_header": V2,
    "fallback_header": "fallback_header_acs_biasfile_v2",
}
ACS_ROWS = """Match({
    ('WFC', 'AD', 'N/A', '4144', '2068') : UseAfter({'1990-01-01 00:00:00': 'frame.fits'}),
    ('WFC', 'B', 'N/A', '1062', '62') : UseAfter({'1990-01-01 00:00:00': 'sub.fits'}),
})"""
EXTRA = ("XCORNER", "YCORNER", "LTV1", "LTV2")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "frame.fits"),  # a bias of acs, whole frame, of 2005
        ({"NAXIS1": "62.0", "CCDAMP": "AD"}, "frame.fits"),  # found at the second try only
        ({"NAXIS1": "1062.0", "NAXIS2": "62.0", "XCORNER": "1.0", "CCDAMP": "B"}, "sub.fits"),
        ({"NAXIS1": "62.0", "CCDAMP": "B"}, Failure(Cause.NO_MATCH, "No match found.")),
        # The second failure is told: at first it was a value that is not known.
        (
            {"NAXIS1": "7.0", "CCDAMP": "Q"},
            Failure(Cause.BAD_VALUE, " parameter='CCDAMP' value='Q' is not in ['AD', 'B']"),
        ),
        (
            {"DATE-OBS": "UNDEFINED"},
            Failure(Cause.BAD_VALUE, NO_TIME),
        ),
    ],
)
def test_rules_with_hooks_are_asked_with_the_changed_header(
    changes: dict[str, str], expected: Answer
) -> None:
    bias = rules.rmap(ACS_ROWS, ACS_PARKEYS, name=ACS, hooks=ACS_HOOKS, extra_keys=EXTRA)

    assert bias.choose(FULL_FRAME | changes) == expected


def test_a_hook_that_fails_is_told_even_where_no_reference_is_required() -> None:
    bias = rules.rmap(ACS_ROWS, ACS_PARKEYS, name=ACS, hooks=ACS_HOOKS, reffile_required="NO")

    assert bias.choose(FULL_FRAME | {"NAXIS1": "7.0"}) == NoFile.NOT_APPLICABLE
    assert bias.choose(FULL_FRAME | {"TIME-OBS": "UNDEFINED"}) == Failure(Cause.BAD_VALUE, NO_TIME)


def test_a_fallback_that_fails_is_told_even_where_no_reference_is_required() -> None:
    """The look-up that follows it may fail; the hook itself may not."""
    only = {"fallback_header": ACS_HOOKS["fallback_header"]}
    bias = rules.rmap(ACS_ROWS, ACS_PARKEYS, name=ACS, hooks=only, reffile_required="NO", extra_keys=EXTRA)

    assert bias.choose(FULL_FRAME | {"NAXIS1": "7.0", "CCDAMP": "Q"}) == NoFile.NOT_APPLICABLE
    assert bias.choose(FULL_FRAME | {"NAXIS1": "inf"}) == Failure(
        Cause.BAD_VALUE, "cannot convert float infinity to integer"
    )


WFPC2 = "hst_wfpc2_flatfile_0001.rmap"
FILTERS = (("FILTER1", "FILTER2"),)


def test_the_fallback_begins_with_the_header_as_it_was() -> None:
    """Trap 15: FILTER1 has no meaning at first, but what it was is FILTER2 the second time."""
    flat = rules.rmap(
        "Match({('Y', 'X'): 'right.fits', ('Y', 'Z'): 'other.fits'})",
        FILTERS,
        name=WFPC2,
        parkey_relevance={"filter1": '(FILTER1 != "X")'},
    )

    assert answer(flat, FILTER1="X", FILTER2="Y") == "right.fits"


def test_the_fallback_has_only_what_the_rules_themselves_ask_for() -> None:
    """Of the header of the instrument, MODE is a parameter of other types."""
    flat = rules.rmap(
        "Match({('Y', 'X'): 'flat.fits'})",
        FILTERS,
        name=WFPC2,
        parkey_relevance={"filter1": '(MODE == "FULL")'},
    )

    assert answer(flat, FILTER1="Y", FILTER2="X", MODE="FULL") == "flat.fits"
    assert answer(flat, FILTER1="X", FILTER2="Y", MODE="FULL") == Failure(
        Cause.BAD_RULES, "name 'MODE' is not defined"
    )


def test_a_filter_that_no_rule_asks_for_cannot_be_exchanged() -> None:
    flat = rules.rmap("Match({('F300W',): 'one.fits'})", (("FILTER1",),), name=WFPC2)

    assert answer(flat, FILTER1="F606W", FILTER2="F300W") == "one.fits"
    assert answer(flat, FILTER1="F606W") == Failure(Cause.BAD_VALUE, "'FILTER2'")


def test_the_eras_are_one_in_each_interval_between_the_thresholds() -> None:
    eras = [" ".join(era.values()) for era in hooks.ERAS]
    first, *rest = eras
    thresholds = sorted(hooks.THRESHOLDS)

    both = [first, *(each for pair in zip(thresholds, rest, strict=True) for each in pair)]
    assert both == sorted(both)
