"""A cache by a context list: the same files, to the byte, on another machine."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from crdscache.cache import contextlist, treehash
from demo.faults import status
from demo.server import Server
from tests import written
from tests.caches import FORMER, LATEST, QUICK, Cache, once, proper
from tests.invariants import check_invariants, closure

TARGET = f"contexts/{FORMER}.sha1"


@pytest.fixture(scope="session")
def shared_list(whole: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make, once, the list of a cache that has rules and references of its default context."""

    def make(home: Path) -> None:
        (home / "quick.yaml").write_text(QUICK)
        copy = whole.copy_to(home / "cache", whole.server)
        done = copy.snakemake(TARGET)
        assert done.status == 0, done
        shutil.copy(copy.state / TARGET, home / "list.sha1")

    return once(tmp_path_factory, "listed", make) / "list.sha1"


@pytest.fixture
def path(shared_list: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(shared_list, tmp_path / "list.sha1"))


@pytest.fixture
def ahead(server: Server) -> Server:
    """Let the server have moved on since the list was made."""
    server.set_default(LATEST)
    return server


def hash_of(cache: Cache) -> str:
    done = cache.run("cache_config", "--tree-hash", "--json")
    assert done.status == 0, done
    return str(done.data["tree_hash"])


def in_layout_by_instrument(path: Path) -> None:
    """Write a list anew, for a cache that has a directory for each instrument."""
    old = contextlist.read(path)
    mode = contextlist.Mode.INSTRUMENT
    files = [
        contextlist.Listed(
            contextlist.path_of(one.name, one.part, "hst", mode), one.size_bytes, one.file_sha1, one.part
        )
        for one in old.files
    ]
    made = contextlist.ContextList(FORMER, "hst", old.server, old.catalogued, mode, tuple(files))
    path.write_text(contextlist.text(made))


@pytest.mark.usefixtures("ahead")
@pytest.mark.parametrize("layout", ["flat", "instrument"])
def test_a_list_makes_the_same_cache_elsewhere_though_the_server_has_moved_on(
    no_cache: Cache, path: Path, server: Server, layout: str
) -> None:
    if layout == "instrument":
        in_layout_by_instrument(path)
    expected = contextlist.read(path)

    done = no_cache.run("cron_sync", "--context-list", str(path))

    check = ["sha1sum", "-c", "--strict", "--quiet", path]
    assert (done.status, done.err) == (0, "")
    assert f"default context {FORMER} (pinned; the server's is {LATEST}); " in done.out
    assert hash_of(no_cache) == expected.tree_hash
    assert (no_cache.config / "ref_cache_subdir_mode").read_text() == layout
    assert subprocess.run(check, cwd=no_cache.root, check=False).returncode == 0
    assert no_cache.default() == FORMER
    assert LATEST not in {each.name for each in no_cache.mappings.iterdir()}
    check_invariants(no_cache.root, "hst", server, is_clean=True)


@pytest.mark.usefixtures("ahead")
def test_once_made_a_cache_stays_at_its_context_until_it_is_let_go(no_cache: Cache, path: Path) -> None:
    assert no_cache.run("cron_sync", "--context-list", str(path)).status == 0
    again = no_cache.run("cron_sync", "--context-list", str(path))
    before = hash_of(no_cache)

    plain = no_cache.run("cron_sync", "--contexts", FORMER)

    assert (again.status, again.out, again.err) == (0, "", "")
    assert (plain.status, no_cache.default(), hash_of(no_cache)) == (0, FORMER, before)
    assert no_cache.run("cron_sync", "--unpin").status == 0
    assert no_cache.run("cron_sync", "--fetch-references").status == 0
    assert no_cache.default() == LATEST


@pytest.mark.usefixtures("ahead")
def test_references_come_from_a_tree_of_another_cache_too(
    no_cache: Cache, path: Path, whole: Cache, server: Server
) -> None:
    server.requests.clear()

    done = no_cache.run(
        "cron_sync", "--context-list", str(path), "--adopt", str(whole.references), "--adopt-mode", "copy"
    )

    assert done.status == 0
    assert hash_of(no_cache) == contextlist.read(path).tree_hash
    assert not [request for request in server.requests if ".fits" in str(request)]


