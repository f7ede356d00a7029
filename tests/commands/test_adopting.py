"""References that a site has already, taken over by `cron_sync --adopt` as an operator has it."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crdscache.cache import tables
from demo import faults
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, Done, finish, listing, proper, wait_until
from tests.faults.lab import originals
from tests.invariants import check_invariants, references_of
from tests.locking import writer_lock

FOLDERS = {"acs": "jref", "wfc3": "iref/2009/may", "wfpc2": "uref"}
# What a site has of the GEIS files; the other halves of the last three were lost, or are cut.
PAIRS = {
    "e1b1000du.r3h": "adopted",
    "e1b1000du.r3d": "adopted",
    "e6o0938au.r3h": "adopted",
    "e6o0938au.r3d": "adopted",
    "e1b1001du.r3h": "half of a pair",
    "e3a1100au.r4d": "half of a pair",
    "e3a1100bu.r4h": "wrong size",
    "e3a1100bu.r4d": "half of a pair",
}
LOST = {"e1b1001du.r3d", "e3a1100au.r4h", "e3a1100cu.r4h", "e3a1100cu.r4d", "e2b1215au.r0h", "e2b1215au.r0d"}
ORPHAN = "n1a0000aj_pfl.fits"


@dataclass(slots=True)
class Tree:
    """A tree of a site, made by hand: its files have a past, and are not all what their names say."""

    root: Path
    server: Server
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)  # by path: name, and what is made of it
    wrong: dict[str, Path] = field(default_factory=dict)  # of the right length, but with other bytes

    def put(self, where: str, data: bytes, sighting: str, name: str | None = None) -> Path:
        """Write a file as it was written long ago."""
        path = self.root / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o440)
        os.utime(path, ns=(10**18, 10**18 + len(self.seen)))
        self.seen[str(path)] = (path.name if name is None else name, sighting)
        return path

    def named(self, sighting: str) -> set[str]:
        """Name the files of which this is made."""
        return {name for name, what in self.seen.values() if what == sighting}


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def legacy_tree(cache: Cache, server: Server) -> Tree:
    """Make a tree where half of what the default context needs is right."""
    tree = Tree(cache.home / "cdbs", server)
    wanted = references_of(cache.root, "hst", FORMER)
    for number, name in enumerate(sorted(wanted.keys() - PAIRS.keys() - LOST)):
        place, data = FOLDERS[wanted[name][0]], server.content(name)
        match number % 5:
            case 0 | 1:
                tree.put(f"{place}/{name}", data, "adopted")
            case 2:
                tree.put(f"{place}/{name.upper()}", data, "adopted", name)
            case 3:
                tree.put(f"{place}/{name}", data[:-1], "wrong size")
            case _:
                tree.wrong[name] = tree.put(f"{place}/{name}", flipped(data), "adopted")
    for name, sighting in PAIRS.items():
        tree.put(f"uref/{name}", server.content(name)[sighting == "wrong size" :], sighting)
    tree.put("uref/more/e6o0938au.r3d", server.content("e6o0938au.r3d"), "duplicate")
    tree.put(f"jref/{ORPHAN}", server.content(ORPHAN), "not wanted")
    tree.put("jref/README", b"reference files", "not in the catalogue")
    os.mkfifo(tree.root / "jref" / "t6k1016aj_drk.fits.lock")
    tree.seen[str(tree.root / "jref" / "t6k1016aj_drk.fits.lock")] = ("t6k1016aj_drk.fits.lock", "unreadable")
    return tree


def adoption(cache: Cache) -> dict[str, tuple[str, str]]:
    """Give the table of all files that were seen."""
    rows = tables.read_sightings(cache.state / "adoption.tsv")
    assert [row.path for row in rows] == sorted({row.path for row in rows})
    return {row.path: (row.name, row.sighting.value) for row in rows}


def counted(seen: dict[str, tuple[str, str]]) -> dict[str, int]:
    return Counter(sighting for _, sighting in seen.values())


def fetched(server: Server) -> set[str]:
    """Name the references that were asked for."""
    asked = (what.removeprefix("GET ") for what in server.requests if what.startswith("GET "))
    return {name for name in asked if not name.endswith("map")}


def failures(done: Done) -> dict[str, str]:
    """Give the failures of a run, each file once."""
    told = [(problem["name"], problem["reason"]) for problem in done.data["failures"]]
    assert len(told) == len(dict(told))
    return dict(told)


def size_of(server: Server, names: set[str]) -> int:
    return sum(server.archive.records[name].size_bytes for name in names)


def test_a_legacy_tree_is_taken_over_as_the_dry_run_told_and_is_never_written_to(
    rules_cache: Cache, server: Server
) -> None:
    tree = legacy_tree(rules_cache, server)
    wanted = set(references_of(rules_cache.root, "hst", FORMER))
    taken = tree.named("adopted")
    past = originals(tree.root)
    words = ("--fetch-references", "--adopt", str(tree.root), "--adopt-mode", "hardlink", "--json")

    with writer_lock(rules_cache):
        before = listing(rules_cache.home)
        dry = rules_cache.run("cron_sync", *words, "--dry-run")
        after_dry = listing(rules_cache.home)
    server.requests.clear()
    done = rules_cache.run("cron_sync", *words)
    after = proper(rules_cache), listing(tree.root)
    again = rules_cache.run("cron_sync", *words)

    assert (dry.status, dry.err, after_dry) == (0, "", before)
    told = dry.data
    numbers = {
        key: told[key] for key in ("adopt", "adopt_bytes", "fetch_references", "fetch_references_bytes")
    }
    assert numbers == {
        "adopt": len(taken),
        "adopt_bytes": size_of(server, taken),
        "fetch_references": len(wanted - taken),
        "fetch_references_bytes": size_of(server, wanted - taken),
    }
    assert told["seen"] == counted(tree.seen)
    assert (done.status, done.err) == (0, "")
    n_mappings = len(list(rules_cache.mappings.iterdir()))
    assert done.data["n_files"] == {
        "kept": n_mappings,
        "adopted": told["adopt"],
        "fetched": told["fetch_references"],
    }
    assert done.data["size_bytes"] == {
        "kept": 0,
        "adopted": told["adopt_bytes"],
        "fetched": told["fetch_references_bytes"],
    }
    assert done.data["n_seen"] == told["seen"]
    assert fetched(server) == wanted - taken
    assert adoption(rules_cache) == tree.seen
    linked = {name: path for path, (name, what) in tree.seen.items() if what == "adopted"}
    assert all((rules_cache.references / name).samefile(path) for name, path in linked.items())
    assert (again.status, again.err, again.data["n_seen"]) == (0, "", {})
    assert (proper(rules_cache), listing(tree.root)) == after
    check_invariants(rules_cache.root, "hst", server, is_clean=True, apart_from=tree.wrong)

    checked = rules_cache.run("cron_sync", "--check-sha1sum")

    named = sorted(line.split(": ")[1] for line in checked.err.splitlines() if line.startswith("failed: "))
    assert (checked.status, named) == (1, sorted(tree.wrong))
    assert originals(tree.root) == past


def test_D24_with_sums_what_is_wrong_never_gets_its_name_and_another_copy_or_the_server_has_it(
    rules_cache: Cache, server: Server
) -> None:
    tree = legacy_tree(rules_cache, server)
    second, *others = sorted(tree.wrong)
    good = tree.put(f"old/{second}", server.content(second), "adopted")
    for name, path in tree.wrong.items():
        tree.seen[str(path)] = (name, "wrong sum")
    taken, past = tree.named("adopted"), originals(tree.root)
    words = ("--fetch-references", "--check-sha1sum", "--adopt", str(tree.root), "--adopt-mode", "hardlink")

    done = rules_cache.run("cron_sync", *words, "--json")

    reasons = {row.name: row.reason for row in tables.read_sightings(rules_cache.state / "adoption.tsv")}
    assert (done.status, done.err) == (0, "")
    assert adoption(rules_cache) == tree.seen
    assert fetched(server) == set(references_of(rules_cache.root, "hst", FORMER)) - taken >= set(others)
    assert (rules_cache.references / second).samefile(good)
    assert not any((rules_cache.references / name).samefile(tree.wrong[name]) for name in others)
    assert reasons[others[0]].endswith(f", the catalogue says {server.archive.records[others[0]].file_sha1}")
    # What was summed as it came is not read again.
    n_mappings = len(list(rules_cache.mappings.iterdir()))
    assert done.data["verification"]["n_files"] == {"hashed": n_mappings}
    assert done.data["verification"]["verdicts"] == {"ok": n_mappings + len(fetched(server) | taken)}
    assert originals(tree.root) == past
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_D20_original_that_is_edited_while_the_run_goes_on_is_not_taken_for_what_was_summed(
    rules_cache: Cache, server: Server
) -> None:
    """The run is still waiting for the server when somebody writes through the link that it has made."""
    late, name = "t6k1016aj_drk.fits", "t6k1015aj_bia.fits"
    tree = Tree(rules_cache.home / "cdbs", server)
    path = tree.put(name, server.content(name), "adopted")
    server.faults.add(late, faults.delay(0.5), times=1)
    words = ("--fetch-references", "--adopt", str(tree.root), "--adopt-mode", "hardlink")

    process = rules_cache.start("cron_sync", *words, "--config", "adopt_sums=true")
    try:
        wait_until(lambda: server.requests[f"GET {late}"] > 0)
        with path.open("rb+") as stream:
            stream.write(b"edited")
    finally:
        done = finish(process)
    checked = rules_cache.run("cron_sync", "--check-sha1sum", "--json")

    assert (done.status, done.err) == (0, "")
    assert (rules_cache.references / name).samefile(path)
    assert checked.status == 1
    assert [problem["name"] for problem in checked.data["verification"]["failures"]] == [name]


def test_what_trees_do_not_have_comes_later_from_other_trees_or_from_the_server(
    rules_cache: Cache, server: Server
) -> None:
    """Without `--fetch-references` nothing is fetched: what only a wrong file is there for is named."""
    tree = legacy_tree(rules_cache, server)
    more = Tree(rules_cache.home / "more", server)
    late = sorted({*tree.wrong, *tree.named("wrong size")} - PAIRS.keys())[:3]
    for name in late:
        more.put(name, server.content(name), "adopted")
    wanted = set(references_of(rules_cache.root, "hst", FORMER))
    first = tree.named("adopted") - tree.wrong.keys()
    past = originals(tree.root) | originals(more.root)

    words = ("--adopt", str(tree.root), "--adopt-mode", "copy", "--json")
    adopted = rules_cache.run("cron_sync", *words)
    had, asked = {path.name for path in rules_cache.references.iterdir()}, fetched(server)
    site = rules_cache.home / "quick.yaml"
    site.write_text(f"{site.read_text()}adopt: [{more.root}]\nadopt_mode: copy\n")
    completed = rules_cache.run("cron_sync", "--fetch-references", "--json")
    idle = rules_cache.run("cron_sync", "--fetch-references", "--json")

    assert (adopted.status, asked, had) == (1, set(), first)
    assert failures(adopted).keys() == tree.wrong.keys()
    for name, path in tree.wrong.items():
        expected = rf"no tree has a right one; {path}: its SHA-1 is "
        assert failures(adopted)[name].startswith(expected)
    assert completed.status == 0
    assert completed.data["n_seen"] == {"adopted": len(late)}
    assert fetched(server) == wanted - first - set(late)
    assert (idle.status, idle.data["n_seen"], idle.data["n_files"].keys()) == (0, {}, {"kept"})
    assert originals(tree.root) | originals(more.root) == past
    copies = {path: path.stat() for path in rules_cache.references.iterdir()}
    assert {(status.st_nlink, path.is_symlink()) for path, status in copies.items()} == {(1, False)}
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_D12_D21_links_count_as_they_are_and_those_whose_tree_went_are_named_and_replaced(
    rules_cache: Cache, server: Server
) -> None:
    """An operator has linked a few by hand before; `--adopt` links the rest in the same way."""
    tree = Tree(rules_cache.home / "cdbs", server)
    wanted = sorted(references_of(rules_cache.root, "hst", FORMER))
    for name in wanted[:20]:
        tree.put(f"ref/{name}", server.content(name), "adopted")
    cut = tree.put(f"ref/{wanted[20]}", server.content(wanted[20])[:-1], "")
    rules_cache.references.mkdir(parents=True)
    for name in (*wanted[:5], cut.name):
        (rules_cache.references / name).symlink_to(tree.root / "ref" / name)
    by_hand = {path: path.lstat().st_ino for path in rules_cache.references.iterdir()}

    linked = rules_cache.run("cron_sync", "--fetch-references", "--adopt", str(tree.root), "--json")
    untouched = {path: path.lstat().st_ino for path in by_hand}
    links = {
        path.name: str(path.readlink()) for path in rules_cache.references.iterdir() if path.is_symlink()
    }
    asked = fetched(server)
    moved = tree.root.rename(rules_cache.home / "moved")
    dangling = rules_cache.run("cron_sync", "--check-files", "--json")
    replaced = rules_cache.run("cron_sync", "--fetch-references", "--json")

    size = server.archive.records[cut.name].size_bytes
    what = f"references/hst/{cut.name} has {size - 1} bytes, the catalogue says {size}"
    assert (linked.status, failures(linked)) == (1, {cut.name: what})
    assert linked.data["n_seen"] == {"adopted": 15, "right already": 5, "wrong size": 1}
    assert links == {name: str(tree.root / "ref" / name) for name in wanted[:21]}
    assert untouched == by_hand
    assert asked == set(wanted[21:])
    assert dangling.status == 1
    assert failures(dangling) == {
        name: f"references/hst/{name} is missing: a dangling link to {target}"
        for name, target in links.items()
    }
    assert dangling.data["verdicts"]["missing"] == len(links)
    assert (replaced.status, failures(replaced), replaced.data["n_files"]["fetched"]) == (0, {}, 21)
    assert not any(path.is_symlink() for path in rules_cache.references.iterdir())
    assert len(list((moved / "ref").iterdir())) == 21
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_D25_trees_that_are_not_there_or_lie_in_the_cache_are_refused_before_anything_is_done(
    whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    (whole_cache.home / "file").touch()
    (whole_cache.home / "link").symlink_to(whole_cache.references)
    good = whole_cache.home / "tree" / "in"
    good.mkdir(parents=True)
    refused = [
        [whole_cache.references],
        [whole_cache.root],
        [whole_cache.home],
        [whole_cache.home / "link"],
        [whole_cache.home / "nowhere"],
        [whole_cache.home / "file"],
        [good, whole_cache.home / "tree"],
    ]

    with writer_lock(whole_cache):  # that would be told first, were the lock asked for
        before = listing(whole_cache.home)
        for trees in refused:
            words = ("--fetch-references", "--adopt", *map(str, trees))
            done = whole_cache.run("cron_sync", *words)
            dry = whole_cache.run("cron_sync", *words, "--dry-run")
            assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
            assert done.err.startswith("cron_sync: adopt: ")
            assert str(trees[-1]) in done.err
            assert (dry.status, dry.out, dry.err) == (2, "", done.err)

        assert listing(whole_cache.home) == before
        assert not server.requests
