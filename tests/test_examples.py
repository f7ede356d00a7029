"""The examples for cron, systemd and logrotate, as these programs themselves see them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from crdscache.cache import tables
from tests.caches import CHECKOUT
from tests.shown import crontab

EXAMPLES = CHECKOUT / "examples"
CRONTAB = (EXAMPLES / "crontab").read_text()
TIMES = re.compile(r"(\*|\d+)(/\d+)?")
COLUMNS = ("when", "what")


def program(name: str) -> str:
    """Find a program of Debian, which may lie where only root looks."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{name} is not here: apt-get install cron systemd logrotate")
    return found


@pytest.mark.parametrize("name", ["crontab", "cron.d/crdscache"])
def test_cron_takes_the_crontab(name: str) -> None:
    done = subprocess.run(
        [program("crontab"), "-n", EXAMPLES / name], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "The syntax of the crontab file was successfully checked.\n")


def test_what_cron_hands_to_the_shell_is_what_is_meant() -> None:
    variables, jobs = crontab(CRONTAB)

    assert [value for value in variables.values() if re.search(r"[$~#\s]", value)] == []
    assert [times for times, _ in jobs if not all(map(TIMES.fullmatch, times))] == []
    assert [command for _, command in jobs if re.search(r"(?<!\\)%|>&(?!\d)|#", command)] == []
    assert [command for _, command in jobs if not command.startswith("/")] == []


def test_file_of_cron_d_is_the_crontab_with_an_account() -> None:
    variables, jobs = crontab((EXAMPLES / "cron.d" / "crdscache").read_text())
    plain, plain_jobs = crontab(CRONTAB)

    assert variables == plain
    assert jobs == [(times, f"crds {command}") for times, command in plain_jobs]


def test_systemd_finds_nothing_to_say_of_the_units(tmp_path: Path) -> None:
    """With the checkout in place of /opt/crdscache, as each command must be there."""
    shutil.copytree(EXAMPLES / "systemd", tmp_path / "units")
    units = []
    for path in sorted((tmp_path / "units").glob("*@.*")):
        path.write_text(path.read_text().replace("/opt/crdscache", str(CHECKOUT)))
        units.append(path.with_name(path.name.replace("@", "@ops")))

    done = subprocess.run(
        [program("systemd-analyze"), "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(units) == 11, "the search finds nothing any more"
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_and_cron_call_the_same_commands() -> None:
    units = "".join(path.read_text() for path in (EXAMPLES / "systemd").glob("crdscache-*@.service"))
    called = {line.partition("=")[2] for line in units.splitlines() if line.startswith("ExecStart=")}
    wanted = {command for _, command in crontab(CRONTAB)[1] if " > " not in command}

    assert {line.replace("${CRDS_OBSERVATORY}", "hst") for line in called} == wanted


@pytest.mark.skipif(os.geteuid() != 0, reason="logrotate becomes the account of the example: run as root")
def test_logrotate_cuts_the_log_and_the_table_of_runs_and_nothing_is_lost(tmp_path: Path) -> None:
    logs, state = tmp_path / "log", tmp_path / "data" / "ops" / ".crdscache" / "hst"
    logs.mkdir()
    (logs / "sync.log").write_text("hst: 3 files\n")
    tables.append(state / "runs.tsv", "runs", COLUMNS, ("1", "a"))
    tables.append(state / "switches.tsv", "switches", COLUMNS, ("1", "a"))
    text = (EXAMPLES / "logrotate" / "crdscache").read_text().replace("crds crds", "root root")
    text = text.replace("/var/log/crdscache", str(logs)).replace("/data/crds", str(tmp_path / "data"))
    (tmp_path / "conf").write_text(text)
    (tmp_path / "conf").chmod(0o644)
    line = [program("logrotate"), "--force", "--state", tmp_path / "status", tmp_path / "conf"]

    done = subprocess.run(line, capture_output=True, text=True, check=False)
    tables.append(state / "runs.tsv", "runs", COLUMNS, ("2", "b"))

    assert (done.returncode, done.stderr) == (0, "")
    assert [list(tables.read(state / name, "runs", COLUMNS)) for name in ("runs.tsv.1", "runs.tsv")] == [
        [["1", "a"]],
        [["2", "b"]],
    ]
    assert sorted(path.name for path in state.iterdir()) == ["runs.tsv", "runs.tsv.1", "switches.tsv"]
    assert {path.name: path.read_text() for path in logs.iterdir()} == {
        "sync.log": "",
        "sync.log.1": "hst: 3 files\n",
    }
