"""What the checks of `cron_sync`, and the targets of snakemake, find out of a cache."""

import hashlib
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crdscache.cache import tables
from crdscache.contexts.records import FileRecord
from demo.content import Content
from demo.deliveries import REJECTED
from demo.server import Server
from tests.caches import FORMER, Cache, Done, finish, listing, proper, start, wait_until
from tests.invariants import check_invariants, references_of

ORPHAN = "n1a0000aj_pfl.fits"


@dataclass(slots=True)
class Defects:
    """What is wrong with a cache, each thing with what a check must say of it."""

    cache: Cache
    server: Server
    by_length: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    by_sum: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, tuple[str, str, str, str]]:
        """Give verdict, expected, found and reason for each name."""
        return self.by_length | self.by_sum

    def of_length(self, name: str, data: bytes) -> None:
        """Put a file of wrong length in the place of a right one."""
        expected, found = self.server.archive.records[name].size_bytes, len(data)
        self._replace(name).write_bytes(data)
        reason = f"references/hst/{name} has {found} bytes, the catalogue says {expected}"
        self.by_length[name] = ("wrong-size", str(expected), str(found), reason)

    def of_kind(self, name: str, kind: str) -> None:
        """Put what is no file there."""
        path = self._replace(name)
        if kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
            (path / "precious").write_bytes(b"somebody's")
        reason = f"references/hst/{name} is not a regular file"
        self.by_length[name] = ("unexpected-kind", "regular file", kind, reason)

    def missing(self, name: str, target: str | None = None) -> None:
        """Take a file away, or put a link there that leads nowhere."""
        path = self._replace(name)
        why = ""
        if target is not None:
            path.symlink_to(target)
            why = ": a loop of links" if target == name else f": a dangling link to {target}"
        self.by_length[name] = ("missing", "", "", f"references/hst/{name} is missing{why}")

    def of_sum(self, name: str, data: bytes) -> None:
        """Put other bytes of the same length and time in the place of right ones."""
        path = self.cache.references / name
        time_ns = path.stat().st_mtime_ns
        self._replace(name).write_bytes(data)
        os.utime(path, ns=(time_ns, time_ns))
        expected, found = self.server.archive.records[name].file_sha1 or "", sha1(data)
        reason = f"references/hst/{name} has the SHA-1 {found}, the catalogue says {expected}, hashed "
        self.by_sum[name] = ("wrong-sum", expected, found, reason)

    def _replace(self, name: str) -> Path:
        path = self.cache.references / name
        path.unlink()
        return path


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def damage(cache: Cache, server: Server) -> Defects:
    """Damage a cache in all ways that there are."""
    found = Defects(cache, server)
    content = server.content
    names = [name for name in sorted(references_of(cache.root, "hst", FORMER)) if name.endswith(".fits")]
    found.of_length(names[0], content(names[0])[:-1])
    found.of_length(names[1], content(names[1]) + b"\0")
    found.of_length(names[2], b"")
    found.missing(names[3])
    found.missing(names[4], str(cache.home / "gone" / names[4]))
    found.missing(names[5], names[5])
    found.of_kind(names[6], "directory")
    found.of_kind(names[7], "pipe")
    found.of_sum("t6k1015aj_bia.fits", flipped(content("t6k1015aj_bia.fits")))
    # Of one length: each is whole, but under the name of the other one.
    found.of_sum("t6k1016aj_drk.fits", content("u9115020j_drk.fits"))
    found.of_sum("u9115020j_drk.fits", content("t6k1016aj_drk.fits"))
    return found


def told(problems: list[dict[str, str]]) -> dict[str, str]:
    """Give the reason of each failure; each file is named once. When it was hashed, nobody knows before."""
    found = [(one["name"], re.sub(r"(hashed ).* UTC", r"\1", one["reason"])) for one in problems]
    assert len(found) == len(dict(found))
    return dict(found)


def reasons(defects: Mapping[str, tuple[str, str, str, str]]) -> dict[str, str]:
    return {name: reason for name, (*_, reason) in defects.items()}


def verdicts(cache: Cache) -> dict[str, tuple[str, str, str]]:
    """Give the table of the last full check: verdict, expected and found for each file."""
    rows = tables.read_verdicts(cache.state / "readers" / "verdicts.tsv")
    assert [row.name for row in rows] == sorted({row.name for row in rows})
    return {row.name: (row.verdict.value, row.expected, row.found) for row in rows}


def lists(cache: Cache) -> list[Path]:
    return sorted((cache.state / "readers" / "hashes").rglob("*.sha1"))


