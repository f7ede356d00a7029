"""The missions' own client writes the same headers as `safe_bestrefs`, on the missions' own rules."""

import gzip
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from tests.bestrefs.oracle import ORACLE
from tests.caches import CHECKOUT, finish, start
from tests.datasets import made

N_EACH = 5  # data sets of an instrument
INSTRUMENTS = {
    "hst": {"acs", "cos", "nicmos", "stis", "wfc3", "wfpc2"},
    "jwst": {"fgs", "miri", "nircam", "niriss", "nirspec"},
}
CONTEXTS = {"hst": "hst_0729.pmap", "jwst": "jwst_0541.pmap"}
# The rules of jwst match on names of the data model; files have FITS keywords.
KEYWORDS = {
    "META.INSTRUMENT.NAME": "INSTRUME",
    "META.INSTRUMENT.DETECTOR": "DETECTOR",
    "META.INSTRUMENT.FILTER": "FILTER",
    "META.INSTRUMENT.PUPIL": "PUPIL",
    "META.INSTRUMENT.GRATING": "GRATING",
    "META.INSTRUMENT.CHANNEL": "CHANNEL",
    "META.INSTRUMENT.BAND": "BAND",
    "META.INSTRUMENT.MODULE": "MODULE",
    "META.INSTRUMENT.CORONAGRAPH": "CORONMSK",
    "META.INSTRUMENT.LAMP_STATE": "LAMP",
    "META.CALIBRATION_SOFTWARE_VERSION": "CAL_VER",
    "META.EXPOSURE.TYPE": "EXP_TYPE",
    "META.EXPOSURE.READPATT": "READPATT",
    "META.OBSERVATION.DATE": "DATE-OBS",
    "META.OBSERVATION.TIME": "TIME-OBS",
    "META.SUBARRAY.NAME": "SUBARRAY",
    "META.SUBARRAY.XSTART": "SUBSTRT1",
    "META.SUBARRAY.YSTART": "SUBSTRT2",
    "META.SUBARRAY.XSIZE": "SUBSIZE1",
    "META.SUBARRAY.YSIZE": "SUBSIZE2",
    "META.VISIT.TSOVISIT": "TSOVISIT",
}


def headers(observatory: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Give some of the oracle's headers, with the names that files can have, of each instrument the first."""
    seen: Counter[str] = Counter()
    with gzip.open(ORACLE / "bestrefs" / f"{CONTEXTS[observatory][:-5]}.jsonl.gz", "rt") as lines:
        for line in lines:
            told = {KEYWORDS.get(name, name): value for name, value in json.loads(line)["header"].items()}
            instrument = str(told.get("INSTRUME", "")).lower()
            if instrument in INSTRUMENTS[observatory] and seen[instrument] < N_EACH:
                seen[instrument] += 1
                yield f"{instrument}{seen[instrument]}", told
    assert seen == dict.fromkeys(INSTRUMENTS[observatory], N_EACH)


def write(observatory: str, directory: Path) -> list[Path]:
    """Make files of headers."""
    directory.mkdir()
    paths = []
    for name, told in headers(observatory):
        # What astropy itself looks after describes the file, which has no data.
        cards = {key: value for key, value in told.items() if len(key) <= 8 and not key.startswith("NAXIS")}
        paths.append(directory / f"{name}.fits")
        fits.PrimaryHDU(
            header=fits.Header({key: text for key, text in cards.items() if is_plain(text)})
        ).writeto(paths[-1])
    return paths


def is_plain(value: object) -> bool:
    return not isinstance(value, str) or (value.isascii() and value.isprintable())


def cards_of(path: Path) -> list[str]:
    return [card for card in made.card_images(path.read_bytes()) if not card.startswith("CRDS_VER")]


def by_client(client: Path, root: Path, observatory: str, paths: list[Path]) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CRDS")}
    settings = {
        "CRDS_PATH": str(root),
        "CRDS_OBSERVATORY": observatory,
        "CRDS_SERVER_URL": f"https://{observatory}-serverless-mode.stsci.edu",
    }
    line = [client, "bestrefs", "--readonly-cache", "--update-bestrefs", "--files", *paths]
    done = subprocess.run(
        line, env=clean | settings, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode in {0, 1}, done.stderr


@pytest.mark.parametrize("observatory", ["hst", "jwst"])
def test_headers_are_the_clients_card_by_card(
    observatory: str, client: Path, shared_data: Path, tmp_path: Path
) -> None:
    """But for its name, and for types of jwst that it does not look up for an exposure of that kind."""
    if observatory == "jwst" and not list(client.parents[1].glob("lib/*/site-packages/stdatamodels")):
        pytest.skip("for jwst the client needs stdatamodels: make client installs both")
    ours = write(observatory, tmp_path / "ours")
    before = {path.name: cards_of(path) for path in ours}
    theirs = [tmp_path / "theirs" / path.name for path in ours]
    shutil.copytree(tmp_path / "ours", tmp_path / "theirs")

    environ = {"PATH": "/usr/bin:/bin", "CRDS_PATH": str(shared_data), "CRDS_OBSERVATORY": observatory}
    done = finish(start([CHECKOUT / "bin" / "safe_bestrefs", "--update-bestrefs", "--files", *ours], environ))
    by_client(client, shared_data, observatory, theirs)

    written = {path.name: cards_of(path) for path in ours}
    expected = {path.name: cards_of(path) for path in theirs}
    assert done.status in {0, 1}, done.err
    if observatory == "jwst":
        looked_up = {name: {card[:8] for card in cards} for name, cards in expected.items()}
        written = {
            name: [card for card in cards if card[:8] in looked_up[name]] for name, cards in written.items()
        }
    assert written == expected
    assert sum(len(cards) for cards in expected.values()) > sum(len(cards) for cards in before.values()) + 300
