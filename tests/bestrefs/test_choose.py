import os
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdscache.bestrefs import parameters
from crdscache.bestrefs.answers import Answer, Cause, Compound, Failure, NoFile
from crdscache.bestrefs.choose import Chooser, Instrument, require_good
from crdscache.bestrefs.parameters import Header, Wanted
from crdscache.contexts.mapping import Mapping
from crdscache.errors import BestrefsError, CacheError, MappingError, MissingMappingError
from tests.bestrefs import oracle, rules
from tests.bestrefs.random_rules import random_case
from tests.bestrefs.rules import DATE, chooser, loader, refused

MISSING = "Missing 'INSTRUME' keyword in header for determining instrument."
UNKNOWN = "Unknown instrument '{}' for context 'hst_0001.pmap'"
DARK = rules.read(
    "Match({('WFC',) : UseAfter({'2000-01-01 00:00:00': 'drk.fits'})})",
    (("DETECTOR",), DATE),
    name="hst_acs_darkfile_0001.rmap",
    reffile_switch="DARKCORR",
)
FLAT = rules.read(
    "Match({('F1',) : 'flat.fits'})",
    (("FILTER",),),
    name="hst_acs_pfltfile_0001.rmap",
    rmap_relevance='((DARKCORR != "OMIT") and (LTV1 != "9.0"))',
    extra_keys=("LTV1",),
)
LEFT_OUT = rules.read("Match({})", (("X",),), name="hst_acs_oldfile_0001.rmap", rmap_omit="(True)")
IMAP = rules.read(
    """{
        'PFLTFILE' : 'hst_acs_pfltfile_0001.rmap',
        'darkfile' : 'hst_acs_darkfile_0001.rmap',
        'oldfile' : 'hst_acs_oldfile_0001.rmap',
        'nafile' : 'N/A',
        'tempfile' : 'temp_n/a',
        'omitfile' : 'TEMP_OMIT',
    }""",
    ("REFTYPE",),
    name="hst_acs_0001.imap",
)
PMAP = rules.read(
    """{
        'ACS' : 'hst_acs_0001.imap',
        'wfpc2' : 'hst_wfpc2_0001.imap',
        'cos' : 'hst_cos_0001.imap',
        'stis' : 'N/A',
        'nicmos' : 'OMIT',
    }""",
    ("INSTRUME",),
    name="hst_0001.pmap",
)
WFPC2 = rules.read("{'darkfile' : 'N/A'}", ("REFTYPE",), name="hst_wfpc2_0001.imap")
COS = rules.read("{'flatfile' : 'hst_cos_flatfile_0009.rmap'}", ("REFTYPE",), name="hst_cos_0001.imap")
HEADER: Header = {
    "INSTRUME": "ACS",
    "DETECTOR": "WFC",
    "FILTER": "F1",
    "DATE-OBS": "2010-01-01",
    "TIME-OBS": "00:00:00",
}


@pytest.fixture
def context() -> Chooser:
    return chooser(PMAP, IMAP, DARK, FLAT, LEFT_OUT, WFPC2, COS)


def test_all_types_are_answered_in_the_order_of_the_imap(context: Chooser) -> None:
    assert list(context.choose(HEADER).items()) == [
        ("pfltfile", "flat.fits"),
        ("darkfile", "drk.fits"),
        ("nafile", NoFile.NOT_APPLICABLE),
        ("tempfile", NoFile.NOT_APPLICABLE),
    ]


