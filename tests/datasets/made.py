"""FITS files as tests need them: of given cards, right or wrong, byte by byte."""

from pathlib import Path

import numpy as np
from astropy.io import fits  # type: ignore[import-untyped]

BLOCK = 2880
CARD = 80
PRIMARY = (
    "SIMPLE  =                    T",
    "BITPIX  =                    8",
    "NAXIS   =                    0",
)
EXTENSION = (
    "XTENSION= 'IMAGE   '",
    "BITPIX  =                    8",
    "NAXIS   =                    1",
    "NAXIS1  =                   10",
    "PCOUNT  =                    0",
    "GCOUNT  =                    1",
)


def header(*cards: str) -> bytes:
    """Make a header of cards that may be anything."""
    return in_blocks("".join(f"{card:80}" for card in (*cards, "END")).encode("latin-1"), b" ")


def in_blocks(data: bytes, filling: bytes = b"\0") -> bytes:
    return data + filling * (-len(data) % BLOCK)


def primary(*cards: str) -> bytes:
    """Make a file that has a primary header and nothing else."""
    return header(*PRIMARY, *cards)


def extension(*cards: str) -> bytes:
    """Make an extension with ten bytes of data."""
    return header(*EXTENSION, *cards) + in_blocks(b"0123456789")


def small(path: Path, n_extensions: int = 1, *, checksum: bool = False, n_cards: int = 3) -> Path:
    """Write a file as an instrument does: with data, of which none is all zeros."""
    first = fits.PrimaryHDU()
    first.header["INSTRUME"] = ("ACS", "identifier for instrument")
    first.header["NEXTEND"] = n_extensions
    for number in range(n_cards):
        first.header[f"KEY{number}"] = number
    images = [fits.ImageHDU(np.arange(100, dtype=">f4") + number) for number in range(n_extensions)]
    fits.HDUList([first, *images]).writeto(path, checksum=checksum)
    return path


def card_images(data: bytes) -> list[str]:
    """List the cards of the first header, without END."""
    images = [data[start : start + CARD].decode("latin-1") for start in range(0, len(data), CARD)]
    return images[: images.index(f"{'END':80}")]
