import socket
from pathlib import Path

import pytest

from crdscache.affected import post
from crdscache.affected.spool import Refusal
from crdscache.contexts.records import MailRoute
from crdscache.errors import CacheError, SettingsError, TransferError, UnreachableError
from tests import smtp

pytestmark = [
    # aiosmtpd leaves the sockets of broken TLS connections to the collector of garbage.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # It does not know that the connection is encrypted already.
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]

SENDER = "crds@example.org"
MESSAGE = b"Subject: OK\r\n\r\nText.\r\n.\r\nAfter a lone dot.\r\n"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return smtp.make_certificate(tmp_path_factory.mktemp("tls"))


def send(route: MailRoute, *recipients: str) -> dict[str, Refusal]:
    return post.send(route, SENDER, recipients or ("a@example.org",), MESSAGE)


def test_a_mail_arrives_as_it_was_given() -> None:
    with smtp.serving() as sink:
        refused = send(sink.route(), "a@example.org", "b@example.org")

    assert refused == {}
    assert sink.mails == [(SENDER, ("a@example.org", "b@example.org"), MESSAGE)]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_logs_in_over_a_connection_that_it_trusts(certificate: Path, security: str) -> None:
    with smtp.serving(certificate, starttls=security == "starttls", login=True) as sink:
        route = sink.route(
            security=security, ca_file=certificate, user=smtp.USER, password=smtp.PASSWORD, timeout_s=5.0
        )
        send(route)

    assert (len(sink.mails), sink.logins) == (1, [smtp.USER])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path, security: str) -> None:
    with smtp.serving(certificate, starttls=security == "starttls", login=True) as sink:
        route = sink.route(security=security, user=smtp.USER, password=smtp.PASSWORD, timeout_s=5.0)
        with pytest.raises(SettingsError, match="not trusted"):
            send(route)

    assert (sink.mails, sink.logins) == ([], [])


def test_a_server_that_offers_no_encryption_gets_no_password() -> None:
    with smtp.serving(login=True) as sink, pytest.raises(SettingsError, match=r"STARTTLS .*mail_security"):
        send(sink.route(security="starttls", user=smtp.USER, password=smtp.PASSWORD))

    assert (sink.mails, sink.logins) == ([], [])


def test_a_wrong_password_is_told_without_it(certificate: Path) -> None:
    with smtp.serving(certificate, starttls=True, login=True) as sink:
        route = sink.route(
            security="starttls", ca_file=certificate, user=smtp.USER, password="wrong one", timeout_s=10.0
        )
        with pytest.raises(SettingsError, match=f"refuses user {smtp.USER}: 535") as told:
            send(route)

    assert "wrong one" not in str(told.value)


def test_no_password_goes_over_a_network_in_the_clear() -> None:
    with smtp.serving() as sink, pytest.raises(SettingsError, match=r"in the clear to mail\.example\.org"):
        send(sink.route(host="mail.example.org", user=smtp.USER, password=smtp.PASSWORD))


def test_where_a_password_would_be_in_the_clear_nobody_is_called() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.settimeout(0)
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=r"in the clear to 0\.0\.0\.0"):
            send(smtp.Sink(port).route(host="0.0.0.0", user=smtp.USER, password=smtp.PASSWORD))
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_E01_a_server_that_refuses_connections_is_tried_so_often_and_no_more() -> None:
    route = smtp.Sink(smtp.free_port()).route()

    with pytest.raises(UnreachableError, match=f"mail server 127.0.0.1:{route.port}: .*refused"):
        send(route)


@pytest.mark.parametrize(
    ("lines", "silent", "reason"),
    [
        ((), True, "timed out"),
        ((b"220 here\r\n",), False, "Connection unexpectedly closed"),
        ((b"421 too busy\r\n",), False, "421"),
    ],
    ids=["silent", "closes after its banner", "421"],
)
def test_E01_a_server_that_breaks_off_is_unreachable(
    lines: tuple[bytes, ...], reason: str, *, silent: bool
) -> None:
    with smtp.saying(*lines, silent=silent) as port, pytest.raises(UnreachableError, match=reason):
        send(smtp.Sink(port).route(timeout_s=0.3, tries=2))


def test_E01_a_server_that_breaks_off_among_the_recipients_has_the_mail_for_nobody() -> None:
    with smtp.serving() as sink:
        sink.refuses = {"b@example.org": "421 too busy"}
        with pytest.raises(TransferError, match=f"mail server 127.0.0.1:{sink.port}: 421 too busy"):
            send(sink.route(tries=2), "a@example.org", "b@example.org", "c@example.org")

    assert sink.mails == []


def test_E01_a_server_that_breaks_off_after_it_took_a_mail_does_not_get_it_again() -> None:
    with smtp.serving() as sink:
        sink.replies = {"QUIT": "421 shutting down"}
        refused = send(sink.route(tries=3))

    assert (refused, len(sink.mails)) == ({}, 1)


@pytest.mark.parametrize(
    ("reply", "error"),
    [("421 too busy", TransferError), ("530 5.7.0 Authentication required", SettingsError)],
)
def test_E01_a_sender_that_must_log_in_or_come_again_is_not_refused_for_good(
    reply: str, error: type[CacheError]
) -> None:
    with smtp.serving() as sink:
        sink.replies = {"MAIL": reply}
        with pytest.raises(error, match=reply):
            send(sink.route())


def test_a_password_that_cannot_be_sent_is_told_without_it() -> None:
    with (
        smtp.serving(login=True) as sink,
        pytest.raises(SettingsError, match="the password of mail_user has characters that are not ASCII"),
    ):
        send(sink.route(user=smtp.USER, password="m\N{LATIN SMALL LETTER U WITH DIAERESIS}de"))


def test_E02_of_several_recipients_the_others_get_it() -> None:
    with smtp.serving() as sink:
        sink.refuses = {"b@example.org": "550 nobody here", "c@example.org": "450 come again"}
        refused = send(sink.route(), "a@example.org", "b@example.org", "c@example.org")

    assert [recipients for _, recipients, _ in sink.mails] == [("a@example.org",)]
    assert refused == {
        "b@example.org": Refusal("550 nobody here", is_final=True),
        "c@example.org": Refusal("450 come again", is_final=False),
    }


def test_E02_all_recipients_can_be_refused() -> None:
    with smtp.serving() as sink:
        sink.refuses = {"a@example.org": "550 nobody here"}
        refused = send(sink.route(), "a@example.org")

    assert (sink.mails, refused) == ([], {"a@example.org": Refusal("550 nobody here", is_final=True)})


def test_E04_a_mail_that_the_server_finds_too_large_is_refused_for_good() -> None:
    with smtp.serving(most_bytes=20) as sink:
        refused = send(sink.route(), "a@example.org")

    [refusal] = refused.values()
    assert refusal.is_final
    assert refusal.reason.startswith("552")


@pytest.mark.parametrize(("reply", "is_final"), [("552 5.3.4 too large", True), ("451 later", False)])
def test_E04_so_is_one_that_it_has_read_and_not_one_that_may_come_again(
    reply: str, *, is_final: bool
) -> None:
    with smtp.serving() as sink:
        sink.replies = {"DATA": reply}
        refused = send(sink.route(), "a@example.org", "b@example.org")

    assert sink.mails == []
    assert refused == dict.fromkeys(("a@example.org", "b@example.org"), Refusal(reply, is_final=is_final))


def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path) -> None:
    with smtp.serving() as sink, pytest.raises(CacheError, match=f"mail_ca_file: {tmp_path}/none"):
        send(sink.route(security="tls", ca_file=tmp_path / "none"))
