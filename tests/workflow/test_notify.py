"""The program that gets alarms: real ones, well or badly behaved."""

import json
import logging
import sys
from pathlib import Path

import pytest

from crdscache.workflow import notify

ALARM = {"kind": "failed", "text": "x; rm -rf $HOME"}


def test_a_program_gets_the_alarm_as_data_and_its_arguments_as_they_are(tmp_path: Path) -> None:
    """No shell looks at either."""
    script = "import sys; open(sys.argv[1], 'w').write(sys.argv[2] + sys.stdin.read())"

    notify.send([sys.executable, "-c", script, str(tmp_path / "got"), "$HOME;`id`"], ALARM, {}, 30)

    assert (tmp_path / "got").read_text() == "$HOME;`id`" + json.dumps(ALARM) + "\n"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["/no/such/program"], "reason=No such file or directory"),
        (["/bin/false"], "status=1"),
        (["/bin/sh", "-c", "yes; exit 1"], "reason=no end within 0.2 s"),
        (["/bin/sh", "-c", "sleep 1000 & wait"], "reason=no end within 0.2 s"),
    ],
)
def test_a_program_that_fails_or_does_not_end_is_logged_and_no_more(
    command: list[str], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        notify.send(command, ALARM, {"PATH": "/usr/bin:/bin"}, 0.2)

    (record,) = caplog.records
    assert (record.levelname, expected in record.getMessage()) == ("WARNING", True)
