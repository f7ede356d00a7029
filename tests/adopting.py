"""Files to be adopted: from a tree and into a cache of a test's own, also by a program that strace strikes.

By itself: `python -m tests.adopting look TREE` or `take TREE/NAME CACHE MODE`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from crdscache.cache import layout, publish
from crdscache.cache.adopt import Adopter, Taken
from crdscache.cache.layout import Layout
from crdscache.cache.trees import Forest
from crdscache.contexts.records import Action, Adoption, AdoptMode, Kind, ManifestRow, PlanRow, SightingRow
from tests import written
from tests.caches import CHECKOUT
from tests.checking import FOLDER

NAME = "x1234567j_drk.fits"
RIGHT, OTHER = b"right", b"other"  # of one length


def bare_cache(root: Path) -> Layout:
    """Make a cache without files."""
    made = layout.default_layout(root, "hst")
    for directory in (made.references, made.mappings, made.config):
        directory.mkdir(parents=True)
    return made


def file(name: str = NAME, data: bytes = RIGHT) -> ManifestRow:
    """Describe a reference that should be there."""
    sum_ = written.sha1_of(data)
    return ManifestRow(
        name, Kind.REFERENCE, "acs", "drkfile", len(data), sum_, f"{FOLDER}/{name}", is_held=True
    )


def to_adopt(source: Path, data: bytes = RIGHT, *, reason: str = "") -> PlanRow:
    """Plan to adopt a file of a tree; in place of a wrong one if there is a reason."""
    return PlanRow(file(source.name, data), Action.ADOPT, reason, str(source))


def take(
    cache: Layout,
    mode: AdoptMode,
    *rows: PlanRow,
    falls_back: bool = False,
    sums: bool = False,
    others: Sequence[SightingRow] = (),
) -> Taken:
    """Adopt files; what stands under a name is replaced."""
    adopter = Adopter(cache, Adoption(mode, falls_back, sums), others)
    return adopter.take_all(
        rows, lambda row, temporary: publish.rename_into_place(temporary, cache.absolute(row.file.path))
    )


@contextmanager
def somebody(place: Path) -> Iterator[None]:
    """Be another user, who may look at a place unless its own mode forbids it."""
    if os.geteuid() != 0:
        pytest.skip("changes its user: run as root")
    place.chmod(0o755)
    os.setresuid(12345, 12345, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def struck(words: Sequence[str | Path], path: Path, injection: str) -> list[str]:
    """Give the lines of this program, whose calls for one path meet an injection of strace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is missing: apt-get install strace")
    call = injection.partition(":")[0]
    watched = ["-P", str(path), "-e", f"trace={call}", "-e", f"inject={injection}"]
    program = [sys.executable, "-B", "-m", "tests.adopting", *map(str, words)]
    done = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, *watched, *program],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout).splitlines()


def look(tree: str) -> Iterator[str]:
    """Tell what a tree has."""
    forest = Forest([Path(tree)], layout.default_layout(Path("/nowhere"), "hst"))
    yield from (found.name for found in forest.files())
    yield from (f"{row.path}: {row.reason}" for row in forest.unreadable())


def take_one(source: str, root: str, mode: str, *options: str) -> Iterator[str]:
    """Adopt one file, and tell what came of it."""
    cache = layout.default_layout(Path(root), "hst")
    row = to_adopt(Path(source))
    done = take(cache, AdoptMode(mode), row, falls_back="copy" in options, sums="sums" in options)
    yield from (receipt.outcome.value for receipt in done.receipts)
    yield from (f"{row.sighting.value}: {row.reason}" for row in done.sightings)


if __name__ == "__main__":
    _, what, *rest = sys.argv
    sys.stdout.writelines(f"{line}\n" for line in (look(*rest) if what == "look" else take_one(*rest)))
