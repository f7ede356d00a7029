"""The stages of a cache's life, each to be disturbed at will, and compared with an undisturbed one."""

import ast
import hashlib
import json
import os
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crdscache.workflow import listed, settings
from demo.server import Server
from tests.caches import OBSERVATORY, QUICK, Cache, Done
from tests.faults import tiny
from tests.faults.strikes import Point, Runs
from tests.invariants import check_invariants

# One thread at a time: each run does the same in the same order. In this layout there is more to be made.
_SITE = f"{QUICK}connections: 1\nlayout: instrument\n"
_EVERY = 4
_STAMPS = {"last_refreshed", "last_synced", "updated"}
_SYNC = ("cron_sync", "--fetch-references")
_TREE = "tree"  # below the home of the lab: what the site has had before
# By stage: the command, and the server's default.
_STAGES = {
    "init": (("remote_cache_init", "--last", "2"), tiny.OLD),
    "rules": (("remote_cache_init",), tiny.OLD),
    "sync": (_SYNC, tiny.OLD),
    "switch": (_SYNC, tiny.NEW),
    "rollback": (("cron_sync", "--rollback"), tiny.NEW),
    "list": (("cron_sync", "--context-list", "{home}/list.sha1"), tiny.NEW),
    **{
        f"adopt by {mode}": ((*_SYNC, "--adopt", f"{{home}}/{_TREE}", "--adopt-mode", mode), tiny.OLD)
        for mode in ("symlink", "hardlink", "copy")
    },
    "repair": ((*_SYNC, "--repair-files"), tiny.OLD),
    "past": ((*_SYNC, "--contexts", tiny.PAST, tiny.NEW), tiny.NEW),
    "purge": (("cron_sync", "--purge-mappings", "--purge-references", "--max-purge", "100"), tiny.NEW),
    "restore": (("cron_sync", "--restore", "{run}"), tiny.NEW),
    "empty": (("cron_sync", "--empty-trash"), tiny.NEW),
}
_BEFORE = {
    "sync": "rules",
    "switch": "sync",
    "rollback": "switch",
    "adopt by symlink": "rules",
    "adopt by hardlink": "rules",
    "adopt by copy": "rules",
    "repair": "sync",
    "past": "switch",
    "purge": "past",
    "restore": "purge",
    "empty": "purge",
}
# The command of this stage is what the next plain run does after a kill; else it is the same command.
_PLAIN = {"rollback": "switch"}


