"""How every command ends: with a status, and a line for what stopped it; never with a traceback."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from crdscache.commands import signals
from crdscache.errors import CacheError, disk_error
from crdscache.workflow import joblog, status
from crdscache.workflow.status import Status


def run(
    command: str,
    body: Callable[[], int],
    *,
    tells_busy: bool = True,
    as_json: bool = False,
    stopped: int | None = None,
) -> int:
    """Run what a command does, and give its exit status.

    Parameters
    ----------
    tells_busy
        Say who is at work if that keeps us out.
    as_json
        Somebody reads a document from standard output: what stops the command becomes one.
    stopped
        Status of a command that an error of ours has stopped; None: that of the error.
    """
    reason: object
    try:
        with signals.raising():
            ended = body()
            sys.stdout.flush()  # what cannot be told must be known before the end
            return ended
    except CacheError as error:
        ended, reason = status.of(error) if stopped is None else stopped, error
    except (MemoryError, RuntimeError) as error:
        if (told := joblog.short_of_memory(error)) is None:
            raise
        ended, reason = Status.FATAL, told
    except OSError as error:
        ended, reason = _of_system(error)
    except signals.Stopped as stop:
        ended, reason = 128 + stop.number, stop
    if as_json:
        _write(sys.stdout, json.dumps({"status": ended, "message": str(reason)}, indent=2))
    if tells_busy or ended != Status.BUSY:
        _write(sys.stderr, f"{command}: {reason}")
    return ended


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(f"{text}\n")
        stream.flush()
    except OSError:
        _give_up(stream)


def _of_system(error: OSError) -> tuple[Status, object]:
    place = error.filename2 or error.filename
    if place is not None:
        return Status.FATAL, disk_error(error, Path(place))
    _give_up(sys.stdout)
    return Status.ERR, f"standard output: {error.strerror}"  # nothing else has no name


def _give_up(stream: TextIO) -> None:
    """Let a stream take what it has refused, else Python tries and complains again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
