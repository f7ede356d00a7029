import os
from pathlib import Path

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.contexts.records import Problem
from crdscache.datasets import fitstrees
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError


def write(path: Path, **cards: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(header=fits.Header(cards)).writeto(path)
    return path


def ids(tree: Path) -> list[str]:
    return [each.id for each in fitstrees.read(tree) if isinstance(each, Dataset)]


def test_an_exposure_counts_once_by_its_raw_file(tmp_path: Path) -> None:
    write(tmp_path / "b" / "j1a_flt.fits", ROOTNAME="j1a", ASN_ID="J1000", STAGE="flt")
    write(tmp_path / "b" / "j1a_raw.fits", ROOTNAME="j1a", ASN_ID="J1000", STAGE="raw")
    write(tmp_path / "a" / "j2a_crj.fits", ROOTNAME="j2a", ASN_ID="NONE")
    write(tmp_path / "a" / "j2a_flt.fits", ROOTNAME="j2a", ASN_ID="NONE")
    (tmp_path / "notes.txt").write_text("none")

    found = list(fitstrees.read(tmp_path))

    assert [each.id for each in found if isinstance(each, Dataset)] == ["J2A:J2A", "J1000:J1A"]
    assert [each.header.get("STAGE") for each in found if isinstance(each, Dataset)] == [None, "raw"]


@pytest.mark.parametrize("association", ["", "NONE", "n/a"])
def test_an_exposure_in_no_association_is_a_product_itself(tmp_path: Path, association: str) -> None:
    write(tmp_path / "j1a_raw.fits", ROOTNAME="j1a", ASN_ID=association)

    assert ids(tmp_path) == ["J1A:J1A"]


def test_without_a_rootname_the_file_gives_the_id(tmp_path: Path) -> None:
    write(tmp_path / "jw8_01_nrs1_uncal.fits", TELESCOP="JWST")

    assert ids(tmp_path) == ["JW8_01_NRS1:JW8_01_NRS1"]


@pytest.mark.parametrize("name", ["", "   ", "N/A"])
def test_a_blank_rootname_is_none(tmp_path: Path, name: str) -> None:
    write(tmp_path / "j1a_raw.fits", ROOTNAME=name, ASN_ID="J1000")

    assert ids(tmp_path) == ["J1000:J1A"]


def test_E09_what_makes_no_id_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    """A file may have any name, also one that is no text: an id of it could not be written anywhere."""
    write(tmp_path / "a_raw.fits", ROOTNAME="j1 a:b")
    write(tmp_path / "c_raw.fits", ROOTNAME="j1c")
    write(tmp_path / "b_raw.fits").rename(tmp_path / os.fsdecode(b"b\xff_raw.fits"))

    found = list(fitstrees.read(tmp_path))

    reason = "ids without blanks and colons were expected, found "
    assert [each for each in found if isinstance(each, Problem)] == [
        Problem(str(tmp_path / "a_raw.fits"), f"{reason}'J1 A:B:J1 A:B'"),
        Problem(repr(f"{tmp_path}/b\udcff_raw.fits"), f"{reason}'B\\udcff:B\\udcff'"),
    ]
    assert [each.id for each in found if isinstance(each, Dataset)] == ["J1C:J1C"]


def test_a_file_that_cannot_be_read_is_a_problem_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "bad_raw.fits").write_bytes(b"no FITS at all")
    (tmp_path / "gone_raw.fits").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "j1a_raw.fits", ROOTNAME="j1a")

    found = list(fitstrees.read(tmp_path))

    assert [each.name for each in found if isinstance(each, Problem)] == [
        str(tmp_path / "bad_raw.fits"),
        str(tmp_path / "gone_raw.fits"),
    ]
    assert [each.id for each in found if isinstance(each, Dataset)] == ["J1A:J1A"]


def test_links_that_lead_in_a_circle_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "a" / "j1a_raw.fits", ROOTNAME="j1a")
    (tmp_path / "a" / "round").symlink_to(tmp_path)

    assert ids(tmp_path) == ["J1A:J1A"]


def test_a_tree_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none: cannot be read: No such file"):
        list(fitstrees.read(tmp_path / "none"))
