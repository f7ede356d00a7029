"""Which references are in the cache, as far as names and lengths tell."""

from pathlib import Path

import pytest

from crdscache.cache.layout import Layout, Mode
from crdscache.cache.stock import Lack, Stock, WrongLength
from crdscache.contexts.records import FileRecord

GEIS = "e6o0938au.r3h", "e6o0938au.r3d"
FITS = "68v08000j_drk.fits"


class Catalogue:
    """Finds sizes, and remembers what it was asked for."""

    def __init__(self, **sizes: int) -> None:
        self._sizes, self.asked = sizes, list[str]()

    def __call__(self, name: str) -> FileRecord | None:
        self.asked.append(name)
        size_bytes = self._sizes.get(name.replace(".", "_"))
        return None if size_bytes is None else FileRecord(name, size_bytes, None)


@pytest.mark.parametrize(
    ("size_bytes", "flaws"),
    [
        (None, ()),  # the catalogue does not know it
        (5, ()),
        (6, (WrongLength(FITS, 6, 5),)),
        (0, (WrongLength(FITS, 0, 5),)),
    ],
)
def test_a_file_is_as_long_as_the_catalogue_says_or_wrong(
    size_bytes: int | None, flaws: tuple[WrongLength, ...], cache: Layout
) -> None:
    replace(cache.references / FITS)
    catalogue = Catalogue() if size_bytes is None else Catalogue(**{FITS.replace(".", "_"): size_bytes})

    assert Stock(cache, Mode.FLAT, catalogue).flaws(FITS, "acs") == flaws


def replace(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(b"12345")


def test_the_text_of_a_wrong_length_has_both_numbers() -> None:
    assert str(WrongLength("x.fits", 6, 5)) == "x.fits has 5 bytes in the cache, the catalogue says 6"


@pytest.mark.parametrize("missing", [[], [GEIS[0]], [GEIS[1]], [*GEIS]])
def test_of_a_pair_both_halves_are_looked_for(missing: list[str], cache: Layout) -> None:
    for name in missing:
        (cache.references / name).unlink()

    flaws = Stock(cache, Mode.FLAT, Catalogue(e6o0938au_r3d=7)).flaws(GEIS[0], "wfpc2")

    lengths = {GEIS[0]: None, GEIS[1]: 7}
    found = (cache.references / GEIS[1]).stat().st_size if GEIS[1] not in missing else 0
    expected: list[Lack | WrongLength] = [Lack(name, lengths[name]) for name in missing]
    assert flaws == tuple(expected if GEIS[1] in missing else [*expected, WrongLength(GEIS[1], 7, found)])


@pytest.mark.parametrize(
    ("name", "folder"), [(FITS, "acs"), ("unheard_of.fits", "stis"), ("jwst_miri_dark_0001.fits", "stis")]
)
def test_in_directories_by_instrument_the_name_decides_and_else_the_rules(
    name: str, folder: str, cache: Layout
) -> None:
    (cache.references / folder).mkdir()
    replace(cache.references / folder / name)
    stock = Stock(cache, Mode.INSTRUMENT, Catalogue())

    assert stock.flaws(name, "stis") == ()
    assert stock.flaws(f"x{name}", "stis") == (Lack(f"x{name}", None),)


@pytest.mark.parametrize("kind", ["dangling", "circle", "a file instead of the directory"])
def test_what_cannot_be_looked_at_is_not_there(kind: str, cache: Layout) -> None:
    path = cache.references / FITS
    path.unlink()
    if kind == "a file instead of the directory":
        cache.references.rename(cache.root / "gone")
        cache.references.write_text("")
    else:
        path.symlink_to("nowhere" if kind == "dangling" else path.name)

    assert Stock(cache, Mode.FLAT, Catalogue()).flaws(FITS, "acs") == (Lack(FITS, None),)


def test_each_file_is_looked_up_once(cache: Layout) -> None:
    catalogue = Catalogue()
    stock = Stock(cache, Mode.FLAT, catalogue)

    first = stock.flaws(FITS, "acs")
    (cache.references / FITS).unlink()

    assert (first, stock.flaws(FITS, "acs"), catalogue.asked) == ((), (), [FITS])