def test_a_cache_that_has_a_default_keeps_it_and_gets_what_is_listed(
    rules_cache: Cache, path: Path, server: Server
) -> None:
    server.set_default(LATEST)
    assert rules_cache.run("cron_sync").status == 0
    listed = contextlist.read(path)

    done = rules_cache.run("cron_sync", "--context-list", str(path))

    here = {each.name for each in (*rules_cache.mappings.iterdir(), *rules_cache.references.iterdir())}
    assert (done.status, rules_cache.default()) == (0, LATEST)
    assert here == listed.names | closure(rules_cache.mappings, LATEST)
    assert json.loads((rules_cache.state / "identity.json").read_text())["pinned"] is None


@pytest.mark.usefixtures("ahead")
def test_dry_run_tells_what_would_come_and_writes_nothing(no_cache: Cache, path: Path) -> None:
    listed = contextlist.read(path)
    sizes = {
        kind: [one.size_bytes for one in listed.files if (one.part == "mapping") is kind]
        for kind in (True, False)
    }

    done = no_cache.run("cron_sync", "--context-list", str(path), "--dry-run", "--json")

    assert done.status == 0
    assert (done.data["fetch_mappings"], done.data["fetch_mappings_bytes"]) == (
        len(sizes[True]),
        sum(sizes[True]),
    )
    assert done.data["fetch_references"] == len(sizes[False])
    assert done.data["fetch_references_bytes"] == sum(sizes[False])
    assert not no_cache.root.exists()


def test_plain_sync_still_refuses_a_root_that_is_no_cache_and_so_does_a_list_in_the_settings(
    no_cache: Cache, path: Path
) -> None:
    """Of a disk that is not mounted only the empty place is there: cron must not fill it."""
    for words in ((), ("--config", f"context_list={path}")):
        done = no_cache.run("cron_sync", *words)

        assert done.status == 3
        assert "is not a cache" in done.err
    assert not no_cache.root.exists()


def test_a_root_that_has_other_things_in_it_is_not_filled(no_cache: Cache, path: Path) -> None:
    no_cache.root.mkdir()
    (no_cache.root / "thesis.tex").write_text("")

    done = no_cache.run("cron_sync", "--context-list", str(path))

    assert done.status == 3
    assert "is not empty: thesis.tex" in done.err
    assert [each.name for each in no_cache.root.iterdir()] == ["thesis.tex"]


def test_a_reference_that_is_here_with_another_length_is_told_and_stays(
    rules_cache: Cache, path: Path
) -> None:
    one = next(each for each in contextlist.read(path).files if each.name.endswith("_drk.fits"))
    rules_cache.references.mkdir(parents=True)
    (rules_cache.references / one.name).write_bytes(b"short")

    done = rules_cache.run("cron_sync", "--context-list", str(path))

    assert done.status == 1
    told = f"references/hst/{one.name} has 5 bytes, the catalogue says {one.size_bytes}"
    assert f"failed: {one.name}: {told}" in done.err
    assert (rules_cache.references / one.name).read_bytes() == b"short"


def test_a_file_that_comes_with_another_sum_than_the_lists_fails_with_both(
    no_cache: Cache, path: Path
) -> None:
    old = contextlist.read(path)
    one = next(each for each in old.files if each.name.endswith("_drk.fits"))
    wrong = written.sha1_of(b"what it once was")
    files = [
        contextlist.Listed(each.path, each.size_bytes, wrong if each is one else each.file_sha1, each.part)
        for each in old.files
    ]
    path.write_text(
        contextlist.text(
            contextlist.ContextList(FORMER, "hst", old.server, old.catalogued, old.mode, tuple(files))
        )
    )

    done = no_cache.run("cron_sync", "--context-list", str(path))

    assert done.status == 1
    assert f"failed: {one.name}: " in done.err
    assert wrong in done.err
    assert one.file_sha1 in done.err
    here = {each.name for each in no_cache.references.iterdir()}
    assert here == {each.name for each in old.files if each.part != "mapping"} - {one.name}


