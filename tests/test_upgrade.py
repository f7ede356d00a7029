"""Upgrade and roll back of the software: checkouts side by side, and a link to one of them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache import __version__
from demo import faults
from demo.server import Server
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, Done, finish, listing, proper, wait_until

LATER = "99.0.0"
RUNS = ("bin", "crdscache", "envs", "profiles", "rules", "schemas", "scripts")
FILES = ("Snakefile", "readers.smk", "config.yaml")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    return checkout(tmp_path / "crdscache-older")


@pytest.fixture
def later(tmp_path: Path) -> Path:
    made = checkout(tmp_path / "crdscache-later")
    head = made / "crdscache" / "__init__.py"
    head.write_text(head.read_text().replace(f'"{__version__}"', f'"{LATER}"'))
    return made


def checkout(place: Path) -> Path:
    """Copy what a run needs; the environment is shared."""
    for name in RUNS:
        shutil.copytree(
            CHECKOUT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in FILES:
        shutil.copy(CHECKOUT / name, place)
    (place / ".venv").symlink_to(CHECKOUT / ".venv")
    return place


def switch(link: Path, to: Path) -> None:
    """Move a link as `ln -s` and `mv -T` do: at no time it is not there."""
    aside = link.with_name(f"{link.name}.new")
    aside.symlink_to(to.name)
    aside.rename(link)


def test_run_ends_with_the_software_that_it_began_with_and_the_next_one_takes_the_new(
    whole_cache: Cache, server: Server, older: Path, later: Path, tmp_path: Path
) -> None:
    """There and back: what is at work would fail at its next job if it went through the link again."""
    cache = replace(whole_cache, checkout=tmp_path / "crdscache")
    switch(cache.checkout, older)
    server.set_default(LATEST)
    server.faults.add("8221321au.r3d", faults.delay(2.0), times=1)
    scripts = later / "scripts"
    scripts.rename(scripts.with_name("hidden"))

    at_work = cache.start("cron_sync", "--fetch-references")
    wait_until(lambda: server.requests["GET 8221321au.r3d"] > 0)
    switch(cache.checkout, later)
    beside = cache.run("cron_sync", "--fetch-references", "--verbose")
    first = finish(at_work)
    scripts.with_name("hidden").rename(scripts)
    untouched = listing(older, later)
    moved = [cache.default()]
    upgraded = cache.run("cron_sync", "--version")
    server.set_default(FORMER)
    second = cache.run("cron_sync", "--fetch-references")
    moved.append(cache.default())
    switch(cache.checkout, older)
    server.set_default(LATEST)
    third = cache.run("cron_sync", "--fetch-references")
    moved.append(cache.default())

    assert [done.status for done in (first, second, third)] == [0, 0, 0]
    assert moved == [LATEST, FORMER, LATEST]
    assert (beside.status, f"PID {at_work.pid}" in beside.err) == (75, True)
    assert f"crdscache {LATER} " in upgraded.out
    assert listing(older, later) == untouched


COMMANDS = [
    ("cron_sync",),
    ("cron_sync", "--dry-run"),
    ("cron_sync", "--rollback"),
    ("cron_sync", "--empty-trash"),
    ("remote_cache_init",),
    ("remote_cache_init", "--rebind", "http://localhost:1"),
]


def test_older_software_leaves_a_newer_state_alone_and_says_so(whole_cache: Cache) -> None:
    stamp = whole_cache.state / "identity.json"
    told = f"{stamp}: the state has version 2, this software knows 1: upgrade it\n"
    stamp.write_text(json.dumps({"version": 2, "promises": "of another form"}))
    before = proper(whole_cache) | listing(whole_cache.state)

    done = {words: whole_cache.run(*words) for words in COMMANDS}
    checked = whole_cache.run("cache_config", "--check")
    by_hand = whole_cache.snakemake("estimate")

    assert done == {words: Done(3, "", f"{words[0]}: {told}") for words in COMMANDS}
    assert (checked.status, told.rstrip() in checked.out.splitlines()[0]) == (2, True)
    assert "later version" in checked.out
    assert (by_hand.status, told in by_hand.err) == (3, True)
    assert proper(whole_cache) == {path: before[path] for path in proper(whole_cache)}
    assert stamp.read_text() == '{"version": 2, "promises": "of another form"}'


def test_what_only_reads_the_cache_proper_does_not_mind_a_newer_state(whole_cache: Cache) -> None:
    """Pipelines go on while the software is rolled back."""
    (whole_cache.state / "identity.json").write_text('{"version": 2}')

    done = whole_cache.run("cache_lease", "--", "printenv", "CRDS_CONTEXT")

    assert done == Done(0, f"{FORMER}\n", "")
