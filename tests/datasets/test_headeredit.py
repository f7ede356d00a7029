"""A header is edited as by the missions' client, but for the cards that nobody asked about."""

import re
import warnings
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crdscache.datasets import headeredit
from crdscache.datasets.cards import Cards
from tests.datasets.made import BLOCK, CARD, card_images, header, primary
from tests.datasets.random_headers import CARDS, VALUE_SETS, header_of


def as_astropy(data: bytes, values: dict[str, str]) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = fits.Header.fromstring(data)
        for keyword, value in values.items():
            read[keyword] = value
        return bytes(read.tostring().encode())


@given(st.lists(CARDS, max_size=40), st.integers(0, 50), VALUE_SETS)
def test_B07_it_is_what_astropy_makes_of_it(
    cards: list[tuple[object, ...]], n_blanks: int, values: dict[str, str]
) -> None:
    data = header_of(cards, n_blanks)

    assert headeredit.edited(data, values) == as_astropy(data, values)


@given(st.lists(CARDS, max_size=40), VALUE_SETS)
def test_B07_a_second_time_nothing_differs(cards: list[tuple[object, ...]], values: dict[str, str]) -> None:
    once = headeredit.edited(header_of(cards), values)

    assert headeredit.edited(once, values) is once


@given(st.lists(st.text(st.characters(max_codepoint=255), min_size=1, max_size=80), max_size=40), VALUE_SETS)
def test_B03_any_card_of_someone_else_stays_as_it_is(images: list[str], values: dict[str, str]) -> None:
    # A letter in front: it is none of those that are set, and neither blank nor a continuation.
    cards = [f"Q{image}"[:CARD] for image in images]

    edited = headeredit.edited(primary(*cards), values)

    assert card_images(edited)[3 : 3 + len(cards)] == [f"{card:80}" for card in cards]
    set_ones = Cards("".join(card_images(edited)[3 + len(cards) :]))
    assert dict(set_ones) == {keyword: value.rstrip() for keyword, value in values.items()}


def edited(data: bytes, **values: str) -> list[str]:
    return [image.rstrip() for image in card_images(headeredit.edited(data, values))][3:]


def test_a_keyword_keeps_its_place_and_comment_and_a_new_one_comes_last() -> None:
    data = primary("DARKFILE= 'jref$old_drk.fits' / dark image", "A       = 1")

    assert edited(data, BIASFILE="N/A", DARKFILE="jref$x1234567j_drk.fits") == [
        "DARKFILE= 'jref$x1234567j_drk.fits' / dark image",
        "A       = 1",
        "BIASFILE= 'N/A     '",
    ]


def test_a_new_keyword_comes_before_the_history_and_takes_the_room_of_a_blank_card() -> None:
    data = primary("A       = 1", "HISTORY one", "", "COMMENT two", "", "")

    assert edited(data, B="x") == [
        "A       = 1",
        "B       = 'x       '",
        "HISTORY one",
        "",
        "COMMENT two",
        "",
    ]


def test_of_a_keyword_that_comes_twice_the_first_is_set() -> None:
    assert edited(primary("A       = 'x'", "A       = 'y'"), A="z") == [
        "A       = 'z       '",
        "A       = 'y'",
    ]


@pytest.mark.parametrize(
    ("card", "after"),
    [
        ("A       = 'x' / c", "A       = 'x' / c"),
        ("A       = 'x   '", "A       = 'x   '"),
        ("A       = x / c", "A       = x / c"),
        ("A       = N/A", "A       = 'x       '           / A"),
        ("A       =    / c", "A       = 'x       '           / c"),
        ("A       =  T / c", "A       = 'x       '           / c"),
        ("a       =  1 / c", "A       = 'x       '           / c"),
        ("A       nothing", "A       = 'x       '"),
    ],
)
def test_B03_a_card_is_set_where_it_says_something_else(card: str, after: str) -> None:
    assert edited(primary(card), A="x") == [after]


def test_a_text_that_is_too_long_goes_on_and_a_shorter_one_gives_the_room_back() -> None:
    data = primary("A       = 1")

    longer = headeredit.edited(data, {"B": "x" * 2800})
    shorter = headeredit.edited(longer, {"B": "y"})

    assert (len(data), len(longer), len(shorter)) == (BLOCK, 2 * BLOCK, BLOCK)
    assert card_images(shorter)[3:] == [
        f"{'A       = 1':80}",
        f"{chr(66) + '       = ' + repr('y       '):80}",
    ]


def test_a_comment_that_no_longer_fits_is_cut() -> None:
    assert edited(primary(f"A       = 'x' / {'c' * 60}"), A="y" * 40) == [
        f"A       = '{'y' * 40}' / {'c' * 25}"
    ]


@pytest.mark.parametrize("has_data", [False, True])
def test_B07_a_checksum_is_renewed_with_its_date_and_the_sum_of_the_data_stays(
    tmp_path: Path, *, has_data: bool
) -> None:
    path = tmp_path / "x.fits"
    fits.PrimaryHDU([1.5, 2] if has_data else None).writeto(path, checksum=True)
    data = path.read_bytes()
    n_bytes = len(header(*card_images(data)))

    new = headeredit.edited(data[:n_bytes], {"BIASFILE": "N/A"})

    path.write_bytes(new + data[n_bytes:])
    with fits.open(path, checksum=True) as hdus:  # a warning would be an error
        assert (hdus[0].verify_checksum(), hdus[0].verify_datasum()) == (1, 1)
    *own, checksum, datasum, bias = card_images(new)
    assert [*own, datasum] == [card for card in card_images(data) if not card.startswith("CHECKSUM")]
    assert re.search(r"/ HDU checksum updated \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d +$", checksum)
    assert bias.startswith("BIASFILE")


@pytest.mark.parametrize("card", ["CHECKSUM= ''", "CHECKSUM="])
def test_a_checksum_that_nobody_computed_stays_so(card: str) -> None:
    assert edited(primary(card), A="x") == [card, "A       = 'x       '"]


def test_no_checksum_is_added() -> None:
    assert edited(primary("DATASUM = '0       '"), A="x") == ["DATASUM = '0       '", "A       = 'x       '"]


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        *(
            (keyword, "x")
            for keyword in ("", "LONGER-THAN-ANY-TYPE-IS-NAMED", "a", "A B", "END", "HISTORY", "CONTINUE")
        ),
        *(("A", value) for value in ("é", "a\nb", "\x1b[31m")),
    ],
)
def test_what_the_standard_does_not_allow_is_refused(keyword: str, value: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        headeredit.edited(primary(), {keyword: value})


def test_B06_a_header_that_has_lost_its_end_is_refused() -> None:
    """Someone may write to the file between two looks at it."""
    with pytest.raises(ValueError, match="no END card"):
        headeredit.edited(b" " * BLOCK, {"A": "x"})


def test_a_type_with_a_long_name_gets_a_card_of_its_own_kind() -> None:
    """Ten types of jwst have no keyword in its schema: the client writes their names out."""
    data = primary()

    once = headeredit.edited(data, {"WCSREGIONS": "crds://a.asdf"})

    assert f"{'HIERARCH WCSREGIONS = ' + repr('crds://a.asdf'):80}" in card_images(once)
    assert headeredit.edited(once, {"WCSREGIONS": "crds://a.asdf"}) == once
