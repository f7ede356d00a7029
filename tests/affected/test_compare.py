import re

import numpy as np
import pytest

from crdscache.affected import difference, population
from crdscache.affected.compare import Counts, Effect, effect, file_of
from crdscache.affected.exposuretypes import PARAMETER, ExposureTypes
from crdscache.bestrefs.answers import Answer, Cause, Compound, Failure, NoFile
from crdscache.bestrefs.choose import Chooser
from crdscache.datasets.records import Dataset
from crdscache.errors import MappingError
from tests.affected import comparing
from tests.bestrefs import rules
from tests.bestrefs.random_rules import random_case

FAILED = Failure(Cause.NO_MATCH, "No match found.")
SEVERAL = Compound(["a.fits", "b.fits"])


def context(rmap: str, name: str) -> Chooser:
    """Put an rmap into a context of its own."""
    told = re.search(r"'name' : '((\w+?)_(\w+?)_(\w+?)_\d+)\.rmap'", rmap)
    assert told
    observatory, instrument, reftype = told[2], told[3], told[4]
    key = "META.INSTRUMENT.NAME" if observatory == "jwst" else "INSTRUME"
    own = f"{told[1]}{name}.rmap"
    imap = rules.read(
        f"{{'{reftype}': '{own}'}}", ("REFTYPE",), name=f"{observatory}_{instrument}_{name}.imap"
    )
    pmap = rules.read(f"{{'{instrument.upper()}': '{imap.name}'}}", (key,), name=f"{observatory}_{name}.pmap")
    return Chooser(pmap.name, rules.loader(pmap, imap, rules.parse_as(own, rmap.encode())))


def changed(rng: np.random.Generator, text: str) -> str:
    """Deliver new rules: other names for some rows, other starts, and some rows less."""

    def other_name(found: re.Match[str]) -> str:
        return found[0] if rng.random() < 0.8 else f"'g{found[1]}.fits'"

    text = re.sub(r"'f(\d+)\.fits'", other_name, text)
    lines = [line for line in text.split("\n") if not (".fits'" in line and rng.random() < 0.1)]
    return re.sub(
        r"'2009-05-14 00:00:00'",
        lambda found: found[0] if rng.random() < 0.7 else "'2011-01-01'",
        "\n".join(lines),
    )


def random_pair(seed: int, n_datasets: int) -> tuple[Chooser, Chooser, list[Dataset]]:
    """Make two contexts with rules that resemble each other, and data sets for them."""
    rng = np.random.default_rng(seed)
    while True:
        text, headers = random_case(rng, n_datasets)
        try:
            old, new = context(text, "0001"), context(changed(rng, text), "0002")
            [(instrument, _)] = comparing.changes.imaps(old.root).items()
            old.instrument(instrument), new.instrument(instrument)
        except MappingError:
            continue
        named = (
            {"INSTRUME": instrument.upper(), "META.INSTRUMENT.NAME": instrument.upper(), **each}
            for each in headers
        )
        return old, new, [Dataset(f"D{number}:D{number}", header) for number, header in enumerate(named)]


@pytest.mark.parametrize("seed", range(60))
def test_columns_find_what_brute_force_finds(seed: int) -> None:
    old, new, datasets = random_pair(seed, 150)

    found, failed = comparing.by_columns(old, new, datasets)

    assert found == comparing.by_brute_force(old, new, datasets)
    assert failed == set()