def test_types_that_are_asked_for_are_answered_in_that_order(context: Chooser) -> None:
    asked = ("nafile", "DarkFile", "zzz", "omitfile", "oldfile", "pfltfile")

    assert list(context.choose(HEADER, asked).items()) == [
        ("nafile", NoFile.NOT_APPLICABLE),
        ("darkfile", "drk.fits"),
        ("zzz", Failure(Cause.UNKNOWN_TYPE, "Unknown reference type 'zzz'")),
        ("pfltfile", "flat.fits"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Trap 12: a parameter that only another type asks for is there, if the header lacks it, too.
        ({"DARKCORR": "OMIT"}, NoFile.NOT_APPLICABLE),
        ({"DARKCORR": "PERFORM"}, "flat.fits"),
        ({"LTV1": 9}, NoFile.NOT_APPLICABLE),
        ({"FILTER": "F2"}, refused("FILTER", "F2", "not in ['F1']")),
        ({"filter": " f1 ", "FILTER": "F2"}, "flat.fits"),
    ],
)
def test_each_type_sees_the_header_of_the_instrument(
    context: Chooser, changes: Header, expected: Answer
) -> None:
    assert context.choose({**HEADER, **changes})["pfltfile"] == expected


@pytest.mark.parametrize("spelling", ["ACS", "acs", "Acs"])
def test_the_letter_case_of_an_instrument_does_not_matter(context: Chooser, spelling: str) -> None:
    assert context.choose({**HEADER, "INSTRUME": spelling}) == context.choose(HEADER)
    assert context.choose({"instrume": spelling}, ["nafile"]) == {"nafile": NoFile.NOT_APPLICABLE}
    assert context.choose({"INSTRUME": "WFII"}) == {"darkfile": NoFile.NOT_APPLICABLE}


@pytest.mark.parametrize(
    ("header", "client_class", "reason"),
    [
        ({}, "CrdsError", MISSING),
        ({"INSTRUMENT": "ACS"}, "CrdsError", MISSING),  # enough for the first look, not for the second
        *[
            ({"INSTRUME": name}, "CrdsUnknownInstrumentError", UNKNOWN.format(name.lower()))
            for name in (" ACS", "FOC", "HST", "")
        ],
        ({"INSTRUME": "STIS"}, "AttributeError", "hst_0001.pmap has no rules for stis: N/A"),
        ({"INSTRUME": "NICMOS"}, "AttributeError", "hst_0001.pmap has no rules for nicmos: OMIT"),
        ({"INSTRUME": 5}, "AttributeError", "hst_0001.pmap: the instrument, INSTRUME = 5, is no text"),
    ],
)
def test_a_header_whose_instrument_cannot_be_told_has_no_answer(
    context: Chooser, header: Header, client_class: str, reason: str
) -> None:
    with pytest.raises(BestrefsError) as caught:
        context.choose(header)

    assert (caught.value.client_class, str(caught.value)) == (client_class, reason)


def test_rules_that_are_not_there_leave_the_whole_instrument_without_answers(context: Chooser) -> None:
    with pytest.raises(MissingMappingError, match=r"hst_cos_flatfile_0009\.rmap"):
        context.choose({"INSTRUME": "COS"}, ["other"])

    assert context.choose(HEADER, ["darkfile"]) == {"darkfile": "drk.fits"}  # others do not mind


def test_rules_that_make_no_sense_leave_the_whole_instrument_without_answers() -> None:
    broken = rules.read("Match({1 : 'a', '1' : 'b'})", (("X",),), name="hst_cos_flatfile_0009.rmap")

    with pytest.raises(MappingError, match="appears more than once"):
        chooser(PMAP, COS, broken).choose({"INSTRUME": "COS"})


def test_rules_without_parameters_can_be_asked_alone() -> None:
    """Real: the tables of synphot."""
    table = rules.read("Match({() : 'tmt.fits'})", ((),), name="hst_synphot_tmttab_0001.rmap")

    assert chooser(table).choose({}) == {"tmttab": "tmt.fits"}


@pytest.mark.parametrize("word", ["temp_omit", "n/A", "Omit"])
def test_an_imap_entry_in_an_odd_letter_case_is_a_name(word: str) -> None:
    imap = rules.read(f"{{'darkfile' : {word!r}}}", ("REFTYPE",), name="hst_acs_0001.imap")

    with pytest.raises(MissingMappingError, match=word):
        chooser(PMAP, imap).choose(HEADER)


