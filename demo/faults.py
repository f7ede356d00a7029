"""Kinds of faults of HTTP: each takes the right answer and plays something else.

README.md has them all in a table.
"""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus

from demo.faultplan import Exchange, kind
from demo.wire import Ending, Reply, Step, reply_with

PAGE = "<html><head><title>Please log in</title></head><body>Your session has ended.</body></html>"


def with_headers(reply: Reply, **changes: str | None) -> Reply:
    """Change headers (`_` for `-` in names); None takes one out."""
    new = {name.replace("_", "-"): text for name, text in changes.items()}
    merged = {**reply.headers, **new}
    return replace(reply, headers={name: text for name, text in merged.items() if text is not None})


def _first(reply: Reply, n_bytes: int) -> Iterator[Step]:
    end = reply.body.size_bytes if reply.stop is None else reply.stop
    yield from reply.body.chunks(reply.start, min(reply.start + n_bytes, end))


def instead_of(reply: Reply, data: bytes) -> Iterator[Step]:
    """Send another body with the headers of the right answer, but for its length."""
    changed = with_headers(reply, Content_Length=str(len(data)))
    yield changed.head() + data


@kind
def reset(_: Exchange) -> Iterator[Step]:
    """Reset the connection before the first byte."""
    yield Ending.RESET


@kind
def close(_: Exchange) -> Iterator[Step]:
    """Close the connection before the first byte."""
    yield Ending.CLOSE


@kind
def reset_in_body(exchange: Exchange, at_bytes: int = 100) -> Iterator[Step]:
    """Reset the connection after so many bytes of the body."""
    yield exchange.reply.head()
    yield from _first(exchange.reply, at_bytes)
    yield 0.05  # a reset overtakes what the client has not read yet
    yield Ending.RESET


@kind
def truncate(exchange: Exchange, at_bytes: int = 100) -> Iterator[Step]:
    """Promise the whole, send so many bytes of the body, close."""
    yield exchange.reply.head()
    yield from _first(exchange.reply, at_bytes)
    yield Ending.CLOSE


@kind
def stall(_: Exchange) -> Iterator[Step]:
    """Send nothing at all, and keep the connection open."""
    yield Ending.SILENCE


