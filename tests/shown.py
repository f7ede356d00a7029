"""What documents and examples show, and how it is tried: as it stands, in the environment of cron."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from demo.server import Server
from tests.caches import CHECKOUT, QUICK, Cache, Done


def blocks(document: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def block(document: str, title: str) -> str:
    """Find the shell block of a document that begins with a mark."""
    mark = f"# commands: {title}\n"
    (found,) = [each for each in blocks(document, "sh") if each.startswith(mark)]
    return found


def lines(text: str) -> Iterator[str]:
    """Leave out what installs, as the tests run in what it made."""
    return (line for line in text.splitlines() if not line.startswith("make "))


def crontab(text: str) -> tuple[dict[str, str], list[tuple[list[str], str]]]:
    """Read a crontab as Debian's cron does: variables, and times with what the shell gets."""
    variables: dict[str, str] = {}
    jobs = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if assignment := re.fullmatch(r"(\w+) *= *(.*)", line):
            variables[assignment[1]] = assignment[2]
        else:
            *times, command = line.split(None, 5)
            jobs.append((times, command))
    return variables, jobs


class Shell:
    """Runs what is shown with its paths and its server replaced, in the environment of cron."""

    def __init__(self, home: Path, server: Server) -> None:
        self.home, self.server = home, server
        self.url = server.url
        self.environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "CRDSCACHE_SITE": f"{home}/quick.yaml"}
        (home / "quick.yaml").write_text(QUICK)

    @property
    def cache(self) -> Cache:
        """The cache that is set up, as other tests have it."""
        return Cache(self.home, self.server, self.home / "ops")

    def real(self, text: str) -> str:
        text = text.replace("/opt/crdscache", str(CHECKOUT)).replace("/data/crds", str(self.home))
        for name in ("visit12", "cdbs", "out"):
            text = text.replace(f"/data/{name}", f"{self.home}/{name}")
        return text.replace("https://hst-crds.stsci.edu", self.url)

    def run(self, text: str, **environ: str) -> Done:
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", self.real(text)],
            env=self.environ | {name: self.real(value) for name, value in environ.items()},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)
