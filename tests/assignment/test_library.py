"""The package in somebody else's program: what the documentation promises in three lines."""

from pathlib import Path

from crdscache.bestrefs.answers import NoFile
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from demo.deliveries import DATASETS


def test_references_are_chosen_for_a_header_in_three_lines(demo_root: Path) -> None:
    chooser = Chooser("hst_0006.pmap", rules.loader(demo_root / "mappings" / "hst"))
    bestrefs = chooser.choose(DATASETS["IDEM02D1Q:IDEM02D1Q"])

    assert bestrefs == {
        "darkfile": "t7h1622ai_drk.fits",
        "idctab": "w3m1800ai_idc.fits",
        "mlintab": NoFile.NOT_APPLICABLE,
        "pfltfile": "uc71211ai_pfl.fits",
    }
