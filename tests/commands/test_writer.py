"""What a run says, and to whom: cron wants silence, a person wants to see it work."""

import json
import os
import pty
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crdscache.contexts import times
from demo.faults import status
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, Done
from tests.invariants import check_invariants, references_of
from tests.locking import writer_lock


def on_terminal(cache: Cache, command: str, *words: str) -> Done:
    """Run a command before the eyes of a person; both streams are one."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        cache.line(command, *words), env=cache.environ, stdin=slave, stdout=slave, stderr=slave
    ) as process:
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
        except OSError:  # that is how the end of a terminal shows
            os.close(master)
    return Done(process.returncode, shown.decode(), "")


def put_back(cache: Cache, hours: float) -> None:
    """Let the last failures have been told so many hours ago: the clock itself is not ours."""
    path = cache.state / "status.json"
    recorded = json.loads(path.read_text())
    then = datetime.now(UTC) - timedelta(hours=hours)
    recorded["failures_told"] = then.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(json.dumps(recorded))


def test_failures_are_told_once_a_day_in_few_lines_and_then_that_they_are_over(
    rules_cache: Cache, server: Server
) -> None:
    server.faults.add("*.fits", status(500))
    n_failed = sum(name.endswith(".fits") for name in references_of(rules_cache.root, "hst", FORMER))

    first = rules_cache.run("cron_sync", "--fetch-references", "--verbose")
    silent = rules_cache.run("cron_sync", "--fetch-references", "--verbose", "--json")
    put_back(rules_cache, hours=25)
    reminder = rules_cache.run("cron_sync", "--fetch-references")
    server.faults.clear()
    good = rules_cache.run("cron_sync", "--fetch-references")
    after = rules_cache.run("cron_sync", "--fetch-references")

    said = [*first.out.splitlines(), *first.err.splitlines()]
    assert (first.status, len(said) <= 20) == (1, True)
    assert said[-2] == f"and {n_failed - len(said) + 3} more failures: see the log"
    assert all(line.startswith("failed: ") and "status 500" in line for line in said[1:-2])
    assert Path(said[-1].removeprefix("hst: the log is ")).is_file()
    assert (silent.status, silent.err) == (1, "")
    assert len(silent.data["failures"]) == n_failed  # who asked for data gets it
    reminded = reminder.err.splitlines()
    assert (reminder.status, reminded[0].startswith("hst: the same since ")) == (1, True)
    assert reminded[1:-2] == first.err.splitlines()[:-3]  # a failure less: there are 20 lines in all
    assert (good.status, good.err) == (0, "")
    assert good.out.splitlines()[0] == "hst: recovered; the last run ended with status 1"
    assert (after.status, after.out, after.err) == (0, "", "")
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_a_person_sees_a_live_line_each_file_and_a_summary(rules_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)

    done = on_terminal(rules_cache, "cron_sync", "--fetch-references", "--verbose")
    again = on_terminal(rules_cache, "cron_sync", "--fetch-references")

    n_references = len(references_of(rules_cache.root, "hst", LATEST))
    assert done.status == 0
    assert f"/{n_references} files" in done.out  # the live line, with the total of the plan
    assert "fetched t6k1015aj_bia.fits 3000960 bytes" in done.out
    assert f"hst: default context {FORMER} -> {LATEST}; " in done.out
    assert (again.status, again.out.count("\n")) == (0, 1)
    assert again.out.startswith(f"hst: default context {LATEST}; nothing to do")


def test_quiet_leaves_only_what_failed(rules_cache: Cache, server: Server) -> None:
    server.faults.add("t6k1015aj_bia.fits", status(500))

    done = rules_cache.run("cron_sync", "--fetch-references", "--quiet")

    assert (done.status, done.out) == (1, "")
    assert [line.split(": ")[:2] for line in done.err.splitlines()][:1] == [["failed", "t6k1015aj_bia.fits"]]
    assert len(done.err.splitlines()) == 2


def test_a_summary_as_data_has_all_that_the_text_has(whole_cache: Cache, server: Server) -> None:
    server.set_default(LATEST)

    done = whole_cache.run("cron_sync", "--fetch-references", "--json")

    rules = {"hst_0006.pmap", "hst_acs_0005.imap"}
    assert (done.status, done.err) == (0, "")
    assert rules <= {path.name for path in whole_cache.mappings.iterdir()}
    told = done.data
    n_files, size_bytes = told.pop("n_files"), told.pop("size_bytes")
    assert times.parse(told.pop("refreshed")) is not None
    assert told == {
        "status": 0,
        "default_before": FORMER,
        "default_after": LATEST,
        "server_default": LATEST,
        "waits_for": [],
        "failures": [],
        "pending": [],
        "lost": [],
        "message": "",
        "n_seen": {},
        "verdicts": {},
        "news": [],
        "pinned": None,
        "verification": None,
        "purge": None,
    }
    assert set(n_files) == set(size_bytes) == {"fetched", "kept"}


def test_busy_says_nothing_to_cron_and_names_the_holder_to_a_person(whole_cache: Cache) -> None:
    with writer_lock(whole_cache) as holder:
        to_cron = whole_cache.run("cron_sync")
        asked = whole_cache.run("cron_sync", "--verbose")
        to_person = on_terminal(whole_cache, "cron_sync")
        dry = whole_cache.run("cron_sync", "--dry-run")
        long = whole_cache.run("cron_sync", "--json", "--config", "busy_alarm_h=0.0000001")
        still = whole_cache.run("cron_sync", "--config", "busy_alarm_h=0.0000001")

    assert (to_cron.status, to_cron.out, to_cron.err) == (75, "", "")
    assert (asked.status, asked.err) == (75, f"cron_sync: another writer is at work: {holder}\n")
    assert (to_person.status, to_person.out.strip()) == (75, asked.err.strip())
    assert dry.status == 0
    assert (long.status, long.data) == (75, {"status": 75, "message": f"another writer is at work: {holder}"})
    begun = f"hst: another writer is at work: {holder}; no run has come to its end since "
    assert (long.err.startswith(begun), long.err.count("\n")) == (True, 1)
    assert (still.status, still.out, still.err) == (75, "", "")
    assert whole_cache.run("cron_sync").status == 0
    assert not (whole_cache.state / "busy.json").exists()


def test_old_logs_of_runs_and_of_snakemake_go(whole_cache: Cache, server: Server) -> None:
    snakemakes = whole_cache.state / ".snakemake" / "log"
    for number in range(5):
        (whole_cache.state / "logs" / f"run-2020010{number}T000000Z-abcdef.log").touch()
        (snakemakes / f"2020-01-0{number}T000000.000000.snakemake.log").touch()
    server.set_default(LATEST)

    assert whole_cache.run("cron_sync", "--fetch-references", "--config", "keep_logs=2").status == 0

    ours = list((whole_cache.state / "logs").glob("run-*"))
    left = {path.name for path in (*ours, *snakemakes.iterdir()) if "2020" in path.name}
    assert (left, len(ours), len(list(snakemakes.iterdir()))) == (set(), 2, 2)


def test_a_cache_made_by_other_tools_is_taken_over(whole_cache: Cache, server: Server) -> None:
    """It has no state, its configuration says whose it is."""
    subprocess.run(["rm", "-r", whole_cache.root / ".crdscache"], check=True)
    server.set_default(LATEST)

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.err, whole_cache.default()) == (0, "", LATEST)
    rows = (whole_cache.state / "switches.tsv").read_text().splitlines()[2:]
    assert [row.split("\t")[1:] for row in rows] == [["", FORMER, "foreign"], [FORMER, LATEST, "server"]]
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_references_of_the_default_are_promised_once_they_are_here(
    rules_cache: Cache, server: Server
) -> None:
    """From then on a plain run waits for the references of a new default, and says for which."""
    stamp = rules_cache.state / "identity.json"
    rules_only = json.loads(stamp.read_text())["holdings"]

    fetched = rules_cache.run("cron_sync", "--fetch-references")
    whole = json.loads(stamp.read_text())["holdings"]
    server.set_default(LATEST)
    waits = rules_cache.run("cron_sync")

    assert (rules_only, fetched.status, whole) == ({"parts": []}, 0, {"parts": ["all"]})
    assert (waits.status, rules_cache.default()) == (0, FORMER)
    assert f"the default context stays {FORMER}, {LATEST} lacks " in waits.err
    check_invariants(rules_cache.root, "hst", server, is_clean=True)
