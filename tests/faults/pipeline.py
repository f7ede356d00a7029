"""The commands in this process, with the scripts of the rules run one after the other in place of snakemake.

Its start costs seconds; what is swept by the thousand cannot wait for it. All else is what an operator runs:
settings, lock, preview, each script of scripts/, records. Run by itself, it is a server of such runs: it has
all imported, and forks for each line that it reads.
"""

import io
import json
import os
import random
import runpy
import signal
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace

from crdscache.cache import publish
from crdscache.cache.layout import Layout
from crdscache.commands import cron_sync, preview, remote_cache_init, writer  # noqa: F401 -- imported before the fork
from crdscache.workflow import joblog, launch, live  # noqa: F401
from crdscache.workflow.launch import End, Start

_COMMANDS = {"cron_sync": cron_sync.main, "remote_cache_init": remote_cache_init.main}
_CRASHED = 70

# As rules/ has them: for each step its inputs and outputs, named. A list is of all shards, `{shard}` one job each.
_ANSWER = {"info": "server_info.json", "contexts": "contexts.json", "catalogue": "catalogue.tsv"}
Files = dict[str, "str | list[str]"]
_STEPS: list[tuple[str, Files, Files]] = [
    ("query_server", {}, {**_ANSWER}),
    ("mappings", {**_ANSWER}, {"receipts": "mappings.tsv"}),
    (
        "plan",
        {**_ANSWER, "receipts": "mappings.tsv"},
        {"manifest": "manifest.tsv", "totals": "plan/totals.json", "shards": ["plan/{shard}.tsv"]},
    ),
    ("fetch", {"plan": "plan/{shard}.tsv"}, {"receipts": "fetched/{shard}.tsv"}),
    (
        "commit",
        {
            **_ANSWER,
            "mappings": "mappings.tsv",
            "totals": "plan/totals.json",
            "receipts": ["fetched/{shard}.tsv"],
        },
        {"summary": "commit.json"},
    ),
]


def run_scripts(start: Start, cache: Layout, _lock: int, log: Path, _tell: object) -> End:
    """Do what `launch.run` has snakemake do; the first job that fails is the last."""
    words = io.StringIO()
    with redirect_stderr(words):
        status = _all_jobs(start, cache.state)
    told = words.getvalue().splitlines()
    with log.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in told)
    fatal = next((line.removeprefix(joblog.FATAL) for line in told if line.startswith(joblog.FATAL)), None)
    return End(status, fatal, tuple(told))


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
    )
    runpy.run_path(str(launch.CHECKOUT / "scripts" / f"{name}.py"), init_globals={"snakemake": known})


def _run(order: Mapping[str, object]) -> int:
    """Run one command as `order` says; never returns to the loop."""
    os.environ.clear()
    os.environ.update(order["environ"])  # type: ignore[call-overload]
    output = os.open(str(order["output"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    launch.run = run_scripts  # type: ignore[assignment]
    # Temporaries that have the same names when a run is repeated: a trace tells where to strike the next time.
    tokens = random.Random(str(order["seed"]))
    publish.token_hex = lambda n: tokens.randbytes(n).hex()
    os.kill(os.getpid(), signal.SIGSTOP)  # until somebody looks on, or lets us go
    command, *words = order["line"]  # type: ignore[misc]
    return _COMMANDS[command](words)


def serve() -> None:
    """Fork for each order; tells the child's number, and then how it ended, a line each."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = _CRASHED
            try:
                status = _run(json.loads(line))
            finally:
                sys.stdout.flush()
                if status == _CRASHED:
                    sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
                os._exit(status)
        os.waitpid(child, os.WUNTRACED)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
