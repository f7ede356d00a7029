"""`make demo`: a cache from nothing to current, and best references from it, on the demo observatory."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

from demo import observatory
from demo.server import Server

CHECKOUT = Path(__file__).resolve().parents[1]
PLACE = CHECKOUT / "demo" / "run"
SYNC = "cron_sync --contexts hst-operational --fetch-references --check-files"


def main() -> int:
    """Show the tour; anything but status 0 of a command ends it."""
    shutil.rmtree(PLACE, ignore_errors=True)
    observatory.build(PLACE / "observatory")
    first, second = observatory.CONTEXTS[-2:]
    with Server(PLACE / "observatory") as server:
        server.set_default(first)
        cache = PLACE / "cache"
        environ = {"CRDS_PATH": str(cache), "CRDS_SERVER_URL": server.url, "CRDS_OBSERVATORY": "hst"}
        say("A demo observatory is served; its default context is " + first + ".")
        for key, value in environ.items():
            print(f"$ export {key}={value}")
        steps = (
            ("A new cache: all rules, no references.", "remote_cache_init"),
            ("How much would it be to fetch the references of the default context?", f"{SYNC} --dry-run"),
            ("Fetch them, as the crontab would.", SYNC),
            ("Again: there is nothing to do, and cron would send no mail.", SYNC),
        )
        for text, command in steps:
            run(text, command, environ)
        datasets = [str(path) for path in sorted((PLACE / "observatory" / "datasets").iterdir())]
        assign(datasets, environ)
        server.set_default(second)
        run(
            f"The server moves to {second}: just the difference comes, and the default switches last.",
            SYNC,
            environ,
        )
        compare = f"safe_bestrefs --old-context {first} --print-new-references --files {' '.join(datasets)}"
        run("Which references of the data sets are others now?", compare, environ)
        run("Is anything wrong with the cache? Silence says no.", "cache_config --check", environ)
    say(f"The cache is in {cache}.")
    return 0


def assign(datasets: list[str], environ: dict[str, str]) -> None:
    """Show how best references come into headers, with no server in reach."""
    alone = environ | {"CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu"}
    files = " ".join(datasets)
    steps = (
        ("Best references for seven data sets, without a server. First a dry run.", f"--files {files}"),
        ("Write them, and see what changes in one.", f"--files {datasets[0]} --update-bestrefs --verbose"),
        ("Write all: the first is right already.", f"--files {files} --update-bestrefs"),
        ("Why this bias?", f"--files {datasets[2]} --types biasfile --explain biasfile"),
    )
    for text, options in steps:
        run(text, f"safe_bestrefs {options}", alone)


def say(text: str) -> None:
    """Print one sentence of the tour."""
    print(f"\n# {text}", flush=True)


def run(text: str, command: str, environ: dict[str, str]) -> None:
    """Run one command as an operator would, and tell how long it took."""
    say(text)
    print(f"$ bin/{command}", flush=True)
    words = shlex.split(command)
    start = time.monotonic()
    clean = {key: value for key, value in os.environ.items() if not key.startswith("CRDS")}
    status = subprocess.run(
        [CHECKOUT / "bin" / words[0], *words[1:]], env=clean | environ, check=False
    ).returncode
    print(f"({time.monotonic() - start:.1f} s, status {status})", flush=True)
    if status != 0:
        sys.exit(f"{command} ended with status {status}")


if __name__ == "__main__":
    sys.exit(main())
