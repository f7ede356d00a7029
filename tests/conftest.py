"""What tests of several folders share."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the missions' own rules and catalogues: the root of a cache that must not be written to."""
    unpack = Path(__file__).parents[2] / "shared" / "data" / "unpack.sh"
    if not unpack.exists():
        pytest.skip("the sample caches are not beside this checkout")
    root = tmp_path_factory.mktemp("shared_data")
    subprocess.run([unpack, root], check=True, stdout=subprocess.DEVNULL)
    return root