@pytest.mark.parametrize(
    ("asked", "header", "expected"),
    [
        ((DARK,), {"DETECTOR": "WFC", "DATE-OBS": "2010-01-01", "TIME-OBS": ""}, {"darkfile": "drk.fits"}),
        ((FLAT,), {"INSTRUME": "COS", "FILTER": "F1", "DARKCORR": "OMIT"}, {"pfltfile": "flat.fits"}),
        ((IMAP, DARK, FLAT, LEFT_OUT), {"DARKCORR": "OMIT"}, {"pfltfile": NoFile.NOT_APPLICABLE}),
        ((rules.read("{}", ("REFTYPE",), name="roman_wfi_0001.imap"),), {}, {}),
    ],
)
def test_an_imap_or_rmap_is_asked_whatever_the_instrument(
    asked: tuple[Mapping, ...], header: Header, expected: dict[str, Answer]
) -> None:
    """Only that mapping's parameters are seen: DARKCORR is unknown to the flat's own rules."""
    assert chooser(*asked).choose(header, expected) == expected


def test_mappings_are_loaded_when_their_instrument_is_asked_for_and_once() -> None:
    load, loaded = loader(PMAP, IMAP, DARK, FLAT, LEFT_OUT, WFPC2), []

    def counting(name: str) -> Mapping:
        loaded.append(name)
        return load(name)

    context = Chooser(PMAP.name, counting)
    first = loaded.copy()
    answers = [context.choose(HEADER), context.choose(HEADER)]

    assert first == [PMAP.name]
    assert loaded == [PMAP.name, IMAP.name, FLAT.name, DARK.name, LEFT_OUT.name]
    assert answers[0] == answers[1]


def test_a_context_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(MissingMappingError, match=r"hst_0001\.pmap"):
        Chooser("hst_0001.pmap", loader())


@pytest.mark.parametrize(
    ("header", "is_fast", "expected"),
    [
        ({"instrume": "acs", "Detector": "wfc", "Date-Obs": "2010-01-01", "time-obs": ""}, True, "drk.fits"),
        # Values that are not simple are left out by the thorough way only.
        ({**HEADER, "DETECTOR": None}, True, refused("DETECTOR", "NONE", "not in ['WFC']")),
        ({**HEADER, "DETECTOR": None}, False, refused("DETECTOR", "UNDEFINED", "not in ['WFC']")),
        ({**HEADER, "DETECTOR": ["WFC"]}, True, refused("DETECTOR", "['WFC']", "not in ['WFC']")),
        ({**HEADER, "DETECTOR": ["WFC"]}, False, refused("DETECTOR", "UNDEFINED", "not in ['WFC']")),
        ({**HEADER, "INSTRUME": " acs "}, False, "drk.fits"),  # stripped here
        ({**HEADER, "detector": "HRC"}, True, refused("DETECTOR", "HRC", "not in ['WFC']")),
        ({"detector": "HRC", **HEADER}, True, "drk.fits"),  # the later one counts
    ],
)
def test_the_clients_other_function_prepares_the_header_otherwise(
    context: Chooser,
    header: Header,
    is_fast: bool,  # noqa: FBT001
    expected: Answer,
) -> None:
    assert context.recommend(header, ["darkfile"], is_fast=is_fast) == {"darkfile": expected}


def test_the_thorough_way_wants_the_instrument_under_a_key_of_one_letter_case(context: Chooser) -> None:
    header: Header = {**HEADER, "INSTRUME": "UNDEFINED", "Instrume": "ACS"}

    assert context.recommend(header, ["darkfile"]) == {"darkfile": "drk.fits"}
    with pytest.raises(BestrefsError) as caught:
        context.recommend(header, ["darkfile"], is_fast=False)
    assert (caught.value.client_class, str(caught.value)) == (
        "KeyError",
        "No instrument keyword defined in header.",
    )


def test_what_makes_no_sense_is_told_before_a_missing_instrument(context: Chooser) -> None:
    with pytest.raises(BestrefsError, match="Unknown instrument 'foc'"):
        context.recommend({"Instrume": "FOC"}, is_fast=False)


