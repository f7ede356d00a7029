"""Leases, by the lock of the configuration and on the contexts themselves."""

import errno
import fcntl
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from crdscache.cache import identity, layout, lease, locks, publish, serverconfig
from crdscache.cache.identity import NONE, Identity
from crdscache.cache.layout import CONFIG_LOCK, Layout
from crdscache.errors import ContextError, DiskError, NotACacheError, SettingsError, UnreadableConfigError
from tests import written
from tests.caches import CHECKOUT, FORMER, LATEST, OBSERVATORY, listing

NOBODY = 65534


@contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock as another process would: locks belong to an opening of the file."""
    with path.open() as stream:
        fcntl.flock(stream, how | fcntl.LOCK_NB)
        yield


def is_held(path: Path) -> bool:
    """Ask as purge and repair do."""
    try:
        with locked(path, fcntl.LOCK_EX):
            return False
    except BlockingIOError:
        return True


def switch(cache: Layout, demo_root: Path, context: str) -> None:
    """Move the default context, as commit does."""
    saved = serverconfig.compose(written.told(demo_root, context), "http://localhost", context)
    with serverconfig.staged(cache.config, saved) as aside:
        publish.rename_into_place(aside, cache.config / "server_config")


def no_locks(number: int) -> Callable[[int, int], None]:
    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.fixture
def config_lock(cache: Layout) -> Path:
    """Give the lock's file, as a first run has left it."""
    path = cache.locks / CONFIG_LOCK
    path.touch()
    return path


def test_default_context_is_held_until_the_lease_is_closed(cache: Layout) -> None:
    pmap = cache.mappings / FORMER

    with lease.take(cache, None) as held:
        assert held.contexts == (FORMER,)
        assert is_held(pmap)

    assert (is_held(pmap), held.contexts) == (False, ())


@pytest.mark.parametrize(
    ("asked", "contexts"),
    [
        ((), ()),
        ((None, "hst_0001.pmap"), (FORMER, "hst_0001.pmap")),
        ((FORMER, None, "hst-latest"), (FORMER,)),
        (("hst-edit", "2021-12-31"), ("hst_0007.pmap", "hst_0002.pmap")),
    ],
)
def test_each_context_is_held_once_under_its_own_name(
    asked: tuple[str | None, ...], contexts: tuple[str, ...], cache: Layout
) -> None:
    with lease.take(cache, *asked) as held:
        assert held.contexts == contexts
        assert all(is_held(cache.mappings / context) for context in contexts)


def test_context_can_be_added_when_a_data_set_names_it(cache: Layout) -> None:
    with lease.take(cache, None) as held:
        assert held.hold("hst_0002.pmap") == "hst_0002.pmap"
        assert (held.contexts, len(held.descriptors)) == ((FORMER, "hst_0002.pmap"), 2)
        assert is_held(cache.mappings / "hst_0002.pmap")


def test_B09_configuration_is_read_once_for_all_of_a_run(cache: Layout, demo_root: Path) -> None:
    with lease.take(cache, None) as held:
        switch(cache, demo_root, LATEST)
        same = held.hold(None)
        with lease.take(cache, None) as later:
            assert (same, held.contexts, later.contexts) == (FORMER, (FORMER,), (LATEST,))


@pytest.mark.parametrize("name", ["hst_0099.pmap", "jwst_0001.pmap"])
def test_B09_context_that_is_not_cached_is_told_with_what_brings_it(name: str, cache: Layout) -> None:
    with pytest.raises(ContextError) as caught:
        lease.take(cache, None, name)

    reason = f"is not in {cache.mappings}: cron_sync --contexts {name} brings it"
    assert (str(caught.value), caught.value.name) == (f"{name} {reason}", name)
    assert not is_held(cache.mappings / FORMER)


