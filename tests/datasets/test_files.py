from pathlib import Path

import pytest

from crdscache.datasets import files
from crdscache.errors import DatasetError
from tests.datasets.made import primary


@pytest.mark.parametrize("name", ["x.fits", "x.FITS", "x", "x.asdf.fits"])
def test_a_file_is_fits_unless_its_name_says_otherwise(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(primary("A = 1"))

    assert files.read_header(tmp_path / name)["A"] == 1


@pytest.mark.parametrize("name", ["x.asdf", "x.ASDF"])
def test_a_file_whose_name_says_asdf_is_read_as_such(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(primary("A = 1"))

    with pytest.raises(DatasetError, match=r"asdf must be installed$|an ASDF file was expected"):
        files.read_header(tmp_path / name)
