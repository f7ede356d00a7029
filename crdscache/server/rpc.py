"""Remote procedure calls: JSON over HTTP. Source: docs/protocol.md, "JSON-RPC"."""

import html
import json
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from itertools import count
from types import TracebackType
from typing import Self

import requests
import urllib3
from requests.adapters import HTTPAdapter

import crdscache
from crdscache.contexts import serverinfo
from crdscache.contexts.records import Patience
from crdscache.contexts.serverinfo import Era, ServerInfo
from crdscache.errors import ServerError, UnreachableError
from crdscache.server import wire

MAX_BODY_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**18
_MAX_TEXT = 1000
_NAMES_PER_CALL = 5000
_METADATA_FIELDS = ["sha1sum", "size"]
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Encoding": "identity"}

# What another attempt may cure; the other errors of requests are about addresses that make no sense.
_FOR_NOW = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class RpcClient:
    """Calls the methods of one server; a context manager."""

    def __init__(self, server_url: str, patience: Patience) -> None:
        self._url, self._patience = server_url.rstrip("/"), patience
        self._ids = count(1)
        self._id_stem = f"crdscache-{crdscache.__version__}-{uuid.uuid4()}"
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)
        if self._url.startswith("https:"):
            self._session.mount("https://", _SystemTrust())  # shorter, it would come after that of requests

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def call(self, method: str, *params: object) -> object:
        """Call a method and return its result, out of its wrapping.

        Raises
        ------
        UnreachableError
            No answer, however often we asked.
        ServerError
            The server refused, or its answer makes no sense.
        """
        return wire.persist(self._patience, method, lambda: self._call_once(method, params))

    def server_info(self, observatory: str) -> ServerInfo:
        """Ask what the server has; its catalogue too, which older servers do not send unasked."""
        raw = self.call("get_server_info")
        info = serverinfo.parse_server_info(raw, observatory)
        if info.metadata is None:
            metadata = self.call("get_file_info_map", observatory, None, _METADATA_FIELDS)
            wrapped = serverinfo.wrap(metadata)  # as the saved configuration has it, whoever made it
            info = serverinfo.parse_server_info({**info.raw, "download_metadata": wrapped}, observatory)
        return info

    def history(self, observatory: str) -> tuple[Era, ...]:
        """Ask which contexts were the default, newest first."""
        return serverinfo.parse_history(self.call("get_context_history", observatory))

    def file_states(self, observatory: str, names: Sequence[str]) -> dict[str, str]:
        """Ask how far the archive is with files; "" for one that the server does not know."""
        states: dict[str, str] = {}
        for start in range(0, len(names), _NAMES_PER_CALL):
            batch = sorted(names[start : start + _NAMES_PER_CALL])
            answer = self.call("get_file_info_map", observatory, batch, ["state"])
            if not isinstance(answer, dict):
                raise ServerError(f"get_file_info_map: the answer is no table but a {type(answer).__name__}")
            states |= {name: _state(answer.get(name)) for name in batch}
        return states

    def _call_once(self, method: str, params: Sequence[object]) -> object:
        call_id = f"{self._id_stem}-{next(self._ids):08x}"
        call = {"jsonrpc": "1.0", "method": method, "params": params, "id": call_id}
        where = f"{method} at {wire.shown(self._url)}"
        try:
            body = self._post(f"{self._url}/json/{method}/", json.dumps(call).encode(), where)
        except _FOR_NOW as error:
            raise UnreachableError(f"{where}: {wire.cause_of(error)}") from error
        except requests.RequestException as error:
            raise ServerError(f"{where}: the address is not one that can be asked") from error
        return _result(body, call_id, where)

    def _post(self, url: str, data: bytes, where: str) -> bytes:
        timeout = (self._patience.connect_timeout_s, self._patience.read_timeout_s)
        # Not redirected: it would become a GET, without what we ask.
        with self._session.post(url, data, timeout=timeout, stream=True, allow_redirects=False) as reply:
            if reply.status_code != HTTPStatus.OK:
                location = wire.shown(reply.headers.get("Location", ""))
                told = f"{where}: status {reply.status_code} {reply.reason} {location}"
                raise wire.refusal(told, reply.status_code, reply.headers.get("Retry-After"))
            body = bytearray()
            for chunk in reply.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise ServerError(f"{where}: the reply is longer than {MAX_BODY_BYTES} bytes")
            return bytes(body)


class _SystemTrust(HTTPAdapter):
    """Trusts what the transfers trust."""

    def init_poolmanager(
        self,
        connections: int,
        maxsize: int,
        block: bool = False,  # noqa: FBT001, FBT002 (the signature is theirs)
        **options: object,
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=wire.trust(), **options)

    def proxy_manager_for(self, proxy: str, **options: object) -> urllib3.ProxyManager:
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, ssl_context=wire.trust(), **options)
        return manager


def _result(body: bytes, call_id: str, where: str) -> object:
    beginning = wire.printable(body[:1000].decode(errors="replace"), 80)
    try:
        reply = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ServerError(f"{where}: the reply is not JSON: {beginning!r}") from error
    if not isinstance(reply, dict):
        raise ServerError(f"{where}: the reply is no JSON object: {beginning!r}")
    if reply.get("error"):
        raise ServerError(f"{where}: {_text_of(reply['error'])}")
    if reply.get("id") != call_id:
        raise ServerError(f"{where}: the reply is to another call, {reply.get('id')!r:.100}")
    for key in ("error", "result"):
        if key not in reply:
            raise ServerError(f"{where}: the reply has no {key!r}")
    try:
        return serverinfo.unwrap(reply["result"])
    except ServerError as error:
        raise ServerError(f"{where}: {error}") from error


def _text_of(error: object) -> str:
    said = error["message"] if isinstance(error, dict) and error.get("message") else error
    return wire.printable(html.unescape(str(said)), _MAX_TEXT)


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _state(entry: object) -> str:
    match entry:
        case {"state": str(state)}:
            return state.lower()
        case None | "NOT FOUND":
            return ""
    raise ServerError(f"get_file_info_map: {entry!r:.100} tells no state")
