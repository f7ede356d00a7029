"""Remote procedure calls: JSON over HTTP. Source: docs/protocol.md, "JSON-RPC"."""

import html
import json
import uuid
from collections.abc import Sequence
from itertools import count
from types import TracebackType
from typing import Self

import requests
import urllib3
from requests.adapters import HTTPAdapter

import crdscache
from crdscache.contexts import serverinfo
from crdscache.contexts.records import Patience
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import ServerError, UnreachableError
from crdscache.server import wire

MAX_BODY_BYTES = 64 * 2**20
_CHUNK_BYTES = 2**18
_NAMES_PER_CALL = 5000
_METADATA_FIELDS = ["sha1sum", "size"]
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Encoding": "identity"}
_OK = 200

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
        self._session.mount("https://", _SystemTrust())

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
        body = wire.persist(self._patience, lambda: self._post(method, params))
        return serverinfo.unwrap(body)

    def server_info(self, observatory: str) -> ServerInfo:
        """Ask what the server has; its catalogue too, which older servers do not send unasked."""
        raw = self.call("get_server_info")
        info = serverinfo.parse_server_info(raw, observatory)
        if info.metadata is None:
            metadata = self.call("get_file_info_map", observatory, None, _METADATA_FIELDS)
            info = serverinfo.parse_server_info({**info.raw, "download_metadata": metadata}, observatory)
        return info

    def file_states(self, observatory: str, names: Sequence[str]) -> dict[str, str]:
        """Ask how far the archive is with files; "" for one that the server does not know."""
        states = {}
        for start in range(0, len(names), _NAMES_PER_CALL):
            batch = sorted(names[start : start + _NAMES_PER_CALL])
            answer = self.call("get_file_info_map", observatory, batch, ["state"])
            if not isinstance(answer, dict):
                raise ServerError(f"get_file_info_map: the answer is no table but a {type(answer).__name__}")
            states |= {name: _state(answer.get(name)) for name in batch}
        return states
