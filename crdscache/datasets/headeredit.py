"""Sets keywords in the bytes of a header. Source: docs/protocol.md, "Headers"."""

import re
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from crdscache.datasets import cards, checksums
from crdscache.datasets.cards import CARD_BYTES

# Some types of jwst have names longer than 8: astropy makes HIERARCH cards of them, as for the client.
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,24}")
_RESERVED = frozenset({*cards.COMMENTARY, cards.CONTINUE, "END", "HIERARCH"})
_VALUE = re.compile(r"[ -~]*")
_CHECKSUM = "CHECKSUM"
_NO_SUM = "0" * 16


def edited(header: bytes, values: Mapping[str, str]) -> bytes:
    """Set keywords to texts, as the missions' client does; equal bytes come back where nothing differs.

    A keyword that is there keeps its place and its comment. A new one comes last, but before the HISTORY and
    COMMENT cards at the end, and takes the room of blank cards there. All other cards stay as they are, byte
    by byte, but CHECKSUM: it is renewed where there is one.

    Parameters
    ----------
    header : whole blocks, with END
    values : text by keyword, both as the standard allows them

    Raises
    ------
    ValueError
        A keyword or text is not one that the standard allows, or the header has no end.
    """
    parts = _parts(header)
    former = [*parts]
    with warnings.catch_warnings():
        # astropy tells of each comment that it cuts.
        warnings.simplefilter("ignore")
        for keyword, value in values.items():
            _require_standard(keyword, value)
            _set(parts, keyword, value)
        if parts == former:
            return header
        _renew_checksum(parts, header)
    return _joined(parts)


class _Part(NamedTuple):
    """One card with those that continue it."""

    keyword: str
    image: str

    @property
    def is_blank(self) -> bool:
        return not self.image.strip()


def _parts(header: bytes) -> list[_Part]:
    text = header.decode("latin-1")  # so that each byte comes back as it was
    parts = []
    start = 0
    while not text.startswith(cards.END, start):
        if start >= len(text):
            raise ValueError("its header has no END card")
        image = cards.with_continued(text, start)
        parts.append(_Part(cards.keyword_of(image), image))
        start += len(image)
    return parts


def _joined(parts: list[_Part]) -> bytes:
    text = "".join([part.image for part in parts]) + f"{cards.END:{CARD_BYTES}}"
    return text.ljust(cards.in_blocks(len(text))).encode("latin-1")


def _require_standard(keyword: str, value: str) -> None:
    if not _KEYWORD.fullmatch(keyword) or keyword in _RESERVED:
        raise ValueError(f"{keyword!r:.80} is no keyword that can be set")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{keyword}: {value!r:.80} is no text for a header")


def _set(parts: list[_Part], keyword: str, value: str) -> None:
    number = _find(parts, keyword)
    if number is None:
        _add(parts, _part(keyword, value))
        return
    image = cards.ascii_of(parts[number].image.encode("latin-1"))
    former = cards.value_of(image)
    if not isinstance(former, str) or former.rstrip() != value.rstrip():
        parts[number] = _part(keyword, value, cards.comment_of(image))


def _add(parts: list[_Part], new: _Part) -> None:
    place = len(parts)
    while parts[place - 1].is_blank:
        place -= 1
    while parts[place - 1].keyword in cards.COMMENTARY:
        place -= 1
    parts.insert(place, new)
    for _ in range(len(new.image) // CARD_BYTES):
        if parts[-1].is_blank:
            parts.pop()


def _renew_checksum(parts: list[_Part], old: bytes) -> None:
    number = _find(parts, _CHECKSUM)
    if number is None or not cards.value_of(parts[number].image):  # blank says: never computed
        return
    comment = f"HDU checksum updated {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    parts[number] = _part(_CHECKSUM, _NO_SUM, comment)
    parts[number] = _part(_CHECKSUM, checksums.after_edit(old, _joined(parts)), comment)


def _find(parts: list[_Part], keyword: str) -> int | None:
    return next((number for number, part in enumerate(parts) if part.keyword == keyword), None)


def _part(keyword: str, value: str, comment: str = "") -> _Part:
    return _Part(keyword, cards.written(keyword, value, comment))
