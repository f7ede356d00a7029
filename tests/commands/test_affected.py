"""`affected_datasets` as an operator has it: the real command, real caches and catalogues."""

import json
import os
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from crdscache.cache import commit, tables
from crdscache.contexts import times
from demo.observatory import CONTEXTS
from demo.server import Server
from tests import clocks, smtp
from tests.caches import FORMER, LATEST, OBSERVATORY, QUICK, Cache, Done, finish, once, wait_until

PAIR = f"{FORMER} --> {LATEST}"
PRODUCTS = ["jdem01010", "jdem02b1q"]  # what this change affects: acs gets a new type


@pytest.fixture(scope="session")
def all_rules(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Make, once, a cache with all rules and a catalogue of all data sets; its default is the former one."""
    with Server(demo_root) as serving:
        serving.set_default(FORMER)

        def make(home: Path) -> None:
            (home / "quick.yaml").write_text(QUICK)
            made = Cache(home, serving, home / "cache")
            assert made.run("remote_cache_init").status == 0
            pair = ("--old-context", LATEST, "--new-context", CONTEXTS[0])
            loaded = made.run("affected_datasets", *pair, "--load", str(demo_root / "datasets"))
            assert loaded == Done(0, loaded.out, "")
            assert made.run("affected_datasets").status == 0  # sets the mark

        home = once(tmp_path_factory, "all_rules", make)
    return Cache(home, serving, home / "cache")


@pytest.fixture
def followed(no_cache: Cache, all_rules: Cache, server: Server) -> Cache:
    """Copy that cache; the mark is set."""
    return all_rules.copy_to(no_cache.root, server)


def switch(cache: Cache, *contexts: str) -> None:
    """Note that the default moved from each context to the next, as `cron_sync` does."""
    path = cache.state / "switches.tsv"
    for old, new in pairwise(contexts):
        tables.append(path, "switches", commit.SWITCHES, (times.now(), old, new, "server"))


def reports(cache: Cache) -> Path:
    return cache.state / "readers" / "affected"


def products(cache: Cache, name: str) -> list[str]:
    return (reports(cache) / name / "ids.txt").read_text().split()


def mark(cache: Cache) -> str:
    told = json.loads((reports(cache) / "mark.json").read_text())
    return str(told["last"]["context"])


def until_free(cache: Cache) -> Done:
    """Run once nothing is left of killed runs: as long as one of their jobs lives, it counts."""
    done = Done(75, "", "")

    def is_done() -> bool:
        nonlocal done
        done = cache.run("affected_datasets")
        return done.status != 75

    wait_until(is_done)
    return done


def test_the_first_run_only_sets_the_mark_and_says_so(followed: Cache) -> None:
    shutil.rmtree(reports(followed))

    first, second = followed.run("affected_datasets"), followed.run("affected_datasets")

    told = f"hst: first run: changes of the default context are followed from {FORMER} on\n"
    assert (first, second) == (Done(0, told, ""), Done(0, "", ""))
    assert [path.name for path in reports(followed).iterdir()] == ["mark.json"]


def test_a_switch_of_the_cache_is_told_once(followed: Cache, server: Server) -> None:
    server.set_default(LATEST)
    assert followed.run("cron_sync").status == 0

    first, second = followed.run("affected_datasets"), followed.run("affected_datasets")

    place = reports(followed) / "hst_0005__hst_0006"
    assert first == Done(0, f"hst: {PAIR}: OK, 2 products affected; in {place}\n", "")
    assert second == Done(0, "", "")
    assert products(followed, place.name) == PRODUCTS
    subject = (place / "mail.eml").read_text().replace("\n ", " ").partition("\n")[0]
    assert subject.startswith(f"Subject: OK: CRDS hst ops datasets affected {PAIR} on 20")
    assert subject.endswith(" : 2 affected")


@pytest.mark.parametrize("clock", clocks.WRONG)
def test_P17_a_change_is_told_once_whatever_the_clock_says(
    followed: Cache, server: Server, clock: str
) -> None:
    wrong = clocks.under(followed, clock)
    server.set_default(LATEST)
    assert wrong.run("cron_sync").status == 0

    first, second = wrong.run("affected_datasets"), followed.run("affected_datasets")

    place = reports(followed) / "hst_0005__hst_0006"
    assert first == Done(0, f"hst: {PAIR}: OK, 2 products affected; in {place}\n", "")
    assert (second, products(followed, place.name), mark(followed)) == (Done(0, "", ""), PRODUCTS, LATEST)


def test_E07_three_switches_one_of_them_back_are_told_each_once_in_order(followed: Cache) -> None:
    switch(followed, FORMER, LATEST, FORMER, CONTEXTS[0])

    done, again = followed.run("affected_datasets"), followed.run("affected_datasets")

    pairs = [line.split(": ")[1] for line in done.out.splitlines()]
    assert pairs == [PAIR, f"{LATEST} --> {FORMER}", f"{FORMER} --> {CONTEXTS[0]}"]
    assert products(followed, "hst_0006__hst_0005") == PRODUCTS
    assert (again, mark(followed)) == (Done(0, "", ""), CONTEXTS[0])


def test_more_than_five_switches_make_one_digest_of_all_that_any_affects(followed: Cache) -> None:
    switch(followed, FORMER, LATEST, FORMER, *CONTEXTS[3::-1])

    done = followed.run("affected_datasets", "--json")

    [report] = done.data["reports"]
    assert [(step["old"], step["new"]) for step in report["steps"]] == [
        (FORMER, LATEST),
        (LATEST, FORMER),
        *((CONTEXTS[n], CONTEXTS[n - 1]) for n in range(4, 0, -1)),
    ]
    union = {
        each.split("\t")[0].partition(":")[0].lower()
        for step in report["steps"]
        for each in (reports(followed) / f"{step['old'][:-5]}__{step['new'][:-5]}").glob("acs.tsv")
        for each in each.read_text().splitlines()[2:]
    }
    listed = products(followed, "hst_0005__hst_0001.digest")
    assert set(PRODUCTS) <= union <= set(listed)
    assert report["n_affected"] == len(listed)
    assert mark(followed) == CONTEXTS[0]


def test_rules_that_are_not_here_yet_are_waited_for_in_silence(followed: Cache) -> None:
    rules = followed.mappings / LATEST
    aside = rules.rename(followed.home / LATEST)
    switch(followed, FORMER, LATEST)

    waiting = followed.run("affected_datasets")
    aside.rename(rules)
    come = followed.run("affected_datasets")

    assert waiting == Done(0, "", "")
    assert f": {PAIR}: OK, 2 products" in come.out


def test_rules_that_do_not_come_for_a_day_are_told_once(followed: Cache, server: Server) -> None:
    """The server's history says when it moved: long ago."""
    (followed.mappings / LATEST).unlink()
    shutil.rmtree(reports(followed))
    follow = ("affected_datasets", "--config", "follow=server")
    assert followed.run(*follow).status == 0
    server.set_default(LATEST)

    first, second = followed.run(*follow), followed.run(*follow)

    assert (first.status, second) == (1, Done(1, "", ""))
    assert f"{PAIR} cannot be compared: {LATEST} is not in {followed.mappings}: cron_sync" in first.err


def test_with_nothing_new_one_request_at_most_is_made(followed: Cache, server: Server) -> None:
    server.requests.clear()

    by_cache = followed.run("affected_datasets")
    n_by_cache = server.requests.total()
    by_server = followed.run("affected_datasets", "--config", "follow=server")

    assert (by_cache, by_server) == (Done(0, "", ""), Done(0, "", ""))
    assert (n_by_cache, server.requests.total()) == (0, 1)


def test_two_contexts_that_are_named_are_compared_in_any_direction(followed: Cache, tmp_path: Path) -> None:
    output = tmp_path / "out"

    done = followed.run(
        "affected_datasets", "-old-context", LATEST, "-new-context", FORMER, "--output", str(output)
    )

    assert done == Done(0, f"hst: {LATEST} --> {FORMER}: OK, 2 products affected; in {output}\n", "")
    assert sorted(path.name for path in output.iterdir()) == [
        "affected.tsv",
        "failed.tsv",
        "ids.txt",
        "ids.txt.gz",
        "log.txt",
        "mail.eml",
        "summary.json",
        "undetermined.tsv",
    ]
    rows = [line.split("\t") for line in (output / "affected.tsv").read_text().splitlines()[2:]]
    assert [(row[0], row[3], row[4], row[6]) for row in rows if row[0].endswith("A1Q")] == [
        ("JDEM01010:JDEM01A1Q", "82213200j_mdz.fits", "n/a", "no longer: (WFC): 82213200j_mdz.fits")
    ]
    assert mark(followed) == FORMER  # who asks does not handle


def test_contexts_that_differ_in_nothing_affect_nothing(followed: Cache) -> None:
    done = followed.run("affected_datasets", "--old-context", LATEST, "--new-context", LATEST)

    assert done.status == 0, done.err
    assert f"{LATEST} --> {LATEST}: OK, 0 products affected" in done.out


def test_a_context_that_is_not_in_the_cache_ends_with_what_brings_it(followed: Cache) -> None:
    done = followed.run("affected_datasets", "--old-context", "hst_0404.pmap", "--new-context", LATEST)

    cure = "cron_sync --contexts hst_0404.pmap brings it"
    assert done == Done(3, "", f"affected_datasets: hst_0404.pmap is not in {followed.mappings}: {cure}\n")


def test_E08_without_a_catalogue_it_says_FAILED_once_and_makes_it_good_later(followed: Cache) -> None:
    catalogue = followed.state / "readers" / "catalogue.sqlite"
    aside = catalogue.rename(followed.home / "aside.sqlite")
    switch(followed, FORMER, LATEST)

    first, second = followed.run("affected_datasets"), followed.run("affected_datasets")
    stays = mark(followed)
    aside.rename(catalogue)
    third = followed.run("affected_datasets")

    assert (first.status, second) == (1, Done(1, "", ""))
    assert "hst: hst_0005__hst_0006: the data sets could not be read to their end" in first.err
    assert f": {PAIR}: FAILED, 0 products affected" in first.out
    assert stays == FORMER
    assert third.status == 0
    assert "recovered" in third.out
    assert f"{PAIR}: OK, 2 products affected" in third.out


def test_a_broken_rule_leaves_its_instrument_out_and_says_so(followed: Cache) -> None:
    imap = next(
        path
        for path in followed.mappings.glob("hst_acs_0*.imap")
        if path.name.encode() in (followed.mappings / LATEST).read_bytes()
    )
    imap.write_text("no mapping at all")
    switch(followed, FORMER, LATEST)

    done = followed.run("affected_datasets")

    assert done.status == 1
    assert f"{PAIR}: ERRORS, 0 products affected" in done.out
    assert f"failed: acs: {imap.name}" in done.err
    body = (reports(followed) / "hst_0005__hst_0006" / "mail.eml").read_text()
    assert "The list is without acs: the rules cannot be used." in body


def test_from_cron_a_switch_is_mailed_and_what_could_not_be_sent_comes_with_the_next_run(
    followed: Cache,
) -> None:
    switch(followed, FORMER, LATEST)
    port = smtp.free_port()
    settings = [
        f"mail_server=127.0.0.1:{port}",
        "mail_security=none",
        "mail_sender=crds@example.org",
        "mail_recipients={hst-ops: [a@example.org]}",
        "mail_tries=1",
    ]

    away = followed.run("affected_datasets", "--config", *settings)
    with smtp.serving(port=port) as sink:
        there = followed.run("affected_datasets", "--config", *settings)
        again = followed.run("affected_datasets", "--config", *settings)

    [(sender, recipients, content)] = sink.mails
    assert (away.status, "waits for the next run" in away.err, mark(followed)) == (1, True, LATEST)
    assert (there.status, "sent to a@example.org" in there.out, again) == (0, True, Done(0, "", ""))
    assert (sender, recipients) == ("crds@example.org", ("a@example.org",))
    assert content == (reports(followed) / "hst_0005__hst_0006" / "mail.eml").read_bytes()


def test_mail_without_recipients_is_a_mistake_of_the_caller(followed: Cache) -> None:
    done = followed.run("affected_datasets", "--mail")

    assert done == Done(
        2,
        "",
        "affected_datasets: --mail: set mail_recipients for this observatory and use case, and mail_server\n",
    )


def test_P02_killed_at_any_time_the_next_run_goes_on_and_ends_the_same(
    followed: Cache,
) -> None:
    switch(followed, FORMER, LATEST)

    for delay_s in (0.4, 0.8, 1.2, 1.6, 2.0, 2.4):
        process = followed.start("affected_datasets")
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
    last = until_free(followed)

    assert last.status == 0
    assert (products(followed, "hst_0005__hst_0006"), mark(followed)) == (PRODUCTS, LATEST)
    assert followed.run("affected_datasets") == Done(0, "", "")


def test_a_root_that_is_no_cache_is_not_written_to(no_cache: Cache) -> None:
    no_cache.root.mkdir()

    done = no_cache.run("affected_datasets")

    assert (done.status, done.out) == (3, "")
    assert "affected_datasets: " in done.err
    assert list(no_cache.root.iterdir()) == []


def test_only_one_is_at_work(followed: Cache) -> None:
    switch(followed, FORMER, LATEST)
    process = followed.start("affected_datasets")
    wait_until((followed.state / "affected.lock").exists)
    settings = followed.state / "readers" / "run-affected.json"
    wait_until(lambda: settings.exists() or process.poll() is not None)

    second = followed.run("affected_datasets")
    first = finish(process)

    assert (first.status, second) == (0, Done(75, "", ""))


def test_snakemake_by_hand_makes_the_same_result(followed: Cache) -> None:
    directory = followed.state / "readers"

    done = followed.snakemake(
        *("-s", "readers.smk", "-d", str(directory), "--cores", "2", "affected"),
        *("--config", f"affected_old={FORMER}", f"affected_new={LATEST}"),
    )

    assert done.status == 0, done.err
    assert products(followed, "hst_0005__hst_0006") == PRODUCTS


def test_a_cache_that_may_only_be_read_works_with_a_directory_elsewhere(
    followed: Cache, tmp_path: Path
) -> None:
    catalogue = shutil.copy(followed.state / "readers" / "catalogue.sqlite", tmp_path / "catalogue.sqlite")
    elsewhere = tmp_path / "elsewhere"

    done = followed.run(
        "affected_datasets",
        *("--old-context", FORMER, "--new-context", LATEST, "--catalog", f"sqlite:///{catalogue}"),
        *("--config", f"readers_dir={elsewhere}"),
    )

    assert done.status == 0, done.err
    assert (elsewhere / "affected/hst_0005__hst_0006/ids.txt").read_text().split() == PRODUCTS


def test_the_servers_own_list_is_told_beside_ours(followed: Cache) -> None:
    done = followed.run(
        "affected_datasets", "--old-context", FORMER, "--new-context", LATEST, "--server-list"
    )

    assert done.status == 1
    assert "No precomputed affected datasets results exist" in done.err
    assert OBSERVATORY in done.out
