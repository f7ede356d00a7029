"""Tables as astropy writes them, and the three real ones that there are."""

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.affected import tablerows
from crdscache.affected.tablerows import TableRows

GRATINGS, WAVELENGTHS, APERTURES = ("G130M", "G140L", "G160M"), range(1105, 1285, 20), ("BOA", "PSA")
MODES = list(itertools.product(GRATINGS, WAVELENGTHS, APERTURES))  # 54
HEADER = {"OPT_ELEM": "G140L", "CENWAVE": "1105.0", "APERTURE": "PSA"}

Columns = Mapping[str, tuple[str, Sequence[object]]]  # of each its format and its cells


@pytest.fixture
def rows(tmp_path: Path) -> TableRows:
    return TableRows(tmp_path.joinpath)


def write(path: Path, columns: Columns, more: Sequence[fits.BinTableHDU] = ()) -> Path:
    made = [fits.Column(name, form, array=cells) for name, (form, cells) in columns.items()]
    table = fits.BinTableHDU.from_columns(made)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros(3)), table, *more]).writeto(path)
    return path


def of_modes(modes: Sequence[tuple[object, ...]] = MODES, heights: Sequence[int] | None = None) -> Columns:
    gratings, wavelengths, apertures = zip(*modes, strict=True)
    return {
        "OPT_ELEM": ("8A", gratings),
        "CENWAVE": ("J", wavelengths),
        "APERTURE": ("4A", apertures),
        "HEIGHT": ("J", heights or range(len(modes))),
    }


def header(mode: tuple[object, ...]) -> dict[str, str]:
    grating, wavelength, aperture = map(str, mode)
    return {"OPT_ELEM": grating, "CENWAVE": f"{wavelength}.0", "APERTURE": aperture}


def test_only_data_sets_of_the_mode_whose_row_differs_differ(tmp_path: Path, rows: TableRows) -> None:
    write(tmp_path / "old.fits", of_modes())
    write(tmp_path / "new.fits", of_modes(heights=[*range(10), 99, *range(11, 54)]))

    differing = [
        mode for mode in MODES if not rows.are_same("cos", "xtractab", "old.fits", "new.fits", header(mode))
    ]

    assert differing == [MODES[10]]


def test_the_order_of_rows_and_of_columns_does_not_count(tmp_path: Path, rows: TableRows) -> None:
    columns = of_modes()
    write(tmp_path / "old.fits", columns)
    turned = {name: (form, list(reversed(cells))) for name, (form, cells) in columns.items()}
    write(tmp_path / "new.fits", dict(reversed(turned.items())))

    verdicts = {rows.are_same("cos", "xtractab", "old.fits", "new.fits", header(mode)) for mode in MODES}

    assert verdicts == {True}


def test_a_row_that_is_there_twice_is_not_the_same_as_once(tmp_path: Path, rows: TableRows) -> None:
    mode = ("G140L", 1105, "PSA")
    write(tmp_path / "old.fits", of_modes([mode], [1]))
    write(tmp_path / "new.fits", of_modes([mode, mode], [1, 1]))

    assert not rows.are_same("cos", "xtractab", "old.fits", "new.fits", HEADER)


@pytest.mark.parametrize("cell", ["ANY", " any ", "N/A", "", "G140L", "g140l", "G140"])
def test_a_row_counts_where_it_may_be_selected(tmp_path: Path, rows: TableRows, cell: str) -> None:
    """The client, too, is content with a part of the header's text."""
    write(tmp_path / "old.fits", of_modes([(cell, 1105, "PSA")], [1]))
    write(tmp_path / "new.fits", of_modes([(cell, 1105, "PSA")], [2]))

    assert not rows.are_same("cos", "xtractab", "old.fits", "new.fits", HEADER)


@pytest.mark.parametrize("cell", ["G130M", "G140LX", "NONE"])
def test_a_row_of_another_mode_does_not_count(tmp_path: Path, rows: TableRows, cell: str) -> None:
    """Nothing is selected of either table, and nothing is the same as nothing."""
    write(tmp_path / "old.fits", of_modes([(cell, 1105, "PSA")], [1]))
    write(tmp_path / "new.fits", of_modes([(cell, 1105, "PSA")], [2]))

    assert rows.are_same("cos", "xtractab", "old.fits", "new.fits", HEADER)


@pytest.mark.parametrize(
    ("form", "cell", "is_selected"),
    [
        ("J", 1280, True),
        ("E", 1280.0, True),
        ("8A", "1280", True),
        ("8A", "1280.0", True),
        ("J", -1, True),
        ("I", -999, True),
        ("D", np.nan, True),
        ("J", 1281, False),
        ("8A", "1281", False),
    ],
)
def test_numbers_are_compared_as_numbers(
    tmp_path: Path, rows: TableRows, form: str, cell: object, *, is_selected: bool
) -> None:
    for number, name in enumerate(("old.fits", "new.fits")):
        columns = of_modes([("G140L", 0, "PSA")], [number])
        write(tmp_path / name, {**columns, "CENWAVE": (form, [cell])})

    is_same = rows.are_same("cos", "xtractab", "old.fits", "new.fits", {**HEADER, "CENWAVE": "1280.0"})

    assert is_same is not is_selected


