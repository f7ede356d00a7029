"""What `cache_report` does: the data by the readers' workflow, then the page by Snakemake's own report."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from crdscache.cache import identity, locks, publish, serverconfig, writers
from crdscache.commands.reader import Reader
from crdscache.errors import CacheError, SettingsError, disk_error
from crdscache.workflow import launch, runs
from crdscache.workflow.status import Status

PAGE = "report.html"
_DIRECTORY = "report"  # of the readers' directory: a working directory of its own
_LOCK = "report.lock"
_LOG = "report.log"


def run(found: Reader, options: argparse.Namespace) -> int:
    """Make the page, and say where it is.

    Raises
    ------
    CacheError
        It could not be made: the former one stays.
    """
    directory = _directory(found)
    page = directory / PAGE if options.output is None else options.output.absolute()
    if page.is_dir():
        raise SettingsError(f"--output: expected a file, {page} is a directory")
    with locks.exclusive(directory / _LOCK, busy="another cache_report is at work") as lock:
        _make(found, options.cores, directory, page, lock)
    if options.json:
        sys.stdout.write(json.dumps({"status": Status.OK, "page": str(page)}, indent=2) + "\n")
    elif not options.quiet:
        sys.stdout.write(f"{page}\n")
    return Status.OK


def _directory(found: Reader) -> Path:
    cache, directory = found.config.cache, found.config.readers / _DIRECTORY
    if identity.load(cache) is None and not serverconfig.exists(cache.config):
        raise identity.no_cache(cache)  # a disk that is not mounted must not be written to
    if directory.is_relative_to(cache.root):
        writers.settle_umask(cache)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "the setting readers_dir names another place"
        raise CacheError(f"{disk_error(error, directory)}; {cure}") from error
    return directory


def _make(found: Reader, cores: int | None, directory: Path, page: Path, lock: int) -> None:
    cache, log = found.config.cache, directory / _LOG
    log.unlink(missing_ok=True)
    keys = {"run_id": runs.new_id(), "on_terminal": False, "held_context": "", "batch": "none"}
    values = {**found.values, **keys, "affected_report": None}
    start = launch.Start("report_data", values, cores, found.environ, "readers.smk", directory)
    _require_good(launch.run(start, cache, lock, log, None), log)
    made = directory / f".{PAGE}"  # its ending tells Snakemake what kind of page it shall be
    try:
        _require_good(launch.run(replace(start, page=made), cache, lock, log, None), log)
        _put(made, page)
    finally:
        made.unlink(missing_ok=True)


def _require_good(end: launch.End, log: Path) -> None:
    if end.status != 0:
        raise CacheError(f"{end.message}; see {log}")


def _put(made: Path, page: Path) -> None:
    """Give the page its name, by a rename."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with publish.publish(page) as temporary:
            temporary.write_bytes(made.read_bytes())
    except OSError as error:
        raise disk_error(error, page) from error
