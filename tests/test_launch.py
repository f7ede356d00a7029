"""bin/launch: the one way in for operators and cron, tried on a checkout made of copies and a stub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(__file__).parents[1] / "bin"
CRON = {"PATH": "/usr/bin:/bin"}

STUB = """\
import json, os, pathlib, sys
facts = {
    "arguments": sys.argv[1:],
    "encoding": sys.getfilesystemencoding(),
    "writes_bytecode": not sys.dont_write_bytecode,
    "stdin_is_open": sys.stdin is not None,
    "next_descriptor": os.open("/dev/null", os.O_RDONLY),
}
pathlib.Path(os.environ.get("FACTS", "/dev/stdout")).write_text(json.dumps(facts))
"""
GOOD = {
    "arguments": ["--all", "two words", ""],
    "encoding": "utf-8",
    "writes_bytecode": False,
    "stdin_is_open": True,
    "next_descriptor": 3,
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a checkout whose path has blanks, with a command that tells how it was started."""
    root = tmp_path / "a check out"
    shutil.copytree(BIN, root / "bin", symlinks=True)
    commands = root / "crdscache" / "commands"
    commands.mkdir(parents=True)
    (commands / "cron_sync.py").write_text(STUB)
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return root


def run(
    command: Path, *arguments: str, cwd: Path | None = None, env: dict[str, str] = CRON
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_starts_by_absolute_path_in_the_environment_of_cron(checkout: Path) -> None:
    done = run(checkout / "bin" / "cron_sync", "--all", "two words", "")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == GOOD


def test_a_command_starts_through_links_from_elsewhere_whatever_their_names(checkout: Path) -> None:
    elsewhere = checkout.parent / "usr local bin"
    elsewhere.mkdir()
    (elsewhere / "cron_sync").symlink_to(checkout / "bin" / "cron_sync")
    (elsewhere / "nightly").symlink_to("cron_sync")

    done = run(elsewhere / "nightly", "--all", "two words", "")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == GOOD


def test_closed_standard_streams_are_opened_so_that_no_file_takes_their_number(checkout: Path) -> None:
    """A lock or a file of the cache on descriptor 1 would get what the command prints."""
    facts = checkout / "facts.json"
    line = '"$0" --all "two words" "" <&- >&- 2>&-'

    subprocess.run(
        ["/bin/sh", "-c", line, checkout / "bin" / "cron_sync"], env=CRON | {"FACTS": str(facts)}, check=True
    )

    assert json.loads(facts.read_text()) == GOOD


def test_nothing_is_imported_from_where_the_caller_stands(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")

    done = run(checkout / "bin" / "cron_sync", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_callers_own_python_settings_do_no_harm(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    theirs = CRON | {"PYTHONPATH": str(tmp_path), "PYTHONHOME": str(tmp_path)}

    done = run(checkout / "bin" / "cron_sync", env=theirs)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_callers_own_python_settings_are_kept_for_the_programs_of_cache_lease(checkout: Path) -> None:
    names = ("PYTHONHOME", "PYTHONPATH", "PYTHONUTF8", "PYTHONCOERCECLOCALE", "PYTHONDONTWRITEBYTECODE")
    kept = [f"CRDSCACHE_CALLERS_{name}" for name in names]
    stub = f"import json, os; print(json.dumps({{name: os.environ.get(name) for name in {kept}}}))"
    (checkout / "crdscache" / "commands" / "cron_sync.py").write_text(stub)
    odd = {
        "PYTHONPATH": "a \"b'$HOME`c`\n",
        "PYTHONUTF8": "0",
        "CRDSCACHE_CALLERS_PYTHONHOME": "of an outer one",
    }

    done = run(checkout / "bin" / "cron_sync", env=CRON | odd)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == dict.fromkeys(kept) | {
        "CRDSCACHE_CALLERS_PYTHONPATH": odd["PYTHONPATH"],
        "CRDSCACHE_CALLERS_PYTHONUTF8": "0",
    }


def test_a_checkout_without_its_environment_says_how_to_make_it(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")

    done = run(checkout / "bin" / "cron_sync")

    expected = f"cron_sync: no Python environment in {checkout}: run make setup there\n"
    assert (done.returncode, done.stdout, done.stderr) == (3, "", expected)


def test_the_launcher_itself_is_no_command(checkout: Path) -> None:
    done = run(checkout / "bin" / "launch")

    assert done.returncode == 2
    assert done.stderr == "launch: is no command; call one of the links beside it\n"


def test_a_start_writes_nothing_into_the_checkout(checkout: Path) -> None:
    before = sorted(os.walk(checkout))

    run(checkout / "bin" / "cron_sync")

    assert sorted(os.walk(checkout)) == before
