"""`make pictures`: the page of a small cache, as docs show it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo import browser, observatory
from demo.server import Server

CHECKOUT = Path(__file__).resolve().parents[1]
PICTURES = CHECKOUT / "docs" / "pictures"
SYNC = ("--contexts", "hst-operational", "--fetch-references")


def main() -> int:
    """Make a cache, something wrong with it, its page, and pictures of that."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crdscache-pictures-") as place:
        page = Path(place) / "page.html"
        make(Path(place), page)
        with browser.opened(page) as shown:
            shown.opening()
            shown.driver.save_screenshot(str(PICTURES / "report.png"))
            shown.plot("plots/files.svg")
            shown.driver.save_screenshot(str(PICTURES / "report-files.png"))
    return 0


def make(place: Path, page: Path) -> None:
    """Sync a cache twice, the second time to a new default, lose a file, and make the page."""
    observatory.build(place / "observatory")
    first, second = observatory.CONTEXTS[-2:]
    with Server(place / "observatory") as server:
        root = place / "ops"
        environ = {"CRDS_PATH": str(root), "CRDS_SERVER_URL": server.url, "CRDS_OBSERVATORY": "hst"}
        server.set_default(first)
        run(environ, "remote_cache_init", "--contexts", "hst-operational")
        run(environ, "cron_sync", *SYNC)
        server.set_default(second)
        run(environ, "cron_sync", *SYNC)
        min((root / "references" / "hst").iterdir()).unlink()
        run(environ, "cache_report", "--output", str(page))


def run(environ: dict[str, str], command: str, *words: str) -> None:
    """Run one of our commands to its good end."""
    subprocess.run([CHECKOUT / "bin" / command, *words], env={**os.environ, **environ}, check=True)


if __name__ == "__main__":
    sys.exit(main())
