"""Bytes on the wire: requests as they come in, replies as steps, and the connection that plays them."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from http import HTTPStatus
from itertools import repeat
from typing import cast

from demo.content import CHUNK_BYTES, Content, in_memory

REASONS = {status.value: status.phrase for status in HTTPStatus}


class Ending(Enum):
    """How a connection ends where a fault wants it to; a reply without one leaves it open."""

    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"  # nothing more is sent, and nothing is closed


# What happens next on a connection: bytes are sent, a number is a pause in seconds.
Step = bytes | float | Ending


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    head: str  # request line and headers, in lower case
    body: bytes

    def header(self, name: str) -> str:
        """Get a header's value in lower case, empty if it is not there; `name` is in lower case."""
        # Of the many headers hardly any is ever asked for: a search is cheaper than a table.
        found = self.head.find(f"\r\n{name}:")
        if found < 0:
            return ""
        end = self.head.find("\r\n", found + 2)
        return self.head[found + len(name) + 3 : end if end > 0 else None].strip()

    @property
    def wants_close(self) -> bool:
        """Whether the client asks for the end of the connection after the reply."""
        return self.header("connection") == "close"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply: its body is a part of `body`, its headers are complete."""

    status: int
    headers: dict[str, str]
    body: Content
    start: int = 0
    stop: int | None = None

    def head(self) -> bytes:
        """Render status line and headers."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}\r\n{lines}\r\n".encode(
            "latin-1"
        )

    def steps(self) -> Iterator[Step]:
        """Yield what a good server would send."""
        if self.body.size_bytes <= CHUNK_BYTES:  # one write: less work on both ends
            yield self.head() + self.body.read(self.start, self.stop)
        else:
            yield self.head()
            yield from self.body.chunks(self.start, self.stop)

    def without_body(self) -> "Reply":
        """Answer HEAD: the same headers, and no more."""
        return replace(self, stop=self.start)


def reply_with(status: int, data: bytes, kind: str = "text/plain", **more: str) -> Reply:
    """Answer with `data`; further headers have `_` for `-` in their names."""
    headers = {"Content-Type": kind, "Content-Length": str(len(data))}
    return Reply(
        status, headers | {name.replace("_", "-"): text for name, text in more.items()}, in_memory("", data)
    )


def file_reply(content: Content, etag: str, request: Request) -> Reply:
    """Answer with a file, or with the one range of it that was asked for."""
    size = content.size_bytes
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "ETag": etag}
    wanted = request.header("range")
    if not wanted or request.header("if-range") not in {"", etag} or "," in wanted:
        return Reply(200, headers | {"Content-Length": str(size)}, content)
    unit, _, span = wanted.partition("=")
    first, _, last = span.strip().partition("-")
    if unit.strip() != "bytes" or not (first.isdigit() or last.isdigit()):
        return Reply(200, headers | {"Content-Length": str(size)}, content)
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= stop:
        return reply_with(416, b"", Content_Range=f"bytes */{size}")
    headers |= {"Content-Length": str(stop - start), "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
    return Reply(206, headers, content, start, stop)


def parse_request(data: bytes) -> tuple[Request, bytes] | None:
    """Take the first request off `data`; None if it is not all there yet.

    Raises
    ------
    ValueError
        `data` does not begin with a request.
    """
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    text = head.decode("latin-1")
    method, path, _ = text.partition("\r\n")[0].split(" ")
    request = Request(method, path, text.lower(), b"")
    if method != "POST":
        return request, rest
    n_bytes = int(request.header("content-length") or 0)
    return None if len(rest) < n_bytes else (replace(request, body=rest[:n_bytes]), rest[n_bytes:])


@dataclass(slots=True, eq=False)
class Connection(asyncio.BufferedProtocol):
    """One client's connection: requests are answered one after another, each by playing its steps."""

    answer: Callable[[Request], Iterator[Step]]
    loop: asyncio.AbstractEventLoop
    opened: set["Connection"]
    _transport: asyncio.Transport | None = None
    # Ours, as a new one for each read, which asyncio would make, costs as much as the rest of a small reply.
    _incoming: bytearray = field(default_factory=lambda: bytearray(1 << 16))
    _waiting: bytes = b""
    _steps: Iterator[Step] | None = None
    _is_held_back: bool = False
    _ends_after: bool = False
    _timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self._transport = cast("asyncio.Transport", transport)
        self.opened.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Drop what was still to be sent."""
        self.opened.discard(self)
        self._steps = self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def get_buffer(self, _sizehint: int) -> bytearray:
        """Give the place that the next bytes are read into."""
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        """Answer, unless an answer is still under way."""
        data = bytes(memoryview(self._incoming)[:nbytes])
        self._waiting = self._waiting + data if self._waiting else data
        if self._steps is None:
            self._take_next()

    def pause_writing(self) -> None:
        """Wait until the client has read: so a large file needs no memory."""
        self._is_held_back = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_held_back = False
        if self._timer is None:
            # Not from here: asyncio would close a connection twice that is closed in this call.
            self._timer = self.loop.call_soon(self._play)

    def end(self) -> None:
        """Close at once, whatever was still to be sent."""
        if self._transport is not None:
            self._transport.abort()

    def _take_next(self) -> None:
        try:
            parsed = parse_request(self._waiting)
        except ValueError:
            self._ends_after, self._waiting = True, b""
            self._steps = reply_with(400, b"not a request").steps()
            self._play()
            return
        if parsed is not None:
            request, self._waiting = parsed
            self._ends_after = request.wants_close
            self._steps = self.answer(request)
            self._play()

    def _play(self) -> None:
        self._timer = None
        while self._steps is not None and self._transport is not None and not self._is_held_back:
            step = next(self._steps, None)
            if isinstance(step, bytes):
                self._transport.write(step)
            elif isinstance(step, float):
                self._timer = self.loop.call_later(step, self._play)
                return
            elif step is Ending.SILENCE:
                self._steps = repeat(step)  # still under way, for ever
                return
            elif step is Ending.RESET:
                self._reset(self._transport)
            elif step is Ending.CLOSE or self._ends_after:
                self._steps = None
                self._transport.close()
            else:
                self._steps = None
                if self._waiting:
                    self._take_next()

    @staticmethod
    def _reset(transport: asyncio.Transport) -> None:
        # A lingering time of nought makes the kernel send a reset instead of an orderly end.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()