@pytest.mark.parametrize(
    ("bad", "client_class"),
    [("drk.fits", "CrdsBadReferenceError"), ("rmap", "CrdsBadRulesError"), ("imap", "CrdsBadRulesError")],
)
def test_the_thorough_way_recommends_nothing_that_is_rejected(
    context: Chooser, bad: str, client_class: str
) -> None:
    imap, rmap = context.rules_for(HEADER).mappings("darkfile")
    rejected = {{"imap": imap, "rmap": rmap}.get(bad, bad)}

    assert context.recommend(HEADER, ["darkfile"], rejected=rejected) == {"darkfile": "drk.fits"}
    with pytest.raises(BestrefsError) as caught:
        context.recommend(HEADER, ["darkfile"], is_fast=False, rejected=rejected)
    assert caught.value.client_class == client_class


def test_the_thorough_way_of_the_client_fails_at_several_names() -> None:
    several = {"darkfile": Compound(("a.fits", "b.fits"))}

    with pytest.raises(BestrefsError) as caught:
        require_good(several, Instrument("acs", "", {}, Wanted.of(())), frozenset())
    assert caught.value.client_class == "TypeError"


JWST = (
    rules.read("{'miri' : 'jwst_miri_0001.imap'}", ("META.INSTRUMENT.NAME",), name="jwst_0001.pmap"),
    rules.read("{'dark' : 'jwst_miri_dark_0001.rmap'}", ("REFTYPE",), name="jwst_miri_0001.imap"),
    rules.read(
        "Match({('FAST', 'T') : UseAfter({'2000-01-01 00:00:00': 'dark.fits'})})",
        (
            ("META.EXPOSURE.READPATT", "META.VISIT.TSOVISIT"),
            ("META.OBSERVATION.DATE", "META.OBSERVATION.TIME"),
        ),
        name="jwst_miri_dark_0001.rmap",
        rmap_relevance='(META.INSTRUMENT.LAMP_STATE != "ON")',
    ),
)
JWST_DATE = {"DATE-OBS": "2022-01-01", "TIME-OBS": "00:00:00"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"INSTRUME": "MIRI", "READPATT": "FAST", "TSOVISIT": True, **JWST_DATE}, "dark.fits"),
        (
            {
                "meta.instrument.name": "miri",
                "Meta.Exposure.Readpatt": "fast",
                "META.VISIT.TSOVISIT": "true",
                "META.OBSERVATION.DATE": "2022-01-01",
                "META.OBSERVATION.TIME": "00:00:00",
            },
            "dark.fits",
        ),
        ({"INSTRUME": "MIRI", "LAMP": "ON"}, NoFile.NOT_APPLICABLE),  # no parkey, but always there
        ({"INSTRUME": "MIRI"}, refused("META.EXPOSURE.READPATT", "UNDEFINED", "not in ['FAST']")),
    ],
)
def test_keywords_of_jwst_are_found_by_their_paths(header: Header, expected: Answer) -> None:
    assert chooser(*JWST).choose(header) == {"dark": expected}
    assert chooser(*JWST).recommend(header) == {"dark": expected}


ROMAN = (
    rules.read("{'wfi' : 'roman_wfi_0001.imap'}", ("ROMAN.META.INSTRUMENT.NAME",), name="roman_0001.pmap"),
    rules.read("{'dark' : 'roman_wfi_dark_0001.rmap'}", ("REFTYPE",), name="roman_wfi_0001.imap"),
    rules.read(
        "Match({('X',) : 'dark.fits'})",
        (("ROMAN.META.INSTRUMENT.DETECTOR",),),
        name="roman_wfi_dark_0001.rmap",
    ),
)


