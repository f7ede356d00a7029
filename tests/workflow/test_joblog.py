"""The log of a job, in a process of its own: it is set up once for a process."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crdscache.workflow import joblog
from tests.caches import CHECKOUT, wait_until

OPENING = "import logging, os, sys; from crdscache import errors; from crdscache.workflow import joblog\n"


def job(code: str, log: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OPENING + code, log], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )


def test_a_job_logs_to_its_file_in_utc_and_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "job.log"

    done = job("with joblog.job_log(sys.argv[1]): logging.getLogger('x').info('done n=%d', 2)", log)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    said, ended = log.read_text().splitlines()
    time, rest = said.split(" ", 1)
    assert (time[-1], rest) == ("Z", "INFO x done n=2")
    assert "ended seconds=" in ended
    assert list(joblog.seconds(log.parent, 0)) == ["job"]


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("errors.ServerError('out of order')", "out of order"),
        ("OSError(5, 'Input/output error', '/no/such')", "/no/such: Input/output error"),
        ("OSError(28, 'No space left on device')", "{log}: No space left on device"),
    ],
)
def test_what_stops_a_job_is_told_in_a_line_that_the_command_finds(
    raised: str, told: str, tmp_path: Path
) -> None:
    log = tmp_path / "job.log"

    done = job(f"with joblog.job_log(sys.argv[1]): raise {raised}", log)

    expected = f"{joblog.FATAL}{told.format(log=log)}"
    assert (done.returncode, done.stdout, done.stderr.startswith(expected)) == (3, "", True), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "CRITICAL" in log.read_text()


def test_a_full_disk_adds_no_traceback_for_each_line_of_the_log() -> None:
    done = job(
        "joblog.log_to(joblog.Path('/dev/full')); logging.getLogger('x').error('gone')", Path("unused")
    )

    assert (done.returncode, "Traceback" in done.stderr, "Logging error" in done.stderr) == (0, False, False)


def test_without_a_file_nothing_is_told_at_all(tmp_path: Path) -> None:
    done = job("joblog.log_to(None); logging.getLogger('x').error('gone')", tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_command_without_a_log_warns_on_standard_error(tmp_path: Path) -> None:
    done = job(
        "joblog.warn('it'); logging.getLogger('x').info('no'); logging.getLogger('x').error('gone')", tmp_path
    )

    assert (done.stdout, done.stderr) == ("", "it: gone\n")


def test_progress_is_told_now_and_then_with_process_files_and_bytes() -> None:
    code = """
from crdscache.contexts.records import Outcome, Receipt
tell = joblog.Progress()
for number in range(1000): tell(Receipt("x", Outcome.FETCHED, 10))
"""
    done = job(code, Path("unused"))

    first, *more = done.stderr.splitlines()
    assert first.split()[2:] == ["1", "10"]
    assert (done.returncode, len(more) < 10) == (0, True)


def test_P03_a_job_ends_with_the_one_who_started_it(tmp_path: Path) -> None:
    """Else it would work on as the writer without anybody who waits for it."""
    there = tmp_path / "pid"
    work = f"""
with joblog.job_log(sys.argv[1]):
    joblog.Path({str(there)!r}).write_text(str(os.getpid())); joblog.time.sleep(60)
"""
    starts = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]])"
    with subprocess.Popen(
        [sys.executable, "-c", starts, OPENING + work, tmp_path / "job.log"], cwd=CHECKOUT
    ) as master:
        wait_until(lambda: there.exists() and there.read_text() != "")
        master.send_signal(signal.SIGKILL)

    wait_until(lambda: not is_running(int(there.read_text())))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "no more memory"),
        (RuntimeError("can't start new thread"), "no more threads"),
    ],
)
def test_P23_a_job_that_meets_a_limit_says_so_and_shows_no_traceback(
    error: Exception, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped, joblog.job_log(str(tmp_path / "job.log")):
        raise error

    assert stopped.value.code == 3
    assert capsys.readouterr().err.startswith(f"{joblog.FATAL}{told}: ")


def test_any_other_error_of_that_class_is_a_mistake_of_ours_and_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="odd"), joblog.job_log(str(tmp_path / "job.log")):
        raise RuntimeError("odd")
