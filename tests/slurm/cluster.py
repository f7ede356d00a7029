"""A real SLURM of one node: started anew, on loopback, in a directory of its own, and gone afterwards.

By hand: `python -m tests.slurm.cluster up DIR`, then what it prints; in the end `down DIR`. It needs
no systemd, no cgroups and nothing in /etc, so that it runs in a
container; the one who starts it is the only user.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Programs, and the packages of Debian that have them.
_PACKAGE_OF = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
    "squeue": "slurm-client",
}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_CPUS = 8  # whatever the machine has: jobs of tests wait more than they compute
_READY_S = 30.0
_STOP_S = 10.0

_CONFIGURATION = """\
ClusterName=crdscache
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={place}/munge.socket
StateSaveLocation={place}/controller
SlurmdSpoolDir={place}/node
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
# Neither cgroups nor a data base: each job is a line of jobs.txt.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={place}/jobs.txt
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=3
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class NotStartedError(Exception):
    """It is not installed, or did not become ready; says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One node that takes jobs."""

    place: Path  # all that it has

    @property
    def environ(self) -> dict[str, str]:
        """What programs of SLURM need to find it."""
        return {"SLURM_CONF": str(self.place / "slurm.conf"), "PATH": f"{self.place}/bin:/usr/bin:/bin"}

    def ask(self, *words: str) -> str:
        """Run a program of SLURM, and give what it prints."""
        environ = {**os.environ, **self.environ}
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        return done.stdout

    def ended(self) -> list[dict[str, str]]:
        """List the jobs that have ended, with what SLURM has recorded of each: JobState, WorkDir, ..."""
        path = self.place / "jobs.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


def missing() -> list[str]:
    """Name the packages of Debian that are needed and not here."""
    return sorted(
        {package for program, package in _PACKAGE_OF.items() if not shutil.which(program, path=_PATH)}
    )


@contextmanager
def running() -> Iterator[Cluster]:
    """Start it in a directory of its own; whatever happens, nothing is left of it.

    Raises
    ------
    NotStartedError
        See there.
    """
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        try:
            yield up(Path(name))
        finally:
            down(Path(name))


def up(place: Path) -> Cluster:
    """Start it in an empty directory, and wait until it takes jobs."""
    if lacks := missing():
        raise NotStartedError(f"SLURM is missing: apt-get install {' '.join(lacks)}")
    cluster = Cluster(place)
    for name in ("controller", "node"):
        (place / name).mkdir()
    (place / "slurm.conf").write_text(_configuration(place))
    # The plugin takes SLURM_CONF away from srun, which would look in /etc then.
    (place / "bin").mkdir()
    srun = place / "bin" / "srun"
    srun.write_text(
        f'#!/bin/sh\nSLURM_CONF={place}/slurm.conf exec {shutil.which("srun", path=_PATH)} "$@"\n'
    )
    srun.chmod(0o755)
    (place / "munge.key").write_bytes(os.urandom(128))
    (place / "munge.key").chmod(0o600)
    _daemon(cluster, "munged", "--force", *_of_munge(place))
    _daemon(cluster, "slurmctld", "-c")
    _daemon(cluster, "slurmd")
    deadline = time.monotonic() + _READY_S
    while cluster.ask("sinfo", "--noheader", "--format=%T").strip() != "idle":
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in place.glob("*.log"))
            raise NotStartedError(f"the node is not idle after {_READY_S:.0f} s:\n{logs}")
        time.sleep(0.1)
    return cluster


def down(place: Path) -> None:
    """Cancel all jobs, end all daemons, and remove the directory."""
    Cluster(place).ask("scancel", "--user", getpass.getuser())
    for name in ("slurmd", "slurmctld", "munged"):
        with suppress(OSError, ValueError):  # it did not get so far, or has ended already
            _end(int((place / f"{name}.pid").read_text()))
    shutil.rmtree(place, ignore_errors=True)


def _configuration(place: Path) -> str:
    return _CONFIGURATION.format(
        host=socket.gethostname().partition(".")[0],
        user=getpass.getuser(),
        place=place,
        controller_port=_free_port(),
        node_port=_free_port(),
        cpus=_CPUS,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
    )


def _of_munge(place: Path) -> list[str]:
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    named = {option: place / f"munge.{ending}" for option, ending in files.items()}
    named["pid-file"] = place / "munged.pid"
    return [f"--{option}={path}" for option, path in named.items()]


def _daemon(cluster: Cluster, name: str, *words: str) -> None:
    """Start a program that goes to the background when it is ready."""
    environ = {**os.environ, **cluster.environ, "PATH": _PATH}
    # A file, not a pipe: the program would keep it open.
    with (cluster.place / f"{name}.out.log").open("w+") as out:
        done = subprocess.run(
            [name, *words], env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
        if done.returncode:
            out.seek(0)
            raise NotStartedError(f"{name} ended with status {done.returncode}: {out.read()}")


def _end(pid: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        os.kill(pid, number)
        deadline = time.monotonic() + _STOP_S
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Do what the command line says."""
    if len(sys.argv) != 3 or sys.argv[1] not in {"up", "down"}:
        sys.exit(__doc__)
    place = Path(sys.argv[2]).absolute()
    if sys.argv[1] == "down":
        down(place)
        return
    place.mkdir()
    try:
        cluster = up(place)
    except NotStartedError as error:
        down(place)
        sys.exit(str(error))
    sys.stdout.write("".join(f"export {name}={value}\n" for name, value in cluster.environ.items()))


if __name__ == "__main__":
    main()
