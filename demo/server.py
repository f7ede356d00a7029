"""A CRDS server on loopback: serves any directory laid out like a cache, with faults on demand.

In a test it runs as a thread: `with Server(root) as server: ...`. By itself: `python -m demo.server --help`.
"""

import argparse
import asyncio
import gc
import json
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from threading import Event, Thread
from typing import Self

from crdscache.contexts import names
from crdscache.contexts.records import FileRecord
from demo.content import Archive, Content, in_memory, load, record_of
from demo.faultplan import Exchange, Faults
from demo.methods import BestRefs, Methods, RpcError, call
from demo.rpcfaults import named
from demo.wire import Connection, Reply, Request, Step, file_reply, reply_with

Edit = Callable[[object], object]
SMALL_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class _Ready:
    """A whole reply to a plain request for a small file; kept, as benchmarks share the processor with us."""

    name: str
    content: Content
    data: bytes


class Server:
    """Answers as a CRDS server would, from the moment it is made until it is closed.

    Parameters
    ----------
    root : a directory laid out like a cache; None: nothing is there until it is added
    cap_bytes : upper limit for the size of references that are not there as files; the catalogue follows
    latency_s : pause before each answer; others go on meanwhile
    port : 0 for any that is free
    bestrefs : answers get_best_references
    """

    def __init__(
        self,
        root: Path | None,
        observatory: str = "hst",
        *,
        cap_bytes: int | None = None,
        latency_s: float = 0.0,
        port: int = 0,
        bestrefs: BestRefs | None = None,
    ) -> None:
        self.archive = Archive(observatory) if root is None else load(root, observatory, cap_bytes)
        self.observatory = observatory
        self.latency_s = latency_s
        self.faults = Faults()
        self.requests: Counter[str] = Counter()  # "GET name", "HEAD name", "RPC method"
        self._first = self.archive.default, self.archive.edit
        self._edits: dict[str, Edit] = {}
        self._ready: dict[str, _Ready] = {}
        self._connections: set[Connection] = set()
        self._loop = asyncio.new_event_loop()
        listener = _listener(port)
        self._port = listener.getsockname()[1]
        self.url = f"http://localhost:{self._port}"
        self._methods = Methods(self.archive, self.url, bestrefs)
        self._orders: dict[str, Callable[..., object]] = {
            "set_default": self.set_default,
            "set_edit": self.set_edit,
            "latency_s": self._set_latency,
            "fault": self._add_fault,
            "rate": self._add_rate,
            "add_reference": self.add_reference,
            "change": self.archive.change,
            "forget": self.archive.forget,
            "reset": lambda _: self.reset(),
        }
        where = f"/unchecked_get/{{}}/{observatory}"
        self._folders = {where.format("mappings"): True, where.format("references"): False}
        ready = Event()
        self._thread = Thread(target=self._run, args=(listener, ready), name="demo server", daemon=True)
        self._thread.start()
        ready.wait()

    @classmethod
    def empty(
        cls, observatory: str = "hst", *, latency_s: float = 0.0, bestrefs: BestRefs | None = None
    ) -> Self:
        """Serve nothing yet: for tests that bring their own files."""
        return cls(None, observatory, latency_s=latency_s, bestrefs=bestrefs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop, and cut all connections."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def vanish(self) -> None:
        """Be gone: cut all connections, and refuse new ones."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()

    def come_back(self) -> None:
        """Be there again after `vanish`, at the same address."""
        asyncio.run_coroutine_threadsafe(self._open(_listener(self._port)), self._loop).result()

    @property
    def base(self) -> str:
        """The address below which references lie, with a slash at its end."""
        return f"{self.url}/unchecked_get/references/{self.observatory}/"

    def url_of(self, name: str) -> str:
        """Give the address of a file."""
        folder = "mappings" if names.is_mapping(name) else "references"
        return f"{self.url}/unchecked_get/{folder}/{self.observatory}/{name}"

    def content(self, name: str) -> bytes:
        """Get the bytes of a file as they are served without a fault."""
        return self.archive.contents[name].read()

    def set_default(self, context: str) -> None:
        """Move the default context; the history ends with it."""
        self.archive.default = context

    def set_edit(self, context: str) -> None:
        """Move the edit context."""
        self.archive.edit = context

    def add_file(self, name: str, content: int | bytes, *, state: str = "operational") -> FileRecord:
        """Serve and catalogue one more file, of given bytes or of a size; gives its record."""
        made = in_memory(name, content) if isinstance(content, bytes) else Content(name, content)
        record = record_of(made, state)
        self.archive.put(made, record)
        return record

    def add_reference(self, name: str, size_bytes: int = 4096, *, content: bytes | None = None) -> FileRecord:
        """Serve and catalogue one more reference; gives its record."""
        return self.add_file(name, size_bytes if content is None else content)

    def change_content(self, name: str, data: bytes) -> None:
        """Serve other bytes under a name; the catalogue stays as it is."""
        self.archive.contents[name] = in_memory(name, data)

    def override(self, method: str, edit: Edit) -> None:
        """Let `edit` change each result of a remote method."""
        self._edits[method] = edit

    def reset(self) -> None:
        """Answer rightly again, with the first default context; forget what was asked."""
        self.faults.clear()
        self.faults.played.clear()
        self.requests.clear()
        self._edits.clear()
        self.archive.default, self.archive.edit = self._first

    def _run(self, listener: socket.socket, ready: Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open(listener))
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._shut())

    async def _open(self, listener: socket.socket) -> None:
        self._door = await self._loop.create_server(
            lambda: Connection(self._answer, self._loop, self._connections), sock=listener, backlog=512
        )

    async def _shut(self) -> None:
        self._door.close()
        for connection in list(self._connections):
            connection.end()
        await asyncio.sleep(0)  # let the sockets close

    def _answer(self, request: Request) -> Iterator[Step]:
        """Count a request, and give what is to be played."""
        is_plain = request.method == "GET" and not (
            self.latency_s or self.faults.are_set or request.header("range") or request.wants_close
        )
        ready = self._ready.get(request.path) if is_plain else None
        if ready is not None and self.archive.contents.get(ready.name) is ready.content:
            self.requests[f"GET {ready.name}"] += 1
            return iter((ready.data,))
        name, reply = self._reply(request)
        if request.wants_close:
            reply.headers["Connection"] = "close"
        if is_plain and reply.status == HTTPStatus.OK and 0 < reply.body.size_bytes <= SMALL_BYTES:
            data = reply.head() + reply.body.read()
            self._ready[request.path] = _Ready(name, reply.body, data)
            return iter((data,))
        fault = self.faults.pick(name) if request.method != "HEAD" else None
        if fault is not None:
            steps = fault.play(Exchange(request, reply, self._find))
        else:
            steps = (reply.without_body() if request.method == "HEAD" else reply).steps()
        return chain((self.latency_s,), steps) if self.latency_s else steps

    def _reply(self, request: Request) -> tuple[str, Reply]:
        """Give the right answer, and the name by which faults know it."""
        path = request.path.partition("?")[0]
        if path.startswith("/_hops/"):
            n, _, path = path.removeprefix("/_hops/").partition("/")
            if int(n) > 0:
                return "", reply_with(307, b"", Location=f"/_hops/{int(n) - 1}/{path}")
            path = f"/{path}"
        if request.method == "POST" and path.startswith("/json/"):
            return self._remote_call(request.body)
        if path == "/_control/":
            return "", self._control(request.body)
        if request.method in {"GET", "HEAD"}:
            return self._file(path, request)
        return "", reply_with(405, b"", Allow="GET, HEAD, POST")

    def _file(self, path: str, request: Request) -> tuple[str, Reply]:
        folder, _, name = path.rpartition("/")
        self.requests[f"{request.method} {name}"] += 1
        content = self.archive.contents.get(name)
        if content is None or self._folders.get(folder) is not names.is_mapping(name):
            return name, reply_with(404, b"not found\n")
        return name, file_reply(content, f'"{self.archive.records[name].file_sha1}"', request)

    def _find(self, name: str) -> Content:
        return self.archive.contents[name]

    def _remote_call(self, body: bytes) -> tuple[str, Reply]:
        try:
            asked = json.loads(body)
            method, params = str(asked["method"]), list(asked["params"])
        except (ValueError, TypeError, KeyError):
            return "", reply_with(400, b"not a remote call\n")
        self.requests[f"RPC {method}"] += 1
        answer: dict[str, object] = {"jsonrpc": "1.0", "id": asked.get("id"), "error": None, "result": None}
        try:
            result = call(self._methods, method, params)
            answer["result"] = self._edits[method](result) if method in self._edits else result
        except RpcError as error:
            answer["error"] = {
                "name": "OtherError",
                "code": 500,
                "data": None,
                "message": f"OtherError: {error}",
            }
        return method, reply_with(200, json.dumps(answer).encode(), "application/json-rpc")

    def _control(self, body: bytes) -> Reply:
        """Do what is ordered from outside, key by key, and tell how things are."""
        try:
            for order, value in json.loads(body or b"{}").items():
                obey = self._orders[order]
                obey(**value) if isinstance(value, dict) else obey(value)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return reply_with(400, f"{type(error).__name__}: {error}\n".encode())
        state = {"default": self.archive.default, "requests": self.requests, "faults": self.faults.played}
        return reply_with(200, json.dumps(state).encode(), "application/json")

    def _set_latency(self, seconds: float) -> None:
        self.latency_s = float(seconds)

    def _add_fault(self, name: str, kind: str, times: int | None = None, **arguments: object) -> None:
        self.faults.add(name, named(kind, **arguments), times=times)

    def _add_rate(self, seed: int = 0, **percents: float) -> None:
        self.faults.at_rate({named(kind): percent for kind, percent in percents.items()}, seed=seed)


def _listener(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=512)


def _percent(text: str) -> tuple[str, float]:
    kind, _, percent = text.partition(":")
    return kind, float(percent)


def main() -> int:
    """Serve a directory until told to stop."""
    parser = argparse.ArgumentParser("python -m demo.server", description=__doc__)
    parser.add_argument("root", type=Path, help="a directory laid out like a cache")
    parser.add_argument("--observatory", default="hst")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--cap", type=int, metavar="BYTES", help="largest size of a made reference")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="pause before each answer"
    )
    parser.add_argument(
        "--rate",
        type=_percent,
        action="append",
        default=[],
        metavar="FAULT:PERCENT",
        help="fault of that many files",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the faults by rate")
    options = parser.parse_args()
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before threads start: they inherit it
    with Server(
        options.root, options.observatory, cap_bytes=options.cap, latency_s=options.latency, port=options.port
    ) as server:
        if options.rate:
            percents = {named(kind): percent for kind, percent in options.rate}
            server.faults.at_rate(percents, seed=options.seed)
        gc.freeze()  # a large catalogue need not be searched for garbage again and again
        print(server.url, flush=True)
        signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
