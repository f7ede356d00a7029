import numpy as np
import pytest

from crdscache.affected import compare, difference
from crdscache.affected.compare import Effect
from crdscache.affected.difference import Counts, InstrumentChange
from crdscache.bestrefs.choose import Chooser
from crdscache.datasets.records import Dataset
from tests.affected import comparing
from tests.bestrefs import rules

PARKEY = (("DETECTOR",), ("DATE-OBS", "TIME-OBS"))
BASE = "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'a.fits', '2012-01-01 00:00:00': 'b.fits'})})"


def context(number: int, types: dict[str, str | None], **headers: dict[str, object]) -> Chooser:
    """Make a context of cos: for each type a selector, or None for N/A; `headers` adds to those of rmaps."""
    made, entries = [], []
    for reftype, selector in types.items():
        if selector is None:
            entries.append(f"'{reftype}': 'N/A'")
            continue
        name = f"hst_cos_{reftype}_{number:04}.rmap"
        more = {"parkey": PARKEY, **headers.get(reftype, {})}
        made.append(rules.read(selector, name=name, **more))  # type: ignore[arg-type]
        entries.append(f"'{reftype}': '{name}'")
    imap = rules.read(f"{{{', '.join(entries)}}}", ("REFTYPE",), name=f"hst_cos_{number:04}.imap")
    pmap = rules.read(f"{{'COS': '{imap.name}'}}", ("INSTRUME",), name=f"hst_{number:04}.pmap")
    return rules.chooser(pmap, imap, *made)


def change(old: Chooser, new: Chooser) -> InstrumentChange:
    return difference.of_instrument(old, new, "cos", comparing.both(old, new))


def told(old: Chooser, new: Chooser) -> dict[str, tuple[str, str | None]]:
    return {each.reftype: (str(each), each.since) for each in change(old, new).types}


