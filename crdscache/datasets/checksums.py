"""The checksum of the FITS standard: with it all 32-bit words of an HDU add up to zero, carries included."""

_MODULUS = (
    2**32 - 1
)  # to add words with their carries is to count modulo this, and so is the number they form
_FORBIDDEN = frozenset(b":;<=>?@[\\]^_`")  # the text has letters and digits only
_ZERO = ord("0")


def after_edit(old: bytes, new: bytes) -> str:
    """Give the text of CHECKSUM for a header that was edited, without a look at the data.

    What was right stays right, and what was wrong, wrong: nobody has looked at the data.

    Parameters
    ----------
    old : header with its CHECKSUM
    new : header with `"0" * 16` in its CHECKSUM
    """
    return _encoded((_sum(old) - _sum(new)) % _MODULUS)


def _sum(header: bytes) -> int:
    return int.from_bytes(header, "big") % _MODULUS


def _encoded(value: int) -> str:
    columns = [_quarters(byte) for byte in value.to_bytes(4, "big")]
    text = bytes(columns[number % 4][number // 4] for number in range(16))
    return (text[-1:] + text[:-1]).decode()  # a value begins at the last byte of a word


def _quarters(byte: int) -> list[int]:
    """Write a byte as four characters that add up to it."""
    quarter, rest = divmod(byte, 4)
    quarters = [_ZERO + quarter + rest, _ZERO + quarter, _ZERO + quarter, _ZERO + quarter]
    while _FORBIDDEN & {*quarters}:
        for first in (0, 2):
            if _FORBIDDEN & {*quarters[first : first + 2]}:
                quarters[first] += 1
                quarters[first + 1] -= 1
    return quarters