def test_a_list_that_is_not_what_its_context_needs_is_told(no_cache: Cache, path: Path) -> None:
    old = contextlist.read(path)
    gone = next(each for each in old.files if each.name.endswith("_drk.fits"))
    more = contextlist.Listed("references/hst/z0000000j_drk.fits", 1, "0" * 40, "acs/darkfile")
    files = tuple(
        sorted((*(each for each in old.files if each is not gone), more), key=lambda each: each.path)
    )
    path.write_text(
        contextlist.text(contextlist.ContextList(FORMER, "hst", old.server, old.catalogued, old.mode, files))
    )

    done = no_cache.run("cron_sync", "--context-list", str(path), "--dry-run")

    assert done.status == 1
    assert f"failed: {gone.name}: the context needs it, but the list does not have it" in done.err
    assert f"failed: {more.name}: the list has it, but the context does not need it" in done.err


def test_what_fails_is_completed_by_the_same_command(no_cache: Cache, path: Path, server: Server) -> None:
    name = next(one.name for one in contextlist.read(path).files if one.name.endswith("_drk.fits"))
    server.faults.add(name, status(404))

    first = no_cache.run("cron_sync", "--context-list", str(path))
    server.faults.clear()
    second = no_cache.run("cron_sync", "--context-list", str(path))

    assert first.status == 0
    assert f"not delivered yet: {name}" in first.out
    assert second.status == 0
    assert hash_of(no_cache) == contextlist.read(path).tree_hash


def test_what_was_begun_by_a_list_a_plain_sync_holds_at_its_context_too(
    no_cache: Cache, path: Path, server: Server
) -> None:
    server.set_default(LATEST)
    server.faults.add(FORMER, status(500))
    first = no_cache.run("cron_sync", "--context-list", str(path))
    has_configuration = (no_cache.config / "server_config").exists()
    server.faults.clear()

    plain = no_cache.run("cron_sync")

    assert (first.status, has_configuration) == (1, False)
    assert (plain.status, no_cache.default()) == (0, FORMER)


def cut(text: str) -> str:
    return text[: len(text) // 2]


def leads_out(text: str) -> str:
    return text.replace("references/hst/", "references/hst/../../../", 2)


@pytest.mark.parametrize("spoil", [cut, leads_out, lambda _: ""])
def test_a_hostile_or_cut_list_is_usage_with_its_line_and_nothing_is_written(
    no_cache: Cache, path: Path, spoil: Callable[[str], str]
) -> None:
    path.write_text(spoil(path.read_text()))

    done = no_cache.run("cron_sync", "--context-list", str(path))

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"cron_sync: {path}, line ")
    assert not no_cache.root.exists()


@pytest.mark.parametrize(
    "words", [("--all",), ("--contexts", LATEST), ("--last", "2"), ("--dataset-ids", "J1:J1"), ("--unpin",)]
)
def test_a_list_stands_beside_no_selection(rules_cache: Cache, path: Path, words: tuple[str, ...]) -> None:
    before = proper(rules_cache)

    done = rules_cache.run("cron_sync", "--context-list", str(path), *words)

    assert (done.status, done.out) == (2, "")
    assert proper(rules_cache) == before


def test_list_of_another_observatory_is_usage(no_cache: Cache, path: Path) -> None:
    no_cache.more["CRDS_OBSERVATORY"] = "jwst"

    done = no_cache.run("cron_sync", "--context-list", str(path))

    assert done.status == 2
    assert done.err == f"cron_sync: {path}, line 3: the list is for hst, the cache for jwst\n"


def test_snakemake_by_hand_brings_what_is_listed_into_a_cache(rules_cache: Cache, path: Path) -> None:
    done = rules_cache.snakemake("--config", f"context_list={path}")

    assert done.status == 0
    assert hash_of(rules_cache) == contextlist.read(path).tree_hash
    assert treehash.of((one.path, one.file_sha1) for one in contextlist.read(path).files) == hash_of(
        rules_cache
    )