@dataclass(frozen=True, slots=True)
class EndState:
    """What must be the same however a cache came to be; the time of day is not in it."""

    files: dict[str, str]  # by path: the sum of a file, the target of a link, nothing of a directory
    config: dict[str, object]
    holdings: object
    switches: list[list[str]]  # from, to
    pinned: tuple[object, object]  # where, and by what


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How a stage goes if nothing happens."""

    points: list[Point]
    end: EndState


class Lab:
    """One cache, at any stage."""

    def __init__(self, home: Path, server: Server, runs: Runs) -> None:
        (home / "quick.yaml").write_text(_SITE)
        self._runs, self._home, self._server = runs, home, server
        self.cache = Cache(home, server, home / "cache")
        self._undisturbed: dict[str, Undisturbed] = {}
        self._originals: dict[str, tuple[object, ...]] = {}

    def undisturbed(self, stage: str) -> Undisturbed:
        """Run a stage as it should go, once; what it leaves is what the next stage finds."""
        if stage not in self._undisturbed:
            if stage in _BEFORE:
                self.undisturbed(_BEFORE[stage])
            if stage == "list":
                self._make_list()
            self.begin(stage)
            done, points = self.trace(stage)
            assert done.status == 0, done
            self.check(is_clean=True)
            self._undisturbed[stage] = Undisturbed(points, end_state(self.cache))
            self.keep(stage)
        return self._undisturbed[stage]

    def begin(self, stage: str) -> None:
        """Put all back to how a stage finds it."""
        self._server.set_default(_STAGES[stage][1])
        self.put_back(_BEFORE.get(stage, "nothing"))
        self._make_tree()
        if stage == "repair":
            self._spoil()

    def _make_list(self) -> None:
        """Make the list of the context that is the default after the first sync."""
        self.undisturbed("sync")
        self.put_back("sync")
        resolved = settings.resolve({}, self.cache.environ)
        config = settings.typed({key: setting.value for key, setting in resolved.items()})
        assert listed.record(config, tiny.OLD, self._home / "list.sha1") == ()

    def _make_tree(self) -> None:
        """Make the tree of a site: all but one of the references, and a wrong one."""
        tree = self._home / _TREE
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "jref").mkdir(parents=True)
        archive = self._server.archive
        for name in tiny.IN_THE_TREE:
            (tree / "jref" / name).write_bytes(archive.contents[name].read())
        (tree / "jref" / tiny.CUT).write_bytes(archive.contents[tiny.CUT].read()[:-1])
        self._originals = originals(tree)

    def _spoil(self) -> None:
        """Spoil files of the cache: one is a link to an original, one a hard link, one a mapping."""
        acs, wfpc2 = (self.cache.references / instrument for instrument in ("acs", "wfpc2"))
        tree = self._home / _TREE / "jref"
        (acs / tiny.CUT).unlink()
        (acs / tiny.CUT).symlink_to(tree / tiny.CUT)
        (wfpc2 / tiny.HEADER).unlink()
        (wfpc2 / tiny.HEADER).hardlink_to(tree / tiny.CUT)
        mapping = self.cache.mappings / tiny.RMAP
        mapping.write_bytes(mapping.read_bytes() + b"# damaged\n")
        self._originals = originals(tree.parent)

    def keep(self, name: str) -> None:
        """Remember how the cache is."""
        shutil.copytree(self.cache.root, self._home / name, symlinks=True, dirs_exist_ok=True)

    def put_back(self, name: str) -> None:
        """Make the cache as it was kept."""
        shutil.rmtree(self.cache.root, ignore_errors=True)
        if (self._home / name).exists():
            shutil.copytree(self._home / name, self.cache.root, symlinks=True)

    def _line(self, stage: str) -> list[str]:
        runs = [path.name for path in (self.cache.state / "trash").glob("*")]
        if stage == "restore" and not runs:  # all is back
            stage = "past"
        return [word.format(home=self._home, run=runs[0] if runs else "") for word in _STAGES[stage][0]]

    def run(self, stage: str, *, seed: int = 1) -> Done:
        """Run a stage's command."""
        return self._runs.run(self._line(stage), self.cache.environ, seed=seed)

    def trace(self, stage: str, *, seed: int = 0) -> tuple[Done, list[Point]]:
        """Run a stage's command, and list what could be struck."""
        return self._runs.trace(self._line(stage), self.cache.environ, self.cache.root, seed=seed)

    def strike(self, stage: str, point: Point, how: str, *, seed: int = 0) -> Done:
        """Run a stage's command with something happening to it."""
        return self._runs.strike(self._line(stage), self.cache.environ, point, how, seed=seed)

    def delay(self, stage: str, calls: Sequence[str], places: Iterable[str], how: str) -> Done:
        """Run a stage's command with some calls on some paths taking long."""
        named = ",".join(calls)
        words = [word for place in places for word in ("-P", place)]
        words += ["-e", f"trace={named}", "-e", f"inject={named}:{how}", "-o", os.devnull]
        return self._runs.run(self._line(stage), self.cache.environ, seed=0, strace=words)

    def check(self, *, is_clean: bool = False) -> None:
        """Make sure that the invariants hold."""
        apart_from = () if is_clean else tiny.SPOILT
        check_invariants(self.cache.root, OBSERVATORY, self._server, is_clean=is_clean, apart_from=apart_from)
        assert originals(self._home / _TREE) == self._originals, "I4: an original was written to"

    def recover(self, stage: str) -> None:
        """Make sure that the invariants hold, and that one plain run makes all as if nothing had happened.

        Where that is another command, it completes what had begun; what had not, the same command does then.
        """
        plain = _PLAIN.get(stage, stage)
        self.check()
        self._go_on(plain)
        if plain != stage and end_state(self.cache) == self.undisturbed(plain).end:
            self._go_on(stage)
        assert end_state(self.cache) == self.undisturbed(stage).end

    def _go_on(self, stage: str) -> None:
        # Only a sync looks for what killed runs have left.
        for each in (stage, "switch") if stage in {"restore", "empty"} else (stage,):
            done = self.run(each)
            assert done.status == 0, done
        self.check(is_clean=True)


def originals(tree: Path) -> dict[str, tuple[object, ...]]:
    """Tell of each file of a tree what may never change: content, mode, owner, time."""
    found: dict[str, tuple[object, ...]] = {}
    for path in tree.rglob("*"):
        status = path.stat()
        content = hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (content, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
    return found


def swept(points: list[Point], chunk: int, n_chunks: int) -> list[Point]:
    """Choose the points of one test: all of the cache proper, one in four of the state.

    With CRDSCACHE_FULL_SWEEP set, all of both.
    """
    if not os.environ.get("CRDSCACHE_FULL_SWEEP"):
        of_state = [point for point in points if "/.crdscache/" in point.path]
        left_out = {*of_state} - {*of_state[random.Random(len(points)).randrange(_EVERY) :: _EVERY]}
        points = [point for point in points if point not in left_out]
    points = points[chunk::n_chunks]
    print(f"{len(points)} points")  # noqa: T201
    return points


@contextmanager
def opened(home: Path) -> Iterator[Lab]:
    """Open the lab, with a server of its own."""
    with tiny.serve() as server, Runs(home) as runs:
        yield Lab(home, server, runs)


def end_state(cache: Cache) -> EndState:
    """Read what came of a cache."""
    places = (cache.mappings, cache.references, cache.config)
    files = {path.relative_to(cache.root): path for place in places for path in place.rglob("*")}
    config = files.pop((cache.config / "server_config").relative_to(cache.root))
    saved = ast.literal_eval(config.read_text())
    stamp = json.loads((cache.state / "identity.json").read_text())
    _, _, *switches = (cache.state / "switches.tsv").read_text().splitlines()
    return EndState(
        {str(name): _content(path) for name, path in files.items()},
        {key: value for key, value in saved.items() if key not in _STAMPS},
        stamp["holdings"],
        [row.split("\t")[1:3] for row in switches],
        (stamp["pinned"], stamp["pinned_by"]),
    )


def _content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return "" if path.is_dir() else hashlib.sha1(path.read_bytes()).hexdigest()
