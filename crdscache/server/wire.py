"""What calls and transfers share: how long to try, whom to trust, and how to tell what went wrong."""

import http.client
import logging
import re
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import certifi
import urllib3

from crdscache.contexts.records import Patience
from crdscache.errors import BusyError, CacheError, ServerError, TransferError, UnreachableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_WAIT_S = 300.0  # a server may ask for a pause, not for a day off
_MAY_PASS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}  # of those that blame the client


def persist(patience: Patience, what: str, work: Callable[[], T], ends: float | None = None) -> T:
    """Do `work`, and again if it fails for now, with back-off and jitter or when the server says.

    Only a TransferError is tried again; the one of the last try is raised.

    Parameters
    ----------
    what
        For the log.
    ends
        When there is no more time, by the monotonic clock; None: there always is.
    """
    try:
        return work()
    except TransferError as error:
        failed = [error]
    # The first try goes without the machinery, which takes 40 us and so a second for 25,000 small files.
    import stamina  # noqa: PLC0415 -- docs/decisions/0029

    def again() -> T:
        if failed:
            raise failed.pop()
        return work()

    def may_be_cured(error: Exception) -> bool | float:
        wait_s = error.wait_s if isinstance(error, BusyError) else 0.0
        if not isinstance(error, TransferError) or (ends is not None and time.monotonic() + wait_s >= ends):
            return False
        logger.info("failed for now what=%s reason=%s", what, error)
        return wait_s or True

    stamina.instrumentation.set_on_retry_hooks([])  # else it logs each retry too, without saying why
    caller = stamina.RetryingCaller(
        attempts=patience.tries,
        timeout=None,
        wait_initial=patience.backoff_s,
        wait_max=patience.backoff_max_s,
        wait_jitter=patience.backoff_s,
    )
    return caller(may_be_cured, again)


def refusal(told: str, status: int, retry_after: str | None) -> CacheError:
    """Turn a status that is no answer into an error that says whether to ask again."""
    told = printable(told, 300)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _MAY_PASS:
        return ServerError(told)
    try:
        wait_s = urllib3.Retry().parse_retry_after(retry_after) if retry_after else None
    except (urllib3.exceptions.InvalidHeader, OverflowError, ValueError):
        wait_s = None
    return UnreachableError(told) if wait_s is None else BusyError(told, min(wait_s, _LONGEST_WAIT_S))


def cause_of(error: BaseException) -> str:
    """Tell the innermost cause of a failed exchange: the layers above only repeat it, in more words."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(error, http.client.HTTPException):
        error, inner = inner, inner.__cause__ or (None if inner.__suppress_context__ else inner.__context__)
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was closed"
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror, 200)
    text = printable(str(error), 200) or type(error).__name__
    # Whatever is neither a connection nor an address that failed, is what came over the connection.
    is_reply = not isinstance(error, OSError | urllib3.exceptions.LocationValueError)
    return f"bad reply: {text}" if is_reply else text


def printable(text: str, limit: int) -> str:
    """Make foreign text fit for a line of a log: no control characters, at most `limit` characters."""
    line = " ".join(text[: 10 * limit].split())
    return "".join([character for character in line if character.isprintable()])[:limit]


def shown(url: str) -> str:
    """Take out of an address what may be secret: user, password and query."""
    return re.sub(r"://[^?#]*@", "://", url).partition("?")[0]


def trust() -> ssl.SSLContext:
    """Trust the system's certificates, as the missions' client does, and those that come with requests."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
