"""How a command ends that something stops."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crdscache.commands import ending
from crdscache.errors import CacheError, LockedError, SettingsError, UnreachableError
from tests.caches import CHECKOUT


def raises(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


def signals_itself() -> int:
    os.kill(os.getpid(), signal.SIGTERM)
    return 0


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (lambda: 0, 0, ""),
        (lambda: 1, 1, ""),
        (raises(SettingsError("wrong")), 2, "it: wrong\n"),
        (raises(CacheError("worse")), 3, "it: worse\n"),
        (raises(LockedError("taken")), 75, "it: taken\n"),
        (signals_itself, 143, "it: stopped by SIGTERM\n"),
    ],
)
def test_what_stops_a_command_is_told_in_a_line_and_decides_its_status(
    body: Callable[[], int], status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending.run("it", body) == status
    assert capsys.readouterr() == ("", told)


def test_an_error_of_the_system_is_told_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> int:
        return len((tmp_path / "nowhere").read_text())

    assert ending.run("it", body) == 3
    assert capsys.readouterr().err.startswith(f"it: {tmp_path}/nowhere: No such file or directory, ")


def test_a_holder_of_the_lock_is_not_named_where_nobody_wants_to_know(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending.run("it", raises(LockedError("taken")), tells_busy=False) == 75
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("n_bytes", [1, 100_000])
@pytest.mark.parametrize("redirection", ["> /dev/full", "> /dev/full 2>&1", "| true"])
def test_P21_results_that_nobody_takes_are_an_error(n_bytes: int, redirection: str) -> None:
    """No traceback, no complaint of Python's own, and never status 0 or 120."""
    code = (
        "import sys, time; from crdscache.commands import ending; "
        f"sys.exit(ending.run('it', lambda: time.sleep(0.2) or sys.stdout.write('x' * {n_bytes}) * 0))"
    )
    line = f'{{ "$0" -c "$1"; echo status $? >&3; }} 3>&2 {redirection}'

    done = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == ""
    told, _, status = done.stderr.rpartition("status ")
    assert status == "1\n"
    assert told in {
        "",
        "it: standard output: No space left on device\n",
        "it: standard output: Broken pipe\n",
    }
    assert ("2>&1" in redirection) == (told == "")


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (LockedError("taken"), 75, "taken"),
        (SettingsError("wrong"), 2, "wrong"),
        (UnreachableError("away"), 3, "away"),
    ],
)
def test_where_data_is_wanted_what_stops_a_command_is_one_document(
    error: Exception, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending.run("it", raises(error), tells_busy=False, as_json=True) == status

    assert json.loads(capsys.readouterr().out) == {"status": status, "message": message}
