"""Transfers: a file comes into a hidden temporary, and gets its name when its bytes are right and durable."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Self

import urllib3
from urllib3.exceptions import HTTPError

from crdscache.cache import publish as publishing
from crdscache.cache.layout import Layout
from crdscache.contexts.records import FileRecord, Outcome, Patience, PlanRow, Receipt
from crdscache.errors import (
    CacheError,
    MismatchError,
    NotDeliveredError,
    ServerError,
    TransferError,
    UnreachableError,
)
from crdscache.server import transport, wire
from crdscache.server.part import CHUNK_BYTES, Part

logger = logging.getLogger(__name__)

_NOT_THERE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_OF_A_RANGE = {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}

_SLOWEST_BYTES_S = 1024
# After so many files in a row that could not be had, the server is left alone.
_ENOUGH_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Order:
    """One file to be brought."""

    record: FileRecord
    url: str
    target: Path


def order(row: PlanRow, cache: Layout) -> Order:
    """Turn a row of the plan into an order; the catalogue knows its file."""
    record = FileRecord(row.file.name, row.file.size_bytes or 0, row.file.file_sha1)
    return Order(record, row.source + record.name, cache.absolute(row.file.path))


class Downloader:
    """Brings files over connections that are kept open; a context manager, for one job.

    Parameters
    ----------
    connections
        How many files may be under way at a time.
    """

    def __init__(self, patience: Patience, connections: int) -> None:
        self._patience, self._n_threads = patience, connections
        self._transport = transport.Transport(patience, connections)
        self._n_failures_in_a_row = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.__exit__(kind, error, trace)

    def bring_all(
        self,
        orders: Sequence[Order],
        *,
        publish: bool = True,
        progress: Callable[[Receipt], None] | None = None,
    ) -> list[Receipt]:
        """Bring files, several at a time, and make their names durable; one receipt each, in the same order.

        Parameters
        ----------
        publish
            Whether files get their names; else they stay, verified, as `publish.part_name` has it.
        progress
            Called with each receipt, from several threads.

        Raises
        ------
        DiskError
            The disk refuses. Files that were put before stay.
        """
        receipts: dict[int, Receipt] = {}
        todo = iter(enumerate(orders))  # shared by the threads: each number comes once

        def work(stop: Event) -> None:
            for number, one in todo:
                if stop.is_set():
                    return
                receipts[number] = self.bring(one, publish=publish)
                if progress is not None:
                    progress(receipts[number])

        try:
            _in_threads(max(1, min(self._n_threads, len(orders))), work)
        finally:
            new = [number for number, receipt in receipts.items() if receipt.outcome is Outcome.FETCHED]
            for directory in {orders[number].target.parent for number in new if publish}:
                publishing.sync_directory(directory)
        return [receipts[number] for number in range(len(orders))]

    def bring_rows(
        self,
        rows: Sequence[PlanRow],
        cache: Layout,
        progress: Callable[[Receipt], None] | None = None,
        *,
        publish: bool = True,
    ) -> list[Receipt]:
        """Bring what rows of the plan are to fetch; see `bring_all`."""
        return self.bring_all([order(row, cache) for row in rows], publish=publish, progress=progress)

    def bring(self, one: Order, *, publish: bool = True) -> Receipt:
        """Bring one file and tell how it went; the name is durable when its directory was synced.

        Raises
        ------
        DiskError
            The disk refuses.
        """
        name, url = one.record.name, wire.shown(one.url)
        if self._n_failures_in_a_row >= _ENOUGH_FAILURES:
            reason = f"{url}: not asked for, as {_ENOUGH_FAILURES} files in a row could not be had"
            return Receipt(name, Outcome.FAILED, reason=reason)
        started = time.monotonic()
        try:
            file_sha1 = self._bring(one, publish=publish)
        except (NotDeliveredError, ServerError, TransferError, OSError) as error:
            if isinstance(error, OSError) and (
                refused := publishing.refused(error, one.target, one.record.size_bytes)
            ):
                raise refused from error
            return self._failed(error, name, url, time.monotonic() - started)
        self._n_failures_in_a_row = 0
        seconds = time.monotonic() - started
        logger.debug("fetched name=%s bytes=%d seconds=%.2f", name, one.record.size_bytes, seconds)
        if one.record.file_sha1 is None:
            logger.warning("size checked only, no catalogue SHA-1 name=%s", name)
        source = "/".join(url.split("/", 3)[:3])
        return Receipt(name, Outcome.FETCHED, one.record.size_bytes, file_sha1, source, seconds)

    def _failed(self, error: Exception, name: str, url: str, seconds: float) -> Receipt:
        is_one_more = isinstance(error, UnreachableError)
        self._n_failures_in_a_row = self._n_failures_in_a_row + 1 if is_one_more else 0
        if isinstance(error, NotDeliveredError):
            logger.info("pending name=%s reason=%s", name, error)
            return Receipt(name, Outcome.PENDING, seconds=seconds, reason=f"{url}: {error}")
        tries = f" (tries: {self._patience.tries})" if isinstance(error, TransferError) else ""
        logger.error("failed name=%s reason=%s%s", name, error, tries)
        return Receipt(name, Outcome.FAILED, seconds=seconds, reason=f"{url}: {error}{tries}")

    def _bring(self, one: Order, *, publish: bool) -> str:
        path = one.target.with_name(publishing.part_name(one.target.name, one.record.file_sha1))
        with Part(path, one.record) as part:
            wire.persist(self._patience, one.record.name, lambda: self._complete(one, part))
            part.finish(one.target if publish else None)
            return part.file_sha1

    def _complete(self, one: Order, part: Part) -> None:
        """Try once to get what is missing of a file, all of it if need be, and verify the whole."""
        if not part.is_whole:
            with closing(self._ask(one, part)) as reply:
                self._receive(reply, part, one.record.size_bytes)
        part.verify()

    def _ask(self, one: Order, part: Part) -> urllib3.BaseHTTPResponse:
        reply = self._transport.get(one.url, part.n_bytes)
        if part.n_bytes and reply.status in _OF_A_RANGE and not _continues(reply, part, one.record):
            transport.discard(reply)
            part.start_over()
            reply = self._transport.get(one.url)
        try:
            _check(reply, one.record, part.n_bytes)
        except CacheError:
            transport.discard(reply)
            raise
        if part.n_bytes and reply.status == HTTPStatus.OK:
            part.start_over()
        return reply

    def _receive(self, reply: urllib3.BaseHTTPResponse, part: Part, size_bytes: int) -> None:
        cut = "cut after %d of %d bytes"
        try:
            for data in self._body(reply, size_bytes + 1 - part.n_bytes):
                part.append(data)
        except HTTPError as error:
            raise UnreachableError(f"{cut % (part.n_bytes, size_bytes)}: {wire.cause_of(error)}") from error
        if part.n_bytes < size_bytes:
            raise UnreachableError(cut % (part.n_bytes, size_bytes))

    def _body(self, reply: urllib3.BaseHTTPResponse, limit_bytes: int) -> Iterator[bytes]:
        """Yield what comes, as it comes; a server that drips is given up though it is never silent."""
        window_s = self._patience.read_timeout_s
        window_ends, needed = time.monotonic() + window_s, limit_bytes - int(_SLOWEST_BYTES_S * window_s)
        while limit_bytes and (data := reply.read1(min(CHUNK_BYTES, limit_bytes))):
            limit_bytes -= len(data)
            yield data
            if (now := time.monotonic()) > window_ends:
                if limit_bytes > needed:
                    raise UnreachableError(f"slower than {_SLOWEST_BYTES_S} bytes/s for {window_s:g} s")
                window_ends, needed = now + window_s, limit_bytes - int(_SLOWEST_BYTES_S * window_s)


def _in_threads(n_threads: int, work: Callable[[Event], None]) -> None:
    """Run `work` in threads; what one raises stops the others, each at its next file, and is raised."""
    stop = Event()
    with ThreadPoolExecutor(n_threads) as threads:
        workers = [threads.submit(work, stop) for _ in range(n_threads)]
        try:
            wait(workers, return_when=FIRST_EXCEPTION)
        finally:
            stop.set()
    for worker in workers:
        worker.result()


def _continues(reply: urllib3.BaseHTTPResponse, part: Part, record: FileRecord) -> bool:
    expected = f"bytes {part.n_bytes}-{record.size_bytes - 1}/{record.size_bytes}"
    return reply.status == HTTPStatus.PARTIAL_CONTENT and reply.headers.get("Content-Range") == expected


def _check(reply: urllib3.BaseHTTPResponse, record: FileRecord, start: int) -> None:
    """Refuse a reply whose body is not what is missing of the file, as far as its head tells."""
    if reply.status in _NOT_THERE:
        raise NotDeliveredError(f"status {reply.status}")
    if reply.status != HTTPStatus.OK and not (reply.status == HTTPStatus.PARTIAL_CONTENT and start):
        told = f"status {reply.status} {reply.reason}"
        raise wire.refusal(told, reply.status, reply.headers.get("Retry-After"))
    expected = record.size_bytes - (start if reply.status == HTTPStatus.PARTIAL_CONTENT else 0)
    length = reply.headers.get("Content-Length")
    if length is not None and not length.isdecimal():
        raise ServerError(f"bad reply: Content-Length is {wire.printable(length, 80)!r}")
    if length is not None and int(length) == expected:
        return
    # A log-in or error page comes with status 200 too: show it, as the number says little.
    if reply.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise UnreachableError(f"not the file: {_beginning(reply)}")
    if length is not None:
        raise MismatchError(record.name, "size", expected=expected, actual=int(length))


def _beginning(reply: urllib3.BaseHTTPResponse) -> str:
    try:
        return wire.printable(reply.read(1024).decode(errors="replace"), 80)
    except HTTPError as error:
        return wire.cause_of(error)
