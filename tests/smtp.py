"""A real mail server on loopback, which keeps what it gets, and fails where it is told to."""

import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from crdscache.contexts.records import MailRoute

USER, PASSWORD = "operator", "made up"


@dataclass(slots=True)
class Sink:
    """What a server got, and how it answers recipients."""

    port: int = 0
    mails: list[tuple[str, tuple[str, ...], bytes]] = field(
        default_factory=list
    )  # sender, recipients, content
    refuses: Mapping[str, str] = field(default_factory=dict)  # by recipient, the reply
    replies: Mapping[str, str] = field(default_factory=dict)  # by command: MAIL, DATA, QUIT
    logins: list[str] = field(default_factory=list)

    def route(self, **changes: object) -> MailRoute:
        """Give the way to this server."""
        usual: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "security": "none",
            "user": None,
            "password": None,
            "ca_file": None,
            "timeout_s": 1.0,
            "tries": 1,
        }
        return MailRoute(**{**usual, **changes})  # type: ignore[arg-type]

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a sender, or refuse all of them."""
        if "MAIL" not in self.replies:
            envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        """Say farewell."""
        return self.replies.get("QUIT", "221 Bye")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """Keep a mail, or refuse it."""
        if "DATA" in self.replies:
            return self.replies["DATA"]
        assert isinstance(envelope.content, bytes)
        self.mails.append((str(envelope.mail_from), tuple(envelope.rcpt_tos), envelope.content))
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: LoginPassword
    ) -> AuthResult:
        """Let one user in."""
        self.logins.append(data.login.decode())
        is_right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=is_right, handled=False)


@contextmanager
def serving(
    certificate: Path | None = None,
    *,
    starttls: bool = False,
    login: bool = False,
    most_bytes: int | None = None,
    port: int | None = None,
) -> Iterator[Sink]:
    """Run a server; with a certificate it speaks TLS, from the start or when asked to."""
    sink = Sink()
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    options: dict[str, object] = {"data_size_limit": most_bytes} if most_bytes else {}
    if starttls:
        options |= {"tls_context": context, "require_starttls": True}
    if login:
        options |= {
            "authenticator": sink.authenticate,
            "auth_required": True,
            "auth_require_tls": certificate is not None and starttls,
        }
    at_once = None if starttls else context
    controller = Controller(
        sink, hostname="127.0.0.1", port=port or free_port(), ssl_context=at_once, **options
    )
    if at_once is not None:  # it looks whether it can be reached, and would not trust itself
        controller._trigger_server = lambda: _shake_hands(controller.port)  # type: ignore[method-assign]
    controller.start()
    try:
        sink.port = controller.port
        yield sink
    finally:
        controller.stop()


def _shake_hands(port: int) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.recv(100)
        connection.sendall(b"QUIT\r\n")
        connection.recv(100)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def saying(*lines: bytes, silent: bool = False) -> Iterator[int]:
    """Run a server that says some lines and closes, or goes on saying nothing; gives its port."""
    over = Event()

    def talk(listener: socket.socket) -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(1)
                    for line in lines:
                        connection.sendall(line)
                    if silent:
                        over.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = Thread(target=talk, args=(listener,))
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            over.set()
            thread.join(5)


def make_certificate(directory: Path) -> Path:
    """Make a certificate for loopback, with its key in the same file."""
    path = directory / "server.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command = [
        "openssl",
        "req",
        "-x509",
        *key,
        *subject,
        "-keyout",
        str(path),
        "-out",
        str(directory / "cert.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (directory / "cert.pem").read_text())
    return path