def test_paths_of_roman_may_be_short_for_the_clients_other_function_only() -> None:
    short: Header = {"meta.instrument.name": "WFI", "meta.instrument.detector": "X"}
    whole: Header = {f"ROMAN.{key.upper()}": value for key, value in short.items()}

    assert chooser(*ROMAN).recommend(short) == {"dark": "dark.fits"}
    assert chooser(*ROMAN).recommend(whole) == chooser(*ROMAN).choose(whole) == {"dark": "dark.fits"}
    with pytest.raises(BestrefsError, match=r"Missing 'ROMAN\.META\.INSTRUMENT\.NAME'"):
        chooser(*ROMAN).choose(short)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["ACS", "WFC", "F1", "OMIT", "N/A", "*", "2010-01-01", "00:00:00", "UNDEFINED", "9"]),
)
KEYS = st.sampled_from([*HEADER, "DARKCORR", "LTV1", "detector", "Filter"]) | st.text()
HEADERS = st.dictionaries(KEYS, VALUES)


@given(HEADERS)
def test_any_header_has_an_answer_or_an_error_of_ours(header: dict[str, object]) -> None:
    context = chooser(PMAP, IMAP, DARK, FLAT, LEFT_OUT, WFPC2)

    for choose in (context.choose, context.recommend):
        try:
            answers = choose(header)
        except CacheError:
            continue
        assert all(isinstance(each, str | NoFile | Failure) for each in answers.values())


SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.randoms())
@settings(max_examples=40, deadline=None)
def test_order_and_other_keys_of_a_header_change_nothing(seed: int, random: Random) -> None:
    text, headers = random_case(np.random.default_rng(seed), n_datasets=5)
    asked = chooser(rules.parse(text))

    for header in headers:
        # Of two spellings of a name of jwst the later one counts.
        if len(parameters.renamed(header, asked.observatory)) == len(header):
            shuffled = dict(random.sample(list(header.items()), len(header)))
            assert asked.choose(shuffled) == asked.choose(header)
        assert asked.choose({**header, "UNRELATED": "X", "unrelated2": None}) == asked.choose(header)


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_both_functions_agree_where_keys_are_in_capitals(seed: int) -> None:
    text, headers = random_case(np.random.default_rng(seed), n_datasets=5)
    asked = chooser(rules.parse(text))

    for header in headers:
        capital: Header = {key.upper(): header[key] for key in header}
        assert asked.recommend(capital) == asked.choose(capital)


def test_contexts_of_the_missions_load_but_those_that_name_damaged_rules(
    oracle_roots: tuple[Path, ...],
) -> None:
    """An imap in twelve, by its name; CRDSCACHE_FULL_SWEEP=1 takes all."""
    paths = {path.name: path for root in oracle_roots for path in root.glob("mappings/*/*.imap")}
    every = 1 if os.environ.get("CRDSCACHE_FULL_SWEEP") else 12
    damaged = "roman_wfi_0006.imap"
    failed = []
    for name in sorted({name for name in paths if sum(name.encode()) % every == 0} | {damaged}):
        try:
            Chooser(name, oracle.loader(oracle_roots, name.partition("_")[0])).choose({})
        except CacheError as error:
            failed.append((name, str(error)))

    assert failed == [
        (damaged, "roman_wfi_epsf_0001.rmap: the header's sum is not that of the text"),
    ]


@pytest.mark.parametrize(
    ("context", "header", "expected"),
    [
        ("roman_0002.pmap", {"ROMAN.META.INSTRUMENT.NAME": "WFI"}, {}),
        ("roman_0001.pmap", {"ROMAN.META.INSTRUMENT.NAME": "WFI"}, "CrdsUnknownInstrumentError"),
        ("jwst_na_omit.pmap", {"META.INSTRUMENT.NAME": "FGS"}, {"flat": NoFile.NOT_APPLICABLE}),
        ("jwst_na_omit.pmap", {"META.INSTRUMENT.NAME": "MIRI"}, {}),
    ],
)
def test_odd_contexts_of_the_missions_are_answered(
    oracle_roots: tuple[Path, ...], context: str, header: Header, expected: object
) -> None:
    load = oracle.loader(oracle_roots, context.partition("_")[0])

    try:
        answers: object = Chooser(context, load).choose(header)
    except BestrefsError as error:
        answers = error.client_class

    assert answers == expected
