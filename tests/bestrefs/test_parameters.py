from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.bestrefs import parameters
from crdscache.bestrefs.parameters import Header, Wanted
from crdscache.contexts.mapping import Value
from crdscache.errors import BestrefsError
from tests.bestrefs import rules
from tests.bestrefs.rules import Parkey


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("A", ("A",)), (("A", "B"), ("A", "B")), ((("A",), "B"), ("A", "B"))],
        *[(None, ()), ((1, "A"), ("A",)), ((), ())],
    ],
)
def test_names_in_a_header_may_be_one_or_many(value: Value, expected: tuple[str, ...]) -> None:
    assert parameters.texts(value) == expected


@pytest.mark.parametrize(
    ("parkey", "expected"),
    [
        ((("A", "B"), ("C",)), (("A", "B"), ("C",))),
        (("A", "B"), (("A",), ("B",))),
        (((), ("C",)), ((), ("C",))),
        ("A", (("A",),)),
    ],
)
def test_each_level_of_selectors_has_its_parkeys(
    parkey: Parkey, expected: tuple[tuple[str, ...], ...]
) -> None:
    assert parameters.levels(rules.read("Match({})", parkey)) == expected


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        ("hst_cos_flatfile_0001.rmap", {}, ("A", "B")),
        ("hst_cos_flatfile_0001.rmap", {"reffile_switch": "flatcorr"}, ("A", "B", "FLATCORR")),
        ("hst_cos_flatfile_0001.rmap", {"reffile_switch": "none"}, ("A", "B")),
        ("hst_cos_flatfile_0001.rmap", {"extra_keys": ("c", "a")}, ("A", "B", "C")),
        ("hst_cos_flatfile_0001.rmap", {"extra_keys": "C"}, ("A", "B", "C")),
        (
            "jwst_miri_dark_0001.rmap",
            {},
            ("A", "B", "META.VISIT.TSOVISIT", "META.INSTRUMENT.LAMP_STATE"),
        ),
        # Nothing else of the header asks for a parameter.
        ("hst_cos_flatfile_0001.rmap", {"row_keys": ("D",), "rmap_relevance": "(E)"}, ("A", "B")),
    ],
)
def test_rules_ask_for_their_parkeys_their_switch_and_their_extra_keys(
    name: str, header: dict[str, object], expected: tuple[str, ...]
) -> None:
    read = rules.read("Match({})", (("A", "b"), ("A",)), name=name, **header)

    assert parameters.own_names(read) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"DETECTOR": "WFC", "detector": "SBC"}, "SBC"),  # trap 11
        ({"Detector": "WFC"}, "UNDEFINED"),
        ({"DETECTOR": " wfc "}, "WFC"),
        ({"detector": None, "DETECTOR": "WFC"}, "NONE"),
        ({"DETECTOR": None}, "NONE"),
        ({"DETECTOR": True}, "T"),
        ({"DETECTOR": 1}, "1.0"),
        ({}, "UNDEFINED"),
    ],
)
def test_a_name_in_small_letters_comes_first(header: Header, expected: str) -> None:
    assert Wanted.of(["DETECTOR"]).minimum(header) == {"DETECTOR": expected}


def test_conditions_find_dotted_names_with_underscores() -> None:
    values = Wanted.of(["META.A", "B", "B"]).minimum({"META.A": "x", "META_A": "y", "b": "z"})

    assert values == {"META.A": "X", "META_A": "X", "B": "Z"}


def test_columns_are_the_raw_values_of_many_headers() -> None:
    headers: list[Header] = [{"A": 1, "a": "x"}, {"A": None}, {}]

    assert Wanted.of(["A"]).columns(headers) == {"A": ["x", None, "UNDEFINED"]}


@pytest.mark.parametrize("observatory", ["hst", "tobs", "roman"])
def test_only_jwst_has_other_names_in_files(observatory: str) -> None:
    header = {"INSTRUME": "ACS", "meta.exposure.type": "X", "Detector": 1}

    assert parameters.renamed(header, observatory) == header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"meta.exposure.type": "x"}, {"META.EXPOSURE.TYPE": "x"}),
        ({"Exp_Type": "x", "OTHER": 1}, {"META.EXPOSURE.TYPE": "x", "OTHER": "1"}),
        ({"DATE-OBS": "x"}, {"META.OBSERVATION.DATE": "x"}),
        ({"TIME-OBS": "y"}, {"META.OBSERVATION.TIME": "y"}),
        ({"SUBSTRT1": 1, "SUBSIZE2": 2}, {"META.SUBARRAY.XSTART": "1", "META.SUBARRAY.YSIZE": "2"}),
        # The later one in the header wins.
        ({"DETECTOR": "a", "META.INSTRUMENT.DETECTOR": "b"}, {"META.INSTRUMENT.DETECTOR": "b"}),
        ({"META.INSTRUMENT.DETECTOR": "b", "DETECTOR": "a"}, {"META.INSTRUMENT.DETECTOR": "a"}),
        ({"TSOVISIT": True}, {"META.VISIT.TSOVISIT": "True"}),
        ({"LAMP": None}, {"META.INSTRUMENT.LAMP_STATE": "None"}),
        # These have no keyword; and one bare name is always taken for another.
        ({"GRATING14": "x", "EXP_TYPE14": "y"}, {"GRATING14": "x", "EXP_TYPE14": "y"}),
        ({"CAL_VER": "1.2.3"}, {"META.CALIBRATION_SOFTWARE_VERSION": "1.2.3"}),
    ],
)
def test_keywords_of_jwst_become_paths(header: Header, expected: Mapping[str, str]) -> None:
    assert parameters.renamed(header, "jwst") == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"P": "ACS"}, "acs"),
        ({"p": "ACS", "INSTRUME": "COS"}, "acs"),
        ({"P": "ACS", "p": "COS"}, "acs"),
        ({"P": "UNDEFINED", "p": "COS"}, "cos"),
        ({"P": "undefined", "META.INSTRUMENT.TYPE": "X", "INSTRUMENT": "Y"}, "y"),
        ({"META_INSTRUMENT_TYPE": "X"}, "x"),
        ({"ROMAN.META.INSTRUMENT.NAME": "X", "META_INSTRUMENT_NAME": "Y"}, "y"),
        ({"P": " ACS "}, " acs "),  # not stripped
        ({"P": ""}, ""),
        ({"P": "WFII"}, "wfpc2"),
        ({"P": "HST"}, "hst"),  # not synphot
    ],
)
def test_the_instrument_is_the_first_that_is_told(header: Header, expected: str) -> None:
    assert parameters.instrument(header, "P", "hst_0001.pmap") == expected


