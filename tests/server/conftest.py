"""What tests of transfers and calls share."""

from collections.abc import Iterator

import pytest

from crdscache.contexts.records import Patience
from crdscache.server.fetch import Downloader
from demo.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server.empty() as running:
        yield running


@pytest.fixture
def patience() -> Patience:
    """Try three times, at once."""
    return Patience(connect_timeout_s=5, read_timeout_s=5, tries=3, backoff_s=0, backoff_max_s=0)


@pytest.fixture
def downloader(patience: Patience) -> Iterator[Downloader]:
    with Downloader(patience, 4) as ready:
        yield ready
