"""The letter and number in a name is a row of the fault matrix."""

import gzip
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crdscache.datasets import fitsfiles, opening
from crdscache.datasets.cards import Cards
from crdscache.errors import DatasetError
from tests.datasets.made import BLOCK, CARD, EXTENSION, PRIMARY, extension, header, in_blocks, primary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.fits"


def refused(path: Path) -> str:
    with pytest.raises(DatasetError) as told:
        fitsfiles.read_header(path)
    found = str(told.value)
    assert found.startswith(f"{path}: ")
    return found.removeprefix(f"{path}: ")


def test_cards_of_all_headers_are_read_in_order_and_the_first_value_counts(path: Path) -> None:
    path.write_bytes(primary("A = 1", "B = 2") + extension("B = 3", "C = 4") + extension("A = 5", "D = 6"))

    found = fitsfiles.read_header(path)

    own = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "A": 1, "B": 2}
    extensions = {"XTENSION": "IMAGE", "NAXIS1": 10, "PCOUNT": 0, "GCOUNT": 1}
    assert list(found.items()) == list((own | extensions | {"C": 4, "D": 6}).items())


def test_files_that_astropy_writes_are_read_as_by_astropy(path: Path) -> None:
    image = fits.PrimaryHDU(
        [1.5], fits.Header([("LONG", "text " * 30, "and a comment " * 10), ("NOTHING", None)])
    )
    column = fits.Column("a", "PJ()", array=np.array([[1, 2], [3]], dtype=object))
    table = fits.BinTableHDU.from_columns(
        [column], fits.Header([("HIERARCH a few words", 2.5), ("HISTORY", "line " * 40)])
    )
    fits.HDUList([image, table, fits.CompImageHDU(np.ones((9, 9)))]).writeto(path, checksum=True)

    found = fitsfiles.read_header(path)

    expected: dict[str, object] = {}
    with fits.open(path, disable_image_compression=True) as hdus:
        for card in (card for hdu in hdus for card in hdu.header.cards):
            expected.setdefault(card.keyword.upper(), card.value)
    del expected["NOTHING"]  # it has no value
    assert list(found.items()) == list(expected.items())


def test_groups_of_the_old_kind_are_as_long_as_their_header_says(path: Path) -> None:
    values = {"NAXIS": 2, "NAXIS1": 0, "NAXIS2": 10, "GROUPS": "T", "PCOUNT": 5, "GCOUNT": 200}
    cards = [f"{keyword:8}= {value:>20}" for keyword, value in values.items()]
    path.write_bytes(header(*PRIMARY[:2], *cards) + in_blocks(b"1" * 3000))

    assert fitsfiles.read_header(path)["GROUPS"] is True
    path.write_bytes(path.read_bytes()[:-BLOCK])
    assert refused(path) == f"truncated: {3 * BLOCK} bytes were expected, found {2 * BLOCK}"


def test_headers_and_data_are_found_where_they_are(path: Path) -> None:
    path.write_bytes(primary(*(f"K{number} = 1" for number in range(40))) + extension("A = 1"))

    with opening.opened(path) as source:
        primary_hdu, image = fitsfiles.scan(source)

    assert (primary_hdu.data_start, primary_hdu.end) == (2 * BLOCK, 2 * BLOCK)
    assert (image.data_start, image.end) == (3 * BLOCK, 4 * BLOCK)
    assert dict(Cards(image.text))["A"] == 1


def test_a_header_may_be_longer_than_what_is_read_at_a_time(path: Path) -> None:
    for n_cards in range(355, 365):  # the end card is the last one of ten blocks, or the first after them
        path.write_bytes(primary(*(f"K{number} = {number}" for number in range(n_cards))))

        assert fitsfiles.read_header(path)[f"K{n_cards - 1}"] == n_cards - 1


@pytest.mark.parametrize("rest", [b"\0" * BLOCK, b"special records", b"\0"])
def test_what_follows_the_last_extension_does_no_harm(path: Path, rest: bytes) -> None:
    path.write_bytes(primary("NEXTEND = 1") + extension("A = 1") + rest)

    assert fitsfiles.read_header(path)["A"] == 1


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"SIMPLE", "'SIMPLE'"),
        (b"some text\n", r"'some text\n'"),
        (b"<!DOCTYPE html><html><head></head>", "'<!DOCTYPE html><html><head></h'"),
        (b"\x89PNG\r\n\x1b[31m", r"'\x89PNG\r\n\x1b[31m'"),
        (gzip.compress(primary()), "gzip-compressed data"),
        (primary().replace(b"T", b"F", 1), "'SIMPLE  =                    F'"),
    ],
    ids=["empty", "short", "text", "HTML", "bytes", "gzip", "not simple"],
)
def test_B01_what_is_no_fits_file_is_refused(path: Path, content: bytes, found: str) -> None:
    path.write_bytes(content)

    assert refused(path) == f"a FITS file was expected, found {found}"