@pytest.mark.parametrize("seed", range(60, 260))
def test_a_since_date_leaves_out_only_what_is_neither_affected_nor_undetermined(seed: int) -> None:
    old, new, datasets = random_pair(seed, 100)
    [name] = comparing.changes.instruments(old.root, new.root)
    change = difference.of_instrument(old, new, name, comparing.both(old, new))

    batches = population.of_datasets(datasets, change, (old, new), tells_unknown=True)
    kept = {each for batch in population.not_before(batches, change.since) for each in batch.ids}

    assert comparing.by_brute_force(old, new, datasets).keys() <= kept


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a.fits", "A.FITS", Effect.NONE),
        ("a.fits", "b.fits", Effect.AFFECTED),
        ("a.fits", NoFile.NOT_APPLICABLE, Effect.AFFECTED),
        (NoFile.OMITTED, "a.fits", Effect.AFFECTED),
        (NoFile.OMITTED, NoFile.NOT_APPLICABLE, Effect.NONE),
        (FAILED, "a.fits", Effect.AFFECTED),
        (FAILED, NoFile.NOT_APPLICABLE, Effect.AFFECTED),
        ("a.fits", FAILED, Effect.UNDETERMINED),
        (NoFile.NOT_APPLICABLE, SEVERAL, Effect.UNDETERMINED),
        (FAILED, SEVERAL, Effect.NONE),
        (SEVERAL, "a.fits", Effect.AFFECTED),
    ],
)
def test_a_change_matters_if_the_new_answer_is_one_and_the_file_is_another(
    old: Answer, new: Answer, expected: Effect
) -> None:
    assert effect(old, new) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A.fits", "a.fits"),
        (NoFile.OMITTED, "n/a"),
        (FAILED, "error: No match found."),
        (SEVERAL, "error: several: ['a.fits', 'b.fits']"),
    ],
)
def test_an_answer_stands_for_a_file_in_small_letters(answer: Answer, expected: str) -> None:
    assert file_of(answer) == expected


def two_contexts(old: str, new: str) -> tuple[Chooser, Chooser]:
    parkey = (("DETECTOR",), ("DATE-OBS", "TIME-OBS"))
    return context(rules.text_of(old, parkey), "0001"), context(rules.text_of(new, parkey), "0002")


def cos(number: int, **values: str) -> Dataset:
    return Dataset(
        f"L{number}:L{number}",
        {"INSTRUME": "COS", "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00", **values},
    )


def test_tables_with_the_same_rows_for_a_data_set_are_told_apart_from_others() -> None:
    old, new = two_contexts(
        "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'a_dis.fits'})})",
        "Match({('FUV',): UseAfter({'2009-01-01 00:00:00': 'b_dis.fits'})})",
    )
    asked = []

    def same_rows(*pair: object) -> bool:
        asked.append(pair[:4])
        return True

    found, _ = comparing.by_columns(
        old, new, [cos(1, DETECTOR="FUV"), cos(2, DETECTOR="NUV")], Counts(same_rows)
    )

    assert found == {"L1:L1": {"flatfile": (Effect.SAME_ROWS, "a_dis.fits", "b_dis.fits")}}
    assert asked == [("cos", "flatfile", "a_dis.fits", "b_dis.fits")]


def test_only_types_of_the_exposure_count_where_that_is_asked_for(oracle_roots: tuple[object, ...]) -> None:
    load = comparing.loader_of(oracle_roots, "jwst")  # type: ignore[arg-type]
    old, new = Chooser("jwst_0540.pmap", load), Chooser("jwst_0541.pmap", load)
    header = {
        "META.INSTRUMENT.NAME": "NIRSPEC",
        "META.INSTRUMENT.DETECTOR": "NRS1",
        "META.EXPOSURE.READPATT": "NRSRAPIDD1",
        "META.SUBARRAY.NAME": "FULL",
        "META.SUBARRAY.XSTART": "1",
        "META.SUBARRAY.YSTART": "1",
        "META.SUBARRAY.XSIZE": "2048",
        "META.SUBARRAY.YSIZE": "2048",
        "META.OBSERVATION.DATE": "2014-01-01",
        "META.OBSERVATION.TIME": "00:00:00",
    }
    datasets = [Dataset(name, {**header, PARAMETER: name}) for name in ("NRS_DARK", "NRS_IFU", "NO_SUCH")]

    every, _ = comparing.by_columns(old, new, datasets)
    some, _ = comparing.by_columns(old, new, datasets, Counts(exposure_types=ExposureTypes()))

    assert {name: sorted(types) for name, types in every.items()}.keys() >= {"NRS_DARK", "NRS_IFU", "NO_SUCH"}
    assert "dark" in every["NRS_DARK"]
    assert some.get("NRS_DARK", {}).keys() == every["NRS_DARK"].keys() - {"dark"}
    assert some["NO_SUCH"] == every["NO_SUCH"]