def test_B09_mapping_that_a_context_lacks_is_told_by_name(cache: Layout) -> None:
    (cache.mappings / "hst_acs_0001.imap").unlink()

    with lease.take(cache, None) as held:
        assert held.read(FORMER) == (cache.mappings / FORMER).read_bytes()
        with pytest.raises(ContextError, match=rf"hst_acs_0001\.imap is not in {cache.mappings}: cron_sync"):
            held.read("hst_acs_0001.imap")


@pytest.mark.parametrize(
    "asked", ["hst_acs_0001.imap", "hst_acs_biasfile_0001.rmap", "sometimes", "2019-01-01"]
)
def test_what_is_no_context_is_refused(asked: str, cache: Layout) -> None:
    with pytest.raises(SettingsError, match="context"):
        lease.take(cache, asked)


def test_B09_root_without_a_configuration_is_told_with_its_name(cache: Layout) -> None:
    (cache.config / "server_config").unlink()
    with pytest.raises(NotACacheError, match=f"{cache.root} is not a cache: neither its stamp nor "):
        lease.take(cache, None)
    identity.save(cache, Identity("hst", "http://localhost", "test", NONE))

    with pytest.raises(NotACacheError, match=f"{cache.config}/server_config is not there yet: cron_sync"):
        lease.take(cache, None)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"\xff\xfe\0",
        lambda _: b"__import__('os').mkdir('made')",
        lambda data: data.replace(b"'observatory': 'hst'", b"'observatory': 'jwst'"),
        lambda data: data.replace(b"last_synced", b"once_synced"),
    ],
)
def test_S19_damaged_configuration_is_told_by_name_and_never_executed(
    damage: Callable[[bytes], bytes], cache: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = cache.config / "server_config"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(UnreadableConfigError, match=f"{path}: "):
        lease.take(cache, None)
    assert not (tmp_path / "made").exists()


def test_context_that_is_being_purged_is_refused(cache: Layout) -> None:
    with locked(cache.mappings / FORMER, fcntl.LOCK_EX), pytest.raises(ContextError) as caught:
        lease.take(cache, None)

    assert str(caught.value) == f"{FORMER} is being purged"


def test_thirty_leases_of_one_context_are_held_at_once(cache: Layout, config_lock: Path) -> None:
    pmap = cache.mappings / FORMER
    with ExitStack() as all_but_one:
        with lease.take(cache, None):
            for _ in range(29):
                all_but_one.enter_context(lease.take(cache, None))
            assert not is_held(config_lock)
        assert is_held(pmap)

    assert not is_held(pmap)


@pytest.mark.parametrize("is_replaced", [True, False])
def test_mapping_that_is_replaced_or_goes_between_opening_and_locking_is_opened_again(
    cache: Layout, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool
) -> None:
    """A lock on a file that has lost its name holds nothing."""
    pmap, flock = cache.mappings / FORMER, fcntl.flock

    def first_move_then_lock(descriptor: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        data = pmap.read_bytes()
        pmap.unlink()
        if is_replaced:
            pmap.write_bytes(data)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", first_move_then_lock)

    if not is_replaced:
        with pytest.raises(ContextError, match="is not in "):
            lease.take(cache, None)
        return
    with lease.take(cache, None) as held:
        assert os.fstat(held.descriptors[0]).st_ino == pmap.stat().st_ino
        assert is_held(pmap)


def test_contexts_that_are_links_are_held_where_they_lead(cache: Layout) -> None:
    pmap = cache.mappings / FORMER
    pmap.rename(cache.root / FORMER)
    pmap.symlink_to(cache.root / FORMER)

    with lease.take(cache, None):
        assert is_held(cache.root / FORMER)


def test_lease_is_that_of_the_child_too_which_inherits_it(cache: Layout) -> None:
    held = lease.take(cache, None)
    line = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=held.descriptors
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        held.close()
        while_it_lives = is_held(cache.mappings / FORMER)
        child.kill()

    assert (while_it_lives, is_held(cache.mappings / FORMER)) == (True, False)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_D28_where_there_are_no_locks_readers_go_on_without(
    number: int, cache: Layout, config_lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks(number))

    with lease.take(cache, None) as held:
        assert held.contexts == (FORMER,)
    assert config_lock.exists()


@pytest.mark.parametrize("make", [None, "mkdir", "mkfifo", "ln -s /nowhere"])
def test_P14_lock_that_is_not_there_or_no_file_keeps_no_reader_away_and_is_not_made(
    make: str | None, cache: Layout
) -> None:
    path = cache.locks / CONFIG_LOCK
    if make is not None:
        subprocess.run([*make.split(), path], check=True)
    before = listing(cache.root)

    with lease.take(cache, None) as held:
        assert held.contexts == (FORMER,)
    assert listing(cache.root) == before


def test_P11_reader_waits_for_a_writer_then_goes_on_with_one_warning_and_the_right_answer(
    cache: Layout, config_lock: Path, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.monotonic()
    with locked(config_lock, fcntl.LOCK_EX), lease.take(cache, None, "hst_0001.pmap", wait_s=0.3) as held:
        waited_s = time.monotonic() - began
        assert held.contexts == (FORMER, "hst_0001.pmap")

    assert 0.3 <= waited_s < 3
    expected = f"configuration read without its lock lock={config_lock} waited_s=0"
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(logging.WARNING, expected)]
    assert lease.CONFIG_WAIT_S == 180


def test_P11_reader_goes_on_as_soon_as_the_writer_has_ended(cache: Layout, config_lock: Path) -> None:
    line = ["flock", str(config_lock), "sh", "-c", "echo; exec sleep 0.3"]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with lease.take(cache, None) as held:
            assert held.contexts == (FORMER,)


def test_P10_writer_is_delayed_by_a_second_where_a_reader_is_stopped_with_the_lock(
    cache: Layout, config_lock: Path
) -> None:
    code = f"""
import os, signal
from pathlib import Path
from crdscache.cache import lease
with lease._shared(Path({str(config_lock)!r}), 1):
    os.kill(os.getpid(), signal.SIGSTOP)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT) as reader:
        os.waitpid(reader.pid, os.WUNTRACED)
        began = time.monotonic()
        with locks.config_lock(cache) as had:
            waited_s = time.monotonic() - began
        reader.send_signal(signal.SIGCONT)

    assert (had, reader.returncode) == (False, 0)
    assert 1 <= waited_s < 5


@pytest.fixture
def public(cache: Layout) -> Iterator[Path]:
    """Copy the cache to where other users can get."""
    with tempfile.TemporaryDirectory(prefix="crdscache-test-") as place:
        Path(place).chmod(0o755)
        yield shutil.copytree(cache.root, Path(place) / "cache")


def as_nobody(root: Path) -> str:
    """Take a lease as another user, in a copy of this process: our interpreter may not be theirs to start."""
    there = layout.default_layout(root, OBSERVATORY)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with lease.take(there, None) as held:
                said = " ".join([*held.contexts, str(len(held.read(held.contexts[0])))])
        except DiskError as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as stream:
        return stream.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("umask", "is_admitted"), [(0o022, True), (0o002, True), (0o027, True), (0o077, False)]
)
def test_P18_readers_need_no_more_than_the_right_to_read(
    umask: int, public: Path, *, is_admitted: bool
) -> None:
    """Here they are of the group of the sync user, whose lock they may not open."""
    for path in [public, *public.rglob("*")]:
        path.chmod((0o777 if path.is_dir() else 0o666) & ~umask)
        os.chown(path, 0, NOBODY)
    (public / CONFIG_LOCK).touch(mode=0o600)
    before = listing(public)

    said = as_nobody(public)

    size_bytes = (public / "mappings/hst" / FORMER).stat().st_size
    assert said.startswith(f"{FORMER} {size_bytes}" if is_admitted else "DiskError: ")
    assert listing(public) == before
