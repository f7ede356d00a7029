"""Why a reference was chosen, of made-up rules."""

import json

import pytest

from crdscache.bestrefs.choose import Chooser
from crdscache.bestrefs.explain import Element, Explanation, Row, Walk, explain, in_use
from crdscache.bestrefs.matching import Match
from tests.bestrefs import rules

PMAP = rules.read("{'COS': 'hst_cos_0001.imap'}", ("INSTRUME",), name="hst_0001.pmap")
IMAP = rules.read(
    "{'flatfile': 'hst_cos_flatfile_0001.rmap', 'geofile': 'N/A', 'phatab': 'OMIT'}",
    ("REFTYPE",),
    name="hst_cos_0001.imap",
)
ABOUT = "rules: hst_cos_flatfile_0001.rmap"


def ask(
    selector: str, reftype: str = "flatfile", parkey: tuple[str, ...] = ("A", "B"), **more: object
) -> Explanation:
    rmap = rules.read(selector, (parkey, rules.DATE), **more)
    chooser = Chooser("hst_0001.pmap", rules.loader(PMAP, IMAP, rmap))
    header = {"INSTRUME": "COS", "A": "1", "B": "X", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"}
    found = explain(chooser, header, reftype)
    # It is no second engine: its answer is what is chosen.
    chosen = chooser.choose(header, [reftype])
    assert (found.answer is None) is (reftype.lower() not in chosen)
    return found


def row(weight: int, leads_to: str, *elements: tuple[str, str, str, str]) -> Row:
    return Row(weight, tuple(Element(*each) for each in elements), leads_to)


def test_the_row_that_fits_best_decides_and_the_next_has_less_weight() -> None:
    found = ask("Match({('1', 'X'): 'a.fits', ('1', 'N/A'): 'b.fits', ('2', 'X'): 'c.fits'})")

    assert found == Explanation(
        "flatfile",
        "hst_cos_flatfile_0001.rmap",
        "a.fits",
        (ABOUT,),
        (row(2, "a.fits", ("A", "1.0", "1.0", "fits"), ("B", "X", "X", "fits")),),
        row(1, "b.fits", ("A", "1.0", "1.0", "fits"), ("B", "N/A", "X", "does not matter")),
    )


def test_where_no_other_row_fits_the_next_is_the_one_that_fails_by_least() -> None:
    found = ask("Match({('1', 'X'): 'a.fits', ('2', 'Y'): 'b.fits', ('2', 'X'): 'c.fits'})")

    assert found.next_best == row(1, "c.fits", ("A", "2.0", "1.0", "differs"), ("B", "X", "X", "fits"))
    assert found.next_best is not None
    assert found.next_best.why_not() == "A differs"


def test_a_row_that_leads_nowhere_is_told_and_the_next_one_decides() -> None:
    found = ask(
        "Match({('1', 'X'): UseAfter({'2020-01-01 00:00:00': 'late.fits'}),"
        " ('1', 'N/A'): UseAfter({'2000-01-01 00:00:00': 'a.fits'})})"
    )

    assert (found.answer, [each.leads_to for each in found.decided_by]) == (
        "a.fits", ["a.fits, in use from 2000-01-01 00:00:00"]
    )  # fmt: skip
    assert found.steps[1].startswith("of weight 2, tried without success: (1.0, X): ")


def test_rows_of_equal_weight_are_told_together() -> None:
    found = ask("Match({('1|3', 'X'): 'a.fits', ('1|4', 'X'): 'b.fits'})")

    assert (found.answer, [each.leads_to for each in found.decided_by]) == (
        ["a.fits", "b.fits"], ["a.fits", "b.fits"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reftype", "answer", "step"),
    [
        ("geofile", "NOT FOUND n/a", "hst_cos_0001.imap says N/A"),
        ("phatab", None, "hst_cos_0001.imap says OMIT"),
        ("lamptab", "NOT FOUND Unknown reference type 'lamptab'", "hst_cos_0001.imap has no such type"),
    ],
)
def test_what_the_imap_decides_needs_no_rmap(reftype: str, answer: str | None, step: str) -> None:
    assert ask("Match({('1', 'X'): 'a.fits'})", reftype.upper()) == Explanation(reftype, "", answer, (step,))


@pytest.mark.parametrize(
    ("header", "answer", "steps"),
    [
        ({"rmap_omit": '(B == "X")'}, None, ('omitted, since (B == "X")',)),
        ({"rmap_relevance": '(B == "Y")'}, "NOT FOUND n/a", ('not relevant by (B == "Y")',)),
        ({"rmap_relevance": '(B == "X")'}, "a.fits", ('relevant by (B == "X")',)),
        ({"rmap_relevance": "ALWAYS"}, "a.fits", ()),
        ({"parkey_relevance": {"b": '(A == "2")'}}, "a.fits", ("B counts as N/A, not X",)),
    ],
)
def test_conditions_are_told(header: dict[str, object], answer: str | None, steps: tuple[str, ...]) -> None:
    found = ask("Match({('1', 'X'): 'a.fits'})", **header)

    assert (found.answer, found.steps) == (answer, (ABOUT, *steps))


def test_a_value_that_the_rules_do_not_know_is_told_with_the_nearest_row() -> None:
    found = ask("Match({('2', 'X'): 'a.fits', ('3', 'Y'): 'b.fits'})")

    assert found.answer == "NOT FOUND  parameter='A' value='1.0' is not in ['2.0', '3.0']"
    assert found.steps == (ABOUT, "failed: parameter='A' value='1.0' is not in ['2.0', '3.0']")
    assert found.decided_by == ()
    assert found.next_best is None or found.next_best.why_not() == "A differs"


def test_it_is_readable_in_a_terminal_and_as_data() -> None:
    alternatives = "|".join(f"X{number:02}" for number in range(20))
    found = ask(f"Match({{('1', 'X|{alternatives}'): 'a.fits', ('2', 'X|{alternatives}'): 'b.fits'}})")

    assert list(found.lines()) == [
        "flatfile: a.fits",
        f"  {ABOUT}",
        "  decided by a row of weight 2: a.fits",
        "    A  1.0  1.0                fits",
        "    B  X    X|... (21 values)  fits",
        "  not by the next best, since A differs: b.fits",
        "    A  1.0  2.0                differs",
        "    B  X    X|... (21 values)  fits",
    ]
    assert json.loads(json.dumps(found.to_json()))["decided_by"][0]["elements"][0] == {
        "parkey": "A", "rule": "1.0", "value": "1.0", "verdict": "fits"
    }  # fmt: skip


def test_a_row_that_decided_is_found_by_its_rule() -> None:
    rmap = rules.rmap("Match({('X|1',): UseAfter({'2000-01-01 00:00:00': 'a.fits'})})", (("A",), rules.DATE))
    walk = Walk(rmap)

    walk.walk({"A": "X", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"})

    [decided] = walk.decided_by
    assert isinstance(rmap.selector, Match)
    assert decided.rule == ("1.0|X",)
    assert rmap.selector.child_at(decided.rule) is rmap.selector.children[0]
    assert decided.leads_to == in_use("a.fits", "2000-01-01 00:00:00")
