"""Cards mean what they mean to the missions' client, which has astropy mend and read each one of them."""

import warnings

import pytest
from astropy.io import fits  # type: ignore[import-untyped]
from astropy.io.fits.card import Undefined  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crdscache.datasets import cards
from crdscache.datasets.cards import Cards

ANY_VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=70)
TELLING = st.text(st.sampled_from("'\"/&=+-.,:()TFEDed019 aA"), max_size=70)

# What the client, 14.0.3, reads.
VALUES = {
    "X       = 'WFC     '           / a text": "WFC",
    "X       = '  WFC'": "  WFC",
    "X       = 'a/b''c ' / c / d": "a/b'c",
    "X       = ''": "",
    "X       =                    T / a flag": True,
    "X       = F": False,
    "X       =                   12": 12,
    "X       = 007.50": 7.5,
    "X       = +5.": 5.0,
    "X       = 1.0D5": 100000.0,
    "X       = 1.0e5": 100000.0,
    "X       = 12345678901234567890123": 12345678901234567890123,
    "X       = (1.0, 2.0)": 1 + 2j,
    "X       = \t'WFC'": "WFC",
    "x       = 1": 1,
    "X= 1": 1,
    "HIERARCH x = 'h' / c": "h",
}
NOT_FITS = {
    "X       =                  NaN / no number": "NaN",
    "X       = Inf": "Inf",
    "X       = 1_000": "1_000",
    "X       = 1 2": "1 2",
    "X       = WFC / no quotes": "WFC",
    "X       = WFC1-CTE": "WFC1-CTE",
    "X       = 2004-07-01": "2004-07-01",
    "X       = t": "t",
    "X       = 'WFC / not closed": "'WFC",
    "X       = 'abc' and more": "'abc' and more",
    "X       =T": "=T",
}


def text_of(*images: str) -> str:
    return "".join(f"{image:80}" for image in images)


def as_the_client(image: str) -> tuple[str, object]:
    """Read a card the way the client does: mended first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        card = fits.Card.fromstring(image)
        card.verify("fix")
        value = card.rawvalue
        return card.rawkeyword.upper(), None if isinstance(value, Undefined) else value


@pytest.mark.parametrize(("image", "value"), [*VALUES.items(), *NOT_FITS.items()])
def test_B03_a_value_is_what_the_client_reads_and_what_is_not_fits_is_text(image: str, value: object) -> None:
    found = Cards(text_of(image))

    assert repr(dict(found)) == repr({"X": value})
    assert as_the_client(text_of(image)) == ("X", value)


def test_B03_a_number_beyond_all_numbers_is_infinite_as_for_the_client() -> None:
    assert dict(Cards(text_of("X = 1e999"))) == {"X": float("inf")}


@pytest.mark.parametrize("image", ["X       =                      / nothing", "X       ="])
def test_B03_a_blank_value_is_as_good_as_none(image: str) -> None:
    found = Cards(text_of(image))

    assert ("X" in found, dict(found), len(found), found.get("X")) == (False, {}, 0, None)


def test_B03_the_first_value_of_a_keyword_counts_and_the_order_is_kept() -> None:
    found = Cards(text_of("B = 1", "A = 2", "", "a = 3", "HISTORY one", "B = 4", "HISTORY two", "COMMENT"))

    assert list(found.items()) == [("B", 1), ("A", 2), ("HISTORY", "one"), ("COMMENT", "")]


def test_B03_a_text_goes_on_over_cards() -> None:
    found = Cards(text_of("X       = 'abc&'", "CONTINUE  'def&' / c1", "CONTINUE  'ghi' / c2", "Y       = 1"))

    assert dict(found) == {"X": "abcdefghi", "Y": 1}


def test_B03_a_text_that_is_not_continued_keeps_its_mark() -> None:
    assert dict(Cards(text_of("X       = 'abc&'", "Y       = 1"))) == {"X": "abc&", "Y": 1}


def test_B03_a_number_that_is_continued_is_read_without_what_follows() -> None:
    assert dict(Cards(text_of("X       = 12 / n", "CONTINUE  'def'"))) == {"X": "12"}


def test_B04_a_text_without_end_costs_no_time() -> None:
    """To find that it is not closed, astropy looks at all its blanks, from each of them on."""
    continued = [f"CONTINUE  '{'':67}&'"] * 100_000

    found = Cards(text_of("X       = 'abc&'", *continued))

    assert dict(found) == {"X": "'abc&'"}


def test_keywords_of_several_words_are_named_by_all_of_them() -> None:
    assert dict(Cards(text_of("HIERARCH eso DET name = 'x' / c"))) == {"ESO DET NAME": "x"}


def test_a_text_that_looks_like_a_record_is_a_text() -> None:
    assert dict(Cards(text_of("DP1     = 'NAXIS: 2' / c"))) == {"DP1": "NAXIS: 2"}


def test_B03_what_no_header_may_contain_is_a_question_mark() -> None:
    assert cards.ascii_of("X = 'café'".encode("latin-1")) == "X = 'caf?'"


@given(st.one_of(ANY_VALUE, TELLING))
def test_B03_any_value_is_read_as_by_astropy_or_is_its_own_text(value: str) -> None:
    image = f"{f'X       = {value}':80}"

    found = Cards(image).get("X")

    try:
        expected = fits.Card.fromstring(image).rawvalue
    except fits.VerifyError:
        expected = cards.raw_value(image)
    assert repr(found) == repr(None if isinstance(expected, Undefined) else expected)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=400))
def test_B03_any_bytes_at_all_are_read(text: str) -> None:
    images = cards.ascii_of(text.encode("latin-1"))

    found = Cards(images.ljust(400))

    assert len(dict(found)) == len(found)


@pytest.mark.parametrize(
    ("image", "comment"),
    [
        ("X       = 'WFC' / a / b", "a / b"),
        ("X       = WFC / a / b", "a / b"),
        ("X       = NaN", ""),
        ("X       = 1 / t\tab", "t?ab"),
        ("HISTORY / a", ""),
    ],
)
def test_a_comment_is_what_follows_the_first_slash_after_the_value(image: str, comment: str) -> None:
    assert cards.comment_of(text_of(image)) == comment
