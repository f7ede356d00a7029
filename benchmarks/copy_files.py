"""Copies the files of a folder, each made durable: the floor for an update that replaces whole files.

Arguments: a number of processes, the folder, and a new one.
"""

import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path


def main() -> None:
    """Copy them."""
    n_processes, source, target = sys.argv[1:]
    Path(target).mkdir()
    with ProcessPoolExecutor(int(n_processes)) as pool:
        list(pool.map(partial(copy, Path(target)), sorted(Path(source).iterdir()), chunksize=8))


def copy(target: Path, path: Path) -> None:
    """Copy one file as `cp --reflink=never` does."""
    copied = shutil.copyfile(path, target / path.name)
    descriptor = os.open(copied, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    main()
