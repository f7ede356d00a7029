"""Alarms for a program of the operator's: a pager, say."""

import json
import logging
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

logger = logging.getLogger(__name__)


def send(
    command: Sequence[str], alarm: Mapping[str, object], environ: Mapping[str, str], timeout_s: float
) -> None:
    """Hand an alarm to a program, as JSON on its standard input; that it fails is logged, and no more.

    Parameters
    ----------
    command
        A program and its arguments, as they are: no shell sees them.
    """
    try:
        # Not text that it writes: it could be without end.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
            process_group=0,
        )
    except OSError as error:
        logger.warning("alarm not sent command=%s reason=%s", command[0], error.strerror)
        return
    try:
        process.communicate((json.dumps(alarm) + "\n").encode(), timeout_s)
    except subprocess.TimeoutExpired:
        logger.warning("alarm not sent command=%s reason=no end within %g s", command[0], timeout_s)
    else:
        if process.returncode:
            logger.warning("alarm not sent command=%s status=%d", command[0], process.returncode)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
