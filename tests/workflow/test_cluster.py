"""What is asked of SLURM, by programs that play its part; SLURM itself is in tests/slurm."""

import os
from pathlib import Path

import pytest

from crdscache.errors import CacheError, SettingsError
from crdscache.workflow import cluster


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a directory of programs in front of all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def play(programs: Path, name: str, body: str) -> None:
    path = programs / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("n_jobs", "each"), [(1, None), (64, None), (65, 2), (128, 2), (500, 8)])
def test_no_run_has_more_than_64_jobs(n_jobs: int, each: int | None) -> None:
    words = cluster.grouping("r", n_jobs)

    assert words == ([] if each is None else ["--groups", "r=r", "--group-components", f"r={each}"])
    assert -(-n_jobs // (each or 1)) <= cluster.MOST_JOBS


def test_just_the_jobs_of_this_directory_and_kind_are_cancelled(programs: Path) -> None:
    rows = ["7|/d|rule_verify_shard_wildcards_0", "8|/other|rule_verify_shard", "9|/d|rule_affected_ids"]
    play(programs, "squeue", f"[ -e {programs}/gone ] || printf '%s\\n' '{rows[0]}'; true")
    play(programs, "scancel", f'echo "$@" >{programs}/gone')

    cluster.cancel(Path("/d"), "rule_verify_")

    assert (programs / "gone").read_text() == "7\n"


def test_slurm_that_does_not_answer_is_told_in_words(programs: Path) -> None:
    play(programs, "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")

    with pytest.raises(CacheError, match=r"^squeue ended with status 1: Unable to contact slurm controller$"):
        cluster.cancel(Path("/d"), "rule_verify_")


@pytest.mark.parametrize("name", ["CRDSCACHE_CATALOG_PASSWORD", "CRDSCACHE_MAIL_PASSWORD", "PGPASSWORD"])
def test_no_password_goes_to_slurm(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        cluster.require_no_secrets({name: "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_without_its_environment_the_command_that_makes_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="run make setup-slurm in"):
        cluster.python(tmp_path)