def snakemakes(cache: Cache) -> list[str]:
    """List the runs of the readers' snakemake."""
    return sorted(path.name for path in (cache.state / "readers" / ".snakemake" / "log").glob("*"))


def all_names(cache: Cache) -> set[str]:
    """Name the files that the default context needs."""
    return {path.name for path in cache.mappings.iterdir()} | references_of(cache.root, "hst", FORMER).keys()


def verify_by_hand(cache: Cache) -> Done:
    return cache.snakemake("-s", "readers.smk", "-d", str(cache.state / "readers"), "verify")


def test_D12_D13_D14_D15_each_check_finds_what_it_claims_to_and_nothing_else(
    whole_cache: Cache, server: Server
) -> None:
    defects = damage(whole_cache, server)
    before = listing(whole_cache.home)

    dry_by_length = whole_cache.run("cron_sync", "--check-files", "--dry-run", "--json")
    dry_by_sum = whole_cache.run("cron_sync", "--check-sha1sum", "--dry-run", "--json")
    after_dry = listing(whole_cache.home)
    by_length = whole_cache.run("cron_sync", "--check-files", "--json")
    by_sum = whole_cache.run("cron_sync", "--check-sha1sum", "--json")
    started = snakemakes(whole_cache)
    again = whole_cache.run("cron_sync", "--check-sha1sum", "--json")

    all_files = all_names(whole_cache)
    counts = Counter(verdict for verdict, *_ in defects.all.values())
    n_ok = len(all_files) - len(defects.all)
    assert (by_length.status, by_sum.status) == (1, 1)
    assert told(by_length.data["failures"]) == reasons(defects.by_length)
    n_by_length = {key: n for key, n in counts.items() if key != "wrong-sum"}
    assert by_length.data["verdicts"] == n_by_length | {"ok": n_ok + counts["wrong-sum"]}
    verification = by_sum.data["verification"]
    assert (by_sum.data["failures"], verification["status"]) == ([], 1)
    assert told(verification["failures"]) == reasons(defects.all)
    assert verification["verdicts"] == counts | {"ok": n_ok}
    assert verification["n_files"] == {"hashed": n_ok + counts["wrong-sum"]}
    right = dict.fromkeys(all_files, ("ok", "", ""))
    assert verdicts(whole_cache) == right | {name: what[:3] for name, what in defects.all.items()}
    # Of what was read and did not change since the verdict is known.
    assert (again.status, again.err, len(started), snakemakes(whole_cache)) == (1, "", 1, started)
    assert again.data["verification"] == verification | {
        "n_files": {"hashed": 0},
        "size_bytes": {"hashed": 0},
    }
    assert (dry_by_length.status, dry_by_sum.status, after_dry) == (1, 1, before)
    assert told(dry_by_length.data["failures"]) == reasons(defects.by_length)
    assert told(dry_by_sum.data["failures"]) == reasons(defects.all)
    assert dry_by_sum.data["verdicts"] == verification["verdicts"]
    # Nothing was replaced, nor removed.
    untouched = {path: what for path, what in before.items() if path.startswith(str(whole_cache.references))}
    assert listing(whole_cache.references).items() >= untouched.items()
    known = [path.read_text().splitlines() for path in lists(whole_cache)]
    assert sum(map(len, known)) == n_ok + counts["wrong-sum"]


def test_D12_loop_of_links_is_a_missing_file_in_a_cache_too_that_does_not_say_its_layout(
    rules_cache: Cache,
) -> None:
    """Such a cache was made by hand: the layout is told from what lies there."""
    wanted = references_of(rules_cache.root, "hst", FORMER)
    rules_cache.references.mkdir(parents=True)
    loop = rules_cache.references / min(wanted)
    loop.symlink_to(loop.name)

    done = rules_cache.run("cron_sync", "--fetch-references", "--dry-run", "--json")

    assert (done.status, done.err) == (0, "")
    assert done.data["fetch_references"] == len(wanted)