@kind
def stall_in_headers(exchange: Exchange) -> Iterator[Step]:
    """Send half of the headers, then nothing."""
    head = exchange.reply.head()
    yield head[: len(head) // 2]
    yield Ending.SILENCE


@kind
def stall_in_body(exchange: Exchange, at_bytes: int = 100) -> Iterator[Step]:
    """Send so many bytes of the body, then nothing."""
    yield exchange.reply.head()
    yield from _first(exchange.reply, at_bytes)
    yield Ending.SILENCE


@kind
def delay(exchange: Exchange, seconds: float = 1.0) -> Iterator[Step]:
    """Answer rightly, but late."""
    yield float(seconds)
    yield from exchange.reply.steps()


@kind
def drip(exchange: Exchange, step_bytes: int = 1, pause_s: float = 0.4) -> Iterator[Step]:
    """Send the right body a few bytes at a time, with a pause before each."""
    yield exchange.reply.head()
    for chunk in exchange.reply.body.chunks(exchange.reply.start, exchange.reply.stop):
        for start in range(0, len(chunk), step_bytes):
            yield float(pause_s)
            yield chunk[start : start + step_bytes]


@kind
def shorter(exchange: Exchange, by_bytes: int = 1) -> Iterator[Step]:
    """Leave out the last bytes, and give the length of what is sent."""
    yield from instead_of(exchange.reply, exchange.reply.body.read()[:-by_bytes])


@kind
def longer(exchange: Exchange, by_bytes: int = 1) -> Iterator[Step]:
    """Add bytes, and give the length of what is sent."""
    yield from instead_of(exchange.reply, exchange.reply.body.read() + b"x" * by_bytes)


@kind
def longer_unframed(exchange: Exchange, by_bytes: int = 1) -> Iterator[Step]:
    """Add bytes without telling a length; the end is that of the connection."""
    yield with_headers(exchange.reply, Content_Length=None, Connection="close").head()
    yield from exchange.reply.body.chunks()
    for start in range(0, by_bytes, 1 << 16):
        yield b"x" * min(1 << 16, by_bytes - start)
    yield Ending.CLOSE


@kind
def truncate_unframed(exchange: Exchange, at_bytes: int = 100) -> Iterator[Step]:
    """Send the first bytes without telling a length: it looks like a whole file."""
    yield with_headers(exchange.reply, Content_Length=None, Connection="close").head()
    yield from _first(exchange.reply, at_bytes)
    yield Ending.CLOSE


@kind
def truncate_chunked(exchange: Exchange, at_bytes: int = 100) -> Iterator[Step]:
    """Send a chunk of the first bytes, but no last chunk."""
    yield with_headers(exchange.reply, Content_Length=None, Transfer_Encoding="chunked").head()
    data = b"".join(step for step in _first(exchange.reply, at_bytes) if isinstance(step, bytes))
    yield b"%x\r\n%s\r\n" % (len(data), data)
    yield Ending.CLOSE


@kind
def bad_chunk_size(exchange: Exchange) -> Iterator[Step]:
    """Send a chunk whose size is no number."""
    yield with_headers(exchange.reply, Content_Length=None, Transfer_Encoding="chunked").head()
    yield b"zz\r\nabc\r\n"
    yield Ending.CLOSE


@kind
def content_length(exchange: Exchange, value: str = "-1") -> Iterator[Step]:
    """Send the right body under any text as Content-Length; a second value comes after `|`."""
    first, *more = value.split("|")
    head = with_headers(exchange.reply, Content_Length=first).head()
    yield head[:-2] + b"".join(b"Content-Length: %s\r\n" % text.encode() for text in more) + b"\r\n"
    yield from exchange.reply.body.chunks()
    yield Ending.CLOSE


@kind
def many_headers(exchange: Exchange, n_lines: int = 200, line_bytes: int = 20) -> Iterator[Step]:
    """Send more header lines than anybody needs, before the right body."""
    more = {f"X-{number}": "x" * line_bytes for number in range(n_lines)}
    yield from replace(exchange.reply, headers=exchange.reply.headers | more).steps()


@kind
def not_http(_: Exchange, text: str = "220 mail.example ready\r\n") -> Iterator[Step]:
    """Answer in another protocol."""
    yield text.encode()
    yield Ending.CLOSE


@kind
def status(_: Exchange, code: int = 503, retry_after: str | None = None) -> Iterator[Step]:
    """Answer with a status, and Retry-After if given."""
    has_body = code not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    reply = reply_with(code, b"as you wished\n" if has_body else b"")
    yield from with_headers(reply, Retry_After=retry_after).steps()


@kind
def redirect(_: Exchange, to: str = "http://localhost:9/", code: int = 302) -> Iterator[Step]:
    """Send the client elsewhere."""
    yield from reply_with(code, b"", Location=to).steps()


@kind
def hops(exchange: Exchange, n: int = 1_000_000) -> Iterator[Step]:
    """Send the client round n redirects before the right answer: without end unless n is small."""
    yield from reply_with(307, b"", Location=f"/_hops/{n - 1}{exchange.request.path}").steps()


@kind
def html(_: Exchange, code: int = 200) -> Iterator[Step]:
    """Send a page for people instead."""
    yield from reply_with(code, PAGE.encode(), "text/html").steps()


@kind
def flip(exchange: Exchange, at_byte: int = 0) -> Iterator[Step]:
    """Flip one bit; the size is right."""
    reply = exchange.reply
    yield reply.head()
    place = at_byte
    for chunk in reply.body.chunks():
        if 0 <= place < len(chunk):
            yield chunk[:place] + bytes([chunk[place] ^ 1]) + chunk[place + 1 :]
        else:
            yield chunk
        place -= len(chunk)


@kind
def content_of(exchange: Exchange, name: str) -> Iterator[Step]:
    """Send the content of another file."""
    other = exchange.find(name)
    yield with_headers(exchange.reply, Content_Length=str(other.size_bytes)).head()
    yield from other.chunks()


@kind
def body(exchange: Exchange, text: str = "") -> Iterator[Step]:
    """Send any text as the body."""
    yield from instead_of(exchange.reply, text.encode("utf-8", "surrogatepass"))


@kind
def filler(exchange: Exchange, size_bytes: int = 1 << 30) -> Iterator[Step]:
    """Send a body of blanks, of any size."""
    yield with_headers(exchange.reply, Content_Length=str(size_bytes)).head()
    for start in range(0, size_bytes, 1 << 18):
        yield b" " * min(1 << 18, size_bytes - start)


@kind
def encoded(exchange: Exchange, encoding: str = "gzip") -> Iterator[Step]:
    """Claim a Content-Encoding: right for gzip, a lie for any other."""
    data = exchange.reply.body.read()
    packed = gzip.compress(data, mtime=0) if encoding == "gzip" else data
    changed = with_headers(exchange.reply, Content_Encoding=encoding, Content_Length=str(len(packed)))
    yield changed.head() + packed


@kind
def bad_gzip(exchange: Exchange) -> Iterator[Step]:
    """Claim gzip for what is none."""
    yield from with_headers(exchange.reply, Content_Encoding="gzip").steps()


@kind
def gzip_bomb(exchange: Exchange, size_bytes: int = 1 << 30) -> Iterator[Step]:
    """Send a small gzip body that unpacks to many zeros."""
    pieces = [gzip.compress(bytes(1 << 20), mtime=0)] * (size_bytes >> 20)
    packed = b"".join(pieces)
    changed = with_headers(exchange.reply, Content_Encoding="gzip", Content_Length=str(len(packed)))
    yield changed.head() + packed


@kind
def ignore_range(exchange: Exchange) -> Iterator[Step]:
    """Send the whole file with status 200, whatever range was asked for."""
    whole = exchange.reply.body
    changed = with_headers(exchange.reply, Content_Range=None, Content_Length=str(whole.size_bytes))
    yield from replace(changed, status=200, start=0, stop=None).steps()


@kind
def wrong_content_range(exchange: Exchange, shift_bytes: int = 7) -> Iterator[Step]:
    """Say that the part begins elsewhere than asked."""
    reply = exchange.reply
    size, start = reply.body.size_bytes, reply.start + shift_bytes
    said = f"bytes {start}-{size - 1}/{size}" if reply.status == HTTPStatus.PARTIAL_CONTENT else None
    yield from with_headers(reply, Content_Range=said).steps()


@kind
def other_etag(exchange: Exchange) -> Iterator[Step]:
    """Give the whole file under another ETag: it was replaced between the parts."""
    whole = exchange.reply.body
    changed = with_headers(
        exchange.reply, ETag='"replaced"', Content_Range=None, Content_Length=str(whole.size_bytes)
    )
    yield from replace(changed, status=200, start=0, stop=None).steps()
