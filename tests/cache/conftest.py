"""A cache of the demo observatory that a test may change."""

from pathlib import Path

import pytest

from crdscache.cache.layout import Layout
from tests import adopting, written


@pytest.fixture
def cache(demo_root: Path, tmp_path: Path) -> Layout:
    """Give a cache that has all files of all contexts; its default is the former context."""
    return written.cache_of(demo_root, tmp_path / "cache")


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    """Give a cache without files."""
    return adopting.bare_cache(tmp_path / "cache")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a tree of a site, without files."""
    made = tmp_path / "tree"
    made.mkdir()
    return made
