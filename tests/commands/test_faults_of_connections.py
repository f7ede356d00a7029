"""Rows N02 and N03 of the fault matrix, as the operator of a cache meets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import badservers
from tests.badservers import Authority
from tests.caches import FORMER, Cache, proper
from tests.invariants import check_invariants


@contextmanager
def self_signed(home: Path) -> Iterator[str]:
    """Give the address of a server that nobody vouches for."""
    with badservers.serving(Authority.make(home).vouch("localhost")) as server:
        yield server.url


@pytest.mark.parametrize(
    ("row", "reason"), [("N02", "timed out"), ("N03", "unable to get local issuer certificate")]
)
def test_N02_N03_a_server_that_cannot_be_asked_leaves_the_cache_as_it_is(
    row: str, reason: str, whole_cache: Cache
) -> None:
    with badservers.dropping() if row == "N02" else self_signed(whole_cache.home) as address:
        for path in (whole_cache.state / "identity.json", whole_cache.config / "server_config"):
            path.write_text(path.read_text().replace(whole_cache.server.url, address))
        whole_cache.more["CRDS_SERVER_URL"] = address
        before = proper(whole_cache)
        done = whole_cache.run("cron_sync", "--fetch-references", "--config", "connect_timeout_s=0.2")

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 2)
    assert f"get_server_info at {address}: " in done.err
    assert reason in done.err
    assert proper(whole_cache) == before
    assert whole_cache.default() == FORMER
    check_invariants(whole_cache.root, "hst", whole_cache.server, is_clean=True)