def test_D31_nothing_is_wrong_with_a_right_cache_and_its_lists_are_what_sha1sum_reads(
    whole_cache: Cache, server: Server
) -> None:
    """Without a server, too, by the saved configuration; nor do times matter."""
    for number, path in enumerate(sorted(whole_cache.references.iterdir())):
        os.utime(path, ns=(-(10**18), -(10**18)) if number % 2 else (4 * 10**18, 4 * 10**18))
    before = listing(whole_cache.references)

    both = whole_cache.run("cron_sync", "--check-files", "--check-sha1sum", "--json")
    sums = [
        finish(start(["sha1sum", "--strict", "-c", path], {"PATH": "/usr/bin:/bin"}, cwd=whole_cache.root))
        for path in lists(whole_cache)
    ]
    server.close()
    by_hand = verify_by_hand(whole_cache)
    name = "t6k1016aj_drk.fits"
    damaged = whole_cache.references / name
    data = flipped(damaged.read_bytes())
    damaged.unlink()
    damaged.write_bytes(data)
    damaged_by_hand = verify_by_hand(whole_cache)

    all_files = all_names(whole_cache)
    assert (both.status, both.err, both.data["failures"]) == (0, "", [])
    assert both.data["verification"]["verdicts"] == {"ok": len(all_files)}
    assert both.data["verification"]["n_files"] == {"hashed": len(all_files)}
    assert [done.status for done in sums] == [0] * len(sums)
    checked = [line for done in sums for line in done.out.splitlines()]
    places = {"map": "mappings"}
    expected = {f"{places.get(each[-3:], 'references')}/hst/{each}: OK" for each in all_files}
    assert (len(checked), set(checked)) == (len(expected), expected)
    assert by_hand.status == 0
    assert re.search(rf"^total +{len(all_files)} +\d+ +{len(all_files)}$", by_hand.out, re.MULTILINE)
    assert damaged_by_hand.status == 1
    assert f"failed: {name}: references/hst/{name} has the SHA-1 {sha1(data)}" in damaged_by_hand.err
    assert re.search(rf"^wrong-sum +{name} ", damaged_by_hand.out, re.MULTILINE)
    assert verdicts(whole_cache)[name][0] == "wrong-sum"
    assert {path for path, what in before.items() if listing(whole_cache.references)[path] != what} == {
        str(whole_cache.references),
        str(damaged),
    }


def test_check_by_hand_ends_with_1_and_a_table_and_with_0_once_all_is_right(
    whole_cache: Cache, server: Server
) -> None:
    name = "t6k1016aj_drk.fits"
    path = whole_cache.references / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1])

    wrong = whole_cache.snakemake("check")
    path.write_bytes(data)
    before = proper(whole_cache)
    right = whole_cache.snakemake("check")

    n_files = len(all_names(whole_cache))
    assert (wrong.status, right.status) == (1, 0)
    reason = f"references/hst/{name} has {len(data) - 1} bytes, the catalogue says {len(data)}"
    cells = ("wrong-size", name, str(len(data)), str(len(data) - 1), reason)
    assert re.search("^" + " +".join(map(re.escape, cells)) + "$", wrong.out, re.MULTILINE)
    assert f"failed: {name}: {reason}" in wrong.err
    assert re.search(rf"^total +{n_files} +\d+ +{n_files - 1} +1$", wrong.out, re.MULTILINE)
    assert re.search(rf"^total +{n_files} +\d+ +{n_files}$", right.out, re.MULTILINE)
    assert proper(whole_cache) == before
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_what_is_on_tape_or_rejected_or_dark_is_listed_and_neither_wrong_nor_removed(
    whole_cache: Cache, server: Server
) -> None:
    on_tape = "t7h1622ai_drk.fits"
    path = whole_cache.references / on_tape
    path.unlink()
    path.touch()
    os.truncate(path, server.archive.records[on_tape].size_bytes)  # the right length, and no blocks on disk
    rejected = "68v08000j_drk.fits"
    server.archive.change(rejected, is_rejected=True)
    (whole_cache.references / ORPHAN).write_bytes(server.content(ORPHAN))
    (whole_cache.references / REJECTED[0]).write_bytes(server.content(REJECTED[0]))
    (whole_cache.references / "notes.txt").write_bytes(b"ours")
    (whole_cache.mappings / "old").mkdir()
    (whole_cache.mappings / "old" / "hst_0001.pmap").write_bytes(b"")
    before = listing(whole_cache.root / "references", whole_cache.root / "mappings")

    checked = whole_cache.run("cron_sync", "--check-files", "--check-sha1sum", "--json")
    by_length = whole_cache.run("cron_sync", "--check-files", "--json")

    all_files = all_names(whole_cache) - {"old"}
    expected = dict.fromkeys(all_files, "ok") | {on_tape: "offline", rejected: "rejected"}
    expected |= {f"references/hst/{name}": "dark" for name in (ORPHAN, REJECTED[0], "notes.txt")}
    expected |= {"mappings/hst/old": "dark"}
    assert (checked.status, checked.err) == (0, "")
    assert {name: what for name, (what, *_) in verdicts(whole_cache).items()} == expected
    assert checked.data["verification"]["verdicts"] == Counter(expected.values())
    assert checked.data["verification"]["n_files"] == {"hashed": len(all_files) - 1}
    assert (by_length.status, by_length.data["verdicts"]) == (0, Counter(expected.values()))
    assert listing(whole_cache.root / "references", whole_cache.root / "mappings") == before


