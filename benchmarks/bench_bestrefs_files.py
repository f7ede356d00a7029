"""Update of the headers of many FITS files: 200 small ones, and 500 of 10 MB.

The peer updates copies of the same files; plain copies, each file made durable, are the floor. Arguments:
other numbers of small and of large files.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import bestrefs
import harness

N_FILES = (200, 500)
LARGE_BYTES = 10 * 10**6
N_ROUNDS = 3  # of the small ones
N_COPIES = 3  # of the files: ours, the peer's, and what is copied by one process
ROOM = 1.02  # headers


def main() -> None:
    """Measure small files, then large ones."""
    harness.introduce("best references into files")
    n_small, n_large = map(int, sys.argv[1:] or N_FILES)
    with bestrefs.serverless() as site:
        require_room(site.place, n_large * LARGE_BYTES * N_COPIES * ROOM)
        small = [Round(site, f"small{number}", n_small, 0) for number in range(N_ROUNDS)]
        show(f"{n_small} small files, best of {N_ROUNDS}", small, "at least 10 x the peer: at most 0.1")
        large = [Round(site, "large", n_large, LARGE_BYTES)]
        goal = "at least 4 x the peer: at most 0.25; at most 1.3 x cp with as many processes"
        show(f"{n_large} files of 10 MB", large, goal)


def require_room(place: Path, n_bytes: float) -> None:
    """Stop where the disk is too full, and say on what it is measured."""
    free = shutil.disk_usage(place).free
    kind = subprocess.run(
        ["stat", "-f", "-c", "%T", place], check=True, capture_output=True, text=True
    ).stdout
    print(f"in {place} ({kind.strip()}): {free / 1e9:.0f} GB free, {n_bytes / 1e9:.1f} GB are needed")
    if free < n_bytes:
        sys.exit("too little room: set TMPDIR to another disk, or give smaller numbers of files")


class Round:
    """One measurement, in a directory of its own: nothing is deleted before all is done."""

    def __init__(self, site: harness.Site, name: str, n_files: int, data_bytes: int) -> None:
        place = site.place / name
        ours, peer = place / "ours", place / "peer"
        bestrefs.write_files(site, ours, n_files=n_files, n_extensions=3, data_bytes=data_bytes)
        self.by_two = copied(ours, peer, 2)
        self.by_one = copied(ours, place / "copy", 1)
        words = ("--files", bestrefs.listed(ours), "--update-bestrefs")
        self.ours = site.ours(bestrefs.CACHE, "safe_bestrefs", *words, "--jobs", "2")
        words = ("--files", bestrefs.listed(peer), "--update-bestrefs")
        self.peer = site.peer(bestrefs.CACHE, "bestrefs", "--readonly-cache", *words)
        bestrefs.require_same("headers", [*bestrefs.headers_of(ours)], [*bestrefs.headers_of(peer)])


def copied(source: Path, target: Path, n_processes: int) -> harness.Timing:
    """Time a copy."""
    program = Path(__file__).with_name("copy_files.py")
    return harness.timed([sys.executable, *map(str, (program, n_processes, source, target))])


def show(work: str, rounds: list[Round], goal: str) -> None:
    """Print both sides, and the floor."""
    ours = [each.ours for each in rounds]
    harness.show(work, ours, [each.peer for each in rounds], goal)
    best_s = min(timing.wall_s for timing in ours)
    for name, copies in [
        ("2 processes", [each.by_two for each in rounds]),
        ("1 process", [each.by_one for each in rounds]),
    ]:
        floor_s = min(timing.wall_s for timing in copies)
        print(f"  cp    {floor_s:8.2f} s wall, {name}, with fsync; ours / cp {best_s / floor_s:.2f}")


if __name__ == "__main__":
    main()
