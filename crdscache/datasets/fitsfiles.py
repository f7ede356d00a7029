"""Reads the headers of a FITS file, and makes sure that the file is whole.

astropy finds neither truncated data nor a header without its end, and takes far longer to get there.
Source: docs/protocol.md, "Headers".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from crdscache.datasets import cards, opening
from crdscache.datasets.cards import Cards
from crdscache.datasets.opening import Source

# Both are many times what any instrument writes; headers of so many cards take 32 MB.
MAX_CARDS = 400_000
MAX_HDUS = 20_000

_MAX_AXES = 999  # the standard's limit
_CHUNK_BYTES = 10 * cards.BLOCK_BYTES
_EXTENSION = "XTENSION"
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Hdu:
    """One header with its data; both fill whole blocks."""

    text: str  # its cards, without END
    data_start: int  # from the beginning of the file, in bytes
    end: int


def read_header(path: Path) -> Mapping[str, object]:
    """Read the cards of all headers of a FITS file, in order; the first value of a keyword counts.

    Raises
    ------
    DatasetError
        It cannot be read, is no FITS file, or is not whole.
    """
    with opening.opened(path) as source:
        hdus = scan(source)
        source.require_unchanged()
    return Cards("".join([hdu.text for hdu in hdus]))


def scan(source: Source) -> list[Hdu]:
    """Find all headers and data of a FITS file; what follows them, and is none of either, is left alone.

    Raises
    ------
    DatasetError
        It is no FITS file, is not whole, or is beyond a limit.
    """
    _require_fits(source)
    hdus = list(_hdus(source))
    n_told, n_found = _raw_value(hdus[0].text, "NEXTEND"), len(hdus) - 1
    if n_told is not None and _INTEGER.fullmatch(n_told) and int(n_told) > n_found:
        raise source.refusal(f"truncated: {n_told} extensions were expected (NEXTEND), found {n_found}")
    return hdus


def _hdus(source: Source) -> Iterator[Hdu]:
    start, n_hdus, n_cards = 0, 0, 0
    while n_hdus == 0 or _is_extension(source.read_at(start, len(_EXTENSION))):
        hdu = _hdu(source, start, MAX_CARDS - n_cards)
        n_hdus, n_cards = n_hdus + 1, n_cards + len(hdu.text) // cards.CARD_BYTES
        if n_hdus > MAX_HDUS:
            raise source.refusal(f"it has more than {MAX_HDUS} HDUs")
        yield hdu
        start = hdu.end


def _hdu(source: Source, start: int, max_cards: int) -> Hdu:
    text = _header(source, start, max_cards)
    data_start = start + cards.in_blocks(len(text) + cards.CARD_BYTES)
    end = data_start + cards.in_blocks(_data_bytes(source, text))
    if end > source.size_bytes:
        raise source.refusal(f"truncated: {end} bytes were expected, found {source.size_bytes}")
    return Hdu(text, data_start, end)


def _header(source: Source, start: int, max_cards: int) -> str:
    """Read the cards of one header."""
    parts: list[str] = []
    n_bytes = 0
    end = None
    while end is None:
        chunk = cards.ascii_of(source.read_at(start + n_bytes, _CHUNK_BYTES))
        end = _card_start(chunk, cards.END)
        part = chunk[:end]
        # Without its end a header seems to go on, through the data and into the next one.
        next_header = _card_start(part, _EXTENSION, 0 if parts else cards.CARD_BYTES)
        if next_header is not None or (end is None and len(chunk) < _CHUNK_BYTES):
            raise source.refusal(f"truncated or damaged: the header at byte {start} has no END card")
        parts.append(part)
        n_bytes += len(part)
        if n_bytes > max_cards * cards.CARD_BYTES:
            raise source.refusal(f"it has more than {MAX_CARDS} cards")
    return "".join(parts)


def _data_bytes(source: Source, text: str) -> int:
    """Tell how long the data of a header are, without what fills their last block."""
    n_axes = _number(source, text, "NAXIS", None)
    if n_axes > _MAX_AXES:
        raise source.refusal(f"NAXIS is {n_axes}, {_MAX_AXES} at most were expected")
    axes = [_number(source, text, f"NAXIS{number}", None) for number in range(1, n_axes + 1)]
    if not axes:
        return 0
    if axes[0] == 0 and _raw_value(text, "GROUPS") == "T":
        axes = axes[1:]
    bits = abs(_number(source, text, "BITPIX", None, lowest=-64))
    n_groups = _number(source, text, "GCOUNT", 1)
    n_parameters = _number(source, text, "PCOUNT", 0)
    return bits * n_groups * (n_parameters + prod(axes)) // 8


def _number(source: Source, text: str, keyword: str, default: int | None, *, lowest: int = 0) -> int:
    value = _raw_value(text, keyword)
    if value is None and default is not None:
        return default
    if value is None or not _INTEGER.fullmatch(value) or int(value) < lowest:
        raise source.refusal(f"{keyword}: a number was expected, found {value!r:.80}")
    return int(value)


def _raw_value(text: str, keyword: str) -> str | None:
    """Find what a card of the file's structure says; astropy would take most of our time for it."""
    start = _card_start(text, f"{keyword:8}=")
    return None if start is None else cards.raw_value(text[start : start + cards.CARD_BYTES])


def _card_start(text: str, beginning: str, start: int = 0) -> int | None:
    """Find the first card that begins so, from `start` on."""
    found = text.find(beginning, start)
    while found % cards.CARD_BYTES and found >= 0:
        found = text.find(beginning, found + 1)
    return None if found < 0 else found


def _is_extension(beginning: bytes) -> bool:
    """Tell an extension, even one that is cut in its first word, from what may follow the last one."""
    return bool(beginning) and _EXTENSION.encode().startswith(beginning)


def _require_fits(source: Source) -> None:
    beginning = source.read_at(0, 30)
    if beginning.startswith(b"SIMPLE  =") and beginning[9:].split()[:1] == [b"T"]:
        return
    if not beginning:
        found = "an empty file"
    elif beginning.startswith(_GZIP):
        found = "gzip-compressed data"
    else:
        found = repr(beginning)[1:]
    raise source.refusal(f"a FITS file was expected, found {found}")
