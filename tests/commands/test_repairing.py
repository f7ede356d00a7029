"""Wrong files, replaced by `cron_sync --repair-files`: the good copy first, and never without being asked."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from crdscache.cache import tables, trash
from demo import faults
from demo.server import Server
from tests.caches import FORMER, Cache, Done, proper
from tests.faults.lab import originals
from tests.invariants import check_invariants, closure, references_of
from tests.readers import SafeBestrefs
from tests.written import mapping

BIAS, DARK, FORMER_DARK = "t6k1015aj_bia.fits", "u9115020j_drk.fits", "t6k1016aj_drk.fits"
RMAP, RMAP_OF_BIAS = "hst_wfc3_idctab_0001.rmap", "hst_acs_biasfile_0002.rmap"


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def put(path: Path, data: bytes) -> bytes:
    """Write a new file in the place of what is there; gives its bytes."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return data


def reasons(done: Done) -> dict[str, str]:
    """Give the failures of a run, each file once."""
    told = [(problem["name"], problem["reason"]) for problem in done.data["failures"]]
    assert len(told) == len(dict(told))
    return dict(told)


class Trashed(NamedTuple):
    """One thing in the trash."""

    kept: Path
    where: str
    why: str
    sums: tuple[str, str]  # by the catalogue, and as it was found


def trashed(cache: Cache) -> dict[str, Trashed]:
    """Tell of each thing in the trash; there is nothing without a line, nor a line for nothing."""
    found = {}
    for table in (cache.state / "trash").glob(f"*/{trash.TABLE}"):
        directory = table.parent
        lines = list(tables.read(table, "trash", trash.COLUMNS))
        names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
        assert sorted(names - {table.name}) == sorted(line[1] for line in lines)
        for _, name, where, why, expected, summed in lines:
            assert name not in found
            found[name] = Trashed(directory / name, where, why, (expected, summed))
    return found


def all_names(cache: Cache) -> set[str]:
    """Name the files that the default context needs."""
    return closure(cache.mappings, FORMER) | references_of(cache.root, "hst", FORMER).keys()


def fetched(server: Server) -> set[str]:
    """Name the files that were asked for."""
    return {what.removeprefix("GET ") for what in server.requests if what.startswith("GET ")}


def test_D12_D13_D14_D15_all_that_the_checks_have_found_is_replaced_and_kept_in_the_trash(
    whole_cache: Cache, server: Server, bestrefs: SafeBestrefs, data_sets: Path
) -> None:
    names = [name for name in sorted(references_of(whole_cache.root, "hst", FORMER)) if name.endswith("fits")]
    cut, empty, missing, dangling, loop, folder, pipe, *_ = names
    place = {name: whole_cache.references / name for name in names} | {RMAP: whole_cache.mappings / RMAP}
    good = {name: path.read_bytes() for name, path in place.items()}
    bad = {
        cut: put(place[cut], good[cut][:-1]),
        empty: put(place[empty], b""),
        BIAS: put(place[BIAS], flipped(good[BIAS])),
        DARK: put(place[DARK], good[FORMER_DARK]),
        FORMER_DARK: put(place[FORMER_DARK], good[DARK]),
        RMAP: put(place[RMAP], good[RMAP].replace(b"2009-05-11", b"2009-05-12")),
    }
    for name in (missing, dangling, loop, folder, pipe):
        place[name].unlink()
    place[dangling].symlink_to(whole_cache.home / "gone")
    place[loop].symlink_to(loop)
    place[folder].mkdir()
    (place[folder] / "precious").write_bytes(b"somebody's")
    os.mkfifo(place[pipe])

    before = whole_cache.run("cron_sync", "--check-sha1sum", "--json")
    server.requests.clear()
    repaired = whole_cache.run("cron_sync", "--repair-files", "--json")
    asked = fetched(server)
    after = whole_cache.run("cron_sync", "--check-files", "--check-sha1sum", "--json")

    wrong = {*bad, missing, dangling, loop, folder, pipe}
    assert (before.status, {one["name"] for one in before.data["verification"]["failures"]}) == (1, wrong)
    assert (repaired.status, repaired.err, reasons(repaired), asked) == (0, "", {}, wrong)
    # What a dangling link stands for is missing: there is nothing to be kept.
    gone = {missing, dangling, loop}
    assert repaired.data["n_files"] == {
        "kept": len(all_names(whole_cache)) - len(wrong),
        "repaired": len(wrong - gone),
        "fetched": len(gone),
    }
    assert (after.status, after.err) == (0, "")
    assert after.data["verification"]["verdicts"] == {"ok": len(all_names(whole_cache))}
    assert {name: path.read_bytes() for name, path in place.items()} == good
    kept = trashed(whole_cache)
    found = {name: sha1(data) for name, data in bad.items()} | {folder: "", pipe: ""}
    assert {name: one.sums for name, one in kept.items()} == {
        name: (server.archive.records[name].file_sha1, summed) for name, summed in found.items()
    }
    for name, one in kept.items():
        assert one.where == str(place[name].relative_to(whole_cache.root))
        assert one.why.startswith(one.where)
    assert {name: kept[name].kept.read_bytes() for name in bad} == bad
    assert (kept[folder].kept / "precious").read_bytes() == b"somebody's"
    assert kept[pipe].kept.is_fifo()
    check_invariants(whole_cache.root, "hst", server, is_clean=True)
    assert bestrefs("--files", *data_sets.iterdir(), root=whole_cache.root).status == 0