def test_a_number_that_a_table_has_in_32_bits_is_that_of_the_header(tmp_path: Path, rows: TableRows) -> None:
    for number, name in enumerate(("old.fits", "new.fits")):
        write(tmp_path / name, {"CCDAMP": ("4A", ["A"]), "CCDGAIN": ("E", [1.1]), "X": ("J", [number])})

    assert not rows.are_same("acs", "atodtab", "old.fits", "new.fits", {"CCDAMP": "A", "CCDGAIN": "1.1"})


def test_an_exposure_of_both_segments_selects_the_rows_of_both(tmp_path: Path, rows: TableRows) -> None:
    for number, name in enumerate(("old.fits", "new.fits")):
        write(tmp_path / name, {"SEGMENT": ("4A", ["FUVA", "FUVB"]), "X": ("J", [0, number])})

    same = {
        segment: rows.are_same("cos", "bpixtab", "old.fits", "new.fits", {"SEGMENT": segment})
        for segment in ("FUVA", "FUVB", "BOTH", "N/A", "NUVA")
    }

    assert same == {"FUVA": True, "FUVB": False, "BOTH": False, "N/A": False, "NUVA": True}


def test_an_exposure_selects_the_rows_of_all_chips_whichever_its_header_tells(
    tmp_path: Path, rows: TableRows
) -> None:
    for number, name in enumerate(("old.fits", "new.fits")):
        write(tmp_path / name, {"CCDCHIP": ("I", [1, 2]), "X": ("J", [number, 0])})

    assert not rows.are_same("wfc3", "bpixtab", "old.fits", "new.fits", {"CCDCHIP": "2.0"})
    assert rows.are_same("wfc3", "bpixtab", "old.fits", "old.fits", {})


@pytest.mark.parametrize(
    ("form", "old", "new"),
    [
        ("E", 1.0, np.nextafter(np.float32(1), np.float32(2))),
        ("D", 1.0, np.nextafter(1.0, 2.0)),
        ("2000J", np.zeros(2000), np.eye(1, 2000, 1000)[0]),  # numpy's own text leaves the middle out
        ("PJ()", [1, 2, 3], [1, 2]),
        ("8A", "abc", "ABC"),
        ("L", True, False),
    ],
    ids=["single", "double", "long array", "array of any length", "text", "truth"],
)
def test_the_smallest_difference_of_a_selected_row_is_one(
    tmp_path: Path, rows: TableRows, form: str, old: object, new: object
) -> None:
    for name, cell in (("old.fits", old), ("new.fits", new), ("again.fits", old)):
        cells = np.array([None], object) if form.startswith("P") else [cell]
        cells[0] = cell
        write(tmp_path / name, {"DETECTOR": ("8A", ["SBC"]), "X": (form, cells)})

    same = [
        rows.are_same("acs", "mlintab", "old.fits", name, {"DETECTOR": "SBC"})
        for name in ("new.fits", "again.fits")
    ]

    assert same == [False, True]


@pytest.mark.parametrize("value", [None, "UNDEFINED"])
def test_without_a_parameter_of_the_mode_it_stays_affected(
    tmp_path: Path, rows: TableRows, value: str | None
) -> None:
    write(tmp_path / "x.fits", of_modes())
    given = {name: text for name, text in (HEADER | {"APERTURE": value}).items() if text is not None}

    assert not rows.are_same("cos", "xtractab", "x.fits", "x.fits", given)


@pytest.mark.parametrize(
    ("instrument", "reftype"),
    [("cos", "hvtab"), ("stis", "pctab"), ("acs", "idctab"), ("wfc3", "imphttab"), ("nicmos", "phottab")],
)
def test_tables_of_a_type_without_a_rule_are_never_the_same(
    tmp_path: Path, rows: TableRows, instrument: str, reftype: str
) -> None:
    write(tmp_path / "x.fits", of_modes())

    assert tablerows.fields(instrument, reftype) == ()
    assert not rows.are_same(instrument, reftype, "x.fits", "x.fits", HEADER)


def test_the_parameters_are_named_as_rules_name_them() -> None:
    assert tablerows.fields("cos", "twozxtab") == ("OPT_ELEM", "CENWAVE", "APERTURE", "SEGMENT")
    assert tablerows.fields("wfc3", "ccdtab") == ("CCDAMP", "CCDGAIN", "BINAXIS1", "BINAXIS2")


