"""One form for each value, so that `1`, `1.0` and `+1.` in headers and rules are equal.

Source: docs/protocol.md, "Conditioned values".
"""

import re
from functools import lru_cache

ANY = "*"
NOT_APPLICABLE = "N/A"

_NUMBER = re.compile(r"[+-]?(?:[0-9]*\.?[0-9]+(?:E[+-]?[0-9]+)?|[0-9]+\.)")
_NOT_APPLICABLE = re.compile(r"N/A|NOT APPLICABLE|\(\)|-2147483648.0", re.DOTALL)  # by how it begins
_SYNONYMS = {
    "NOT_APPLICABLE": NOT_APPLICABLE,
    "ANY": ANY,
    "4294967295.0": "-1.0",
    "TRUE": "T",
    "FALSE": "F",
}


def condition(value: object) -> str:
    """Give the one form of a value: numbers as Python writes floats, all else in capitals."""
    return _condition(value if isinstance(value, str) else str(value))


@lru_cache(maxsize=2**16)
def _condition(text: str) -> str:
    text = text.strip().upper()
    if _NUMBER.fullmatch(text):
        text = str(float(text))
    if _NOT_APPLICABLE.match(text):
        return NOT_APPLICABLE
    return _SYNONYMS.get(text, text)
