"""Accounts and groups of a test's own, made by the tools that operators use; the machine gets none of them.

As root: they live in a copy of /etc, which only a mount namespace of the test sees.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.caches import CHECKOUT, Cache, Done, finish, start


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine with accounts: this one, as it is seen from a mount namespace."""

    place: Path  # a directory that all accounts can reach
    pid: int  # of the process that keeps the namespace

    def as_root(self, *words: str | Path) -> str:
        """Run a program of the administrator; gives what it prints."""
        line = ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", *words]
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return subprocess.run(line, env=environ, check=True, capture_output=True, text=True).stdout

    def run(self, account: str, cache: Cache, command: str, *words: str | Path, umask: str = "022") -> Done:
        """Run a command of ours, or any program by its path, as somebody."""
        line = ["nsenter", f"--mount=/proc/{self.pid}/ns/mnt", "/usr/sbin/runuser", "-u", account, "--"]
        line += [
            "sh",
            "-c",
            f'cd {CHECKOUT}; umask {umask}; exec "$0" "$@"',
            cache.checkout / "bin" / command,
        ]
        environ = {**cache.environ, "HOME": "/nowhere", "LOGNAME": account}
        return finish(start([*line, *words], environ))


@contextmanager
def machine() -> Iterator[Machine]:
    """Give a machine for as long as a test needs it."""
    if os.geteuid() != 0:
        pytest.skip("only root can make accounts, and become them: run as root")
    with tempfile.TemporaryDirectory(prefix="crdscache-test-") as name:
        place = Path(name)
        place.chmod(0o755)
        line = ["unshare", "--mount", "--propagation=private", "sh", "-ec", _set_up(place)]
        keeper = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        try:
            if keeper.stdout.readline() != "ready\n":
                reason = keeper.stderr.read().strip()
                pytest.skip(f"no mount namespace: {reason}; run as root, in a container that may mount")
            yield Machine(place, keeper.pid)
        finally:
            keeper.kill()
            keeper.communicate()


def _set_up(place: Path) -> str:
    """Give /etc a copy that useradd may write to, and let all accounts reach code and interpreter."""
    steps = [f"cp -a /etc {place}/etc", f"mount --bind {place}/etc /etc"]
    wanted = {CHECKOUT.resolve(), Path(sys.base_prefix).resolve()}
    closed = {path: door for path in wanted if (door := _closed(path))}
    for number, path in enumerate(closed):
        steps += [f"mkdir {place}/{number}", f"mount --bind {path} {place}/{number}"]
    steps += [f"mount -t tmpfs -o mode=755 tmpfs {door}" for door in sorted(set(closed.values()))]
    for number, path in enumerate(closed):
        steps += [f"mkdir -p {path}", f"mount --bind {place}/{number} {path}"]
    return "; ".join([*steps, "echo ready", "exec sleep infinity"])


def _closed(path: Path) -> Path | None:
    """Find the outermost directory above a path that others may not pass."""
    return next((door for door in reversed(path.parents) if not door.stat().st_mode & 0o001), None)
