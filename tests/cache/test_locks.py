import errno
import fcntl
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import layout, locks
from crdscache.cache.layout import Layout
from crdscache.cache.locks import Writer, WriterLock
from crdscache.errors import DiskError, LockedError, LockLostError
from tests.caches import CHECKOUT, listing
from tests.mounts import mounted

SOMEONE, OTHER = 12345, 12346
OTHER_HOST = {
    "host": "elsewhere",
    "pid": 12,
    "started": "2026-01-01 00:00:00",
    "command": "cron_sync",
    "run_id": "a",
}


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    return layout.default_layout(tmp_path, "hst")


def take(cache: Layout) -> WriterLock:
    return WriterLock(cache, "cron_sync", "run")


def is_free(cache: Layout) -> bool:
    """Ask `flock` of util-linux, as other tools' scripts do."""
    line = ["flock", "--nonblock", str(cache.locks / locks.SYNC_LOCK), "true"]
    return subprocess.run(line, check=False).returncode == 0


def card(cache: Layout) -> Path:
    return cache.state / "writer.json"


def leave_card(cache: Layout, *, host: str, age_s: float) -> None:
    card(cache).parent.mkdir(parents=True, exist_ok=True)
    card(cache).write_text(json.dumps({**OTHER_HOST, "host": host}))
    then = time.time() - age_s
    os.utime(card(cache), (then, then))


