"""The operator's guide, docs/operating.md, from its top to its bottom."""

import shutil
from pathlib import Path

from demo.server import Server
from tests import shown
from tests.caches import CHECKOUT, FORMER, Done
from tests.shown import Shell, lines

GUIDE = (CHECKOUT / "docs" / "operating.md").read_text()


def commands(title: str) -> str:
    return "\n".join(lines(shown.block(GUIDE, title)))


def test_the_guide_works_from_top_to_bottom(tmp_path: Path, server: Server, demo_root: Path) -> None:
    """One story, as each step needs the one before."""
    shell = Shell(tmp_path, server)
    tree = tmp_path / "cdbs"
    shutil.copytree(demo_root / "references" / "hst", tree)
    before = {path.name: path.read_bytes() for path in tree.iterdir()}

    titles = ("begin", "adopt", "look", "monitor", "break", "make room")
    ends = {title: shell.run(commands(title), CRDS_OBSERVATORY="hst") for title in titles}
    quiet = shell.run("/opt/crdscache/bin/cache_config --check", CRDS_PATH="/data/crds/ops")

    assert {title: done.status for title, done in ends.items()} == dict.fromkeys(titles, 0), ends
    failed = [line for line in ends["break"].err.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert "status 1" in ends["break"].out
    assert "CRDSCACHE CRITICAL - hst: wrong by the full check of" in ends["break"].out
    assert ends["monitor"].out.startswith("CRDSCACHE OK - hst: ")
    assert ends["look"].err == ""
    assert "brought back" in ends["make room"].out
    assert quiet == Done(0, "", "")
    assert shell.cache.default() == FORMER
    assert {path.name: path.read_bytes() for path in tree.iterdir()} == before
