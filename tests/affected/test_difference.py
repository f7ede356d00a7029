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


def cos(**values: object) -> Dataset:
    header = {"INSTRUME": "COS", "DETECTOR": "FUV", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"}
    return Dataset("L1:L1", {**header, **values})


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


def test_the_same_rules_are_a_change_where_a_parameter_of_another_type_goes() -> None:
    """The condition of one type looks at what only the other asks for; without it the type is relevant."""
    condition = {"rmap_relevance": '(XFILE == "YES")'}
    old = context(
        1, {"flatfile": BASE, "bpixtab": BASE}, flatfile=condition, bpixtab={"extra_keys": ("XFILE",)}
    )
    new = context(2, {"flatfile": BASE, "bpixtab": BASE}, flatfile=condition)
    dataset = cos(XFILE="NO")

    found, _ = comparing.by_columns(old, new, [dataset])

    assert "flatfile" in {each.reftype for each in change(old, new).types}
    assert found["L1:L1"]["flatfile"] == (Effect.AFFECTED, "n/a", "a.fits")
    assert found == comparing.by_brute_force(old, new, [dataset])


OTHER = BASE.replace("b.fits", "c.fits")


@pytest.mark.parametrize(
    ("old", "new", "header"),
    [
        (BASE, OTHER, {"rmap_relevance": '(DETECTOR == "FUV")'}),
        (BASE, OTHER, {"merge_overlaps": "false"}),
        (BASE, BASE.replace("2012-01-01 00:00:00", "1/1/2012"), {}),
        ("Match({('FUV',): 'a.fits'})", "Match({('FUV',): 'b.fits'})", {}),
    ],
    ids=["header", "no merging", "a start in another form", "no starts"],
)
def test_where_more_than_starts_decides_no_data_set_is_too_early(
    old: str, new: str, header: dict[str, object]
) -> None:
    of_old = {} if "rmap_relevance" in header else header
    pair = context(1, {"flatfile": old}, flatfile=of_old), context(2, {"flatfile": new}, flatfile=header)

    assert [each.since for each in change(*pair).types] == [None]


def test_only_parameters_that_the_changed_types_look_at_are_asked_for() -> None:
    old = context(1, {"flatfile": BASE, "bpixtab": BASE}, bpixtab={"extra_keys": ("ELSE",)})
    new = context(
        2, {"flatfile": BASE.replace("b.fits", "c.fits"), "bpixtab": BASE}, bpixtab={"extra_keys": ("ELSE",)}
    )

    assert set(change(old, new).parameters) == {"DETECTOR", "DATE-OBS", "TIME-OBS"}
    assert compare.Counts().parameters(change(old, new)) == ()