@contextmanager
def child_with_standard_input(descriptor: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a child that does nothing until it is told to end."""
    line = [sys.executable, "-c", "print(flush=True); import signal; signal.pause()"]
    with subprocess.Popen(line, stdin=descriptor, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child
        finally:
            child.kill()


def test_two_writers_exclude_each_other_and_the_second_names_the_first(bare: Layout) -> None:
    with take(bare):
        who = rf"cron_sync \(host {socket.gethostname()}, PID {os.getpid()}, since .* UTC\)"
        with pytest.raises(LockedError, match=f"another writer is at work: {who}"):
            take(bare)
    with take(bare):
        pass


def test_lock_is_that_of_the_root_whatever_the_observatory(bare: Layout) -> None:
    other = layout.default_layout(bare.root, "jwst")

    with take(bare), pytest.raises(LockedError, match="a tool that leaves no card"):
        take(other)


def test_flock_of_util_linux_is_excluded_by_us(bare: Layout) -> None:
    with take(bare):
        during = is_free(bare)

    assert (during, is_free(bare)) == (False, True)


def test_we_are_excluded_by_flock_of_util_linux(bare: Layout) -> None:
    """The old tool's cron_sync takes its lock so."""
    line = ["flock", str(bare.locks / locks.SYNC_LOCK), "sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, start_new_session=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            with pytest.raises(LockedError, match="a tool that leaves no card"):
                take(bare)
        finally:
            os.killpg(other.pid, 9)


def test_P12_lock_file_with_the_pid_of_a_living_process_is_no_obstacle(bare: Layout) -> None:
    text = f"{os.getppid()}\n"
    (bare.locks / locks.SYNC_LOCK).write_text(text)

    with take(bare):
        assert not is_free(bare)
    assert (bare.locks / locks.SYNC_LOCK).read_text() == text


def test_P12_card_of_a_dead_run_of_this_host_is_no_obstacle(bare: Layout) -> None:
    leave_card(bare, host=socket.gethostname(), age_s=0)

    with take(bare):
        assert locks.read_writer(card(bare))[0] != Writer(**{**OTHER_HOST, "host": socket.gethostname()})  # type: ignore[arg-type]


def test_P03_child_that_has_the_lock_as_standard_input_keeps_it_after_we_gave_it_back(bare: Layout) -> None:
    """Orphans of a killed run still write."""
    lock = take(bare)
    with child_with_standard_input(lock.descriptor):
        lock.close()
        with pytest.raises(LockedError):
            take(bare)
        while_it_lives = is_free(bare)

    assert (while_it_lives, is_free(bare)) == (False, True)


def test_P03_child_without_the_lock_as_standard_input_does_not_hold_it(bare: Layout) -> None:
    with take(bare) as lock:
        assert not os.get_inheritable(lock.descriptor)
        child = child_with_standard_input(subprocess.DEVNULL)
        child.__enter__()
    try:
        assert is_free(bare)
    finally:
        child.__exit__(None, None, None)


def test_lock_file_stays_and_the_card_goes_when_the_lock_is_given_back(bare: Layout) -> None:
    with take(bare):
        inode = (bare.locks / locks.SYNC_LOCK).stat().st_ino
        was_there = card(bare).exists()

    assert (bare.locks / locks.SYNC_LOCK).stat().st_ino == inode
    assert (was_there, card(bare).exists()) == (True, False)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_lock_file_can_be_opened_by_all_whom_the_umask_admits(bare: Layout, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        take(bare).close()
    finally:
        os.umask(before)

    assert stat.S_IMODE((bare.locks / locks.SYNC_LOCK).stat().st_mode) == mode


@pytest.mark.parametrize("age_s", [0, 590])
def test_writer_on_another_host_is_believed_while_its_card_is_fresh(bare: Layout, age_s: float) -> None:
    """Locks do not reach other hosts on every network file system."""
    leave_card(bare, host="elsewhere", age_s=age_s)
    before = card(bare).read_text()

    who = r"cron_sync \(host elsewhere, PID 12, since 2026-01-01 00:00:00 UTC\)"
    with pytest.raises(LockedError, match=rf"another host wrote here \d+ s ago: {who}"):
        take(bare)
    assert card(bare).read_text() == before
    assert is_free(bare)


def test_writer_on_another_host_is_believed_no_longer_when_its_card_is_old(bare: Layout) -> None:
    leave_card(bare, host="elsewhere", age_s=610)

    with take(bare) as lock:
        writer, _ = locks.read_writer(card(bare))

    who = "cron_sync (host elsewhere, PID 12, since 2026-01-01 00:00:00 UTC)"
    assert lock.warnings == (f"{who} has not ended, but was silent for 10 minutes: taken for dead",)
    assert writer is not None
    assert (writer.host, writer.pid, writer.run_id) == (socket.gethostname(), os.getpid(), "run")


def test_writer_on_another_host_counts_for_all_observatories_of_the_root(bare: Layout) -> None:
    leave_card(bare, host="elsewhere", age_s=0)

    with pytest.raises(LockedError, match="another host wrote here"):
        take(layout.default_layout(bare.root, "jwst"))


def test_card_of_a_writer_that_has_ended_is_no_warning(bare: Layout) -> None:
    leave_card(bare, host=socket.gethostname(), age_s=5000)

    with take(bare) as lock:
        assert lock.warnings == ()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"host": 1}', "\x00"])
def test_card_that_says_nothing_is_no_obstacle(bare: Layout, text: str) -> None:
    card(bare).parent.mkdir(parents=True)
    card(bare).write_text(text)

    assert locks.read_writer(card(bare)) == (None, None)
    take(bare).close()


def test_asking_who_writes_leaves_nothing_behind(bare: Layout) -> None:
    leave_card(bare, host="elsewhere", age_s=100)

    writer, age_s = locks.read_writer(card(bare))

    assert writer == Writer("elsewhere", 12, "2026-01-01 00:00:00", "cron_sync", "a")
    assert age_s == pytest.approx(100, abs=20)
    assert list(card(bare).parent.iterdir()) == [card(bare)]


@pytest.mark.parametrize("name", [locks.SYNC_LOCK, layout.CONFIG_LOCK])
def test_lock_is_known_by_any_descriptor_of_its_file(bare: Layout, name: str) -> None:
    (bare.locks / layout.CONFIG_LOCK).touch()

    with take(bare) as lock, closing(os.fdopen(os.dup(lock.descriptor))) as copy:
        assert locks.holds(copy.fileno(), bare.locks / name) is (name == locks.SYNC_LOCK)


def test_closed_descriptor_or_missing_file_is_no_lock(bare: Layout) -> None:
    lock = take(bare)
    path = bare.locks / locks.SYNC_LOCK
    missing = locks.holds(lock.descriptor, bare.locks / "nowhere")
    lock.close()

    assert (missing, locks.holds(lock.descriptor, path)) == (False, False)


@pytest.mark.parametrize("make", ["mkdir", "mkfifo", "ln -s /nowhere", "ln -s ."])
def test_P14_D13_what_is_no_regular_file_is_refused_as_a_lock_and_stays(bare: Layout, make: str) -> None:
    subprocess.run([*make.split(), bare.locks / locks.SYNC_LOCK], check=True)
    before = listing(bare.root)

    reason = f"{bare.locks / locks.SYNC_LOCK}: expected a regular file to lock, and no link"
    with pytest.raises(DiskError, match=reason):
        take(bare)
    assert listing(bare.root) == before


@pytest.mark.parametrize("mode", [0o1777, 0o755])
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_P14_lock_of_another_user_serves_who_may_write_it_and_is_told_to_who_may_not(mode: int) -> None:
    """In a directory like /tmp, Linux lets nobody open other users' files by a call that could make them."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own directories are closed to other users
        Path(name).chmod(mode)
        cache = layout.default_layout(Path(name), "hst")
        path = cache.locks / locks.SYNC_LOCK
        path.touch()
        os.chown(path, SOMEONE, SOMEONE)
        cache.state.mkdir(parents=True)
        os.chown(cache.state, OTHER, OTHER)

        path.chmod(0o666)
        as_user(OTHER, lambda: take(cache).close())
        path.chmod(0o644)
        with pytest.raises(DiskError, match=rf"{path}: Permission denied"):
            as_user(OTHER, lambda: take(cache))


def as_user(number: int, act: Callable[[], object]) -> None:
    """Act as another user, who is of no group but their own."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(number)
    os.seteuid(number)
    try:
        act()
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def test_P14_full_disk_for_the_lock_is_told(bare: Layout) -> None:
    bare.root.joinpath("locks").mkdir()
    cache = replace(bare, locks=bare.root / "locks")

    reason = f"{cache.locks / locks.SYNC_LOCK}: No space left on device"
    with (
        mounted(cache.locks, "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs"),
        pytest.raises(DiskError, match=reason),
    ):
        take(cache)


WITHOUT_LOCKS = """
import sys
from pathlib import Path
from crdscache.cache import layout, locks
from crdscache.errors import DiskError
cache = layout.default_layout(Path(sys.argv[1]), "hst")
try:
    locks.WriterLock(cache, "cron_sync", "run")
except DiskError as error:
    print(error)
with locks.config_lock(cache) as had:
    print(had)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing: apt-get install strace")
@pytest.mark.parametrize("name", ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EIO"])
def test_P15_D28_writer_without_locks_is_refused_and_told_where_to_put_them(bare: Layout, name: str) -> None:
    """The lock of the configuration it can do without."""
    line = ["strace", "-f", "-e", "trace=flock", "-o", os.devnull, "-e", f"inject=flock:error={name}"]
    line += [sys.executable, "-c", WITHOUT_LOCKS, str(bare.root)]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60, cwd=CHECKOUT)

    said = f"{bare.locks / locks.SYNC_LOCK}: cannot be locked: {os.strerror(getattr(errno, name))}"
    advice = "; set CRDS_LOCKS, or lock_dir, to a local directory that all writers of this cache share"
    assert done.stdout.splitlines() == [said + (advice if name != "EIO" else ""), "False"]
    assert not card(bare).exists()


@pytest.mark.parametrize("is_made_anew", [False, True])
def test_P16_holder_notices_that_its_file_was_removed(bare: Layout, *, is_made_anew: bool) -> None:
    path = bare.locks / locks.SYNC_LOCK
    with take(bare) as lock:
        locks.require_held(lock.descriptor, bare)
        path.unlink()
        if is_made_anew:
            path.touch()
        with pytest.raises(LockLostError, match=f"{path} was removed or replaced while it was held"):
            locks.require_held(lock.descriptor, bare)


def test_P14_lock_in_a_directory_that_is_not_there_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"nowhere/crds\.sync\.lock: No such file or directory"):
        take(layout.default_layout(tmp_path / "nowhere", "hst"))
    assert not (tmp_path / "nowhere").exists()


def test_lock_of_the_configuration_is_held_for_the_rename_alone(bare: Layout) -> None:
    path = bare.locks / layout.CONFIG_LOCK
    with locks.config_lock(bare) as had, path.open() as reader:
        assert had
        with pytest.raises(BlockingIOError):
            fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with path.open() as reader:
        fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)

    assert path.exists()


def test_R5_reader_that_holds_its_lock_delays_the_writer_by_a_second(bare: Layout) -> None:
    with (bare.locks / layout.CONFIG_LOCK).open("w") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        started = time.monotonic()
        with locks.config_lock(bare) as had:
            waited_s = time.monotonic() - started

    assert not had
    assert 1 <= waited_s < 5


def test_R5_lock_that_cannot_be_opened_does_not_hold_the_writer_up(bare: Layout) -> None:
    """Another writer's may not be ours to open, and the rename is right without it."""
    (bare.locks / layout.CONFIG_LOCK).mkdir()

    with locks.config_lock(bare) as had:
        pass

    assert not had
