"""Cards: the lines of 80 characters that a FITS header is made of; 36 of them fill a block."""

import importlib
import re
from collections.abc import Iterator, Mapping
from types import ModuleType

CARD_BYTES = 80
BLOCK_BYTES = 36 * CARD_BYTES
COMMENTARY = frozenset({"", "COMMENT", "HISTORY"})
CONTINUE = "CONTINUE"
END = "END     "

_KEYWORD_LENGTH = 8
_INDICATOR = "= "
# Nearly all cards are such. astropy has the last word on the others, but takes half a second to start, and
# ten times as long for each.
_PLAIN = re.compile(
    r"[A-Z0-9_-]+ *= *"
    r"(?:'(?P<text>[ -&(-~]*)'|(?P<logical>[TF])|(?P<integer>[+-]?[0-9]{1,15})"
    r"|(?P<number>[+-]?[0-9]{1,15}\.[0-9]{0,15}(?:[ED][+-]?[0-9]{1,2})?))"
    r" *(?:/(?P<comment>.*))?"
)
# A text spread over n cards can cost astropy n * n; this many hold 6,700 characters.
_MAX_CONTINUED = 100


class Cards(Mapping[str, object]):
    """What the cards of one or several headers say; a value is parsed when it is asked for.

    The first card of a keyword counts. One whose value is blank is as good as none. Where a value is not FITS
    (NaN, a text without quotes) its text is the value, as it is for the missions' client.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        capitals, starts = text.upper(), range(0, len(text), CARD_BYTES)
        # Nearly every card has its "= " in place; a call for each would cost as much as all the rest.
        keywords = [
            capitals[start : start + 8].rstrip()
            if capitals[start + 8 : start + 10] == _INDICATOR
            else keyword_of(capitals[start : start + CARD_BYTES])
            for start in starts
        ]
        self._starts = dict(zip(keywords, starts, strict=True))
        self._starts.update(zip(reversed(keywords), reversed(starts), strict=True))  # the first one counts
        self._starts.pop("", None)
        self._starts.pop(CONTINUE, None)

    def __getitem__(self, keyword: str) -> object:
        value = value_of(with_continued(self._text, self._starts[keyword]))
        if value is None:
            raise KeyError(keyword)
        return value

    def __iter__(self) -> Iterator[str]:
        return (keyword for keyword in self._starts if keyword in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def with_continued(text: str, start: int) -> str:
    """Cut one card out of a header, with those that continue it."""
    end = start + CARD_BYTES
    while text.startswith(CONTINUE, end):
        end += CARD_BYTES
    return text[start:end]


def keyword_of(image: str) -> str:
    """Name the keyword of a card, in upper case; "" for a blank card, and what stands there for a bad one."""
    keyword = image[:_KEYWORD_LENGTH].strip().upper()
    if keyword in COMMENTARY:
        return keyword
    if keyword == "HIERARCH" and image[_KEYWORD_LENGTH] == " " and "=" in image:
        return image[_KEYWORD_LENGTH + 1 :].partition("=")[0].strip().upper()
    if _INDICATOR in image[:_KEYWORD_LENGTH]:
        return image.partition(_INDICATOR)[0].strip().upper()
    return keyword


def value_of(image: str) -> object | None:
    """Parse a card, its continuations included; None where the value is blank."""
    if not _has_value(image):
        return image[_KEYWORD_LENGTH:CARD_BYTES].strip()
    if plain := _plain(image):
        return _plain_value(plain)
    if len(image) > _MAX_CONTINUED * CARD_BYTES:
        return raw_value(image)
    fits = _astropy()
    try:
        # Raw: `'A.B: 1'` would else be a number that belongs to a keyword of more parts.
        value = fits.Card.fromstring(image).rawvalue
    except fits.VerifyError:
        return raw_value(image)
    return None if isinstance(value, fits.card.Undefined) else value


def _plain(image: str) -> re.Match[str] | None:
    is_single = len(image) == CARD_BYTES and image[_KEYWORD_LENGTH : _KEYWORD_LENGTH + 2] == _INDICATOR
    return _PLAIN.fullmatch(image) if is_single else None


def _plain_value(plain: re.Match[str]) -> object:
    if (text := plain["text"]) is not None:
        return text.rstrip()
    if (logical := plain["logical"]) is not None:
        return logical == "T"
    if (integer := plain["integer"]) is not None:
        return int(integer)
    return float(plain["number"].replace("D", "E"))


def _astropy() -> ModuleType:
    return importlib.import_module("astropy.io.fits")


def written(keyword: str, value: str, comment: str = "") -> str:
    """Write a text as a card, as astropy does; several where it is long."""
    quoted = "'{:8}'".format(value.replace("'", "''"))
    image = f"{keyword:{_KEYWORD_LENGTH}}{_INDICATOR}{quoted:20}" + (f" / {comment}" if comment else "")
    if value and len(keyword) <= _KEYWORD_LENGTH and len(image) <= CARD_BYTES:
        return f"{image:{CARD_BYTES}}"
    return str(_astropy().Card(keyword, value, comment))


def raw_value(image: str) -> str:
    """Give the text between keyword and comment."""
    return image[:CARD_BYTES].partition("=")[2].partition("/")[0].strip()


def comment_of(image: str) -> str:
    """Give the comment of a card that has a value."""
    if not _has_value(image):
        return ""
    if plain := _plain(image):
        return re.sub(r"[^ -~]", "?", (plain["comment"] or "").strip())
    fits = _astropy()
    try:
        comment = fits.Card.fromstring(image[: _MAX_CONTINUED * CARD_BYTES]).comment
    except fits.VerifyError:
        comment = image[:CARD_BYTES].partition("/")[2]
    return re.sub(r"[^ -~]", "?", comment.strip())


def ascii_of(data: bytes) -> str:
    """Read cards from bytes; what no header may contain is a question mark."""
    return data.decode("ascii", errors="replace").replace("\ufffd", "?")


def in_blocks(n_bytes: int) -> int:
    """Tell how many bytes are taken by whole blocks that hold so many."""
    return -(-n_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _has_value(image: str) -> bool:
    is_hierarch = image.upper().startswith("HIERARCH ") and "=" in image
    return keyword_of(image) not in COMMENTARY and (is_hierarch or _INDICATOR in image[: _KEYWORD_LENGTH + 2])
