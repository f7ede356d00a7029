import numpy as np
from astropy.io import fits  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from crdscache.datasets import checksums

WORDS = st.text("aZ09:/", max_size=20)


def sealed(values: list[int], text: str) -> fits.PrimaryHDU:
    """Make data and a header with their checksum, as astropy finds it in all the bytes."""
    hdu = fits.PrimaryHDU(np.array(values, dtype="u1"), fits.Header([("TEXT", text)]))
    hdu.add_datasum("no date")
    hdu.add_checksum("no date", override_datasum=True)
    return hdu


def after_edit(old: fits.PrimaryHDU, new: fits.PrimaryHDU) -> str:
    unsealed = new.header.copy()
    unsealed["CHECKSUM"] = "0" * 16
    return checksums.after_edit(old.header.tostring().encode(), unsealed.tostring().encode())


@given(st.lists(st.integers(0, 255), min_size=1, max_size=50), WORDS, WORDS)
def test_after_an_edit_it_is_what_astropy_finds_in_all_the_bytes(
    values: list[int], before: str, after: str
) -> None:
    old, new = sealed(values, before), sealed(values, after)

    assert after_edit(old, new) == new.header["CHECKSUM"]


def test_it_is_zeros_where_nothing_is_left_to_add() -> None:
    assert checksums.after_edit(b"abcd" * 20, b"abcd" * 20) == "0" * 16


def test_data_that_were_damaged_before_are_not_declared_right() -> None:
    old, new = sealed([1, 2, 3], "before"), sealed([1, 2, 3], "after")
    damaged = sealed([1, 2, 4], "after")

    damaged.header["CHECKSUM"] = after_edit(old, new)

    assert (new.verify_checksum(), damaged.verify_checksum()) == (1, 0)


@given(st.integers(0, 2**32 - 1))
def test_no_sum_needs_a_character_that_is_neither_letter_nor_digit(word: int) -> None:
    assert checksums.after_edit(word.to_bytes(4, "big"), bytes(4)).isalnum()
