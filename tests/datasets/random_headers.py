"""Headers as they come, and what may be written into them."""

import warnings

from astropy.io import fits  # type: ignore[import-untyped]
from hypothesis import strategies as st

TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
KEYWORDS = st.sampled_from(["BIASFILE", "CRDS_CTX", "A", "K-1_2", "LONG"])
SCALARS = st.one_of(
    TEXTS, st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none()
)
CARDS = st.one_of(
    st.tuples(KEYWORDS, SCALARS, TEXTS),
    st.tuples(st.sampled_from(["HISTORY", "COMMENT", ""]), TEXTS.map(lambda text: text[:70])),
    st.tuples(st.just("HIERARCH some more words"), st.integers(), TEXTS),
)
VALUE_SETS = st.dictionaries(KEYWORDS, TEXTS, min_size=1)


def header_of(cards: list[tuple[object, ...]], n_blanks: int = 0) -> bytes:
    made_up = fits.Header()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for card in [("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0), *cards, *[()] * n_blanks]:
            made_up.append(card, end=True)
        return bytes(made_up.tostring().encode())
