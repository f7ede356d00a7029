from pathlib import Path

from crdscache.cache import inventory, layout
from crdscache.cache.layout import Mode
from tests import written


def paths(root: Path, mode: Mode, *used: str) -> list[str]:
    return sorted(path for path, _ in inventory.entries(layout.default_layout(root, "hst"), mode, used))


def test_everything_but_our_own_is_listed_and_links_are_not_followed(tmp_path: Path) -> None:
    written.write(tmp_path / "mappings" / "hst", {"x.pmap": b"", ".x.pmap.0123abcd.crdstmp": b""})
    written.write(tmp_path / "references" / "hst", {"x.fits": b"", ".x.fits.0123456789ab.part": b""})
    written.write(tmp_path / "references" / "hst" / ".crdscache", {"x.fits": b""})
    written.write(tmp_path / "tree", {"y.fits": b""})
    (tmp_path / "references" / "hst" / "tree").symlink_to(tmp_path / "tree")

    assert paths(tmp_path, Mode.FLAT) == [
        "mappings/hst/x.pmap",
        "references/hst/tree",
        "references/hst/x.fits",
    ]


def test_directories_of_instruments_are_looked_into_and_their_links_are_not_told(tmp_path: Path) -> None:
    references = tmp_path / "references" / "hst"
    written.write(references / "acs", {"x.fits": b""})
    written.write(references / "own", {"y.fits": b""})
    (references / "jref").symlink_to("acs")

    own = "references/hst/own"

    assert paths(tmp_path, Mode.INSTRUMENT) == ["references/hst/acs/x.fits", own]
    assert paths(tmp_path, Mode.INSTRUMENT, own) == ["references/hst/acs/x.fits", f"{own}/y.fits"]


def test_what_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert paths(tmp_path, Mode.FLAT) == []