def test_budget_bounds_what_one_run_reads_and_the_next_ones_go_on(whole_cache: Cache) -> None:
    mappings = sum(path.stat().st_size for path in whole_cache.mappings.iterdir())
    references = sum(path.stat().st_size for path in whole_cache.references.iterdir())
    bound = 6_000_000
    words = ("--check-sha1sum", "--json", "--config", f"verify_budget_gb={bound / 1e9:f}")

    runs = [whole_cache.run("cron_sync", *words).data["verification"] for _ in range(3)]

    n_read = [run["n_files"]["hashed"] for run in runs]
    n_bytes = [run["size_bytes"]["hashed"] for run in runs]
    assert [run["status"] for run in runs] == [0, 0, 0]
    assert bound / 2 < n_bytes[0] - mappings <= bound
    assert n_bytes == [n_bytes[0], mappings + references - n_bytes[0], 0]
    assert (sum(n_read), n_read[2]) == (len(all_names(whole_cache)), 0)
    assert {what for what, *_ in verdicts(whole_cache).values()} == {"ok"}


def session_of(leader: int) -> list[int]:
    """List the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def send(number: signal.Signals, leader: int) -> None:
    """Send a signal to all that a command has started, until each has got it."""
    done: set[int] = set()
    while new := set(session_of(leader)) - done:
        for process in new:
            os.kill(process, number)
        done |= new


@contextmanager
def started(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Leave nothing of a session behind."""
    try:
        yield process
    finally:
        send(signal.SIGKILL, process.pid)
        process.communicate()


def with_large_files(cache: Cache, server: Server) -> list[str]:
    """Make some references so large that it takes a while to read them; gives their names."""
    names = [name for name in sorted(references_of(cache.root, "hst", FORMER)) if name.endswith(".fits")][:8]
    size = 2**28
    first = cache.references / names[0]
    for name in names:
        (cache.references / name).unlink()
    first.write_bytes(b"x" * 4096)  # not all of it is a hole: else it would be taken for offline
    os.truncate(first, size)
    with first.open("rb") as stream:
        total = hashlib.file_digest(stream, "sha1").hexdigest()
    for name in names:
        server.archive.put(Content(name, size, first), FileRecord(name, size, total))
        if name != first.name:
            (cache.references / name).hardlink_to(first)
    return names


def hashed(cache: Cache) -> list[str]:
    """Name what was hashed, in order: in the memory, then in what shards have noted for it."""
    paths = [cache.state / "hashes.tsv", *cache.state.glob("readers/verify/hashes-*.tsv")]
    rows = (line for path in paths if path.exists() for line in path.read_text().splitlines()[2:])
    return [row.partition("\t")[0] for row in rows]


def test_killed_check_goes_on_where_it_was_and_hinders_no_sync_as_long_as_it_lives(
    whole_cache: Cache, server: Server
) -> None:
    large = with_large_files(whole_cache, server)
    assert whole_cache.run("cron_sync", "--fetch-references").status == 0  # the catalogue is another one
    all_files = all_names(whole_cache)
    n_before = len(hashed(whole_cache))

    with started(whole_cache.start("cron_sync", "--check-sha1sum")) as killed:
        wait_until(lambda: set(hashed(whole_cache)[n_before:]) & set(large) != set())
        send(signal.SIGSTOP, killed.pid)
        sync = whole_cache.run("cron_sync", "--fetch-references")
        second = whole_cache.run("cron_sync", "--check-sha1sum", "--verbose")
    read = set(hashed(whole_cache)[n_before:])
    resumed = whole_cache.run("cron_sync", "--check-sha1sum", "--json")

    assert (killed.returncode, sync.status, sync.err) == (-signal.SIGKILL, 0, "")
    assert (second.status, second.err.startswith("cron_sync: a verify is at work already: ")) == (75, True)
    assert set() < read & set(large) < set(large)
    assert (resumed.status, resumed.err) == (0, "")
    assert set(hashed(whole_cache)[n_before + len(read) :]) == all_files - read
    assert resumed.data["verification"]["n_files"] == {"hashed": len(all_files - read)}
    assert resumed.data["verification"]["verdicts"] == {"ok": len(all_files)}
