"""The comprehensive check as part of a command: beside other runs, without the writer's lock."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crdscache.cache import locks, serverconfig, verify
from crdscache.commands.telling import Teller
from crdscache.contexts.records import ManifestRow, VerdictRow
from crdscache.errors import CacheError
from crdscache.workflow import joblog, launch, runs, verifying
from crdscache.workflow.runs import Result, Run
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status
from crdscache.workflow.verifying import Begun, Summary


@dataclass(frozen=True, slots=True)
class Verification:
    """One comprehensive check of a cache."""

    config: Settings
    values: Mapping[str, Any]  # the same settings, for the workflow
    environ: Mapping[str, str]
    teller: Teller
    cores: int | None

    @property
    def _directory(self) -> Path:
        return self.config.readers

    def run(self) -> Result:
        """Read what is to be read, and tell what is wrong.

        Raises
        ------
        LockedError
            Another one is at work.
        """
        cache, run = self.config.cache, runs.begin("verify")
        with locks.exclusive(cache.state / verifying.LOCK, busy="a verify is at work") as lock:
            joblog.log_to(runs.log_path(cache, run))
            self._directory.mkdir(parents=True, exist_ok=True)
            details: list[str] = []
            try:
                begun = verifying.begin(self.config, self._directory)
                if begun.due:
                    result = self._workflow(run, begun, lock)
                else:  # snakemake's start would take most of the time
                    summary, told = verifying.end(self.config, run.run_id, self._directory, begun, [])
                    result, details = _result_of(summary), told.splitlines()
            except CacheError as error:
                result = Result(Status.FATAL, message=str(error))
            self.teller.tell(run, result, details, runs.VERIFY)
        return result

    def _workflow(self, run: Run, begun: Begun, lock: int) -> Result:
        from crdscache.workflow import live  # slow to import

        keys = {
            "run_id": run.run_id,
            "on_terminal": self.teller.on_terminal,
            "held_context": "",
            "batch": "none",
            "affected_report": None,
        }
        start = launch.Start(
            "verify",
            {**self.values, **keys},
            self.cores,
            self.environ,
            "readers.smk",
            self._directory,
            self.values["readers_profile"],
        )
        totals = len(begun.due), sum(row.size_bytes or 0 for row in begun.due)
        shown = self.teller.on_terminal and not self.teller.options.quiet
        with live.line(lambda: totals, shown=shown) as tell:
            end = launch.run(start, self.config.cache, lock, runs.log_path(self.config.cache, run), tell)
        path = self._directory / verifying.SUMMARY
        summary = verifying.load(path) if path.exists() else None
        if summary is not None and summary.run_id == run.run_id:
            return _result_of(summary)
        return Result(end.outcome, message=end.message)


def rehearse(config: Settings, n_threads: int) -> list[VerdictRow]:
    """Read what a verify would read, and judge it; nothing is written, nor locked."""
    if not serverconfig.exists(config.cache.config):
        return []
    begun = verifying.begin(config, config.readers)

    def look(row: ManifestRow) -> VerdictRow:
        return verify.hash_one(row, config.cache.absolute(row.path))[0]

    with ThreadPoolExecutor(n_threads) as threads:
        return [*begun.settled, *threads.map(look, begun.due)]


def _result_of(summary: Summary) -> Result:
    return Result(
        Status.ERR if summary.failures else Status.OK,
        failures=summary.failures,
        n_files={"hashed": summary.n_read},
        size_bytes={"hashed": summary.read_bytes},
        verdicts=summary.verdicts,
    )