def test_B01_a_missing_file_is_named(path: Path) -> None:
    assert refused(path) == "No such file or directory"


def test_B02_a_file_that_is_cut_anywhere_is_refused(path: Path) -> None:
    whole = primary("NEXTEND = 2") + extension("A = 1") + extension("B = 1")

    for n_bytes in (*range(30, len(whole), 1000), *range(BLOCK, len(whole), BLOCK), len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        assert refused(path).startswith("truncated"), n_bytes


def test_B02_what_a_cut_file_lacks_is_told(path: Path) -> None:
    whole = primary("NEXTEND = 2") + extension()
    path.write_bytes(whole + extension()[:-1])
    cut = refused(path)
    path.write_bytes(whole)
    fewer = refused(path)

    assert cut == f"truncated: {5 * BLOCK} bytes were expected, found {5 * BLOCK - 1}"
    assert fewer == "truncated: 2 extensions were expected (NEXTEND), found 1"


@pytest.mark.parametrize("n_extensions", ["1", "0", "", "'many'", "NaN"])
def test_B02_a_number_of_extensions_that_says_nothing_does_no_harm(path: Path, n_extensions: str) -> None:
    path.write_bytes(primary(f"NEXTEND = {n_extensions}") + extension("A = 1"))

    assert fitsfiles.read_header(path)["A"] == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_B02_a_header_whose_end_is_lost_is_refused(path: Path, number: int) -> None:
    parts = [primary(), extension(), extension()]
    parts[number] = parts[number].replace(f"{'END':80}".encode(), f"{'EMD':80}".encode())
    path.write_bytes(b"".join(parts))

    assert (
        refused(path)
        == f"truncated or damaged: the header at byte {max(0, 2 * number - 1) * BLOCK} has no END card"
    )


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ("NAXIS   =                   1E", "NAXIS: a number was expected, found '1E'"),
        ("NAXIS   =                   -1", "NAXIS: a number was expected, found '-1'"),
        ("NAXIS   =                     ", "NAXIS: a number was expected, found ''"),
        ("NAXIS     no value at all", "NAXIS: a number was expected, found None"),
        ("NAXIS   =                    2", "NAXIS2: a number was expected, found None"),
        ("NAXIS   =                 1000", "NAXIS is 1000, 999 at most were expected"),
        (f"NAXIS1  = {'9' * 60}", f"NAXIS1: a number was expected, found '{'9' * 60}'"),
        ("NAXIS1  =      999999999999999", "truncated: 1000000000008000 bytes were expected, found 8640"),
    ],
)
def test_B03_a_structure_that_makes_no_sense_is_refused(path: Path, card: str, reason: str) -> None:
    right = next(each for each in EXTENSION if each[:8] == card[:8])
    path.write_bytes(primary() + extension().replace(f"{right:80}".encode(), f"{card:80}".encode()))

    assert refused(path) == reason


def test_B04_a_header_of_200_000_cards_is_read_in_time(path: Path) -> None:
    path.write_bytes(primary(*(f"K{number:7}= {number}" for number in range(200_000))))
    start = time.monotonic()

    found = fitsfiles.read_header(path)["K 199999"]

    assert (found, time.monotonic() - start < 10) == (199_999, True)


def test_B04_a_file_of_10_000_hdus_is_read_in_time(path: Path) -> None:
    path.write_bytes(primary() + extension() * 9_998 + extension("LAST = 1"))
    start = time.monotonic()

    found = fitsfiles.read_header(path)["LAST"]

    assert (found, time.monotonic() - start < 10) == (1, True)


def test_B04_more_cards_than_any_file_has_are_refused(path: Path) -> None:
    path.write_bytes(primary()[: 3 * CARD] + b" " * CARD * (fitsfiles.MAX_CARDS + 1000))
    endless = refused(path)
    path.write_bytes(
        header(*PRIMARY, *[""] * (fitsfiles.MAX_CARDS // 2)) + header(*EXTENSION, *[""] * 200_000)
    )
    together = refused(path)

    assert {endless, together} == {f"it has more than {fitsfiles.MAX_CARDS} cards"}


def test_B04_more_hdus_than_any_file_has_are_refused(path: Path) -> None:
    path.write_bytes(primary() + extension() * fitsfiles.MAX_HDUS)

    assert refused(path) == f"it has more than {fitsfiles.MAX_HDUS} HDUs"


def test_B04_a_sparse_file_without_end_is_refused_in_time(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(primary()[:80])
        stream.truncate(2**40)
    start = time.monotonic()

    assert refused(path) == f"it has more than {fitsfiles.MAX_CARDS} cards"
    assert time.monotonic() - start < 10


@given(st.data())
def test_B03_any_damage_is_an_error_of_ours_or_none_and_never_a_warning(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "x.fits"
    content = bytearray(primary("NEXTEND = 1", "A = 'text'") + extension("B = 1"))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with suppress(DatasetError):
            dict(fitsfiles.read_header(path))

    assert said == []
