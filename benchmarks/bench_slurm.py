"""SLURM: what a job of nearly no work costs there, beside the same job here; needs `make setup-slurm`."""

import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from crdscache.workflow import cluster as ours
from demo import observatory
from demo.server import Server
from tests.slurm import cluster

N_RUNS = 3


def main() -> None:
    """Give best references to one data set, by a job here and by one of SLURM."""
    harness.introduce("slurm")
    if lacks := cluster.missing():
        sys.exit(f"needed: apt-get install {' '.join(lacks)}")
    with tempfile.TemporaryDirectory(prefix="crdscache-bench-") as name, cluster.running() as slurm:
        place = Path(name)
        observatory.build(place / "observatory")
        with Server(place / "observatory") as server:
            site = harness.Site(server.url, place)
            site.ours("ours", "remote_cache_init")
        one = next((place / "observatory" / "datasets").glob("*_raw.fits"))
        (place / "one.list").write_text(f"{one}\n")
        environ = {**site.environ("ours"), "HOME": name, **slurm.environ}
        here = [run(harness.CHECKOUT / ".venv" / "bin" / "python", environ, place, []) for _ in range(N_RUNS)]
        profile = ["--workflow-profile", str(harness.CHECKOUT / "profiles" / "slurm")]
        sent = [run(ours.python(harness.CHECKOUT), environ, place, profile) for _ in range(N_RUNS)]
        jobs = [seconds(job) for job in slurm.ended()[-N_RUNS:]]
    print(f"  here                     {min(here):6.1f} s, the whole run")
    print(f"  by SLURM                 {min(sent):6.1f} s: ratio {min(sent) / min(here):.1f}")
    print(f"  the job, by SLURM        {min(jobs):6.1f} s from submission to end (in whole seconds)")
    print(f"  overhead of a job        {min(sent) - min(here):6.1f} s, until its end was noticed")


def run(python: Path, environ: dict[str, str], place: Path, words: list[str]) -> float:
    """Time one run in a directory of its own."""
    directory = tempfile.mkdtemp(dir=place)
    line = [python, "-m", "snakemake", "-s", "readers.smk", *words, "-d", directory, "bestrefs"]
    line += ["--config", f"bestrefs_list={place / 'one.list'}", "shards=1"]
    begin = time.perf_counter()
    subprocess.run(line, env=environ, cwd=harness.CHECKOUT, capture_output=True, check=True)
    return time.perf_counter() - begin


def seconds(job: dict[str, str]) -> float:
    """Tell how long SLURM had a job."""
    begin, end = (datetime.fromisoformat(job[key]) for key in ("SubmitTime", "EndTime"))
    return (end - begin).total_seconds()


if __name__ == "__main__":
    main()
