"""A cache of the demo observatory that a test may change."""

import os
import shutil
from pathlib import Path

import pytest

from crdscache.cache import layout, publish, serverconfig
from crdscache.cache.layout import Layout
from tests import written
from tests.caches import FORMER, OBSERVATORY

SERVER = "http://localhost"


@pytest.fixture
def cache(demo_root: Path, tmp_path: Path) -> Layout:
    """Give a cache that has all files of all contexts; its default is the former context."""
    made = layout.default_layout(tmp_path / "cache", OBSERVATORY)
    for folder in ("mappings", "references"):  # links: a test replaces or removes files, and writes to none
        shutil.copytree(demo_root / folder, made.root / folder, copy_function=os.link)
    shutil.copytree(demo_root / "config", made.root / "config")
    made.state.mkdir(parents=True)
    saved = serverconfig.compose(written.told(demo_root, FORMER), SERVER, FORMER)
    with serverconfig.staged(made.config, saved) as aside:
        publish.rename_into_place(aside, made.config / "server_config")
    return made
