"""Starting snakemake and listening to it, tried with a program that plays its part."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.cache.layout import Layout
from crdscache.workflow import launch
from crdscache.workflow.launch import End, Start
from tests.caches import CHECKOUT, wait_until

OUTPUT = """\
Building DAG of jobs...
PROGRESS: 7 1 100
PROGRESS: 8 2 300
FATAL: the server is away
FATAL: so is the disk
WorkflowError
"""


@pytest.fixture
def cache(tmp_path: Path) -> Layout:
    made = layout.default_layout(tmp_path, "hst")
    (made.state / "logs").mkdir(parents=True)
    return made


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Play snakemake by the program in the variable PLAY."""
    monkeypatch.setattr(launch, "_command", lambda start, *_: [sys.executable, "-c", start.environ["PLAY"]])
    return Start("all", {"run_id": "id", "keep_logs": 2}, None, {})


def play(start: Start, code: str) -> Start:
    return Start(start.target, start.values, start.cores, {"PLAY": code})


def test_what_snakemake_says_goes_to_the_log_and_is_understood(cache: Layout, start: Start) -> None:
    log = cache.state / "logs" / "run.log"
    log.write_text("before\n")
    told: list[tuple[int, int, int]] = []

    def tell(*numbers: int) -> None:
        told.append(numbers)  # type: ignore[arg-type]

    with (cache.root / "lock").open("w") as lock:
        end = launch.run(play(start, f"print({OUTPUT!r}, end=''); exit(1)"), cache, lock.fileno(), log, tell)

    lines = [line for line in OUTPUT.splitlines() if not line.startswith("PROGRESS")]
    assert end == End(1, "the server is away", tuple(lines))
    assert told == [(7, 1, 100), (8, 2, 300)]
    assert log.read_text().splitlines() == ["before", *lines]
    assert json.loads((cache.state / "run.json").read_text()) == {"run_id": "id", "keep_logs": 2}


def test_the_lock_is_standard_input_and_root_and_observatory_are_in_the_environment(
    cache: Layout, start: Start
) -> None:
    code = """
import os
path, observatory = os.environ["CRDS_PATH"], os.environ["CRDS_OBSERVATORY"]
print(os.fstat(0).st_ino, path, observatory, os.getcwd(), os.getpgid(0) == os.getpid())
"""
    with (cache.root / "lock").open("w") as lock:
        end = launch.run(play(start, code), cache, lock.fileno(), cache.state / "run.log", None)

        inode = os.fstat(lock.fileno()).st_ino
    assert end == End(0, None, (f"{inode} {cache.root} hst {cache.state} True",))


def test_P06_whoever_leaves_by_a_signal_takes_snakemake_and_its_jobs_along(
    cache: Layout, start: Start
) -> None:
    """The main process answers a signal by an exception, here raised while it listens."""
    code = """
import os, pathlib, subprocess, sys, time
job = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path("pids").write_text(f"{os.getpid()} {job.pid}")
print("FATAL: on the way", flush=True)
time.sleep(60)
"""

    class StoppedError(BaseException):
        """Stands for a signal."""

    def interrupt(*_: object) -> None:
        raise StoppedError

    pids = cache.state / "pids"
    before = signal.signal(signal.SIGUSR1, interrupt)

    def stop() -> None:
        wait_until(lambda: pids.exists() and " " in pids.read_text())
        os.kill(os.getpid(), signal.SIGUSR1)

    threading.Thread(target=stop).start()
    try:
        with (cache.root / "lock").open("w") as lock, pytest.raises(StoppedError):
            launch.run(play(start, code), cache, lock.fileno(), cache.state / "run.log", None)
    finally:
        signal.signal(signal.SIGUSR1, before)

    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_that_does_not_listen_to_signals_is_killed(
    cache: Layout, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_STOP_AFTER_S", 0.2)
    code = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("PROGRESS: 1 1 1", flush=True)
time.sleep(60)
"""

    def give_up(*_: int) -> None:
        raise KeyboardInterrupt

    with (cache.root / "lock").open("w") as lock, pytest.raises(KeyboardInterrupt):
        launch.run(play(start, code), cache, lock.fileno(), cache.state / "run.log", give_up)


def test_the_command_line_names_all_that_a_profile_could_change(cache: Layout) -> None:
    words = [str(word) for word in launch._command(Start("init", {}, 3, {}), cache.state)]

    assert words[1:5] == ["-B", "-m", "crdscache.workflow.quickly", "init"]
    options = dict(zip(words[5::2], words[6::2], strict=True))
    assert options == {
        "--snakefile": str(CHECKOUT / "Snakefile"),
        "--directory": str(cache.state),
        "--workflow-profile": str(CHECKOUT / "profiles" / "default"),
        "--configfile": str(cache.state / "run.json"),
        "--cores": "3",
    }
