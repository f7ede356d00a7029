import os
import time
from pathlib import Path

import numpy as np
import pytest

from crdscache.bestrefs.answers import Answer, Cause, Compound, Failure, NoFile
from crdscache.bestrefs.rmaps import Rmap
from crdscache.contexts.mapping import parse_mapping
from crdscache.errors import MappingError
from tests.bestrefs import rules
from tests.bestrefs.random_rules import random_case
from tests.bestrefs.rules import DATE, answer, chooser, refused

NO_MATCH = Failure(Cause.NO_MATCH, "No match found.")
ONE_ROW = "Match({('A',) : UseAfter({'2000-01-01 00:00:00': 'x.fits'})})"
ONE = (("DETECTOR",), DATE)


def one_row(**header: object) -> Rmap:
    return rules.rmap(ONE_ROW, ONE, **header)


def ask(rmap: Rmap, detector: str = "A", date: str = "2010-01-01", **values: str) -> Answer:
    return answer(rmap, DETECTOR=detector, DATE_OBS=date, TIME_OBS="00:00:00", **values)


@pytest.mark.parametrize(
    ("omit", "expected"),
    [
        ("(True)", NoFile.OMITTED),
        ("True", "x.fits"),  # trap 2: read as the name true, which nothing has
        ('(DETECTOR == "A")', NoFile.OMITTED),
        ('(DETECTOR == "B")', "x.fits"),
        ("(False)", "x.fits"),
        ("(ZZ)", "x.fits"),  # an error means no
        ('DETECTOR == "A"', "x.fits"),  # without parentheses it is read in small letters
        (None, "x.fits"),
    ],
)
def test_a_type_is_left_out_where_its_condition_holds(omit: object, expected: Answer) -> None:
    assert ask(one_row(rmap_omit=omit)) == expected


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ("always", "x.fits"),
        ("ALWAYS", "x.fits"),
        ('(DETECTOR == "A")', "x.fits"),
        ('(DETECTOR != "A")', NoFile.NOT_APPLICABLE),
        ("(False)", NoFile.NOT_APPLICABLE),
        ('((DETECTOR == "B") or (DETECTOR == "C"))', NoFile.NOT_APPLICABLE),
        ('(DETECTOR == "B") or (DETECTOR == "C")', NoFile.NOT_APPLICABLE),  # it, too, is between parentheses
        ("(ZZ)", "x.fits"),  # an error means yes
        ('DETECTOR != "A"', "x.fits"),
        ('(DETECTOR == "always")', NoFile.NOT_APPLICABLE),  # read as == "True"
        ("(not always)", NoFile.NOT_APPLICABLE),
        (True, "x.fits"),
    ],
)
def test_a_type_applies_where_its_condition_holds(relevance: object, expected: Answer) -> None:
    assert ask(one_row(rmap_relevance=relevance)) == expected


def test_what_does_not_apply_is_told_before_the_date_is_read() -> None:
    relevant, irrelevant = one_row(), one_row(rmap_relevance="(False)")

    assert isinstance(ask(relevant, date="FOO"), Failure)
    assert ask(irrelevant, date="FOO") == NoFile.NOT_APPLICABLE
    assert ask(one_row(rmap_relevance="(False)", rmap_omit="(True)")) == NoFile.OMITTED


def test_a_condition_sees_the_parameters_of_other_types() -> None:
    """Trap 12: the header is that of the instrument."""
    rmap = one_row(rmap_relevance='(FLATCORR == "PERFORM")')

    assert ask(rmap, FLATCORR="PERFORM") == "x.fits"
    assert ask(rmap, FLATCORR="OMIT") == NoFile.NOT_APPLICABLE
    assert ask(rmap) == "x.fits"  # no type asks for it: an error, which means yes


TWO_ROWS = "Match({('A', 'N/A') : 'a.fits', ('B', '1') : 'b.fits', ('N/A', '2') : 'c.fits'})"
TWO = (("DETECTOR", "CCDGAIN"),)
ALL = Compound(["a.fits", "b.fits", "c.fits"])


@pytest.mark.parametrize(
    ("relevance", "detector", "gain", "expected"),
    [
        ({}, "B", "1.0", "b.fits"),
        ({"ccdgain": "(False)"}, "B", "7.0", "b.fits"),
        ({"CCDGAIN": "(False)"}, "B", "7.0", "b.fits"),
        ({"other": "(False)"}, "B", "1.0", "b.fits"),
        # Each is judged by the header as it was.
        ({"detector": '(CCDGAIN == "2.0")', "ccdgain": '(DETECTOR == "B")'}, "A", "7.0", ALL),
        ({"ccdgain": '(DETECTOR == "N/A")', "detector": '(CCDGAIN == "N/A")'}, "B", "1.0", ALL),
        ({"ccdgain": "(ZZ)"}, "B", "1.0", Failure(Cause.BAD_RULES, "name 'ZZ' is not defined")),
        ({"detector": "(True or ZZ)"}, "B", "1.0", "b.fits"),
    ],
)
def test_a_parameter_that_has_no_meaning_is_not_applicable(
    relevance: dict[str, str], detector: str, gain: str, expected: Answer
) -> None:
    rmap = rules.rmap(TWO_ROWS, TWO, parkey_relevance=relevance)

    assert answer(rmap, DETECTOR=detector, CCDGAIN=gain) == expected


