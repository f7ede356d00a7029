"""`cache_lease`: programs that run with a context held."""

import fcntl
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, Done, finish, listing, start, wait_until
from tests.mounts import read_only

SHOW = ("--", "sh", "-c", 'echo "$CRDS_CONTEXT"')
# It says when it is ready, and what it gets; a trap waits for the command before it, hence the short ones.
WAITS = ("--", "sh", "-c", "trap 'echo got TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done")


def is_held(cache: Cache, context: str) -> bool:
    with (cache.mappings / context).open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextmanager
def leased(cache: Cache, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program under a lease until the block ends."""
    process = cache.start("cache_lease", *(words or WAITS))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def test_default_context_is_held_as_long_as_the_program_runs(whole_cache: Cache) -> None:
    with leased(whole_cache) as process:
        during = is_held(whole_cache, FORMER)
        process.terminate()
        done = finish(process)

    assert (during, is_held(whole_cache, FORMER)) == (True, False)
    assert (done.status, done.out, done.err) == (5, "got TERM\n", "")


@pytest.mark.parametrize(
    ("words", "variable", "context"),
    [
        ([], None, FORMER),
        ([], "hst-edit", "hst_0007.pmap"),
        ([], "hst-2021-12-31 00:00:00", "hst_0002.pmap"),
        (["--context", "2021-12-31"], "hst_0001.pmap", "hst_0002.pmap"),
        (["-context", "hst_0001.pmap"], None, "hst_0001.pmap"),
        (["--context", "hst-operational"], None, FORMER),
    ],
)
def test_program_is_told_the_context_by_its_own_name(
    words: list[str], variable: str | None, context: str, whole_cache: Cache
) -> None:
    (whole_cache.mappings / context).touch()  # nobody looks into it here
    if variable is not None:
        whole_cache.more["CRDS_CONTEXT"] = variable

    done = whole_cache.run("cache_lease", *words, *SHOW)

    assert (done.status, done.out, done.err) == (0, f"{context}\n", "")


def test_program_gets_the_words_the_streams_and_the_variables_of_its_caller(whole_cache: Cache) -> None:
    """Its Python must not be ours; what looks like an option of ours is one of the program's."""
    theirs = {"PYTHONPATH": "a \"b'$c", "PYTHONHOME": "/usr", "LANG": "C"}
    line = whole_cache.line(
        "cache_lease", "--", "sh", "-c", 'cat; printf "%s|" "$@"; env', "sh", "-all", "--", "x y"
    )

    done = subprocess.run(
        line, env=whole_cache.environ | theirs, input="in ", capture_output=True, text=True, check=True
    )

    words, _, rest = done.stdout.rpartition("|")
    got = dict(each.split("=", 1) for each in rest.splitlines())
    told = {
        "CRDS_CONTEXT": FORMER,
        "CRDS_READONLY_CACHE": "1",
        "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
    }
    assert words == "in -all|--|x y"
    assert {name: value for name, value in got.items() if name not in {"PWD", "OLDPWD", "SHLVL", "_"}} == (
        whole_cache.environ | theirs | told
    )


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)]
)
def test_status_is_that_of_the_program(script: str, status: int, whole_cache: Cache) -> None:
    done = whole_cache.run("cache_lease", "--", "sh", "-c", script)

    assert (done.status, done.out, done.err) == (status, "", "")


@pytest.mark.parametrize(
    "words", [[], ["--"], ["true"], ["--contexts", "x", "--", "true"], ["--", "no-such-program"]]
)
def test_without_a_program_it_is_usage(words: list[str], whole_cache: Cache) -> None:
    done = whole_cache.run("cache_lease", *words)

    assert (done.status, done.out) == (2, "")
    assert "cache_lease: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
)
def test_signals_are_passed_on(number: signal.Signals, whole_cache: Cache) -> None:
    script = f"trap 'echo got; exit 9' {number.value}; echo ready; while :; do sleep 0.05; done"
    with leased(whole_cache, "--", "sh", "-c", script) as process:
        process.send_signal(number)
        done = finish(process)

    assert (done.status, done.out, done.err) == (9, "got\n", "")


