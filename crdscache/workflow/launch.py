"""Start snakemake under the writer's lock, and listen to it."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from crdscache.cache import publish
from crdscache.cache.layout import Layout
from crdscache.errors import CacheError
from crdscache.workflow import cluster, joblog, traces
from crdscache.workflow.settings import CHECKOUT
from crdscache.workflow.status import Status

logger = logging.getLogger(__name__)

_SOURCES = ".snakemake/sources"
_STOP_AFTER_S = 8
_TAIL_LINES = 20
_KILLED = re.compile(r"\.(\w+)\.py' died with <Signals\.(\w+)")  # what snakemake says of a job


@dataclass(frozen=True, slots=True)
class End:
    """How snakemake ended."""

    status: int
    fatal: str | None  # what stopped a job, in the job's own words
    tail: tuple[str, ...]  # its last lines
    killed: str | None = None  # a job that was ended from outside, and by what

    @property
    def message(self) -> str:
        """Why it did not come to its own end."""
        if self.fatal:
            return self.fatal
        if self.killed:
            return f"job {self.killed}: killed by somebody, or memory was short; the next run does its work"
        return f"snakemake ended with status {self.status}: {' / '.join(self.tail[-3:])}"

    @property
    def outcome(self) -> Status:
        """How the run ended by that: what the other jobs did is right, if one was killed."""
        return Status.ERR if self.killed and not self.fatal else Status.FATAL


@dataclass(frozen=True, slots=True)
class Start:
    """What snakemake shall make, and how."""

    target: str
    values: Mapping[str, Any]  # settings, and the keys of the run
    cores: int | None
    environ: Mapping[str, str]
    snakefile: str = "Snakefile"
    directory: Path | None = None  # where to run; None: in the state
    profile: str | None = None  # by which jobs run elsewhere; None: they run here
    options: Sequence[str] = ()  # for such jobs
    page: Path | None = None  # where Snakemake's report on the target goes; None: the target is made


def run(
    start: Start, cache: Layout, lock: int, log: Path, tell: Callable[[int, int, int], None] | None
) -> End:
    """Run snakemake to its end; a signal to us is passed on to it and all its jobs.

    Parameters
    ----------
    lock
        Descriptor of the lock of the run: it becomes the standard input of snakemake and its jobs.
    tell
        Called with the process id of a job, its files so far, and their bytes.
    """
    directory = start.directory or cache.state
    directory.mkdir(parents=True, exist_ok=True)
    command = _command(start, directory)
    publish.write_text(_run_file(start, directory), json.dumps(dict(start.values)))
    process = subprocess.Popen(
        command,
        stdin=lock,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env=_environ(start, cache, directory),
        process_group=0,
        text=True,
        errors="replace",
    )
    try:
        with process.stdout as lines:  # type: ignore[union-attr]
            heard = _listen(lines, log, tell)
        end = End(process.wait(), *heard)
        traces.prune(directory, start.values["keep_logs"])
        return end
    finally:
        _end_group(process, partial(_cancel, start, directory))


def _run_file(start: Start, directory: Path) -> Path:
    """Name the file of the settings: readers may be at work in one directory, each for its target."""
    return directory / ("run.json" if start.directory is None else f"run-{start.target}.json")


def _environ(start: Start, cache: Layout, directory: Path) -> dict[str, str]:
    # Snakemake copies the workflow's sources there before it runs them: into HOME, if we said nothing. Copies
    # in a place that lasts would be run again after an upgrade; these go with the run, or before the next.
    sources = directory / _SOURCES / start.target  # others may be at work there with another target
    shutil.rmtree(sources, ignore_errors=True)
    where = {"CRDS_PATH": str(cache.root), "CRDS_OBSERVATORY": cache.observatory}
    return {**start.environ, **where, "XDG_CACHE_HOME": str(sources), "PYTHONPATH": str(CHECKOUT)}


def _command(start: Start, directory: Path) -> list[str]:
    program = sys.executable
    if start.profile is not None:
        program = str(cluster.python(CHECKOUT))
        cluster.require_no_secrets(start.environ)
    words = [
        program,
        "-B",
        "-m",
        "crdscache.workflow.quickly",
        start.target,
        "--snakefile",
        str(CHECKOUT / start.snakefile),
    ]
    profile = start.profile or str(CHECKOUT / "profiles" / "default")
    words += ["--directory", str(directory), "--workflow-profile", profile]
    words += ["--configfile", str(_run_file(start, directory))]
    words += [] if start.page is None else ["--report", str(start.page)]
    if start.profile is not None:
        words += start.options
    return words if start.cores is None else [*words, "--cores", str(start.cores)]


def _listen(
    lines: IO[str], log: Path, tell: Callable[[int, int, int], None] | None
) -> tuple[str | None, tuple[str, ...], str | None]:
    fatal = killed = None
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with log.open("a", encoding="utf-8") as stream:
        for line in lines:
            if line.startswith(joblog.PROGRESS):
                if tell is not None:
                    tell(*map(int, line.removeprefix(joblog.PROGRESS).split()))
                continue
            if line.startswith(joblog.FATAL) and fatal is None:
                fatal = line.removeprefix(joblog.FATAL).strip()
            if killed is None and (found := _KILLED.search(line)):
                killed = f"{found[1]} ended by {found[2]}"
            tail.append(line.rstrip("\n"))
            stream.write(line)
    return fatal, tuple(tail), killed


def _end_group(process: subprocess.Popen[str], cancel: Callable[[], None]) -> None:
    """End snakemake and its jobs, if they still run: we leave because of a signal or an error."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            cancel()
            process.wait(_STOP_AFTER_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _cancel(start: Start, directory: Path) -> None:
    """Cancel jobs on other machines: signals do not reach them."""
    if start.profile is None:
        return
    try:
        cluster.cancel(directory, f"rule_{start.target}", waits=False)
    except CacheError as error:  # the next run tries again before it begins
        logger.warning("jobs may go on reason=%s", error)