def test_all_in_one_command_ends_with_0_when_all_is_right_by_then(whole_cache: Cache, server: Server) -> None:
    """A reference that only a damaged mapping names is found out after that has been repaired."""
    path = {name: whole_cache.references / name for name in (BIAS, DARK, FORMER_DARK)}
    path[RMAP_OF_BIAS] = whole_cache.mappings / RMAP_OF_BIAS
    good = {name: one.read_bytes() for name, one in path.items()}
    put(path[BIAS], flipped(good[BIAS]))
    put(path[DARK], flipped(good[DARK]))
    put(path[FORMER_DARK], good[FORMER_DARK][:-1])
    put(path[RMAP_OF_BIAS], good[RMAP_OF_BIAS] + b"# mine\n")

    words = ("--check-files", "--check-sha1sum", "--repair-files")
    done = whole_cache.run("cron_sync", *words, "--json")
    before = proper(whole_cache)
    again = whole_cache.run("cron_sync", *words)

    verification = done.data["verification"]
    n_ok = len(all_names(whole_cache)) - 2
    assert (done.status, done.data["failures"]) == (0, [])
    assert (verification["status"], verification["verdicts"]) == (1, {"ok": n_ok, "wrong-sum": 2})
    assert {one["name"] for one in verification["failures"]} == {BIAS, DARK}
    assert {name: one.read_bytes() for name, one in path.items()} == good
    assert trashed(whole_cache).keys() == good.keys()
    assert (again.status, again.err, proper(whole_cache)) == (0, "", before)
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_D11_D20_D22_originals_behind_links_stay_as_they_are_whatever_is_repaired(
    rules_cache: Cache, server: Server
) -> None:
    """One is edited after it was taken over by a hard link, one was wrong already behind a link by hand."""
    tree = rules_cache.home / "cdbs"
    tree.mkdir()
    for name in references_of(rules_cache.root, "hst", FORMER):
        (tree / name).write_bytes(server.content(name))
    put(tree / DARK, flipped(server.content(DARK)))
    rules_cache.references.mkdir(parents=True)
    (rules_cache.references / DARK).symlink_to(tree / DARK)
    words = ("--fetch-references", "--adopt", str(tree), "--adopt-mode", "hardlink")
    adopted = rules_cache.run("cron_sync", *words)
    with (tree / BIAS).open("rb+") as stream:
        stream.write(b"edited")
    (tree / FORMER_DARK).write_bytes(b"edited, too")
    past = originals(tree)

    repaired = rules_cache.run("cron_sync", "--check-sha1sum", "--repair-files", "--json")

    wrong = {BIAS, DARK, FORMER_DARK}
    assert (adopted.status, adopted.err) == (0, "")
    assert (repaired.status, reasons(repaired)) == (0, {})
    assert originals(tree) == past
    assert (tree / BIAS).read_bytes().startswith(b"edited")
    for name in wrong:
        path = rules_cache.references / name
        assert (path.is_symlink(), path.samefile(tree / name)) == (False, False)
        assert path.read_bytes() == server.content(name)
    assert all(
        path.samefile(tree / path.name) for path in rules_cache.references.iterdir() if path.name not in wrong
    )
    kept = {name: one.kept for name, one in trashed(rules_cache).items()}
    assert kept.keys() == wrong
    assert kept[DARK].readlink() == tree / DARK
    assert kept[BIAS].samefile(tree / BIAS)
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_without_a_good_copy_the_bad_one_stays_and_a_tree_may_have_one_that_no_server_has(
    whole_cache: Cache, server: Server
) -> None:
    """Nor does a run replace anything that was not told to."""
    tree = whole_cache.home / "cdbs"
    tree.mkdir()
    path = {name: whole_cache.references / name for name in (BIAS, DARK, FORMER_DARK)}
    path[RMAP] = whole_cache.mappings / RMAP
    good = {name: one.read_bytes() for name, one in path.items()}
    for name in (BIAS, DARK, FORMER_DARK):
        (tree / name).write_bytes(good[name])
    for name, one in path.items():
        put(one, good[name][:-1])
    inodes = {name: one.stat().st_ino for name, one in path.items()}
    server.faults.add(BIAS, faults.status(404))
    server.faults.add(DARK, faults.reset())
    server.faults.add(FORMER_DARK, faults.flip())
    server.faults.add(RMAP, faults.status(404))

    plain = whole_cache.run("cron_sync", "--fetch-references", "--check-files", "--json")
    asked = fetched(server)
    failed = whole_cache.run("cron_sync", "--repair-files", "--json")
    still = {name: one.stat().st_ino for name, one in path.items()}
    is_trash = (whole_cache.state / "trash").exists()
    server.requests.clear()
    again = whole_cache.run("cron_sync", "--repair-files", "--adopt", str(tree), "--json")

    assert (plain.status, asked, set(reasons(plain))) == (1, set(), set(path))
    assert (failed.status, still, is_trash) == (1, inodes, False)
    stays = "; it stays, as no good copy could be had: "
    causes = {BIAS: "404", DARK: "reset by peer", FORMER_DARK: "SHA-1", RMAP: "404"}
    for name, cause in causes.items():
        what, said, why = reasons(failed)[name].partition(stays)
        assert what.endswith(f"/{name} has {len(good[name]) - 1} bytes, the catalogue says {len(good[name])}")
        assert (said, cause in why) == (stays, True)
    assert (again.status, set(reasons(again)), fetched(server)) == (1, {RMAP}, {RMAP})
    assert again.data["n_files"]["repaired"] == 3
    assert {name: path[name].read_bytes() for name in good} == good | {RMAP: good[RMAP][:-1]}
    assert trashed(whole_cache).keys() == {BIAS, DARK, FORMER_DARK}
    check_invariants(whole_cache.root, "hst", server, is_clean=True, apart_from=[RMAP])


