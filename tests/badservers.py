"""Servers that cannot be asked: one whose certificate is wrong, and one that takes no connection."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

DAYS = 2


@dataclass(frozen=True, slots=True)
class Authority:
    """Vouches for servers, to those who trust its file."""

    home: Path

    @property
    def file(self) -> Path:
        """Its own certificate."""
        return self.home / "authority.pem"

    @classmethod
    def make(cls, home: Path) -> "Authority":
        """Found one."""
        made = cls(home)
        name = ["-subj", "/CN=an authority", "-addext", "keyUsage=critical,keyCertSign"]
        _openssl("req", "-x509", *_KEY, *name, "-days", str(DAYS), "-keyout", made._key, "-out", made.file)
        return made

    def vouch(self, host: str, *, days: int = DAYS) -> Path:
        """Make a server's certificate and key, in one file; of less than no days it has expired."""
        request, made, key = (self.home / f"{host}{days}.{ending}" for ending in ("csr", "pem", "key"))
        name = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
        _openssl("req", *_KEY, *name, "-keyout", key, "-out", request)
        by = ["-CA", self.file, "-CAkey", self._key, "-copy_extensions", "copy", "-days", str(days)]
        _openssl("x509", "-req", "-in", request, *by, "-out", made)
        made.write_text(made.read_text() + key.read_text())
        return made

    @property
    def _key(self) -> Path:
        return self.home / "authority.key"


_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Secure(HTTPServer):
    """Refuses all that it is asked, and notes what that was."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"https://localhost:{self.server_port}"
        self.asked: list[str] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        """Take a connection."""
        connection, address = super().get_request()
        connection.settimeout(5)
        return self._context.wrap_socket(connection, server_side=True), address


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        assert isinstance(self.server, Secure)
        self.server.asked.append(self.path)
        self.send_error(418)

    do_GET = do_POST = _answer  # noqa: N815 (as the library has it)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@contextmanager
def serving(certificate: Path) -> Iterator[Secure]:
    """Run such a server."""
    with Secure(certificate) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def dropping() -> Iterator[str]:
    """Give the address of a server that takes no connection: packets for it are dropped (method M15)."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # one waits to be taken; the next ones are dropped, as the queue is full
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