def cos(name: str = "L1:L1", **values: object) -> Dataset:
    header = {"INSTRUME": "COS", "DETECTOR": "FUV", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"}
    return Dataset(name, {**header, **values})


def test_rules_of_the_same_content_under_another_name_are_no_change() -> None:
    old = context(1, {"flatfile": BASE}, flatfile={"derived_from": "x"})
    new = context(2, {"flatfile": BASE}, flatfile={"derived_from": "y"})

    assert told(old, new) == {}


def test_rows_are_counted_and_the_earliest_start_that_changed_is_known() -> None:
    old = context(1, {"flatfile": BASE})
    new = context(
        2,
        {
            "flatfile": "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'a.fits', "
            "'2012-01-01 00:00:00': 'c.fits', '2013-05-01 00:00:00': 'd.fits'})})"
        },
    )

    rmaps = "hst_cos_flatfile_0001.rmap -> hst_cos_flatfile_0002.rmap"
    assert told(old, new) == {"flatfile": (f"{rmaps}: 1 added, 1 replaced", "2012-01-01 00:00:00")}
    assert [each.counts for each in change(new, old).types] == [Counts(deleted=1, replaced=1)]


def test_types_that_come_and_go_are_changes_from_the_beginning() -> None:
    old = context(1, {"flatfile": BASE, "bpixtab": BASE, "gsagtab": None, "hvtab": None})
    new = context(2, {"flatfile": BASE, "gsagtab": BASE, "lamptab": BASE})

    assert told(old, new) == {
        "bpixtab": ("hst_cos_bpixtab_0001.rmap -> none", None),
        "gsagtab": ("N/A -> hst_cos_gsagtab_0002.rmap", None),
        "hvtab": ("N/A -> none", None),
        "lamptab": ("none -> hst_cos_lamptab_0002.rmap", None),
    }


def test_an_instrument_on_one_side_only_has_all_its_types_changed() -> None:
    old = context(1, {"flatfile": BASE})
    empty = rules.chooser(rules.read("{'COS': 'N/A'}", ("INSTRUME",), name="hst_0002.pmap"))

    gone = difference.of_instrument(old, empty, "cos", old.load)

    assert [(each.reftype, each.rmaps) for each in gone.types] == [
        ("flatfile", "hst_cos_flatfile_0001.rmap -> none")
    ]
    assert gone.new is None


def test_all_days_count_where_a_parameter_of_another_type_goes() -> None:
    """The condition of one type looks at what only the other asks for; without it the type is relevant.

    That is so for data sets of all days, though the row that changed is a late one.
    """
    condition = {"rmap_relevance": '(XFILE == "YES")'}
    old = context(
        1, {"flatfile": BASE, "bpixtab": BASE}, flatfile=condition, bpixtab={"extra_keys": ("XFILE",)}
    )
    new = context(2, {"flatfile": BASE.replace("b.fits", "c.fits"), "bpixtab": BASE}, flatfile=condition)
    dataset = cos(XFILE="NO")

    found, _ = comparing.by_columns(old, new, [dataset])

    rmaps = "hst_cos_flatfile_0001.rmap -> hst_cos_flatfile_0002.rmap"
    assert told(old, new)["flatfile"] == (f"{rmaps}: 1 replaced", None)
    assert found["L1:L1"]["flatfile"] == (Effect.AFFECTED, "n/a", "a.fits")
    assert found == comparing.by_brute_force(old, new, [dataset])


def test_an_rmap_of_the_same_name_is_a_change_too_where_a_parameter_of_another_type_goes() -> None:
    flat = rules.read(
        BASE, PARKEY, name="hst_cos_flatfile_0001.rmap", rmap_relevance='(XFILE == "YES" or DETECTOR == "X")'
    )
    sides = []
    for number, more in ((1, {"extra_keys": ("XFILE",)}), (2, {})):
        other = rules.read(BASE, PARKEY, name=f"hst_cos_bpixtab_{number:04}.rmap", **more)
        entries = f"{{'bpixtab': '{other.name}', 'flatfile': '{flat.name}'}}"
        imap = rules.read(entries, ("REFTYPE",), name=f"hst_cos_{number:04}.imap")
        pmap = rules.read(f"{{'COS': '{imap.name}'}}", ("INSTRUME",), name=f"hst_{number:04}.pmap")
        sides.append(rules.chooser(pmap, imap, flat, other))
    dataset = cos(XFILE="NO")

    found, _ = comparing.by_columns(*sides, [dataset])

    assert told(*sides)["flatfile"] == (f"{flat.name} -> {flat.name}: parameters of other types", None)
    assert found == {"L1:L1": {"flatfile": (Effect.AFFECTED, "n/a", "a.fits")}}
    assert found == comparing.by_brute_force(*sides, [dataset])


ROW = "UseAfter({{'{}-01-01 00:00:00': '{}'}})".format
FORMER = f"('N',): {ROW(2005, 'n.fits')}"
WILD = f"Match({{('F*',): {ROW(2009, 'a.fits')}, {FORMER}}})"
LEAF = f"Match({{('FUV|X',): 'a.fits', {FORMER}}})"
TWO = f"Match({{('FUV|X',): {ROW(2009, 'a.fits')}, {FORMER}}})"
LESS = f"Match({{('<5',): {ROW(2009, 'a.fits')}, {FORMER}}})"


def with_row(selector: str, key: str) -> str:
    """Add a row that starts long after the data set."""
    return selector.replace("Match({", f"Match({{({key!r},): {ROW(2020, 'late.fits')}, ")


# What is new starts after the data set, and still affects it.
TOO_CLEVER: dict[str, tuple[str, str, dict[str, object], dict[str, str]]] = {
    "a header of the rules": (TWO, with_row(TWO, "X"), {"rmap_relevance": '(DETECTOR == "NUV")'}, {}),
    "rows may not be merged": (TWO, with_row(TWO, "FUV|Y"), {"merge_overlaps": "false"}, {}),
    "a start in another form": (
        BASE,
        BASE.replace("2012-01-01 00:00:00", "1/1/2012"),
        {},
        {"DATE-OBS": "2005-01-01"},
    ),
    "the nearest start counts": (
        "Match({('FUV',): ClosestTime({'2000-01-01 00:00:00': 'a.fits'})})",
        "Match({('FUV',): ClosestTime({'2000-01-01 00:00:00': 'a.fits', '2012-01-01 00:00:00': 'b.fits'})})",
        {},
        {},
    ),
    "a row without starts beside it": (LEAF, with_row(LEAF, "FUV|Y"), {}, {}),
    "it makes a value known that fits a wild card": (WILD, with_row(WILD, "FUV"), {}, {}),
    "it makes all values known": (WILD, with_row(WILD, "N/A"), {}, {}),
    "it makes a number known": (LESS, with_row(LESS, "3"), {}, {"DETECTOR": "3"}),
    "another date decides": (
        f"Match({{('FUV',): {ROW(2009, 'a.fits')}}})",
        f"Match({{('FUV',): {ROW(2009, 'a.fits')[:-2]}, '2020-01-01 00:00:00': 'b.fits'}})}})",
        {"parkey": (("DETECTOR",), ("DATE-END", "TIME-END"))},
        {"DATE-END": "2021-01-01", "TIME-END": "00:00:00"},
    ),
}
OF_BOTH = ("merge_overlaps", "parkey")


@pytest.mark.parametrize(("old", "new", "header", "values"), TOO_CLEVER.values(), ids=TOO_CLEVER)
def test_where_more_than_starts_decides_no_data_set_is_too_early(
    old: str, new: str, header: dict[str, object], values: dict[str, str]
) -> None:
    of_old = {key: value for key, value in header.items() if key in OF_BOTH}
    pair = context(1, {"flatfile": old}, flatfile=of_old), context(2, {"flatfile": new}, flatfile=header)

    assert comparing.by_brute_force(*pair, [cos(**values)]).keys() == {"L1:L1"}
    assert [each.since for each in change(*pair).types] == [None]
    assert [each.since for each in change(*reversed(pair)).types] == [None]


def test_where_hooks_change_headers_no_data_set_is_too_early() -> None:
    """No example is known that is lost: what hooks do is not ours to rely on."""
    hooks = {"hooks": {"fallback_header": "fallback_header_wfpc2_flatfile_v1"}}
    name = "hst_wfpc2_flatfile_{}.rmap".format
    rmaps = [
        rules.read(text, PARKEY, name=name(number), **hooks)
        for number, text in ((1, BASE), (2, BASE.replace("b.fits", "c.fits")))
    ]
    sides = []
    for number, rmap in enumerate(rmaps, start=1):
        imap = rules.read(f"{{'flatfile': '{rmap.name}'}}", ("REFTYPE",), name=f"hst_wfpc2_{number}.imap")
        pmap = rules.read(f"{{'WFPC2': '{imap.name}'}}", ("INSTRUME",), name=f"hst_{number}.pmap")
        sides.append(rules.chooser(pmap, imap, rmap))

    found = difference.of_instrument(*sides, "wfpc2", comparing.both(*sides))

    assert [each.since for each in found.types] == [None]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_out_by_time_is_never_touched(seed: int) -> None:
    """Late rows come and go beside early ones, wild ones among them; the engine is asked one by one."""
    rng = np.random.default_rng(seed)
    keys = ("FUV", "NUV", "FUV|NUV", "F*", "<5", "3", "N/A", "*", "NOT FUV", "{FUV}", "5|FUV")

    def draw(first: int, n_keys: int) -> list[str]:
        drawn = [(keys[number], first + rng.integers(10)) for number in rng.permutation(len(keys))[:n_keys]]
        return [f"({key!r},): {ROW(year, f'f{rng.integers(9)}.fits')}" for key, year in drawn]

    datasets = [
        cos(f"{detector}{year}", DETECTOR=detector, **{"DATE-OBS": f"{year}-06-01"})
        for detector in ("FUV", "NUV", "F1", "3", "5", "N/A", "X")
        for year in range(1999, 2021, 2)
    ]
    n_left_out = 0
    for _ in range(60):
        early, late = draw(2000, 2), draw(2010, 1)
        old, new = (
            context(number, {"flatfile": f"Match({{{', '.join(rows)}}})"})
            for number, rows in ((1, early), (2, late + early))
        )
        start = change(old, new).since
        if start is not None:
            n_left_out += 1
            for one, other in ((old, new), (new, old)):
                touched = comparing.by_brute_force(one, other, datasets)
                assert [name for name in touched if name[-4:] < start[:4]] == []

    assert n_left_out


def test_names_and_sums_in_a_header_are_no_change_but_all_else_is() -> None:
    old = context(1, {"flatfile": BASE, "bpixtab": BASE}, flatfile={"sha1sum": "x", "derived_from": "x"})
    new = context(
        2,
        {"flatfile": BASE, "bpixtab": BASE},
        flatfile={"sha1sum": "y", "derived_from": "y"},
        bpixtab={"reffile_required": "YES"},
    )

    rmaps = "hst_cos_bpixtab_0001.rmap -> hst_cos_bpixtab_0002.rmap"
    assert told(old, new) == {"bpixtab": (f"{rmaps}: header", None)}


def test_only_parameters_that_the_changed_types_look_at_are_asked_for() -> None:
    old = context(1, {"flatfile": BASE, "bpixtab": BASE}, bpixtab={"extra_keys": ("ELSE",)})
    new = context(
        2, {"flatfile": BASE.replace("b.fits", "c.fits"), "bpixtab": BASE}, bpixtab={"extra_keys": ("ELSE",)}
    )

    assert set(change(old, new).parameters) == {"DETECTOR", "DATE-OBS", "TIME-OBS"}
    assert compare.Counts().parameters(change(old, new)) == ()