def test_S23_changed_content_is_an_error_or_followed_as_the_setting_says_and_damage_never_is(
    whole_cache: Cache, server: Server
) -> None:
    path = {name: whole_cache.references / name for name in (BIAS, DARK, FORMER_DARK)}
    old = {name: one.read_bytes() for name, one in path.items()}
    damaged = put(path[FORMER_DARK], flipped(old[FORMER_DARK]))
    known = whole_cache.run("cron_sync", "--check-sha1sum")
    new = {BIAS: flipped(old[BIAS]), DARK: old[DARK] + bytes(2880)}
    for name, data in new.items():
        server.add_file(name, data)
    inodes = {name: one.stat().st_ino for name, one in path.items()}

    named = whole_cache.run("cron_sync", "--fetch-references", "--json")
    still = {name: one.stat().st_ino for name, one in path.items()}
    words = ("--fetch-references", "--json", "--config", "on_changed_content=replace")
    followed = whole_cache.run("cron_sync", *words)

    assert known.status == 1
    assert (named.status, still, set(reasons(named))) == (1, inodes, set(path))
    told = reasons(named)
    assert (sha1(old[BIAS]) in told[BIAS], sha1(new[BIAS]) in told[BIAS]) == (True, True)
    assert (str(len(old[DARK])) in told[DARK], str(len(new[DARK])) in told[DARK]) == (True, True)
    assert ["the catalogue changed" in told[name] for name in path] == [True, True, False]
    assert (followed.status, set(reasons(followed))) == (1, {FORMER_DARK})
    assert {name: one.read_bytes() for name, one in path.items()} == new | {FORMER_DARK: damaged}
    kept = trashed(whole_cache)
    assert {name: one.sums for name, one in kept.items()} == {
        name: (sha1(data), sha1(old[name])) for name, data in new.items()
    }
    assert {name: one.kept.read_bytes() for name, one in kept.items()} == {name: old[name] for name in new}
    check_invariants(whole_cache.root, "hst", server, is_clean=True, apart_from=[FORMER_DARK])