def test_a_date_that_has_no_meaning_is_unreadable() -> None:
    rmap = one_row(parkey_relevance={"date-obs": "(False)"})

    failure = ask(rmap)

    assert isinstance(failure, Failure)
    assert failure.reason.partition(" exception is ")[0] == (
        "UseAfter Invalid date/time format for ('DATE-OBS', 'TIME-OBS') value = 'N/A 00:00:00'"
    )


def test_a_relevance_that_fails_is_told_even_where_no_reference_is_required() -> None:
    rmap = rules.rmap(TWO_ROWS, TWO, parkey_relevance={"ccdgain": "(ZZ)"}, reffile_required="NO")

    assert answer(rmap, DETECTOR="B", CCDGAIN="1.0") == Failure(Cause.BAD_RULES, "name 'ZZ' is not defined")


def test_a_parameter_that_only_comments_is_not_applicable() -> None:
    rmap = rules.rmap(TWO_ROWS, TWO, comment_parkeys=("CCDGAIN",))

    assert answer(rmap, DETECTOR="B", CCDGAIN="7.0") == "b.fits"


@pytest.mark.parametrize(
    ("required", "expected"),
    [
        *[(word, refused("DETECTOR", "Q", "not in ['A']")) for word in ("YES", "yes", "NONE", "none")],
        *[(word, NoFile.NOT_APPLICABLE) for word in ("NO", "no", "FALSE", "", "REQUIRED")],
    ],
)
def test_a_failure_is_not_applicable_where_no_reference_is_required(required: str, expected: Answer) -> None:
    rmap = one_row(reffile_required=required)

    assert ask(rmap, detector="Q") == expected
    assert ask(rmap) == "x.fits"


GAIN_ROWS = "Match({('WFC', '1') : 'x.fits'})"


@pytest.mark.parametrize(
    ("name", "detector", "gain", "expected"),
    [
        # Trap 13
        *[("hst_acs_darkfile_0001.rmap", "WFC", gain, NoFile.NOT_APPLICABLE) for gain in ("0.5", "1.4")],
        ("hst_cos_flatfile_0001.rmap", "WFC", "0.5", NoFile.NOT_APPLICABLE),
        ("hst_acs_darkfile_0001.rmap", "WFC", "1.0", "x.fits"),
        ("hst_acs_darkfile_0001.rmap", "WFC", "2.0", refused("CCDGAIN", "2.0", "not in ['1.0']")),
        ("hst_acs_darkfile_0001.rmap", "WFC", "FOO", refused("CCDGAIN", "FOO", "not in ['1.0']")),
        ("hst_acs_darkfile_0001.rmap", "HRC", "0.5", refused("DETECTOR", "HRC", "not in ['WFC']")),
        ("jwst_miri_dark_0001.rmap", "WFC", "0.5", refused("CCDGAIN", "0.5", "not in ['1.0']")),
        ("tobs_tinstr_tfilekind_0001.rmap", "WFC", "0.5", refused("CCDGAIN", "0.5", "not in ['1.0']")),
    ],
)
def test_images_that_are_never_reprocessed_have_no_failure(
    name: str, detector: str, gain: str, expected: Answer
) -> None:
    assert answer(rules.rmap(GAIN_ROWS, TWO, name=name), DETECTOR=detector, CCDGAIN=gain) == expected


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        *[(leaf, NoFile.NOT_APPLICABLE) for leaf in ("N/A", "TEMP_N/A", "n/a")],
        *[(leaf, NoFile.OMITTED) for leaf in ("OMIT", "TEMP_OMIT", "omit")],
        *[(leaf, leaf) for leaf in ("temp_omit", "n/A", "Weekdark_0H.fits", "")],
        *[(("a.fits", "b.fits"), Compound(["a.fits", "b.fits"])), ({"k": "N/A"}, Compound({"k": "N/A"}))],
    ],
)
def test_a_leaf_may_say_that_there_is_no_file(leaf: object, expected: Answer) -> None:
    assert answer(rules.rmap(f"Match({{('A',) : {leaf!r}}})", (("X",),)), X="A") == expected


A_OR_B = {"SUBARRAY": {"ALL": "A|B"}}
SUBARRAYS = (("SUBARRAY",),)


