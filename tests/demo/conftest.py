"""The demo observatory, served."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import Server

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def server(demo_root: Path) -> Iterator[Server]:
    """Serve the demo observatory as it is, with all its deliveries."""
    with Server(demo_root) as serving:
        yield serving


@pytest.fixture(scope="session")
def client() -> Path:
    """Give the missions' own client."""
    program = Path(os.environ.get("CRDSCACHE_TEST_CLIENT", CHECKOUT / ".venv-client" / "bin" / "crds"))
    if not program.exists():
        pytest.skip("the missions' client is not installed: make client")
    return program
