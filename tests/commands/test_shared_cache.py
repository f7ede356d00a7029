"""Row P18 of the fault matrix: accounts of one group write one cache, and others read it."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, Done, finish, listing, start
from tests.invariants import check_invariants

FIRST, SECOND, STRANGER, GROUP = 12345, 12346, 12347, 12350

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become another user, by setpriv: apt-get install util-linux",
)


@pytest.fixture
def shared(rules_only: Cache, server: Server) -> Iterator[Cache]:
    """Copy a cache to where others can get, and give it to a group; its stamp does not tell of one yet."""
    with tempfile.TemporaryDirectory(prefix="crdscache-test-") as place:
        Path(place).chmod(0o755)
        shutil.copy(rules_only.home / "quick.yaml", place)
        cache = rules_only.copy_to(Path(place) / "cache", server)
        stamp = json.loads((cache.state / "identity.json").read_text())
        del stamp["writers"]
        (cache.state / "identity.json").write_text(json.dumps(stamp))
        for path in (cache.root, *cache.root.rglob("*")):
            os.chown(path, FIRST, GROUP, follow_symlinks=False)
            path.chmod(0o2775 if path.is_dir() else 0o664)
        yield cache


def run_as(user: int, umask: str, group: int, cache: Cache, *words: str) -> Done:
    """Run `cron_sync` as another user.

    They may read everything, as our interpreter may not be theirs to start. Cron gives a home and a name.
    """
    line = ["setpriv", f"--reuid={user}", f"--regid={user}", f"--groups={group}"]
    line += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    line += ["sh", "-c", f'umask {umask}; exec "$0" "$@"']
    environ = {**cache.environ, "HOME": "/nowhere", "LOGNAME": str(user)}
    return finish(start([*line, *cache.line("cron_sync", *words)], environ))


def closed(root: Path) -> list[str]:
    """List what the writers of the group could not replace, or others could not read."""
    found = []
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        wanted = 0o2775 if stat.S_ISDIR(status.st_mode) else 0o664
        if status.st_gid != GROUP or status.st_mode & wanted != wanted:
            found.append(f"{path} {status.st_gid} {status.st_mode:o}")
    return found


def test_P18_members_of_a_group_write_one_cache_by_turns_whatever_their_umask(
    shared: Cache, server: Server
) -> None:
    first = run_as(FIRST, "077", GROUP, shared, "--fetch-references")
    stamp = json.loads((shared.state / "identity.json").read_text())
    after_first = closed(shared.root)
    server.set_default(LATEST)
    second = run_as(SECOND, "022", GROUP, shared, "--fetch-references")

    assert (first.status, first.err, second.status, second.err) == (0, "", 0, "")
    assert stamp["writers"] == {"owner": FIRST, "group": GROUP}
    assert (after_first, closed(shared.root)) == ([], [])
    assert {path.lstat().st_uid for path in shared.root.rglob("*")} == {FIRST, SECOND}
    check_invariants(shared.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("words", [(), ("--pin", FORMER), ("--empty-trash",), ("--purge-mappings",)])
def test_P18_root_or_a_stranger_is_refused_before_any_harm(words: tuple[str, ...], shared: Cache) -> None:
    before = listing(shared.root)

    stranger = run_as(STRANGER, "002", STRANGER, shared, *words)
    root = shared.run("cron_sync", *words)

    expected = f"cron_sync: {shared.root} is written by user {FIRST} or in group {GROUP}; this is user "
    assert (stranger.status, root.status) == (3, 3)
    assert stranger.err.startswith(f"{expected}{STRANGER} in group {STRANGER}, whose files they could")
    assert root.err.startswith(f"{expected}root (0) in group root (0)")
    assert listing(shared.root) == before


def test_P24_state_of_a_newer_version_stops_an_older_one_before_any_harm(shared: Cache) -> None:
    path = shared.state / "identity.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    before = listing(shared.root)

    done = run_as(FIRST, "022", GROUP, shared)

    reason = f"{path}: the state has version 2, this software knows 1: upgrade it"
    assert (done.status, done.err) == (3, f"cron_sync: {reason}\n")
    assert listing(shared.root) == before
