"""Jobs of the readers' workflow on a cluster, by SLURM; docs/cluster.md says what is sent there, and why."""

import logging
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from crdscache.errors import CacheError, SettingsError

logger = logging.getLogger(__name__)

# An environment of its own: plugins are imported at each start of snakemake, and this one brings pandas.
ENVIRONMENT = ".venv-slurm"
# No run has more jobs in SLURM, whatever its size: of shards there are no more either, see the schema.
MOST_JOBS = 64
# SLURM keeps the environment of a job in files of its controller.
_SECRETS = ("CRDSCACHE_CATALOG_PASSWORD", "CRDSCACHE_MAIL_PASSWORD", "PGPASSWORD")
_ANSWER_S = 30.0
_GONE_S = 60.0
_POLL_S = 0.5


def python(checkout: Path) -> Path:
    """Name the interpreter that has what SLURM needs; SettingsError where it is not there."""
    program = checkout / ENVIRONMENT / "bin" / "python"
    if not program.exists():
        message = f"readers_profile: {program} is missing: run make setup-slurm in {checkout}"
        raise SettingsError(message)
    return program


def require_no_secrets(environ: Mapping[str, str]) -> None:
    """Refuse to hand passwords to SLURM with the environment of jobs.

    Raises
    ------
    SettingsError
        One is there.
    """
    if found := [name for name in _SECRETS if environ.get(name)]:
        message = (
            f"{', '.join(found)}: SLURM would keep it with each job; put it into a file of mode 0600 that "
            "all nodes see (catalog_password_file, mail_password_file, ~/.pgpass)"
        )
        raise SettingsError(message)


def grouping(rule: str, n_jobs: int) -> list[str]:
    """Give the options by which so many jobs of a rule become `MOST_JOBS` at most."""
    if n_jobs <= MOST_JOBS:
        return []
    return ["--groups", f"{rule}={rule}", "--group-components", f"{rule}={-(-n_jobs // MOST_JOBS)}"]


def cancel(directory: Path, comment: str, *, waits: bool = True) -> None:
    """Cancel the jobs that a run left, by the directory where they work and how their comments begin.

    Parameters
    ----------
    waits
        Until they are gone.

    Raises
    ------
    CacheError
        SLURM cannot be asked, or they do not go.
    """
    left = _jobs(directory, comment)
    if not left:
        return
    logger.warning("jobs of a run that has ended are cancelled jobs=%s", ",".join(left))
    _ask("scancel", *left)
    deadline = time.monotonic() + _GONE_S
    while waits and (left := _jobs(directory, comment)):
        if time.monotonic() > deadline:
            message = f"jobs {', '.join(left)} of a former run do not end: scancel {' '.join(left)}"
            raise CacheError(message)
        time.sleep(_POLL_S)


def _jobs(directory: Path, comment: str) -> list[str]:
    told = _ask("squeue", "--me", "--noheader", "--format=%i|%Z|%k")
    rows = (line.split("|", 2) for line in told.splitlines())
    return [number for number, place, about in rows if Path(place) == directory and about.startswith(comment)]


def _ask(*words: str) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=_ANSWER_S).stdout
    except OSError as error:
        message = f"{words[0]}: {error.strerror}: is SLURM's own directory of programs in PATH?"
        raise CacheError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"{words[0]} has not answered for {_ANSWER_S:.0f} s"
        raise CacheError(message) from error
    except subprocess.CalledProcessError as error:
        reason = _last_line(error.stderr.splitlines())
        message = f"{words[0]} ended with status {error.returncode}: {reason}"
        raise CacheError(message) from error


def _last_line(lines: Sequence[str]) -> str:
    return lines[-1] if lines else "it says nothing"
