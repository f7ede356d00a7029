"""Data sets of the demo observatory, and `safe_bestrefs` for them."""

import shutil
from pathlib import Path

import pytest

from tests.readers import SafeBestrefs


@pytest.fixture
def data_sets(demo_root: Path, tmp_path: Path) -> Path:
    """Copy the data sets of the demo observatory to where a test may write to them."""
    return Path(shutil.copytree(demo_root / "datasets", tmp_path / "data"))


@pytest.fixture
def bestrefs(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> SafeBestrefs:
    """Give `safe_bestrefs`; without another root it reads the demo observatory, which is like a cache."""
    return SafeBestrefs(demo_root, monkeypatch, capsys)