def test_other_columns_are_another_table(tmp_path: Path, rows: TableRows) -> None:
    write(tmp_path / "old.fits", of_modes())
    write(tmp_path / "new.fits", {**of_modes(), "MORE": ("J", [0] * len(MODES))})

    assert not rows.are_same("cos", "xtractab", "old.fits", "new.fits", HEADER)


@pytest.mark.parametrize("name", ["missing.fits", "n/a", "error: No match found.", "../x.fits", "x.R1H", ""])
def test_what_is_not_there_is_not_the_same(tmp_path: Path, rows: TableRows, name: str) -> None:
    write(tmp_path / "x.fits", of_modes())

    same = [rows.are_same("cos", "xtractab", *pair, HEADER) for pair in (("x.fits", name), (name, "x.fits"))]

    assert same == [False, False]


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2880])


def _no_fits(path: Path) -> None:
    path.write_bytes(b"<html>Please log in</html>")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _two_tables(path: Path) -> None:
    path.unlink()
    write(path, of_modes(), [fits.BinTableHDU.from_columns([fits.Column("X", "J", array=[1])])])


def _no_table(path: Path) -> None:
    path.unlink()
    fits.PrimaryHDU(np.zeros(3)).writeto(path)


def _no_mode_column(path: Path) -> None:
    path.unlink()
    write(path, {name: column for name, column in of_modes().items() if name != "CENWAVE"})


def _several_in_a_row(path: Path) -> None:
    path.unlink()
    write(path, of_modes() | {"CENWAVE": ("2J", np.zeros((len(MODES), 2)))})


def _wrong_format(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"TFORM2  = 'J       '", b"TFORM2  = '$       '"))


@pytest.mark.parametrize(
    "spoil",
    [_half, _no_fits, _directory, _two_tables, _no_table, _no_mode_column, _several_in_a_row, _wrong_format],
)
def test_what_cannot_be_read_is_not_even_the_same_as_itself(
    tmp_path: Path, rows: TableRows, spoil: Callable[[Path], None]
) -> None:
    path = write(tmp_path / "x.fits", of_modes())
    spoil(path)

    assert not rows.are_same("cos", "xtractab", "x.fits", "x.fits", HEADER)


def test_the_columns_of_a_mode_are_found_in_any_case_and_a_table_may_be_empty(
    tmp_path: Path, rows: TableRows
) -> None:
    write(tmp_path / "old.fits", {"detector": ("8A", []), "x": ("J", [])})
    write(tmp_path / "new.fits", {"DETECTOR": ("8A", ["SBC"]), "X": ("J", [1])})

    same = [
        rows.are_same("acs", "mlintab", "old.fits", "new.fits", {"DETECTOR": name}) for name in ("SBC", "WFC")
    ]

    assert same == [False, True]


def test_a_file_is_read_once_however_many_data_sets_ask(tmp_path: Path) -> None:
    for name in ("old.fits", "new.fits"):
        write(tmp_path / name, of_modes())
    asked: list[str] = []

    def where(name: str) -> Path:
        asked.append(name)
        return tmp_path / name

    rows = TableRows(where)
    same = {rows.are_same("cos", "xtractab", "old.fits", "new.fits", header(mode)) for mode in MODES * 2}

    assert (same, asked) == ({True}, ["old.fits", "new.fits"])


@pytest.mark.parametrize(
    ("name", "instrument", "reftype", "mode"),
    [
        ("z2d19237l_1dx.fits", "cos", "xtractab", HEADER),
        ("z2d1925ql_2zx.fits", "cos", "twozxtab", {**HEADER, "SEGMENT": "FUVA"}),
        ("v8q14451j_idc.fits", "acs", "idctab", HEADER),
    ],
)
def test_a_real_table_is_the_same_as_its_copy_where_the_type_has_a_rule(
    shared_data: Path, tmp_path: Path, *, name: str, instrument: str, reftype: str, mode: Mapping[str, str]
) -> None:
    shutil.copy(shared_data / "references" / "hst" / name, tmp_path / name)
    shutil.copy(tmp_path / name, tmp_path / "copy.fits")

    is_same = TableRows(tmp_path.joinpath).are_same(instrument, reftype, name, "copy.fits", mode)

    assert is_same is (reftype != "idctab")


def test_of_a_real_table_only_the_mode_whose_row_was_changed_differs(
    shared_data: Path, tmp_path: Path
) -> None:
    real = tmp_path / "z2d19237l_1dx.fits"
    shutil.copy(shared_data / "references" / "hst" / real.name, real)
    with fits.open(real, memmap=False) as hdus:
        table = hdus[1].data
        modes = [tuple(map(str, row)) for row in zip(*(table[name] for name in HEADER), strict=True)]
        table["B_SPEC"][3] += 1
        hdus.writeto(tmp_path / "changed.fits")
    rows = TableRows(tmp_path.joinpath)

    differing = {
        mode
        for mode in modes
        if not rows.are_same("cos", "xtractab", real.name, "changed.fits", header(mode))
    }

    assert differing == {modes[3]}