def test_P08_beside_a_run_that_adopts_or_repairs_another_writer_is_busy(
    rules_cache: Cache, server: Server
) -> None:
    tree = rules_cache.home / "cdbs"
    tree.mkdir()
    (tree / BIAS).write_bytes(server.content(BIAS))
    seen: list[int] = []

    def beside(answer: object) -> object:
        """Run another one in the middle of a question of the first one."""
        server._edits.clear()
        seen.append(rules_cache.run("cron_sync", "--fetch-references").status)
        return answer

    server.override("get_server_info", beside)
    adopting = rules_cache.run("cron_sync", "--adopt", str(tree), "--adopt-mode", "copy", "--json")
    put(rules_cache.references / BIAS, b"")
    server.override("get_server_info", beside)
    repairing = rules_cache.run("cron_sync", "--repair-files", "--json")

    assert seen == [75, 75]
    assert (adopting.status, adopting.data["n_files"]["adopted"]) == (0, 1)
    assert (repairing.status, repairing.data["n_files"]["repaired"]) == (0, 1)
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_repair_by_hand_replaces_what_is_known_to_be_wrong(whole_cache: Cache, server: Server) -> None:
    put(whole_cache.references / BIAS, b"")
    put(whole_cache.references / DARK, b"")
    server.faults.add(DARK, faults.status(404), times=1)

    by_hand = whole_cache.snakemake("repair")
    after = {name: (whole_cache.references / name).stat().st_size for name in (BIAS, DARK)}
    again = whole_cache.snakemake("repair")

    assert (by_hand.status, again.status) == (1, 0)
    assert after == {BIAS: len(server.content(BIAS)), DARK: 0}
    failed = [line for line in by_hand.err.splitlines() if line.startswith("failed: ")]
    assert [line.split(": ")[1] for line in failed] == [DARK]
    assert trashed(whole_cache).keys() == {BIAS, DARK}
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_S18_reference_whose_name_tells_no_instrument_goes_where_its_rmap_belongs(
    rules_cache: Cache, server: Server
) -> None:
    """In a layout by instrument; adopted, checked and repaired, it is looked for in one place."""
    name, rmap = "x1234567z_drk.fits", "hst_wfc3_darkfile_1801.rmap"
    context = {
        "hst_1801.pmap": mapping("hst_1801.pmap", "hst_wfc3_1801.imap"),
        "hst_wfc3_1801.imap": mapping("hst_wfc3_1801.imap", rmap, instrument="wfc3"),
        rmap: mapping(rmap, name, BIAS, instrument="wfc3"),
    }
    data = b"dark" * 1000
    for each, content in (context | {name: data}).items():
        server.add_file(each, content)
    server.set_default("hst_1801.pmap")
    tree = rules_cache.home / "cdbs"
    tree.mkdir()
    (tree / name.upper()).write_bytes(data)
    words = ("--adopt", str(tree), "--adopt-mode", "hardlink", "--config", "layout=instrument")

    adopted = rules_cache.run("cron_sync", "--fetch-references", *words, "--json")
    log = (rules_cache.state / "logs" / "plan.log").read_text()
    path = rules_cache.references / "wfc3" / name
    is_linked = path.samefile(tree / name.upper())
    put(path, b"bad")
    repaired = rules_cache.run("cron_sync", "--repair-files", "--check-files", *words, "--json")

    assert (adopted.status, adopted.data["n_files"]["adopted"], is_linked) == (0, 1, True)
    assert f"placed by the rmap that names it name={name} instrument=wfc3" in log
    assert (repaired.status, repaired.data["n_files"]["repaired"]) == (0, 1)
    assert path.samefile(tree / name.upper())
    assert fetched(server) == {*context, BIAS}
    assert repaired.data["verdicts"] == {"ok": 5, "dark": 15}
    links = {"jref": "acs", "iref": "wfc3"}
    assert {each.name for each in rules_cache.references.iterdir()} == {*links, *links.values()}
    assert {each: str((rules_cache.references / each).readlink()) for each in links} == links
    assert [each.name for each in (rules_cache.references / "acs").iterdir()] == [BIAS]
    check_invariants(rules_cache.root, "hst", server, is_clean=True)
