"""A real PostgreSQL for tests and demos: started anew, on loopback, and gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

USER, PASSWORD = "crds", "secret of the tests"
LACKS = "PostgreSQL is missing: apt-get install postgresql"

_SYSTEM_USER = "postgres"  # who root becomes: PostgreSQL refuses to run as root
_TRIES = 300  # of 0.1 s


class NotStartedError(Exception):
    """The server ended before it was ready; says what it wrote."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs; over TCP it wants the password."""

    directory: Path  # of its socket
    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str = "postgres") -> str:
        """Give the URL of a database, without the password."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as the owner of all, beside those who are tested."""
        return psycopg.connect(
            host=str(self.directory), port=self.port, user=USER, dbname=database, autocommit=True
        )

    def run(self, *statements: str, database: str = "postgres") -> None:
        """Execute statements, each by itself."""
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def stop(self) -> None:
        """Stop it and all its children, whoever is connected."""
        for how in (signal.SIGINT, signal.SIGQUIT):
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                continue
            return


def programs() -> Path | None:
    """Find the directory of the newest PostgreSQL; None where there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parents[1].name)
    )
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def running() -> Iterator[Server]:
    """Start a server with an empty database; whatever happens, nothing is left of it.

    Raises
    ------
    FileNotFoundError
        PostgreSQL is not installed.
    """
    bin_dir = programs()
    if bin_dir is None:
        raise FileNotFoundError(LACKS)
    # Not below pytest's directories, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        directory = Path(name)
        (directory / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (directory, directory / "password"):
                shutil.chown(path, _SYSTEM_USER, _SYSTEM_USER)
        server = _started(bin_dir, directory)
        try:
            yield server
        finally:
            server.stop()


def _started(bin_dir: Path, directory: Path) -> Server:
    data, port = directory / "data", _free_port()
    words = ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    words += [f"--pwfile={directory / 'password'}", f"--username={USER}", "--no-sync"]
    subprocess.run(
        [*_as_user(), bin_dir / "initdb", "-D", data, *words], check=True, capture_output=True, cwd=directory
    )
    options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": directory, "fsync": "off"}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*_as_user(), bin_dir / "postgres", "-D", data, "-p", str(port)]
            + [word for name, value in options.items() for word in ("-c", f"{name}={value}")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
        )
    server = Server(directory, port, process)
    try:
        _wait(bin_dir, server)
    except BaseException:
        server.stop()
        raise
    return server


def _wait(bin_dir: Path, server: Server) -> None:
    question = [bin_dir / "pg_isready", "-q", "-h", server.directory, "-p", str(server.port)]
    for _ in range(_TRIES):
        if subprocess.run(question, check=False).returncode == 0:
            return
        try:
            server.process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise NotStartedError((server.directory / "log").read_text())


def _as_user() -> list[str]:
    """Become who may run it; it ends with who started it, even if that one is killed."""
    words = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() != 0:
        return words
    return [*words, f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