@pytest.mark.parametrize(
    ("header", "client_class", "reason"),
    [
        ({}, "CrdsError", "Missing 'P' keyword in header for determining instrument."),
        ({"P": "undefined"}, "CrdsError", "Missing 'P' keyword in header for determining instrument."),
        ({"Instrume": "ACS"}, "CrdsError", "Missing 'P' keyword in header for determining instrument."),
        ({"P": 5}, "AttributeError", "hst_0001.pmap: the instrument, P = 5, is no text"),
        ({"P": None}, "AttributeError", "hst_0001.pmap: the instrument, P = None, is no text"),
    ],
)
def test_a_header_without_instrument_is_refused(header: Header, client_class: str, reason: str) -> None:
    with pytest.raises(BestrefsError) as caught:
        parameters.instrument(header, "P", "hst_0001.pmap")

    assert (caught.value.client_class, str(caught.value)) == (client_class, reason)


@pytest.mark.parametrize(
    ("observatory", "header", "expected"),
    [
        ("hst", {"Detector": " wfc "}, {"DETECTOR": "WFC"}),
        ("hst", {"A": "1", "a": "2"}, {"A": "2.0"}),  # the later one wins
        ("hst", {"a": "2", "A": "1"}, {"A": "1.0"}),
        ("hst", {"meta.a": "1"}, {"META.A": "1.0"}),
        ("roman", {"meta.a": "1", "METAL.A": "3"}, {"ROMAN.META.A": "1.0", "METAL.A": "3.0"}),
        ("roman", {"Meta": "2"}, {"ROMAN.META": "2.0"}),
        ("roman", {"roman.meta.a": "1"}, {"ROMAN.META.A": "1.0"}),
    ],
)
def test_the_clients_function_takes_names_in_any_letter_case(
    observatory: str, header: Header, expected: Mapping[str, str]
) -> None:
    assert parameters.recommended(header, observatory) == expected


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"INSTRUME": "acs"}, "ACS"),
        ({"instrument": "acs"}, "ACS"),
        ({"INSTRUME": "UNDEFINED", "instrume": "cos", "INSTRUMENT": "acs"}, "COS"),
        ({"META_INSTRUMENT_TYPE": "miri"}, "MIRI"),
        ({"INSTRUME": "hst"}, "SYNPHOT"),
        ({"INSTRUME": "wfii"}, "WFPC2"),
        ({"INSTRUME": "HST"}, "HST"),  # letter case counts
    ],
)
def test_a_file_may_tell_its_instrument_under_any_name(header: Header, name: str) -> None:
    assert parameters.identified(header) == {**header, "INSTRUME": name, "META.INSTRUMENT.NAME": name}


def test_a_file_that_tells_no_instrument_is_left_as_it_is() -> None:
    header = {"Instrume": "ACS", "A": 1}

    assert parameters.identified(header) == header


def test_what_is_no_text_number_or_truth_value_is_left_out() -> None:
    header = {"A": "x", "B": 1, "C": 1.5, "D": True, "E": None, "F": ["x"], "G": b"x", "H": {}, "I": 1j}

    assert parameters.simple(header) == {"A": "x", "B": 1, "C": 1.5, "D": True}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        *[({key: "ACS"}, True) for key in ("INSTRUME", "instrume", "INSTRUMENT", "meta.instrument.name")],
        *[({"Instrume": "ACS"}, False), ({"INSTRUME": "UNDEFINED"}, False), ({}, False)],
    ],
)
def test_an_instrument_stands_under_a_key_of_one_letter_case(header: Header, expected: bool) -> None:  # noqa: FBT001
    assert parameters.names_instrument(header) is expected


KEYS = st.text("aBcD.-_", min_size=1, max_size=4)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


@given(st.dictionaries(KEYS, VALUES), st.lists(KEYS), st.randoms())
def test_the_order_of_keys_does_not_matter(
    header: dict[str, object], names: list[str], random: Random
) -> None:
    shuffled = random.sample(list(header.items()), len(header))
    wanted = Wanted.of([name.upper() for name in names])

    assert wanted.minimum(dict(shuffled)) == wanted.minimum(header)


@given(st.dictionaries(KEYS, VALUES), st.lists(KEYS), VALUES)
def test_a_key_that_no_rule_asks_for_changes_nothing(
    header: dict[str, object], names: list[str], value: object
) -> None:
    wanted = Wanted.of([name.upper() for name in names])

    assert wanted.minimum(header | {"unrelated": value}) == wanted.minimum(header)
