"""Thousands of defects, planted at random: each is found by the check that claims to, and nothing else is."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crdscache.cache import hashes, layout, tables, verdicts, verify
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.contexts.records import ManifestRow
from tests import checking
from tests.caches import CHECKOUT

N_FILES, N_DEFECTS = 500, 320
SEEDS = range(10)  # 3200 defects in all


def flip(path: Path, chance: random.Random) -> None:
    """Turn one bit over; length and time stay."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(1, path.stat().st_size))


def grow(path: Path, chance: random.Random) -> None:
    with path.open("ab") as stream:
        stream.write(chance.randbytes(chance.randrange(1, 1000)))


def empty(path: Path, _: random.Random) -> None:
    os.truncate(path, 0)


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


def make_directory(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path, _: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


def dangle(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def loop(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


# By kind of defect: how it is made, and what presence, kind and length tell of it.
DEFECTS: dict[str, tuple[Callable[[Path, random.Random], None], str]] = {
    "flipped": (flip, "ok"),
    "cut": (cut, "wrong-size"),
    "grown": (grow, "wrong-size"),
    "emptied": (empty, "wrong-size"),
    "removed": (remove, "missing"),
    "directory": (make_directory, "unexpected-kind"),
    "pipe": (make_pipe, "unexpected-kind"),
    "dangling": (dangle, "missing"),
    "loop": (loop, "missing"),
}


def swap(one: Path, other: Path) -> None:
    """Exchange two files of one length."""
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def plant(cache: Layout, rows: list[ManifestRow], chance: random.Random) -> dict[str, str]:
    """Spoil files at random; gives the kind of defect of each that is spoilt."""
    spoilt = dict.fromkeys((row.name for row in rows), "right")
    twins = [row for row in rows if row.size_bytes == 1000]
    for row, other in zip(twins[::2], twins[1::2], strict=False):
        swap(cache.absolute(row.path), cache.absolute(other.path))
        spoilt[row.name] = spoilt[other.name] = "swapped"
    others = [row for row in rows if row.size_bytes != 1000]
    for row in chance.sample(others, N_DEFECTS - list(spoilt.values()).count("swapped")):
        kind = chance.choice(list(DEFECTS))
        DEFECTS[kind][0](cache.absolute(row.path), chance)
        spoilt[row.name] = kind
    return spoilt


def by_look(
    cache: Layout, rows: list[ManifestRow], found: dict[str, os.stat_result], known: dict[str, Hashed]
) -> dict[str, str]:
    """Check fast."""
    return checking.by_name(
        [
            verdicts.judge(row, cache.absolute(row.path), found.get(row.path), known.get(row.name))
            for row in rows
        ]
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_D12_D13_D14_D15_each_defect_is_found_by_the_check_that_claims_to_and_nothing_else_is(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    cache, memory = layout.default_layout(tmp_path / "cache", "hst"), tmp_path / "state" / hashes.FILE
    lengths = [1000 if number % 20 == 0 else chance.randrange(2, 3000) for number in range(N_FILES)]
    rows = [
        checking.add(cache, f"x{number}.fits", chance.randbytes(length))
        for number, length in enumerate(lengths)
    ]
    # An earlier verify has found all right.
    assert set(checking.by_name(verify.hash_shard(rows, cache, memory)).values()) == {"ok"}
    before = hashes.load(memory)
    checking.let_clock_tick(cache.root)
    spoilt = plant(cache, rows, chance)
    fast = {name: DEFECTS[kind][1] if kind in DEFECTS else "ok" for name, kind in spoilt.items()}
    silent = {name for name, kind in spoilt.items() if kind in {"flipped", "swapped"}}
    whole = fast | dict.fromkeys(silent, "wrong-sum")

    found = checking.statuses(cache, rows)
    due = verify.due(rows, found, before, now=datetime.now(UTC), max_age_days=90)
    by_sums = checking.by_name(verify.hash_shard(due, cache, memory))
    of_all = verify.hash_shard(rows, cache, tmp_path / "other" / hashes.FILE)
    looked = verify.recheck(of_all, rows, cache, [memory], {row.name for row in rows})

    assert sum(kind != "right" for kind in spoilt.values()) == N_DEFECTS
    assert Counter(spoilt.values()).keys() == {*DEFECTS, "swapped", "right"}
    assert by_look(cache, rows, found, {}) == fast
    assert by_look(cache, rows, found, before) == fast  # what was known is not of files that changed
    assert {row.name for row in due} == silent  # the time of change told
    assert by_look(cache, rows, found, before) | by_sums == whole
    assert checking.by_name(of_all) == checking.by_name(looked) == whole
    assert by_look(cache, rows, found, hashes.load(memory)) == whole  # the next plain run knows


WORKER = """
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from crdscache.cache import hashes, layout, tables, verify
root, manifest, memory = map(Path, sys.argv[1:])
rows = tables.read_manifest(manifest)
found = layout.statuses(root, (row.path for row in rows))
due = verify.due(rows, found, hashes.load(memory), now=datetime.now(UTC), max_age_days=90)
def tell(row):
    print(row.name, flush=True)
    os.read(0, 1)
verify.hash_shard(due, layout.default_layout(root, "hst"), memory, tell)
"""
AHEAD = 5  # files that the worker may be ahead of what we have heard


def work(cache: Layout, manifest: Path, memory: Path, kill_after: int | None) -> tuple[int, list[str]]:
    """Hash what is due in a process that is killed after some files; tells which files it has read."""
    line = [sys.executable, "-c", WORKER, cache.root, manifest, memory]
    with subprocess.Popen(line, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            if kill_after is None:
                child.stdin.close()
            else:
                child.stdin.write(b"." * (kill_after + AHEAD))
                child.stdin.flush()
            names = [child.stdout.readline() for _ in range(kill_after or 0)]
            if kill_after is not None:
                child.kill()
            names += child.stdout.readlines()
            return child.wait(), [name.decode().strip() for name in names if name]
        finally:
            child.kill()


@pytest.mark.parametrize("seed", range(4))
def test_killed_verify_is_taken_up_where_it_was(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    cache, memory = layout.default_layout(tmp_path / "cache", "hst"), tmp_path / "state" / hashes.FILE
    lengths = [chance.choice([2_000_000, 1_000_000, 3000]) for _ in range(60)]
    rows = [
        checking.add(cache, f"x{number:02}.fits", chance.randbytes(length))
        for number, length in enumerate(lengths)
    ]
    tables.write_manifest(tmp_path / "manifest.tsv", rows)
    small = {row.name for row in rows if row.size_bytes == 3000}
    n_read: Counter[str] = Counter()
    known: set[str] = set()

    n_kills, status = 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        kill_after = chance.randrange(1, 20) if n_kills < 8 else None
        status, names = work(cache, tmp_path / "manifest.tsv", memory, kill_after)
        n_kills += status == -signal.SIGKILL
        assert not known & set(names)  # none is read again that is known
        n_read.update(names)
        known = set(hashes.load(memory))
        last_large = max((at for at, name in enumerate(names) if name not in small), default=-1)
        assert set(names[: last_large + 1]) <= known  # at most the small ones of a second are lost

    assert status == 0
    assert n_kills >= 2
    assert known == {row.name for row in rows} >= n_read.keys()
    assert all(count == 1 for name, count in n_read.items() if name not in small)
    found = checking.statuses(cache, rows)
    assert set(by_look(cache, rows, found, hashes.load(memory)).values()) == {"ok"}
