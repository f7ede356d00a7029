"""What tests of faults share."""

import shutil
from collections.abc import Iterator

import pytest

from tests.faults import lab as labs
from tests.faults.lab import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Open a lab with a tiny observatory."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing: apt-get install strace")
    with labs.opened(tmp_path_factory.mktemp("lab")) as opened:
        yield opened
