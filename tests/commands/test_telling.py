import argparse
from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.commands.telling import Teller
from crdscache.contexts.records import Problem
from crdscache.workflow import runs
from crdscache.workflow.runs import Result
from crdscache.workflow.status import Status

IDLE = Result(Status.OK, "a.pmap", "a.pmap", "a.pmap", n_files={"kept": 3})
WRONG = Result(Status.ERR, failures=(Problem("x.fits", "it is wrong"),), verdicts={"ok": 2, "wrong-sum": 1})


def teller(root: Path, *, on_terminal: bool = False, **options: bool) -> Teller:
    cache = layout.default_layout(root, "hst")
    cache.state.mkdir(parents=True, exist_ok=True)
    given = {"verbose": False, "quiet": False, "json": False, **options}
    return Teller(cache, argparse.Namespace(**given), on_terminal, 10)


def told(capsys: pytest.CaptureFixture[str], who: Teller, result: Result, kind: str = runs.SYNC) -> list[str]:
    """Tell of a run that has details; gives the lines on both streams, but for the one that names the log."""
    who.tell(runs.begin("cron_sync"), result, ["detail"], kind)
    out, err = capsys.readouterr()
    return [line for line in (*out.splitlines(), *err.splitlines()) if "the log is" not in line]


def test_cron_hears_of_a_failure_once_and_of_the_recovery(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who = teller(tmp_path)

    heard = [told(capsys, who, result) for result in (IDLE, WRONG, WRONG, IDLE, IDLE)]

    checked = "hst: checked 3 files: 2 ok, 1 wrong-sum"
    back = ["hst: recovered; the last run ended with status 1"]
    idle = ["hst: default context a.pmap; nothing to do, 3 files are as they should be"]
    assert heard == [[], [checked, "failed: x.fits: it is wrong"], [], [*back, *idle], []]


def test_failures_are_compared_with_those_of_the_last_run_of_the_same_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between two checks there are many syncs, which see less."""
    who = teller(tmp_path)

    heard = [
        told(capsys, who, result, kind)
        for result, kind in ((WRONG, runs.VERIFY), (IDLE, runs.SYNC), (WRONG, runs.VERIFY))
    ]

    assert [len(lines) for lines in heard] == [2, 0, 0]


@pytest.mark.parametrize(
    ("on_terminal", "options", "has_details"),
    [
        (True, {"verbose": True}, True),
        (True, {}, False),
        (False, {"verbose": True}, False),
        (True, {"verbose": True, "quiet": True}, False),
    ],
)
def test_details_are_for_a_person_who_asks(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, bool],
    *,
    on_terminal: bool,
    has_details: bool,
) -> None:
    lines = told(capsys, teller(tmp_path, on_terminal=on_terminal, **options), WRONG)

    assert ("detail" in lines) is has_details
    assert "failed: x.fits: it is wrong" in lines


def test_where_the_summary_is_data_nothing_else_is_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teller(tmp_path, on_terminal=True, json=True).tell(runs.begin("cron_sync"), WRONG, ["detail"])

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("failed: x.fits: it is wrong\n")
