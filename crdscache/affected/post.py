"""Hands mail in at a server."""

import logging
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address

import stamina

from crdscache.affected.spool import Refusal
from crdscache.contexts.records import MailRoute
from crdscache.errors import DiskError, SettingsError, TransferError, UnreachableError

logger = logging.getLogger(__name__)

_PERMANENT = 500  # replies from here on mean that another attempt would not help
_CLOSING = 421  # the server breaks off: of what it took before in this conversation, nothing counts
_LOGIN = frozenset({530, 534, 535, 538})  # it wants a login, or another one
_WAIT_S = 0.5


def send(route: MailRoute, sender: str, recipients: Sequence[str], message: bytes) -> dict[str, Refusal]:
    """Send a message, and give the recipients who were refused.

    Raises
    ------
    UnreachableError
        The server cannot be reached, however often we tried.
    TransferError
        It breaks off while it takes this message, however often we tried: it may take another one.
    SettingsError
        It lets nobody in with this user and password, or a password would go over the network in the clear.
    """
    _require_privacy(route)
    # smtplib raises an error of its own for it, which quotes it.
    if route.user is not None and not (route.password or "").isascii():
        message_text = "the password of mail_user has characters that are not ASCII"
        raise SettingsError(message_text)
    stamina.instrumentation.set_on_retry_hooks([])
    caller = stamina.RetryingCaller(attempts=route.tries, wait_initial=_WAIT_S, timeout=None)
    try:
        return caller(TransferError, _send, route, sender, recipients, message)
    except TransferError as error:
        logger.warning("mail not sent host=%s reason=%s", route.host, error)
        raise


def _require_privacy(route: MailRoute) -> None:
    if route.user is None or route.security != "none" or _is_here(route.host):
        return
    message = f"mail_security: none would send the password of {route.user} in the clear to {route.host}"
    raise SettingsError(message)


def _is_here(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _send(route: MailRoute, sender: str, recipients: Sequence[str], message: bytes) -> dict[str, Refusal]:
    where = f"mail server {route.host}:{route.port}"
    server = _open(route, where)
    try:
        refusals = _refusals(server.sendmail(sender, list(recipients), message))
    except smtplib.SMTPRecipientsRefused as error:
        # It names only those whom the server was asked about: nobody has got the mail.
        for code, text in error.recipients.values():
            _require_open(where, code, text)
        refusals = _refusals(error.recipients)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        _require_open(where, error.smtp_code, error.smtp_error)
        if error.smtp_code in _LOGIN:
            message_text = f"{where} wants a login: {_said(error.smtp_code, error.smtp_error)}: see mail_user"
            raise SettingsError(message_text) from error
        refusals = _of_all(recipients, error.smtp_code, error.smtp_error)
    except (OSError, smtplib.SMTPException) as error:  # silence, cut
        raise TransferError(f"{where}: {str(error) or type(error).__name__}") from error
    else:
        # The server has the mail by now: a farewell that fails must not have it sent again.
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
    finally:
        server.close()
    return refusals


def _require_open(where: str, code: int, text: bytes | str) -> None:
    if code == _CLOSING:
        message = f"{where}: {_said(code, text)}"
        raise TransferError(message)


def _open(route: MailRoute, where: str) -> smtplib.SMTP:
    """Connect and log in: what fails here fails for every mail."""
    try:
        return _connected(route)
    except smtplib.SMTPAuthenticationError as error:
        message_text = f"{where} refuses user {route.user}: {_said(error.smtp_code, error.smtp_error)}"
        raise SettingsError(message_text) from error
    except ssl.SSLCertVerificationError as error:
        message_text = f"{where}: its certificate is not trusted: {error.verify_message}"
        raise SettingsError(message_text) from error
    except smtplib.SMTPNotSupportedError as error:
        message_text = f"{where}: {error}: see mail_security"
        raise SettingsError(message_text) from error
    except (OSError, smtplib.SMTPException) as error:  # no connection, silence, cut, 421
        raise UnreachableError(f"{where}: {str(error) or type(error).__name__}") from error


def _connected(route: MailRoute) -> smtplib.SMTP:
    context = None if route.security == "none" else _trust(route)
    if route.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            route.host, route.port, timeout=route.timeout_s, context=context
        )
    else:
        server = smtplib.SMTP(route.host, route.port, timeout=route.timeout_s)
    with ExitStack() as undo:
        undo.callback(server.close)
        if route.security == "starttls":
            server.starttls(context=context)
        if route.user is not None:
            server.login(route.user, route.password or "")
        server.ehlo_or_helo_if_needed()
        undo.pop_all()
    return server


def _trust(route: MailRoute) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=route.ca_file)
    except OSError as error:
        message = f"mail_ca_file: {route.ca_file}: {error}"
        raise DiskError(message) from error


def _refusals(recipients: dict[str, tuple[int, bytes]]) -> dict[str, Refusal]:
    return {
        recipient: Refusal(_said(code, text), is_final=code >= _PERMANENT)
        for recipient, (code, text) in recipients.items()
    }


def _of_all(recipients: Sequence[str], code: int, text: bytes | str) -> dict[str, Refusal]:
    return dict.fromkeys(recipients, Refusal(_said(code, text), is_final=code >= _PERMANENT))


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} " + "".join(c for c in " ".join(words.split()) if c.isprintable())[:200]
