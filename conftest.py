"""How all tests are run: in memory, by more workers than cores; where CI is set a skip is a failure."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

_MEMORY = Path("/dev/shm")  # noqa: S108 (pytest makes a directory of its own there)
_ENOUGH_BYTES = 4 * 10**9  # a whole suite takes a tenth of it

# Half the time of a run of a small cache is fsync. What needs a file system of some kind mounts its own. The
# variable is pytest's, and read when the first test asks for a directory.
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Tell what `-n auto` means: tests often wait, for time limits and for processes that end."""
    return len(os.sched_getaffinity(0)) * 3 // 2


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at the report of each test."""
    return _without_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at the report of each test file, which can be skipped as a whole."""
    return _without_skip((yield))


def _without_skip(report: Report) -> Report:
    is_expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not is_expected_failure and "CI" in os.environ:
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped in CI: {report.longreprtext}"
    return report
