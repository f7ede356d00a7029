"""Readers of the demo observatory: commands in the process of the test, and what they should find."""

import ast
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.assignment.work import SOFTWARE
from crdscache.commands import safe_bestrefs
from demo.observatory import CONTEXTS
from tests.caches import CHECKOUT, OBSERVATORY, Done

PROGRAM = CHECKOUT / "bin" / "safe_bestrefs"
LATEST = CONTEXTS[-1]
REJECTED = "56615301j_drk.fits"  # hst_0002.pmap and hst_0003.pmap have it

# Keywords that LATEST gives to the data sets of the demo observatory, by file; the missions' client agrees.
KEYWORDS = {
    "idem01c1q": {
        "DARKFILE": "iref$74a1010ai_drk.fits",
        "DRKCFILE": "iref$74a1010ci_dkc.fits",
        "IDCTAB": "iref$w3m1800bi_idc.fits",
        "MLINTAB": "N/A",
        "PFLTFILE": "iref$uc71211bi_pfl.fits",
    },
    "idem02d1q": {
        "DARKFILE": "iref$t7h1622ai_drk.fits",
        "IDCTAB": "iref$w3m1800ai_idc.fits",
        "MLINTAB": "N/A",
        "PFLTFILE": "iref$uc71211ai_pfl.fits",
    },
    "jdem01a1q": {
        "BIASFILE": "jref$t6k1015aj_bia.fits",
        "CCDTAB": "jref$m5c1200cj_ccd.fits",
        "D2IMFILE": "N/A",
        "DARKFILE": "jref$u9115020j_drk.fits",
        "FLSHFILE": "N/A",
        "MDRIZTAB": "jref$82213200j_mdz.fits",
    },
    "jdem01a2q": {
        "BIASFILE": "jref$61i15450j_bia.fits",
        "CCDTAB": "jref$m5c1200cj_ccd.fits",
        "D2IMFILE": "N/A",
        "DARKFILE": "jref$68v08000j_drk.fits",
        "FLSHFILE": "jref$n9d1445bj_fls.fits",
        "MDRIZTAB": "jref$82213200j_mdz.fits",
    },
    "jdem02b1q": {
        "BIASFILE": "jref$n2b1430bj_bia.fits",
        "CCDTAB": "jref$m5c1200aj_ccd.fits",
        "D2IMFILE": "N/A",
        "DARKFILE": "N/A",
        "FLSHFILE": "N/A",
        "MDRIZTAB": "jref$8221320aj_mdz.fits",
    },
    "udem0101t": {
        "DARKFILE": "uref$e6o0938au.r3h",
        "FLATFILE": "uref$e3a1100au.r4h",
        "MASKFILE": "uref$e2b1215au.r0h",
        "OFFTAB": "N/A",
    },
    "udem0102t": {
        "DARKFILE": "uref$e1b1001du.r3h",
        "FLATFILE": "uref$e3a1100bu.r4h",
        "MASKFILE": "N/A",
        "OFFTAB": "N/A",
    },
}


def expected(name: str, context: str = LATEST, **changes: str) -> dict[str, str]:
    """Give all keywords that an update sets in a data set of the demo observatory."""
    return {"CRDS_CTX": context, "CRDS_VER": SOFTWARE, **KEYWORDS[name], **changes}


def updates(path: Path, former: Path) -> dict[str, object]:
    """Tell which keywords of a file are new or have another value than in its former version."""
    old, new = fits.getheader(former), fits.getheader(path)
    return {keyword: new[keyword] for keyword in new if keyword not in old or new[keyword] != old[keyword]}


def copy_of(demo_root: Path, root: Path, **changes: object) -> Path:
    """Make a cache of the demo observatory that a test may change: by links, so replace and never write.

    Parameters
    ----------
    changes : of the saved configuration
    """
    for folder in ("mappings", "references"):
        shutil.copytree(demo_root / folder, root / folder)
    shutil.copytree(demo_root / "config", root / "config")
    configure(root, **changes)
    return root


def configure(root: Path, **changes: object) -> None:
    """Change the saved configuration of a cache."""
    path = root / "config" / OBSERVATORY / "server_config"
    path.write_text(pformat(ast.literal_eval(path.read_text()) | changes))


def without(root: Path, *names: str) -> None:
    """Take files out of a cache."""
    for name in names:
        for path in root.glob(f"*/{OBSERVATORY}/{name}"):
            path.unlink()


class SafeBestrefs:
    """`safe_bestrefs` in this process, for one cache."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._root, self._monkeypatch, self._capsys = root, monkeypatch, capsys

    def __call__(self, *words: str | Path, root: Path | None = None, **environ: str) -> Done:
        """Run it; `environ` comes beside the usual variables."""
        settings = {"CRDS_PATH": str(root or self._root), "CRDS_OBSERVATORY": OBSERVATORY}
        with self._monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("CRDS")]:
                patch.delenv(name)
            for name, value in (settings | environ).items():
                patch.setenv(name, value)
            self._capsys.readouterr()
            status: Any
            try:
                status = safe_bestrefs.main(list(map(str, words)))
            except SystemExit as stop:  # argparse
                status = stop.code
        out, err = self._capsys.readouterr()
        return Done(status, out, err)


def environ_of(root: Path, **more: str) -> Mapping[str, str]:
    """Give the environment of a reader in a process of its own."""
    return {"PATH": "/usr/bin:/bin", "CRDS_PATH": str(root), "CRDS_OBSERVATORY": OBSERVATORY, **more}
