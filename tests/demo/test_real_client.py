"""The missions' own client works with the demo server and the demo observatory."""

import os
import subprocess
from pathlib import Path

import pytest

from crdscache.cache import answer, layout
from crdscache.contexts import names
from crdscache.contexts.selection import Wanted
from demo.observatory import CONTEXTS
from demo.server import Server

# Chosen by the real client; the demo's rules must go on to mean this.
BESTREFS_0006 = {
    "idem01c1q": "darkfile 74a1010ai_drk.fits, drkcfile 74a1010ci_dkc.fits, idctab w3m1800bi_idc.fits, "
    "mlintab n/a, pfltfile uc71211bi_pfl.fits",
    "idem02d1q": "darkfile t7h1622ai_drk.fits, idctab w3m1800ai_idc.fits, mlintab n/a, "
    "pfltfile uc71211ai_pfl.fits",
    "jdem01a1q": "biasfile t6k1015aj_bia.fits, ccdtab m5c1200cj_ccd.fits, d2imfile n/a, "
    "darkfile u9115020j_drk.fits, flshfile n/a, mdriztab 82213200j_mdz.fits",
    "jdem01a2q": "biasfile 61i15450j_bia.fits, ccdtab m5c1200cj_ccd.fits, d2imfile n/a, "
    "darkfile 68v08000j_drk.fits, flshfile n9d1445bj_fls.fits, mdriztab 82213200j_mdz.fits",
    "jdem02b1q": "biasfile n2b1430bj_bia.fits, ccdtab m5c1200aj_ccd.fits, d2imfile n/a, "
    "darkfile n/a, flshfile n/a, mdriztab 8221320aj_mdz.fits",
    "udem0101t": "darkfile e6o0938au.r3h, flatfile e3a1100au.r4h, maskfile e2b1215au.r0h, offtab n/a",
    "udem0102t": "darkfile e1b1001du.r3h, flatfile e3a1100bu.r4h, maskfile n/a, offtab n/a",
}


def run(client: Path, cache: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CRDS")}
    settings = {"CRDS_PATH": str(cache), "CRDS_OBSERVATORY": "hst", "CRDS_SERVER_URL": url}
    return subprocess.run(
        [client, *arguments], env=clean | settings, capture_output=True, text=True, timeout=120, check=False
    )


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", ["flat", "instrument"])
def test_a_sync_of_everything_ends_without_an_error_and_with_the_same_files(
    client: Path, server: Server, demo_root: Path, tmp_path: Path, layout: str
) -> None:
    mode = tmp_path / "config" / "hst" / "ref_cache_subdir_mode"
    mode.parent.mkdir(parents=True)
    mode.write_text(layout)

    done = run(client, tmp_path, server.url, "sync", "--all", "--fetch-references", "--check-files")

    assert (done.returncode, "  0 errors" in done.stderr, "  0 warnings" in done.stderr) == (0, True, True)
    assert files_below(tmp_path / "mappings") == files_below(demo_root / "mappings")
    catalogued = files_below(demo_root / "references")
    del catalogued["n1a0000aj_pfl.fits"]  # no rules name it
    assert files_below(tmp_path / "references") == catalogued
    geis_data = tmp_path / "references/hst" / ("" if layout == "flat" else "wfpc2") / "e6o0938au.r3d"
    assert geis_data.is_file()


def test_a_context_that_moves_back_is_followed(client: Path, server: Server, tmp_path: Path) -> None:
    server.set_default(CONTEXTS[1])

    done = run(client, tmp_path, server.url, "sync", "--contexts", "hst-latest", "--fetch-references")

    assert done.returncode == 0, done.stderr
    assert [name for name in files_below(tmp_path / "mappings") if name.endswith(".pmap")] == [CONTEXTS[1]]
    assert server.requests["RPC get_mapping_names"] == 1
    assert all(count == 1 for name, count in server.requests.items() if not names.is_mapping(name))


def test_rules_load_without_a_server_and_choose_what_they_should(
    client: Path, demo_root: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.symlink_to(demo_root)
    data_sets = sorted(str(path) for path in (demo_root / "datasets").iterdir())

    done = run(
        client,
        cache,
        "https://hst-serverless-mode.stsci.edu",
        *("bestrefs", "--readonly-cache", "--print-new-references", "--new-context", "hst_0006.pmap"),
        *("--files", *data_sets),
    )

    assert done.returncode == 0, done.stderr
    chosen: dict[str, list[str]] = {}
    for path, _, reftype, _, reference in map(str.split, done.stdout.splitlines()):
        chosen.setdefault(Path(path).name.removesuffix("_raw.fits"), []).append(f"{reftype} {reference}")
    assert {name: ", ".join(parts) for name, parts in chosen.items()} == BESTREFS_0006


def test_symbolic_names_of_instruments_and_types_mean_the_same_to_the_client(
    client: Path, server: Server, demo_root: Path, tmp_path: Path
) -> None:
    asked = ("hst-acs-edit", "hst-wfc3-2022-10-01", "hst-acs-darkfile-latest", "hst-all-darkfile-edit")
    asked += ("hst-wfc3-mlintab-edit", "hst-cos-latest", "hst-acs-biasfile-2021-07-01T00:00:00")
    cache = tmp_path / "cache"
    cache.symlink_to(demo_root)

    line = ("list", "--readonly-cache", "--resolve-contexts", "--contexts")
    done = run(client, cache, server.url, *line, *asked)
    ours = answer.saved(layout.default_layout(demo_root, "hst"), Wanted(asked))

    assert done.returncode == 0, done.stderr
    assert sorted(set(done.stdout.split())) == list(ours.chosen.contexts)
    assert ours.chosen.problems == ()
