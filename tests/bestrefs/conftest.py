import subprocess
from pathlib import Path

import pytest

from tests.bestrefs import oracle


@pytest.fixture(scope="session")
def oracle_roots(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Unpack the mappings that the oracle has beside those of the sample."""
    archive = oracle.ORACLE / "mappings.tar.xz"
    if not archive.exists():
        pytest.skip("the oracle is not beside this checkout")
    root = tmp_path_factory.mktemp("oracle")
    subprocess.run(["tar", "-C", root, "--no-same-owner", "-xJf", archive], check=True)
    return root, shared_data
