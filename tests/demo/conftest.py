"""The demo observatory, served."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import Server


@pytest.fixture
def server(demo_root: Path) -> Iterator[Server]:
    """Serve the demo observatory as it is, with all its deliveries."""
    with Server(demo_root) as serving:
        yield serving
