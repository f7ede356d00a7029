"""What tests of several folders share."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import observatory
from demo.server import Server
from tests.caches import CHECKOUT, FORMER, QUICK, Cache, once


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the missions' own rules and catalogues: the root of a cache that must not be written to."""
    unpack = Path(__file__).parents[2] / "shared" / "data" / "unpack.sh"
    if not unpack.exists():
        pytest.skip("the sample caches are not beside this checkout")

    def make(root: Path) -> None:
        subprocess.run([unpack, root], check=True, stdout=subprocess.DEVNULL)

    return once(tmp_path_factory, "shared_data", make)


@pytest.fixture(scope="session")
def oracle_roots(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Unpack the mappings that the oracle has beside those of the sample."""
    archive = Path(__file__).parents[2] / "shared" / "oracle" / "mappings.tar.xz"
    if not archive.exists():
        pytest.skip("the oracle is not beside this checkout")

    def make(root: Path) -> None:
        subprocess.run(["tar", "-C", root, "--no-same-owner", "-xJf", archive], check=True)

    return once(tmp_path_factory, "oracle", make), shared_data


@pytest.fixture(scope="session")
def client() -> Path:
    """Give the missions' own client."""
    program = Path(os.environ.get("CRDSCACHE_TEST_CLIENT", CHECKOUT / ".venv-client" / "bin" / "crds"))
    if not program.exists():
        pytest.skip("the missions' client is not installed: make client")
    return program


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the demo observatory; nobody writes to it."""
    place = once(tmp_path_factory, "demo", lambda home: observatory.build(home / "observatory"))
    return place / "observatory"


@pytest.fixture
def server(demo_root: Path) -> Iterator[Server]:
    """Serve the demo observatory as it was before its last delivery became the default."""
    with Server(demo_root) as serving:
        serving.set_default(FORMER)
        yield serving


@pytest.fixture(scope="session")
def rules_only(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Make, once, a cache that has the rules of its default context and nothing else."""
    with Server(demo_root) as serving:
        serving.set_default(FORMER)

        def make(home: Path) -> None:
            assert _cache(home, serving).run("remote_cache_init", "--contexts", FORMER).status == 0

        home = once(tmp_path_factory, "rules", make)
    return Cache(home, serving, home / "cache")


@pytest.fixture(scope="session")
def whole(demo_root: Path, rules_only: Cache, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Make, once, a cache that has rules and references of its default context."""
    with Server(demo_root) as serving:
        serving.set_default(FORMER)

        def make(home: Path) -> None:
            (home / "quick.yaml").write_text(QUICK)
            made = rules_only.copy_to(home / "cache", serving)
            assert made.run("cron_sync", "--fetch-references").status == 0

        home = once(tmp_path_factory, "whole", make)
    return Cache(home, serving, home / "cache")


@pytest.fixture
def no_cache(tmp_path: Path, server: Server) -> Cache:
    """Name a root where nothing is yet."""
    return _cache(tmp_path, server)


@pytest.fixture
def rules_cache(no_cache: Cache, rules_only: Cache, server: Server) -> Cache:
    """Copy the cache that has rules only."""
    return rules_only.copy_to(no_cache.root, server)


@pytest.fixture
def whole_cache(no_cache: Cache, whole: Cache, server: Server) -> Cache:
    """Copy the cache that has references too."""
    return whole.copy_to(no_cache.root, server)


def _cache(home: Path, server: Server) -> Cache:
    (home / "quick.yaml").write_text(QUICK)
    return Cache(home, server, home / "cache")
