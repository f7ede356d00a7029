"""The commands in this process, with the scripts of the rules run one after the other in place of snakemake.

Its start costs seconds; what is swept by the thousand cannot wait for it. All else is what an operator runs:
settings, lock, preview, each script of scripts/, records. Run by itself, it is a server of such runs: it has
all imported, and forks for each line that it reads.
"""

import gc
import io
import json
import logging
import os
import random
import runpy
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from crdscache.affected import gather, instrument, mailing  # noqa: F401
from crdscache.assignment import needs  # noqa: F401
from crdscache.cache import publish
from crdscache.cache.layout import Layout
from crdscache.commands import (  # noqa: F401 -- imported before the fork  # noqa: F401
    affected,
    affected_datasets,
    cron_sync,
    preview,
    reader,
    remote_cache_init,
    removing,
    writer,
)
from crdscache.workflow import affecting, joblog, launch, live, runs, settings  # noqa: F401
from crdscache.workflow.launch import End, Start
from crdscache.workflow.settings import CHECKOUT

_COMMANDS = {
    "affected_datasets": affected_datasets.main,
    "cron_sync": cron_sync.main,
    "remote_cache_init": remote_cache_init.main,
}

# As rules/ has them: for each step its inputs and outputs, named. A list is of all shards, `{shard}` of one.
_ANSWER = {"info": "server_info.json", "contexts": "contexts.json", "catalogue": "catalogue.tsv"}
Files = dict[str, "str | list[str]"]
_STEPS: list[tuple[str, Files, Files]] = [
    ("query_server", {}, {**_ANSWER}),
    ("mappings", {**_ANSWER}, {"receipts": "mappings.tsv"}),
    (
        "plan",
        {**_ANSWER, "receipts": "mappings.tsv"},
        {
            "manifest": "manifest.tsv",
            "totals": "plan/totals.json",
            "shards": ["plan/{shard}.tsv"],
            "sightings": "plan/sightings.tsv",
            "duplicates": "plan/duplicates.tsv",
            "verdicts": "verdicts/check.tsv",
        },
    ),
    (
        "fetch",
        {"plan": "plan/{shard}.tsv", "duplicates": "plan/duplicates.tsv"},
        {"receipts": "fetched/{shard}.tsv", "sightings": "adopted/{shard}.tsv"},
    ),
    (
        "commit",
        {
            **_ANSWER,
            "mappings": "mappings.tsv",
            "totals": "plan/totals.json",
            "sightings": "plan/sightings.tsv",
            "receipts": ["fetched/{shard}.tsv"],
            "seen": ["adopted/{shard}.tsv"],
        },
        {"summary": "commit.json"},
    ),
]


@dataclass(frozen=True, slots=True)
class Order:
    """One run."""

    line: list[str]  # command and options
    environ: dict[str, str]
    output: str  # file for both streams
    seed: int  # runs of one seed give their temporaries the same names


def run_scripts(start: Start, cache: Layout, lock: int, log: Path, _tell: object) -> End:
    """Do what `launch.run` has snakemake do; the first job that fails is the last."""
    words = io.StringIO()
    with redirect_stderr(words), _standard_input(lock):
        status = _affected_jobs(start) if start.target == "affected" else _all_jobs(start, cache.state)
    told = words.getvalue().splitlines()
    with log.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in told)
    fatal = next((line.removeprefix(joblog.FATAL) for line in told if line.startswith(joblog.FATAL)), None)
    return End(status, fatal, tuple(told))


@contextmanager
def _standard_input(descriptor: int) -> Iterator[None]:
    """Let a descriptor be standard input, as it is for jobs; a lock there is given back at the end."""
    former = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(former, 0)
        os.close(former)


def _all_jobs(start: Start, state: Path) -> int:
    n_shards = int(start.values["shards"])
    try:
        for name, inputs, outputs in _STEPS:
            for shard in range(n_shards) if name == "fetch" else [0]:
                found, made = (_filled(files, state, shard, n_shards) for files in (inputs, outputs))
                _job(name, start.values, state, found, made)
        _job(start.target, start.values, state, {"commit": f"{state}/commit.json"}, {})
    except SystemExit as end:
        return int(end.code or 0)
    return 0


class _Named(list[str]):
    """The files of a job, by number and by name."""

    def __init__(self, **files: str | list[str]) -> None:
        super().__init__(each for each in files.values() if isinstance(each, str))
        self.__dict__.update(files)

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 (as Snakemake has it)
        return self.__dict__[key] if isinstance(key, str) else super().__getitem__(key)


