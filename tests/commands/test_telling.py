import argparse
import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.commands.telling import Teller
from crdscache.contexts.records import Problem, Telling
from crdscache.workflow import runs
from crdscache.workflow.runs import Result
from crdscache.workflow.status import Status

LIMITS = Telling(busy_s=12 * 3600, pending_s=48 * 3600, frozen_s=72 * 3600, keep_logs=10)
IDLE = Result(Status.OK, "a.pmap", "a.pmap", "a.pmap", n_files={"kept": 3})
WRONG = Result(Status.ERR, failures=(Problem("x.fits", "it is wrong"),), verdicts={"ok": 2, "wrong-sum": 1})


def teller(root: Path, *, on_terminal: bool = False, **options: bool) -> Teller:
    cache = layout.default_layout(root, "hst")
    cache.state.mkdir(parents=True, exist_ok=True)
    given = {"verbose": False, "quiet": False, "json": False, **options}
    return Teller(cache, argparse.Namespace(**given), on_terminal, LIMITS)


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


def test_P21_what_could_not_be_told_is_told_by_the_next_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is recorded all the same."""
    who = teller(tmp_path)
    with suppress(OSError), Path("/dev/full").open("w", buffering=1) as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", full)
        with pytest.raises(OSError, match="No space left"):
            who.tell(runs.begin("cron_sync"), WRONG)

    recorded = runs.last(who.cache)
    assert recorded is not None
    assert (recorded.result, recorded.failures_told) == (WRONG, None)
    assert "failed: x.fits: it is wrong" in told(capsys, who, WRONG)
    assert told(capsys, who, WRONG) == []


def test_N13_a_file_that_is_lost_is_told_at_once_and_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost, who = replace(IDLE, pending=("x.fits",), lost=("x.fits",)), teller(tmp_path)

    heard = [told(capsys, who, lost), told(capsys, who, lost)]

    assert [len(lines) for lines in heard] == [3, 0]
    assert heard[0][2].startswith("hst: not delivered any more, though here before, since ")


def test_a_program_gets_what_is_news_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It gets the caller's environment, not ours."""
    script = 'cat >> "$1"; echo "$PYTHONPATH" >> "$1"'
    command = ("/bin/sh", "-c", script, "pager", str(tmp_path / "got"))
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "ours", "CRDSCACHE_CALLERS_PYTHONPATH": "theirs"}
    who = replace(teller(tmp_path), limits=replace(LIMITS, command=command), environ=environ)

    for result in (IDLE, WRONG, WRONG, IDLE, IDLE):
        told(capsys, who, result)

    got = (tmp_path / "got").read_text().splitlines()
    alarms = [json.loads(line) for line in got[::2]]
    assert [(alarm["kind"], alarm["names"]) for alarm in alarms] == [
        ("failed", ["x.fits"]),
        ("recovered", []),
    ]
    assert {(alarm["observatory"], alarm["cache"], alarm["command"]) for alarm in alarms} == {
        ("hst", str(tmp_path), "cron_sync")
    }
    assert got[1::2] == ["theirs", "theirs"]


def test_a_program_hears_of_a_writer_that_keeps_us_out_for_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person sees who is at work in any case."""
    command = ("/bin/sh", "-c", 'cat >> "$1"', "pager", str(tmp_path / "got"))
    limits = replace(LIMITS, busy_s=0, command=command)

    replace(teller(tmp_path, on_terminal=True), limits=limits).tell_busy("who")

    (alarm,) = map(json.loads, (tmp_path / "got").read_text().splitlines())
    assert (alarm["kind"], alarm["text"].startswith("who; no run has come")) == ("busy", True)
    assert capsys.readouterr() == ("", "")
