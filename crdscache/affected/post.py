"""Hands mail in at a server."""

import logging
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

import stamina

from crdscache.contexts.records import MailRoute
from crdscache.errors import DiskError, SettingsError, UnreachableError

logger = logging.getLogger(__name__)

_PERMANENT = 500  # replies from here on mean that another attempt would not help
_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recipient did not get a mail."""

    reason: str
    is_final: bool  # else another attempt may do better


def send(route: MailRoute, sender: str, recipients: Sequence[str], message: bytes) -> dict[str, Refusal]:
    """Send a message, and give the recipients who were refused.

    Raises
    ------
    UnreachableError
        The server cannot be reached or breaks off, however often we tried.
    SettingsError
        It lets nobody in with this user and password, or a password would go over the network in the clear.
    """
    _require_privacy(route)
    stamina.instrumentation.set_on_retry_hooks([])
    caller = stamina.RetryingCaller(attempts=route.tries, wait_initial=_WAIT_S, timeout=None)
    try:
        return caller(UnreachableError, _send, route, sender, recipients, message)
    except UnreachableError as error:
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
    try:
        with _connected(route) as server:
            return _refusals(server.sendmail(sender, list(recipients), message))
    except smtplib.SMTPRecipientsRefused as error:
        return _refusals(error.recipients)
    except smtplib.SMTPAuthenticationError as error:
        message_text = f"{where} refuses user {route.user}: {_said(error.smtp_code, error.smtp_error)}"
        raise SettingsError(message_text) from error
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        return _of_all(recipients, error.smtp_code, error.smtp_error)
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
    try:
        if route.security == "starttls":
            server.starttls(context=context)
        if route.user is not None:
            server.login(route.user, route.password or "")
    except BaseException:
        server.close()
        raise
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