def _affected_jobs(start: Start) -> int:
    """Do what the readers' workflow does for one report; absolute paths, as above."""
    report = affecting.of_config(start.values)
    assert report is not None
    assert start.directory is not None
    os.chdir(start.directory)
    place = start.directory / "affected" / report.name
    parts: dict[str, list[str]] = {"tallies": [], "affected": [], "undetermined": [], "failed": []}
    endings = {"affected": "tsv", "undetermined": "undetermined.tsv", "failed": "failed.tsv", "tally": "json"}
    try:
        for step, name in [(each, name) for each in report.steps for name in each.instruments]:
            stem = start.directory / "affected" / step.name / name
            made = {kind: f"{stem}.{ending}" for kind, ending in endings.items()}
            wildcards, params = SimpleNamespace(instrument=name), SimpleNamespace(step=step)
            _affected_job("affected_instrument", start, {}, made, wildcards=wildcards, params=params)
            for kind in ("affected", "undetermined", "failed"):
                parts[kind].append(made[kind])
            parts["tallies"].append(f"affected/{step.name}/{name}.json")
        _affected_job("affected_ids", start, parts, {"ids": f"{place}/ids.txt"})
        mail = {"mail": f"{place}/mail.eml", "receipt": f"{place}/mail.json"}
        _affected_job("affected_mail", start, {"summary": f"{place}/summary.json"}, mail)
        _affected_job("affected", start, {"receipt": [f"{place}/mail.json"]}, {})
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _affected_job(
    name: str, start: Start, inputs: Mapping[str, Any], outputs: Mapping[str, Any], **more: object
) -> None:
    for path in map(Path, outputs.values()):
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    known = SimpleNamespace(
        config=dict(start.values),
        log=[f"{start.directory}/logs/{name}.log"],
        input=_Named(**inputs),
        output=_Named(**outputs),
        **more,
    )
    runpy.run_path(str(CHECKOUT / "scripts" / f"{name}.py"), init_globals={"snakemake": known})


def _filled(files: Files, state: Path, shard: int, n_shards: int) -> Files:
    """Name the files of one job; absolute, so that a system call shows which file it is about."""

    def one(pattern: str | list[str]) -> str | list[str]:
        if isinstance(pattern, list):
            return [str(state / pattern[0].format(shard=number)) for number in range(n_shards)]
        return str(state / pattern.format(shard=shard))

    return {key: one(pattern) for key, pattern in files.items()}


def _job(name: str, values: Mapping[str, object], state: Path, inputs: Files, outputs: Files) -> None:
    for place in outputs.values():
        for path in map(Path, place if isinstance(place, list) else [place]):
            path.unlink(missing_ok=True)  # as Snakemake does before each job
            path.parent.mkdir(parents=True, exist_ok=True)
    known = SimpleNamespace(
        config=dict(values),
        log=[f"{state}/logs/{name}.log"],
        input=SimpleNamespace(**inputs),
        output=SimpleNamespace(**outputs),
        params=SimpleNamespace(connections=values["connections"]),  # jobs come one after the other
    )
    runpy.run_path(str(CHECKOUT / "scripts" / f"{name}.py"), init_globals={"snakemake": known})


def _run(order: Order) -> int:
    """Run one command in this process, which does nothing else after."""
    os.environ.clear()
    os.environ.update(order.environ)
    output = os.open(order.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    tokens = random.Random(order.seed)

    def token(n_bytes: int) -> str:
        return tokens.randbytes(n_bytes).hex()

    launch.run = run_scripts  # type: ignore[assignment]
    # What a run makes has the same names when it is repeated: a trace tells where to strike the next one.
    publish.token_hex = token  # type: ignore[attr-defined, assignment]
    runs.new_id = lambda: f"20260101T0000{_n_runs():02}Z-{order.seed:06}"
    os.kill(os.getpid(), signal.SIGSTOP)  # until somebody looks on, or lets us go
    return _COMMANDS[order.line[0]](order.line[1:])


def _end(status: int) -> NoReturn:
    """End without the taking apart of all that was imported, which takes as long as a run."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _n_runs() -> int:
    """Count the runs that have come to an end so far: no two of one cache may have the same id."""
    table = Path(os.environ["CRDS_PATH"], ".crdscache", "hst", "runs.tsv")
    return len(table.read_text().splitlines()) if table.exists() else 0


def serve() -> None:
    """Fork for each order; tells the child's number, and then how it ended, a line each."""
    settings.resolve({}, {})  # imports what checks settings, and reads the schema
    gc.disable()
    gc.freeze()  # the children leave alone, and so share, what was imported
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _end(_run(Order(**json.loads(line))))
        os.waitpid(child, os.WUNTRACED)
        print(child, flush=True)  # noqa: T201
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
