"""GET over connections that are kept open: proxies, certificates, redirects, and errors of ours."""

import re
import ssl
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from threading import Lock
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from crdscache.contexts.records import Patience
from crdscache.errors import ServerError, UnreachableError
from crdscache.server import wire

_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "crdscache"}
_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
_NEVER = urllib3.Retry(total=False, redirect=False)  # who asks decides whether to ask again
_MAX_REDIRECTS = 5
_SHORT_BYTES = 4096

_Door = urllib3.HTTPConnectionPool | urllib3.ProxyManager


class Transport:
    """Connections to any number of servers, shared by threads; a context manager.

    Parameters
    ----------
    n_kept : of each server
    """

    def __init__(self, patience: Patience, n_kept: int) -> None:
        self._timeout = urllib3.Timeout(connect=patience.connect_timeout_s, read=patience.read_timeout_s)
        self._n_kept = n_kept
        self._doors: dict[str, _Door] = {}
        self._opening = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for door in self._doors.values():
            _close(door)

    def get(self, url: str, start: int = 0, version: str | None = None) -> urllib3.BaseHTTPResponse:
        """Ask for a file, from byte `start` on; the reply may have any status, but is no redirect.

        The body has not been read, and is not decoded when it is. The caller closes the reply; the connection
        is kept if the body was read to its end.

        Parameters
        ----------
        version
            The strong entity tag of what came before `start`, if there was one: of another version the server
            gives all.

        Raises
        ------
        UnreachableError
            No reply, or one that is not HTTP.
        ServerError
            An address that we do not follow.
        """
        headers = _HEADERS
        if start:
            headers = headers | {"Range": f"bytes={start}-"} | ({"If-Range": version} if version else {})
        for _ in range(_MAX_REDIRECTS + 1):
            reply = self._ask(url, headers)
            location = reply.get_redirect_location()
            if not location:
                return reply
            discard(reply)
            url = _next_hop(url, location)
        raise ServerError(f"more than {_MAX_REDIRECTS} redirects")

    def _ask(self, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        found = _ORIGIN.match(url)
        if found is None:
            raise ServerError("the address is neither http nor https")
        door = self._doors.get(found[0]) or self._open(found[0])
        # Straight to the pool: a manager would take the address apart again for each file.
        target = url if isinstance(door, urllib3.ProxyManager) else url[found.end() :]
        try:
            return door.urlopen(
                "GET",
                target,
                headers=headers,
                retries=_NEVER,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            if isinstance(error, HTTPTimeoutError):
                self._close_idle(found[0], door)
            raise UnreachableError(wire.cause_of(error)) from error

    def _close_idle(self, origin: str, door: _Door) -> None:
        """Make a new start: a server of one connection at a time waits for the end of an idle one."""
        with self._opening:
            if self._doors.get(origin) is door:
                del self._doors[origin]
        _close(door)

    def _open(self, origin: str) -> _Door:
        with self._opening:
            if origin not in self._doors:
                try:
                    self._doors[origin] = self._new_door(origin)
                except (HTTPError, ValueError) as error:  # a host, a port or a proxy that cannot be
                    raise ServerError(wire.printable(str(error), 200)) from error
            return self._doors[origin]

    def _new_door(self, origin: str) -> _Door:
        parts = urlsplit(origin)
        kept, timeout = self._n_kept, self._timeout
        proxy = self._proxies.get(parts.scheme, self._proxies.get("all"))
        if proxy and not urllib.request.proxy_bypass(parts.hostname or ""):
            address = urllib3.util.parse_url(proxy if "://" in proxy else f"http://{proxy}")
            login = urllib3.make_headers(proxy_basic_auth=unquote(address.auth)) if address.auth else None
            return urllib3.ProxyManager(
                address.url, proxy_headers=login, ssl_context=self._trust, maxsize=kept, timeout=timeout
            )
        trust = self._trust if parts.scheme == "https" else None
        manager = urllib3.PoolManager(ssl_context=trust, maxsize=kept, timeout=timeout)
        return manager.connection_from_url(origin)

    @cached_property
    def _proxies(self) -> dict[str, str]:
        return urllib.request.getproxies()

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return wire.trust()


def _close(door: _Door) -> None:
    door.clear() if isinstance(door, urllib3.ProxyManager) else door.close()


def discard(reply: urllib3.BaseHTTPResponse) -> None:
    """Close a reply that nobody wants; if it is short its connection is kept."""
    length = reply.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) <= _SHORT_BYTES:
        with suppress(HTTPError):
            reply.read(_SHORT_BYTES + 1)
    reply.close()


def _next_hop(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
    except ValueError as error:
        raise ServerError("redirected to what is no address") from error
    schemes = urlsplit(url).scheme, urlsplit(target).scheme
    if schemes[1] == "https" or schemes == ("http", "http"):
        return target
    raise ServerError(f"redirected to {wire.printable(wire.shown(target), 200)}, which is refused")
