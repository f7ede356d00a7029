"""Made-up data sets: the same in every run, and such that the rules have answers for them."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from crdscache.bestrefs import columns
from crdscache.bestrefs.answers import NoFile
from crdscache.bestrefs.choose import Chooser
from crdscache.datasets.records import Rows
from demo import observatory
from demo.make_catalogue import loader
from demo.population import BLOCK, SHARES, Population

ACROSS = (BLOCK - 10, BLOCK + 10)


@pytest.fixture(scope="module")
def rules(demo_root: Path) -> Chooser:
    return Chooser(observatory.CONTEXTS[-1], loader(demo_root / "mappings" / "hst"))


@pytest.fixture(scope="module")
def acs(rules: Chooser) -> Population:
    return Population(rules, "acs", seed=1)


def cut(rows: Rows, start: int, stop: int) -> Rows:
    return Rows(rows.ids[start:stop], {name: column[start:stop] for name, column in rows.columns.items()})


def headers(rows: Rows) -> list[dict[str, object]]:
    return [
        dict(zip(rows.columns, values, strict=True)) for values in zip(*rows.columns.values(), strict=True)
    ]


@pytest.mark.parametrize(("start", "stop"), [(200, 300), ACROSS, (0, 0), (5, 5), (0, 2 * BLOCK)])
def test_a_part_is_what_the_whole_has_there(acs: Population, start: int, stop: int) -> None:
    whole = acs.rows(2 * BLOCK + 1)

    assert acs.rows(stop - start, start=start) == cut(whole, start, stop)


def test_the_same_seed_gives_the_same_data_sets_and_another_gives_others(
    rules: Chooser, acs: Population
) -> None:
    again, other = (Population(rules, "acs", seed).rows(500) for seed in (1, 2))

    assert again == acs.rows(500)
    assert headers(other) != headers(again)


def test_ids_of_hst_are_those_of_exposures_and_a_third_of_the_products_are_associations(
    acs: Population,
) -> None:
    ids = acs.rows(*ACROSS[::-1]).ids + acs.rows(2 * BLOCK).ids[: ACROSS[0]]
    products = Counter(name.split(":")[0] for name in ids)

    associations = {name: n for name, n in products.items() if name.endswith("010")}
    assert all(re.fullmatch(r"J[6-9A-Z][0-9A-Z]{4}(010:J\w{5}D[1-4]Q|D1Q:J\w{5}D1Q)", name) for name in ids)
    assert all(name[:6] == name.split(":")[1][:6] for name in ids)
    assert len(set(ids)) == len(ids)
    assert set(associations.values()) == {2, 3, 4}
    assert 0.3 < len(associations) / len(products) < 0.37


def test_exposures_of_an_association_were_taken_in_the_same_way_on_one_day(acs: Population) -> None:
    rows = acs.rows(BLOCK)

    ways: dict[str, set[object]] = {}
    for name, header in zip(rows.ids, headers(rows), strict=True):
        ways.setdefault(name.split(":")[0], set()).add((header["DETECTOR"], header["DATE-OBS"]))
    n_different = sum(len(of_product) > 1 for of_product in ways.values())
    assert n_different < 0.02 * len(ways)  # those of which a header was spoilt


def test_there_is_a_column_for_all_that_the_rules_look_at(rules: Chooser, acs: Population) -> None:
    rows = acs.rows(BLOCK)

    assert list(rows.columns) == [upper for _, upper, _ in rules.instrument("acs").wanted.names]
    assert {len(column) for column in rows.columns.values()} == {BLOCK}
    assert set(rows.columns["INSTRUME"]) == {"ACS"}


def test_some_data_sets_have_no_date_and_the_others_lie_in_the_instruments_years(acs: Population) -> None:
    rows = acs.rows(2 * BLOCK)
    dates, times = rows.columns["DATE-OBS"], rows.columns["TIME-OBS"]
    dated = [str(date) for date in dates if date is not None]

    assert 0.003 < 1 - len(dated) / len(dates) < 0.007
    assert [date is None for date in dates] == [time is None for time in times]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", str(time)) for time in times if time is not None)
    assert (min(dated)[:4], max(dated)[:4]) == ("2002", "2019")


def test_some_data_sets_have_a_value_that_no_rule_expects(acs: Population) -> None:
    odd = [header for header in headers(acs.rows(2 * BLOCK)) if "F9999Z" in header.values()]

    assert 0.0005 < len(odd) / (2 * BLOCK) < 0.003  # one of seven such values


def test_whole_numbers_are_written_with_and_without_a_point(acs: Population) -> None:
    values = {str(value) for value in acs.rows(BLOCK).columns["CCDGAIN"]}

    assert {"2", "2.0"} <= values


def test_shares_of_the_instruments_are_shares() -> None:
    assert {name: round(sum(of.values()), 9) for name, of in SHARES.items()} == {"hst": 1, "jwst": 1}


@pytest.mark.parametrize(
    ("context", "instrument", "form"),
    [
        ("hst_0729.pmap", "acs", "J.*"),
        ("hst_0729.pmap", "wfpc2", "U.*"),
        ("jwst_0541.pmap", "miri", r"JW805\d{8}_02101_\d{5}\.MIR[A-Z]+"),
    ],
)
def test_real_rules_have_answers_for_most_data_sets(
    shared_data: Path, context: str, instrument: str, form: str
) -> None:
    chooser = Chooser(context, loader(shared_data / "mappings" / context.partition("_")[0]))
    rows = Population(chooser, instrument, seed=1).rows(2_000)
    values = {
        name: ["UNDEFINED" if value is None else value for value in column]
        for name, column in rows.columns.items()
    }

    table = columns.Table.of_values(values, len(rows.ids))
    of_types = columns.decide(chooser.instrument(instrument), table).values()

    is_answer = np.concatenate(
        [
            np.array([isinstance(each, str | NoFile) for each in found.distinct])[found.codes]
            for found in of_types
        ]
    )  # (n_types * n_datasets,)
    assert is_answer.mean() > 0.8
    assert len(set(rows.ids)) == len(rows.ids)
    assert all(re.fullmatch(form, name.split(":")[1]) for name in rows.ids)