@pytest.mark.parametrize(
    ("rows", "substitutions", "value", "expected"),
    [
        ("('GENERIC',) : 'g.fits', ('FULL',) : 'f.fits'", None, "X", "g.fits"),
        ("('GENERIC',) : 'g.fits', ('FULL',) : 'f.fits'", None, "FULL", "f.fits"),
        # The raw text counts, in its letter case.
        ("('generic',) : 'g.fits'", None, "X", refused("SUBARRAY", "X", "not in ['GENERIC']")),
        ("('GENERIC',) : 'g.fits'", {}, "X", "g.fits"),
        ("('GENERIC',) : 'g.fits'", {"SUBARRAY": {}}, "X", refused("SUBARRAY", "X", "not in ['GENERIC']")),
        ("('GENERIC',) : 'g.fits'", {"OTHER": {}}, "X", "g.fits"),
        ("('ALL',) : 'all.fits'", A_OR_B, "B", "all.fits"),
        ("('ALL',) : 'all.fits'", A_OR_B, "C", refused("SUBARRAY", "C", "not in ['A', 'B']")),
        # Trap 14: the entry in the place of another wins, whichever stands first.
        ("('GENERIC',) : 'g.fits', ('N/A',) : 'n.fits'", None, "X", "g.fits"),
        ("('N/A',) : 'n.fits', ('GENERIC',) : 'g.fits'", None, "X", "g.fits"),
        # The header is left as it is: GENERIC passes, and matches nothing.
        ("('FULL',) : 'f.fits'", None, "GENERIC", NO_MATCH),
        ("(5,) : 'g.fits'", {"SUBARRAY": {"5": "N/A"}}, "X", refused("SUBARRAY", "X", "not in ['5.0']")),
    ],
)
def test_an_element_may_stand_for_another(
    rows: str, substitutions: dict[str, dict[str, str]] | None, value: str, expected: Answer
) -> None:
    more = {} if substitutions is None else {"substitutions": substitutions}

    assert answer(rules.rmap(f"Match({{{rows}}})", SUBARRAYS, **more), SUBARRAY=value) == expected


def test_a_generic_subarray_of_jwst_is_any() -> None:
    rmap = rules.rmap(
        "Match({('GENERIC',) : 'g.fits'})", (("META.SUBARRAY.NAME",),), name="jwst_miri_dark_0001.rmap"
    )

    assert rmap.choose({"META.SUBARRAY.NAME": "SUB64"}) == "g.fits"


@pytest.mark.parametrize(
    ("selector", "value", "expected"),
    [
        ("Match({'A' : 'x.fits'})", "A", "x.fits"),  # a bare value is one element
        ("Match({1 : 'x.fits'})", "1.0", "x.fits"),
        ("Match({True : 'x.fits'})", "T", "x.fits"),
        ("Match({('A',) : 'x.fits', ('A',) : 'y.fits'})", "A", "y.fits"),  # the last one counts
        ("Match({})", "A", NO_MATCH),
    ],
)
def test_a_key_is_read_as_it_stands(selector: str, value: str, expected: Answer) -> None:
    assert answer(rules.rmap(selector, (("X",),)), X=value) == expected


def test_a_level_may_be_without_parameters() -> None:
    rmap = rules.rmap("Match({() : UseAfter({'2000-01-01 00:00:00': 'x.fits'})})", ((), DATE))

    assert answer(rmap, DATE_OBS="2010-01-01", TIME_OBS="") == "x.fits"


@pytest.mark.parametrize(
    ("selector", "header", "reason"),
    [
        ("Match({('A', 'B') : 'x'})", {}, "the key ('A', 'B') has 2 elements for 1 parkeys"),
        ("Match({() : 'x'})", {}, "the key () has 0 elements for 1 parkeys"),
        ("Match({1 : 'x', '1.0' : 'y'})", {}, "Key ('1.0',) appears more than once"),
        ("Match({'a' : 'x', ' A ' : 'y'})", {}, "Key ('A',) appears more than once"),
        ("Match({'A|B' : 'x', ('A', 'B') : 'y'})", {}, "the key ('A', 'B') has 2 elements for 1 parkeys"),
        ("Match({'A' : UseAfter({})})", {}, "selectors are nested deeper than the 1 levels of parkey"),
        ("Match({'BETWEEN 2 1' : 'x'})", {}, "BETWEEN 2 1: the first number is the larger one"),
        ("Match({})", {"rmap_relevance": "(A.b)"}, "Attribute is not allowed in a condition"),
        ("Match({})", {"rmap_omit": "(f(A))"}, "Call is not allowed in a condition"),
        ("Match({})", {"parkey_relevance": {"x": "(A[0])"}}, "Subscript is not allowed in a condition"),
    ],
)
def test_rules_without_sense_are_refused(selector: str, header: dict[str, object], reason: str) -> None:
    with pytest.raises(MappingError) as caught:
        rules.rmap(selector, (("X",),), **header)

    assert str(caught.value) == f"{rules.NAME}: {reason}"