def test_what_a_terminal_sends_to_all_reaches_the_program_once(whole_cache: Cache) -> None:
    """A second SIGINT makes some programs leave in a hurry."""
    code = (
        "import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "os.write(1, b'ready\\n')\nsignal.sigwait([signal.SIGINT])\nos.write(1, b'got\\n')\n"
        "if signal.sigtimedwait([signal.SIGINT], 1): os.write(1, b'again\\n')"
    )
    master, slave = pty.openpty()
    line = ["setsid", "--ctty", *whole_cache.line("cache_lease", "--", sys.executable, "-c", code)]
    with subprocess.Popen(
        line, env=whole_cache.environ, stdin=slave, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline()]
            process.send_signal(signal.SIGSTOP)  # of two at the same moment the program would notice one
            os.write(master, b"\x03")
            said.append(process.stdout.readline())
            process.send_signal(signal.SIGCONT)
            said += process.stdout
            process.wait()
        finally:
            process.kill()  # else a failure would wait for what is stopped
    for descriptor in (master, slave):
        os.close(descriptor)

    assert (process.returncode, said) == (0, ["ready\n", "got\n"])


def test_signal_that_is_ignored_stays_so(whole_cache: Cache) -> None:
    """So that `nohup` works."""
    script = "kill -HUP $$; echo lives"
    line = [
        "sh",
        "-c",
        "trap '' HUP; exec \"$@\"",
        "sh",
        *whole_cache.line("cache_lease", "--", "sh", "-c", script),
    ]

    done = finish(start(line, whole_cache.environ))

    assert (done.status, done.out, done.err) == (0, "lives\n", "")


def test_program_may_be_stopped_by_a_broken_pipe(whole_cache: Cache) -> None:
    """Python ignores that signal; a program that did would complain, or go on for ever."""
    done = whole_cache.run("cache_lease", "--", "sh", "-c", "yes | head -1; kill -PIPE $$; echo lives")

    assert (done.status, done.out) == (128 + signal.SIGPIPE, "y\n")


def test_lease_outlives_a_killed_cache_lease_until_its_program_ends(whole_cache: Cache) -> None:
    with leased(whole_cache, "--", "sh", "-c", "echo ready; exec sleep 60") as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        (child,) = map(int, children.read_text().split())
        process.kill()
        process.wait()
        orphaned = is_held(whole_cache, FORMER)
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not is_held(whole_cache, FORMER))

    assert orphaned


def test_program_that_closes_what_it_inherits_is_under_a_lease_all_the_same(whole_cache: Cache) -> None:
    """As csh does."""
    script = "exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; echo ready; exec sleep 60"
    with leased(whole_cache, "--", "sh", "-c", script):
        assert is_held(whole_cache, FORMER)


def test_P10_sync_goes_on_and_moves_the_default_while_contexts_are_leased_and_a_reader_is_stopped(
    whole_cache: Cache, server: Server
) -> None:
    """The writer tries the lock of the configuration for a second; a lease it does not need at all."""
    lock = whole_cache.root / "crds.config.lock"
    code = (
        "import os, signal; from pathlib import Path; from crdscache.cache import lease\n"
        f"with lease._shared(Path({str(lock)!r}), 1): os.kill(os.getpid(), signal.SIGSTOP)"
    )
    server.set_default(LATEST)
    with leased(whole_cache), subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT) as reader:
        os.waitpid(reader.pid, os.WUNTRACED)
        synced = whole_cache.run("cron_sync", "--fetch-references")
        held = is_held(whole_cache, FORMER)
        after = whole_cache.run("cache_lease", *SHOW)
        reader.kill()

    assert (synced.status, synced.err, held) == (0, "", True)
    assert (after.status, after.out, after.err) == (0, f"{LATEST}\n", "")


def test_thirty_programs_run_under_a_lease_at_once(whole_cache: Cache) -> None:
    running = [whole_cache.start("cache_lease", *SHOW) for _ in range(30)]

    assert [finish(process) for process in running] == [Done(0, f"{FORMER}\n", "")] * 30


