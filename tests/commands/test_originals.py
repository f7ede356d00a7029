"""I4 of the fault matrix: whatever our commands do, the files of the site's trees stay as they are."""

import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, Done
from tests.faults.lab import originals
from tests.invariants import references_of

MODES = ("symlink", "hardlink", "reflink", "copy")
N_STEPS = 5
# {} is the tree. A cut of them, in an order of chance, is the life of one cache.
COMMANDS: list[tuple[str, ...]] = [
    *(("--fetch-references", "--adopt", "{}", "--adopt-mode", mode) for mode in MODES),
    ("--adopt", "{}", "--adopt-mode", "hardlink", "--check-sha1sum"),
    ("--repair-files", "--adopt", "{}", "--adopt-mode", "symlink"),
    ("--repair-files", "--check-sha1sum"),
    ("--check-files",),
    ("--check-sha1sum",),
    ("--fetch-references",),
    ("snakemake", "all", "--config", "fetch_references=true", "adopt=[{}]", "adopt_mode=hardlink"),
    ("snakemake", "repair", "--config", "adopt=[{}]"),
    ("snakemake", "check"),
    ("snakemake", "verify"),
    ("snakemake", "-n"),
]


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def make_tree(place: Path, server: Server, names: Sequence[str], chance: random.Random) -> None:
    """Make a tree of somebody else's files, not all of them right."""
    for number, name in enumerate(names):
        path = place / chance.choice(("jref", "iref/deep/down", "uref")) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = server.content(name)
        path.write_bytes(chance.choice((data, data, data, data[:-1], flipped(data))))
        path.chmod(chance.choice((0o440, 0o644, 0o600)))
        if os.geteuid() == 0:
            os.chown(path, 1000 + number, 2000 + number)
        os.utime(path, ns=(10**18 + number, 10**18 + number))


def link_by_hand(cache: Cache, tree: Path, chance: random.Random) -> None:
    """Link half of the tree into the cache, as sites did."""
    cache.references.mkdir(parents=True)
    (cache.config / "ref_cache_subdir_mode").write_text("flat")  # a directory below would tell otherwise
    for path in sorted(tree.rglob("*.*")):
        if chance.random() < 0.5:
            target = cache.references / path.name
            chance.choice((target.symlink_to, target.hardlink_to))(path)


def damage(cache: Cache, tree: Path, chance: random.Random) -> None:
    """Put other things in the place of some files of the cache; through links nothing is written."""
    foreign = sorted(path for path in tree.rglob("*") if path.is_file())
    files = [path for place in (cache.references, cache.mappings) for path in _files(place)]
    for path in chance.sample(files, min(4, len(files))):
        data = path.read_bytes() if path.exists() else b""
        path.unlink()
        match chance.randrange(7):
            case 0:
                path.write_bytes(data[:-1])
            case 1:
                path.write_bytes(flipped(data or b"x"))
            case 2:
                path.symlink_to(chance.choice(foreign))
            case 3:
                path.hardlink_to(chance.choice(foreign))
            case 4:
                path.symlink_to(path.name)
            case 5 if path.parent == cache.references:
                path.mkdir()
            case _:
                pass  # it is lost


def _files(place: Path) -> Iterator[Path]:
    return (path for path in sorted(place.iterdir()) if path.is_symlink() or path.is_file())


def run(cache: Cache, tree: Path, words: Sequence[str]) -> Done:
    first, *rest = (word.replace("{}", str(tree)) for word in words)
    if first != "snakemake":
        return cache.run("cron_sync", first, *rest)
    if rest == ["verify"]:
        return cache.snakemake("-s", "readers.smk", "-d", str(cache.state / "readers"), *rest)
    return cache.snakemake(*rest)


@pytest.mark.parametrize("seed", range(len(COMMANDS) // N_STEPS))
def test_D22_originals_stay_as_they_are_whatever_is_done_with_the_cache(
    seed: int, rules_cache: Cache, server: Server
) -> None:
    """Content, mode, owner, group and time of each file and each directory of the tree."""
    chance = random.Random(seed)
    order = random.Random(4).sample(COMMANDS, len(COMMANDS))
    tree = rules_cache.home / "cdbs"
    make_tree(tree, server, sorted(references_of(server.archive.root or tree, "hst", LATEST)), chance)
    link_by_hand(rules_cache, tree, chance)
    past = originals(tree)

    for words in order[seed * N_STEPS : (seed + 1) * N_STEPS]:
        damage(rules_cache, tree, chance)
        server.set_default(chance.choice((FORMER, LATEST)))
        done = run(rules_cache, tree, words)

        assert originals(tree) == past, words
        assert (done.status in {0, 1}, "Traceback" in done.err) == (True, False), (words, done)
