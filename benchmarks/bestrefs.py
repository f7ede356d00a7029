"""What the benchmarks of best references share: rules, headers of the oracle, files of them."""

import gzip
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import numpy as np
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.bestrefs import answers
from crdscache.bestrefs.answers import Answer, Compound, Failure
from crdscache.bestrefs.choose import Chooser
from crdscache.bestrefs.matching import NO_MATCH
from crdscache.cache import rules

CACHE = "data"  # below `Site.place`: where the rules are

_ORACLE = harness.CHECKOUT.parent / "shared" / "oracle" / "bestrefs" / "hst_0729.jsonl.gz"
_SERVERLESS = "https://hst-serverless-mode.stsci.edu"
_N_CARDS = 150
_KEYWORD_LENGTH = 8
_WIDTH = 1024


@dataclass(frozen=True, slots=True)
class Case:
    """A header, and what the peer answered when the oracle was made."""

    header: Mapping[str, Any]
    bestrefs: Mapping[str, Any]


@contextmanager
def serverless() -> Iterator[harness.Site]:
    """Give the sample cache of hst, for both sides, and no server."""
    if not _ORACLE.exists():
        sys.exit(f"needed: {_ORACLE}")
    with harness.sample() as place:
        yield harness.Site(_SERVERLESS, place)


def mappings(site: harness.Site) -> Path:
    """Tell where the rules lie."""
    return site.place / CACHE / "mappings" / "hst"


def chooser(site: harness.Site, context: str = harness.CONTEXT) -> Chooser:
    """Read a context."""
    return Chooser(context, rules.loader(mappings(site)))


def oracle(site: harness.Site) -> dict[str, list[Case]]:
    """Read the oracle, by instrument, but for the headers for which the whole call failed."""
    found: dict[str, list[Case]] = {}
    reader = chooser(site)
    with gzip.open(_ORACLE, "rt", encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            if line["bestrefs"] is not None:
                case = Case(line["header"], line["bestrefs"])
                found.setdefault(reader.rules_for(case.header).name, []).append(case)
    return dict(sorted(found.items()))


def settled(bestrefs: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out why a type has no reference: some of it is said by Python, each version in its own words."""
    kinds = ("NOT FOUND n/a", "NOT FOUND")
    return {
        reftype: next((kind for kind in kinds if str(answer).startswith(kind)), answer)
        for reftype, answer in bestrefs.items()
    }


def ours(bestrefs: Mapping[str, Answer]) -> dict[str, Any]:
    """Write our answers as the peer's are written."""
    return settled(answers.to_json(bestrefs))


def require_same(what: str, one: Sequence[Any], other: Sequence[Any]) -> None:
    """Stop where two sides answer otherwise: a benchmark of wrong answers is worth nothing."""
    for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        if mine != theirs:
            sys.exit(f"{what}: the answers differ for number {number}:\n{mine}\n{theirs}")


def write_files(
    site: harness.Site, folder: Path, *, n_files: int, n_extensions: int, data_bytes: int = 0
) -> None:
    """Write raw files of ACS: about 150 cards, types as keywords without a reference yet, small extensions.

    Parameters
    ----------
    data_bytes
        Size of the first extension's data.
    """
    folder.mkdir(parents=True)
    n_rows = max(1, data_bytes // (2 * _WIDTH))
    pixels = np.random.default_rng(1).integers(0, 2**15, (n_rows, _WIDTH), np.int16)
    images = [fits.ImageHDU(pixels)] + [fits.ImageHDU(pixels[:1, :100])] * (n_extensions - 1)
    headers = itertools.cycle(_clean(site, {"NAXIS1": _WIDTH, "NAXIS2": n_rows}))
    for number, header in zip(range(n_files), headers, strict=False):
        primary = fits.PrimaryHDU(header=header)
        primary.header["NEXTEND"] = n_extensions
        fits.HDUList([primary, *images]).writeto(folder / f"j{number:04}_raw.fits")
    os.sync()  # else the disk is still at it when the clock runs


def _clean(site: harness.Site, axes: Mapping[str, int]) -> list[fits.Header]:
    """Make headers for which no type fails: both commands end with 0."""
    reader = chooser(site)
    return [_filled(case) for case in oracle(site)["acs"] if is_clean(reader.choose({**case.header, **axes}))]


def is_clean(bestrefs: Mapping[str, Answer]) -> bool:
    """Tell whether no type fails; where no row fits, both sides write N/A."""
    return all(
        answer == NO_MATCH or not isinstance(answer, Failure | Compound) for answer in bestrefs.values()
    )


def _is_for_files(keyword: str) -> bool:
    return len(keyword) <= _KEYWORD_LENGTH and not keyword.upper().startswith("NAXIS")


def _filled(case: Case) -> fits.Header:
    cards = {keyword: value for keyword, value in case.header.items() if _is_for_files(keyword)}
    cards |= dict.fromkeys((reftype.upper() for reftype in case.bestrefs), "N/A")
    cards |= {f"KEY{number:05}": number for number in range(_N_CARDS - len(cards))}
    return fits.Header(cards.items())


def paths(folder: Path) -> list[Path]:
    """List the data sets of a folder."""
    return sorted(folder.glob("*.fits"))


def listed(folder: Path) -> str:
    """Name all data sets of a folder, as both commands take it."""
    names = folder.with_name(f"{folder.name}.list")
    names.write_text("".join(f"{path}\n" for path in paths(folder)))
    return f"@{names}"


def headers_of(folder: Path) -> Iterable[dict[str, Any]]:
    """Read the primary headers of all data sets of a folder, but for what names the software."""
    for path in paths(folder):
        header = fits.getheader(path)
        yield {keyword: header[keyword] for keyword in header if keyword != "CRDS_VER"}