def test_context_that_is_being_purged_is_fatal(whole_cache: Cache) -> None:
    with (whole_cache.mappings / FORMER).open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        done = whole_cache.run("cache_lease", *SHOW)

    assert done == Done(3, "", f"cache_lease: {FORMER} is being purged\n")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--context", "hst_0099.pmap"], 3, "hst_0099.pmap is not in {maps}: cron_sync --contexts hst_0099"),
        (
            ["--context", "2019-01-01"],
            2,
            "the server's history begins at 2021-03-01 12:00:00 with hst_0001.pmap",
        ),
        (["--context", "2019-02-30"], 2, "context '2019-02-30': expected the name of a mapping, one of "),
        (["--context", ""], 2, "context '': expected the name of a mapping, one of "),
        (["--context", "../x.pmap"], 2, "'../x.pmap' is refused as a file name"),
    ],
)
def test_B09_context_that_cannot_be_had_is_told_by_name(
    words: list[str], status: int, told: str, whole_cache: Cache
) -> None:
    done = whole_cache.run("cache_lease", *words, *SHOW)

    assert (done.status, done.out, len(done.err.splitlines())) == (status, "", 1)
    assert told.format(maps=whole_cache.mappings) in done.err


@pytest.mark.parametrize(
    "damage", [None, "", "{", "__import__('os').mkdir('made')", "{'observatory': 'hst'}"]
)
def test_S19_B09_without_a_good_configuration_it_is_fatal_and_names_the_file(
    damage: str | None, whole_cache: Cache
) -> None:
    path = whole_cache.config / "server_config"
    path.unlink()
    if damage is not None:
        path.write_text(damage)

    done = whole_cache.run("cache_lease", *SHOW)

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert str(path) in done.err


def test_D26_root_that_is_no_cache_is_fatal_and_nothing_is_made(no_cache: Cache) -> None:
    before = listing(no_cache.home)

    done = no_cache.run("cache_lease", *SHOW)

    assert (done.status, done.out) == (3, "")
    assert f"{no_cache.root} is not a cache" in done.err
    assert listing(no_cache.home) == before


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRDS_PATH", None),
        ("CRDS_PATH", ""),
        ("CRDS_PATH", "cache"),
        ("CRDS_PATH", "/"),
        ("CRDS_PATH", "/a b"),
        ("CRDS_READONLY_CACHE", "yes"),
        ("CRDS_CONTEXT", ""),
    ],
)
def test_P19_a_bad_variable_is_usage_with_its_name(
    variable: str, value: str | None, whole_cache: Cache
) -> None:
    given = {} if value is None else {variable: value}
    environ = {name: text for name, text in whole_cache.environ.items() if name != variable} | given

    done = finish(start(whole_cache.line("cache_lease", *SHOW), environ))

    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert variable in done.err


def test_D06_P20_reader_needs_no_server_no_right_to_write_and_hardly_an_environment(
    whole_cache: Cache,
) -> None:
    """Cron's environment, no standard input, the network cut off, the cache on a read-only disk."""
    bare = {"PATH": "/usr/bin:/bin", "CRDS_PATH": str(whole_cache.root)}
    command = ["sh", "-c", 'exec "$@" <&-', "sh", *whole_cache.line("cache_lease", *SHOW)]
    before = listing(whole_cache.root)

    with read_only(whole_cache.root):
        done = finish(start(["unshare", "--net", *command], bare))

    assert done == Done(0, f"{FORMER}\n", "")
    assert listing(whole_cache.root) == before


def test_D06_read_only_by_the_environment_is_no_obstacle(whole_cache: Cache) -> None:
    whole_cache.more["CRDS_READONLY_CACHE"] = "1"

    assert whole_cache.run("cache_lease", *SHOW) == Done(0, f"{FORMER}\n", "")


def test_I10_nothing_is_written(whole_cache: Cache) -> None:
    before = listing(whole_cache.root)

    whole_cache.run("cache_lease", *SHOW)

    assert listing(whole_cache.root) == before


def test_help_comes_at_once(no_cache: Cache) -> None:
    began = time.monotonic()
    done = no_cache.run("cache_lease", "--help")

    assert (done.status, done.err) == (0, "")
    assert "usage: cache_lease [options] -- COMMAND [ARGUMENT ...]" in done.out
    assert time.monotonic() - began < 5
