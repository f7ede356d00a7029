"""Disks of a test's own; as root, in a container that may mount."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[None]:
    """Mount something at a place as long as the test needs it."""
    done = subprocess.run(["mount", *words, place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}; run as root, in a container that may mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Let nobody change, link or remove a file, or the names in a directory; not even root."""
    done = subprocess.run(["chattr", "+i", path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot make a file immutable: {done.stderr.strip()}; as root, on ext4 or xfs")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", path], check=True)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """Give a directory a small disk of its own, with what is in it."""
    aside = place.with_name(f"{place.name}-aside")
    place.rename(aside)
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs"):
        shutil.copytree(aside, place, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(aside)
        yield


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Mount a directory read-only where it is."""
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        yield