HOSTILE = {
    "a call in a condition": {"rmap_relevance": "(open('CANARY', 'w'))"},
    "an attribute": {"rmap_omit": "(().__class__)"},
    "a comprehension": {"parkey_relevance": {"x": "([open('CANARY', 'w') for _ in (1,)])"}},
    "a formatted text": {"rmap_relevance": '(f\'{open("CANARY", "w")}\')'},
    "a walrus": {"rmap_relevance": "((A := open('CANARY', 'w')))"},
    "a lambda": {"rmap_omit": "((lambda: open('CANARY', 'w'))())"},
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE)
def test_S11_hostile_rules_do_not_load_and_are_not_run(
    header: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(MappingError, match=r"not allowed|cannot be read"):
        rules.rmap("Match({})", (("X",),), **header)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["os.system", "__import__('os').system", "precondition_header_acs_biasfile_v2.__init__", "", "of"]
)
def test_S11_a_hook_of_any_other_name_is_none(name: str) -> None:
    rmap = one_row(hooks={"precondition_header": name, "fallback_header": name})

    assert not rmap.has_hooks
    assert ask(rmap) == "x.fits"


BIG = {
    "brackets": ("Match({})", {"rmap_relevance": "(" * 50_000 + ")" * 50_000}),
    "minus": ("Match({})", {"rmap_omit": f"({'-' * 50_000}1)"}),
    "a long text": ("Match({})", {"rmap_relevance": f"({'A' * 1_900_000!r})"}),
    "negations": (f"Match({{({'NOT ' * 400_000!r},) : 'x'}})", {}),
    "combinations": (f"Match({{({'#' * 1_900_000!r},) : 'x'}})", {}),
    "groups": (f"Match({{({'(' * 500_000 + ')' * 500_000!r},) : 'x'}})", {}),
    "levels": ("Match({'A' : " * 40 + "'x'" + "})" * 40, {}),
    "selectors": ("Match({'A' : " * 60 + "'x'" + "})" * 60, {}),
}


@pytest.mark.parametrize(("selector", "header"), BIG.values(), ids=BIG)
def test_S12_rules_that_are_deep_or_huge_are_refused_at_once(
    selector: str, header: dict[str, object]
) -> None:
    text = rules.text_of(selector, (("X",),), **header)
    started_s = time.monotonic()

    with pytest.raises(MappingError, match=r"\S"):
        Rmap(rules.parse(text))

    assert time.monotonic() - started_s < 5


def test_S12_as_many_levels_as_a_file_may_have_are_asked() -> None:
    depth = 40
    rmap = rules.rmap("Match({'A' : " * depth + "'x.fits'" + "})" * depth, (("X",),) * depth)

    assert answer(rmap, X="A") == "x.fits"
    assert answer(rmap, X="B") == refused("X", "B", "not in ['A']")


def answers_to(seed: int) -> list[Answer | None]:
    """Ask a random case, one header at a time; None where the type is left out."""
    text, headers = random_case(np.random.default_rng(seed), n_datasets=60)
    read = rules.parse(text)
    asked = chooser(read)
    return [asked.choose(header).get(read.reftype) for header in headers]


def test_random_cases_are_the_same_for_the_same_seed_and_of_many_kinds() -> None:
    """Else a failure could not be found again, and agreement would prove little."""
    answers = [each for seed in range(60) for each in answers_to(seed)]

    assert answers[:60] == answers_to(0)
    assert {type(each) for each in answers} == {str, NoFile, Failure, Compound, type(None)}
    causes = {each.cause for each in answers if isinstance(each, Failure)}
    assert causes == set(Cause) - {Cause.UNKNOWN_TYPE}
    assert sum(isinstance(each, str) for each in answers) > len(answers) / 4


def test_all_rules_of_the_missions_load_but_one_has_a_wrong_sum(oracle_roots: tuple[Path, ...]) -> None:
    """A file in four, by its name; CRDSCACHE_FULL_SWEEP=1 takes all."""
    paths = {path.name: path for root in oracle_roots for path in root.glob("mappings/*/*.rmap")}
    every = 1 if os.environ.get("CRDSCACHE_FULL_SWEEP") else 4
    epsf = "roman_wfi_epsf_0001.rmap"
    chosen = {name for name in paths if sum(name.encode()) % every == 0} | {epsf}
    assert len(paths) == 1518

    wrong, hooked = [], {}
    for name in chosen:
        read = parse_mapping(name, paths[name].read_bytes())
        hooked[name] = Rmap(read).has_hooks
        wrong += [] if read.has_right_sum else [name]

    assert len(hooked) > 1450 / every
    assert wrong == [epsf]
    assert not hooked[epsf]  # it names one that the client does not know
