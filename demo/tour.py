"""`make demo`: a cache from nothing to current: taken over, checked, used, told of, rolled back, purged."""

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
DAMAGED, CUT = (1, 4), 2  # by number, in order of name
SYNC = "cron_sync --contexts hst-operational --fetch-references --check-files"


def main() -> int:
    """Show the tour; a command that ends otherwise than it should ends it."""
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
        run("A new cache: all rules, no references.", "remote_cache_init", environ)
        take_over(environ)
        run("Again: there is nothing to do, and cron would send no mail.", SYNC, environ)
        datasets = [str(path) for path in sorted((PLACE / "observatory" / "datasets").iterdir())]
        assign(datasets, environ)
        run("From now on tell which data sets a new context affects.", "affected_datasets", environ)
        server.set_default(second)
        run(
            f"The server moves to {second}: just the difference comes, and the default switches last.",
            SYNC,
            environ,
        )
        compare = f"safe_bestrefs --old-context {first} --print-new-references --files {' '.join(datasets)}"
        run("Which references of the data sets are others now?", compare, environ)
        run("Is anything wrong with the cache? Silence says no.", "cache_config --check", environ)
        tell_affected(f"{first[:-5]}__{second[:-5]}", environ)
        go_back(environ)
        make_room(environ)
    say(f"The cache is in {cache}.")
    return 0


def take_over(environ: dict[str, str]) -> None:
    """Show how references that a site has already come into the cache, and what happens to wrong ones."""
    tree = make_legacy_tree(PLACE / "observatory" / "references" / "hst", PLACE / "cdbs")
    adopt = f"{SYNC} --adopt {tree} --adopt-mode hardlink"
    run(
        f"Most references are in {tree} already. What would be taken over, what fetched?",
        f"{adopt} --dry-run",
        environ,
    )
    run("Do it, as the crontab would.", adopt, environ)
    run(
        "Compare each byte: two files of the tree are damaged.",
        "cron_sync --check-sha1sum",
        environ,
        expected=1,
    )
    run("Replace them; the tree keeps its own.", "cron_sync --repair-files", environ)
    run("Is all right now? What did not change is not read again.", "cron_sync --check-sha1sum", environ)


def make_legacy_tree(references: Path, tree: Path) -> Path:
    """Make a tree as sites have them: two thirds of the references, some damaged or cut, and other files."""
    names = sorted(path.name for path in references.glob("*_*.fits"))
    for number, name in enumerate(names):
        place = tree / f"{name.partition('_')[0][-1]}ref"
        place.mkdir(parents=True, exist_ok=True)
        data = bytearray((references / name).read_bytes())
        if number % 3 == 0 and number > 0:
            continue
        if number in DAMAGED:
            data[-1] ^= 1
        (place / name).write_bytes(data[:-1] if number == CUT else data)
    (tree / "notes.txt").write_text("made by hand, long ago\n")
    return tree


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


def tell_affected(change: str, environ: dict[str, str]) -> None:
    """Show the list of the data sets that the new context affects, and the mail about it."""
    load = f"affected_datasets --load {PLACE / 'observatory' / 'datasets'}"
    run("An archive's data sets go into a catalogue, or are read where they are.", load, environ)
    run("The context has changed: which data sets does it affect?", "affected_datasets", environ)
    run("It is told once.", "affected_datasets", environ)
    place = PLACE / "cache" / ".crdscache" / "hst" / "readers" / "affected" / change
    for name, n_lines in (("ids.txt", 5), ("affected.tsv", 4), ("mail.eml", 21)):
        print(f"$ head -{n_lines} {place / name}")
        print("\n".join((place / name).read_text().splitlines()[:n_lines]))


def go_back(environ: dict[str, str]) -> None:
    """Show how a bad context is undone, without a server."""
    run("The new context is bad: put the former default back, and hold it.", "cron_sync --rollback", environ)
    run("It was not so bad. The next sync follows the server again.", "cron_sync --unpin", environ)
    run("", SYNC, environ)


def make_room(environ: dict[str, str]) -> None:
    """Show what a purge would take, take it, and bring it back."""
    purge = "cron_sync --purge-mappings --purge-references --max-purge 60"
    run("What is in the cache that nothing needs any more?", f"{purge} --dry-run", environ)
    run("Take it away.", purge, environ)
    *_, last = sorted(path.name for path in (PLACE / "cache" / ".crdscache" / "hst" / "trash").iterdir())
    run("Bring it back, as long as the trash is not emptied.", f"cron_sync --restore {last}", environ)


def say(text: str) -> None:
    """Print one sentence of the tour, if there is one."""
    print(f"\n# {text}" if text else "", flush=True)


def run(text: str, command: str, environ: dict[str, str], *, expected: int = 0) -> None:
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
    if status != expected:
        sys.exit(f"{command} ended with status {status}")


if __name__ == "__main__":
    sys.exit(main())
