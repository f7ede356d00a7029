"""Transfers: a file comes into a hidden temporary, and gets its name when its bytes are right and durable."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
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
from crdscache.contexts.records import FileRecord, Outcome, Patience, PlanRow, Receipt, Transfers
from crdscache.errors import (
    CacheError,
    MismatchError,
    NotAskedError,
    NotDeliveredError,
    ServerError,
    TransferError,
    UnreachableError,
)
from crdscache.server import local, pace, sources, transport, wire
from crdscache.server.pace import Pace
from crdscache.server.part import CHUNK_BYTES, Part
from crdscache.server.sources import Sources

logger = logging.getLogger(__name__)

_NOT_THERE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_OF_A_RANGE = {HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}

# After so many files in a row that could not be had, a source is left alone.
_ENOUGH_FAILURES = 20

_NO_TIME = "as the time of this run is over"
_THE_SERVER, _UNLIMITED = Sources(), Pace()


@dataclass(frozen=True, slots=True)
class Order:
    """One file to be brought."""

    record: FileRecord
    url: str  # on the CRDS server
    target: Path
    instrument: str = ""


def order(row: PlanRow, cache: Layout) -> Order:
    """Turn a row of the plan into an order; the catalogue knows its file."""
    record = FileRecord(row.file.name, row.file.size_bytes or 0, row.file.file_sha1)
    return Order(record, row.source + record.name, cache.absolute(row.file.path), row.file.instrument)


class Downloader:
    """Brings files over connections that are kept open; a context manager, for one job.

    Parameters
    ----------
    connections
        How many files may be under way at a time.
    sources
        Where files may be had from.
    pace
        How fast, and until when.
    """

    def __init__(
        self,
        patience: Patience,
        connections: int,
        sources: Sources = _THE_SERVER,
        pace: Pace = _UNLIMITED,
    ) -> None:
        self._patience, self._n_threads, self._sources, self._pace = patience, connections, sources, pace
        self._transport = transport.Transport(patience, connections)
        self._n_failures_in_a_row: Counter[str] = Counter()  # by source

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
        started = time.monotonic()
        refusals: dict[str, CacheError] = {}
        try:
            address, file_sha1 = self._bring(one, refusals, publish=publish)
        except (NotAskedError, NotDeliveredError, ServerError, TransferError, OSError) as error:
            if isinstance(error, OSError) and (
                refused := publishing.refused(error, one.target, one.record.size_bytes)
            ):
                raise refused from error
            return self._failed(error, one, refusals, time.monotonic() - started)
        finally:
            self._count_failures(refusals)
        self._n_failures_in_a_row[sources.origin(address)] = 0
        seconds = time.monotonic() - started
        name, size_bytes = one.record.name, one.record.size_bytes
        logger.debug("fetched name=%s bytes=%d seconds=%.2f", name, size_bytes, seconds)
        if one.record.file_sha1 is None:
            logger.warning("size checked only, no catalogue SHA-1 name=%s", name)
        source = sources.origin(wire.shown(address))
        return Receipt(name, Outcome.FETCHED, size_bytes, file_sha1, source, seconds)

    def _count_failures(self, refusals: Mapping[str, CacheError]) -> None:
        for address, error in refusals.items():
            origin = sources.origin(address)
            if isinstance(error, TransferError):
                self._n_failures_in_a_row[origin] += 1
            elif not isinstance(error, NotAskedError):
                self._n_failures_in_a_row[origin] = 0

    def _failed(
        self, error: Exception, one: Order, refusals: Mapping[str, CacheError], seconds: float
    ) -> Receipt:
        name = one.record.name
        told = [f"{wire.shown(address)}: {reason}" for address, reason in refusals.items()]
        reason = "; ".join(told) or f"{wire.shown(one.url)}: {error}"
        if isinstance(error, NotDeliveredError):
            logger.info("pending name=%s reason=%s", name, reason)
            return Receipt(name, Outcome.PENDING, seconds=seconds, reason=reason)
        tries = f" (tries: {self._patience.tries})" if isinstance(error, TransferError) else ""
        if not isinstance(error, NotAskedError):  # thousands of lines would say what one does
            logger.error("failed name=%s reason=%s%s", name, reason, tries)
        return Receipt(name, Outcome.FAILED, seconds=seconds, reason=f"{reason}{tries}")

    def _bring(self, one: Order, refusals: dict[str, CacheError], *, publish: bool) -> tuple[str, str]:
        """Bring a file; tell from which address it came, and its sum."""
        path = one.target.with_name(publishing.part_name(one.target.name, one.record.file_sha1))
        with Part(path, one.record) as part:
            address = wire.persist(
                self._patience, one.record.name, lambda: self._complete(one, part, refusals), self._pace.ends
            )
            part.finish(one.target if publish else None)
            return address, part.file_sha1

    def _complete(self, one: Order, part: Part, refusals: dict[str, CacheError]) -> str:
        """Try each source once to get what is missing of a file, all of it if need be, and verify the whole.

        Parameters
        ----------
        refusals
            Why it did not come from an address; a source that refused for good is not asked again. How the
            last one refuses is raised, as that should have all.
        """
        for address in self._sources.addresses(one.record.name, one.url, one.instrument):
            if not isinstance(refusals.get(address), TransferError | None):
                continue
            try:
                if not part.is_whole:
                    self._require_leave(address, is_first=address not in refusals)
                    self._receive(address, part, one.record)
                part.verify()
            except (NotAskedError, NotDeliveredError, ServerError, TransferError) as error:
                refusals[address] = error
            else:
                refusals.pop(address, None)
                return address
        raise refusals[address]

    def _require_leave(self, address: str, *, is_first: bool) -> None:
        if self._pace.is_over:
            raise NotAskedError(f"not asked for, {_NO_TIME}")
        if is_first and self._n_failures_in_a_row[sources.origin(address)] >= _ENOUGH_FAILURES:
            raise NotAskedError(f"not asked for, as {_ENOUGH_FAILURES} files in a row could not be had")

    def _receive(self, address: str, part: Part, record: FileRecord) -> None:
        if sources.is_local(address):
            chunk_bytes = self._pace.at_a_time(CHUNK_BYTES)
            self._take(local.read(Path(address), record, part.n_bytes, chunk_bytes), part, record)
        else:
            with closing(self._ask(address, part, record)) as reply:
                try:
                    self._take(self._body(reply, record.size_bytes + 1 - part.n_bytes), part, record)
                except HTTPError as error:
                    if part.n_bytes != record.size_bytes:  # else only the end of the reply was bad
                        raise UnreachableError(f"{_cut(part, record)}: {wire.cause_of(error)}") from error
        if part.n_bytes < record.size_bytes:
            raise UnreachableError(_cut(part, record))

    def _take(self, chunks: Iterable[bytes], part: Part, record: FileRecord) -> None:
        for data in chunks:
            part.append(data)
            self._pace.hold_back(len(data))
            if self._pace.is_over and part.n_bytes < record.size_bytes:
                raise NotAskedError(f"{_cut(part, record)}, {_NO_TIME}")

    def _ask(self, url: str, part: Part, record: FileRecord) -> urllib3.BaseHTTPResponse:
        source, _, version = (part.version or "").partition(" ")
        is_same_source = source == sources.origin(url)
        reply = self._transport.get(url, part.n_bytes, version if is_same_source else None)
        if part.n_bytes and reply.status in _OF_A_RANGE and not _continues(reply, part, record):
            transport.discard(reply)
            part.start_over()
            reply = self._transport.get(url)
        try:
            _check(reply, record, part.n_bytes)
        except CacheError:
            transport.discard(reply)
            raise
        if part.n_bytes and reply.status == HTTPStatus.OK:
            part.start_over()
        if record.size_bytes > CHUNK_BYTES and (tag := reply.headers.get("ETag", "")).startswith('"'):
            part.mark(
                f"{sources.origin(url)} {wire.printable(tag, 200)}"
            )  # a weak one does not tell of bytes
        return reply

    def _body(self, reply: urllib3.BaseHTTPResponse, limit_bytes: int) -> Iterator[bytes]:
        """Yield what comes, as it comes; a server that drips is given up though it is never silent."""
        window_s, chunk_bytes = self._patience.read_timeout_s, self._pace.at_a_time(CHUNK_BYTES)
        slowest_bytes_s = self._patience.slowest_bytes_s
        waited_s, n_bytes = 0.0, 0
        while limit_bytes:
            asked = time.monotonic()
            data = reply.read1(min(chunk_bytes, limit_bytes))
            waited_s += time.monotonic() - asked  # for the server: what we pause by ourselves does not count
            if not data:
                return
            limit_bytes, n_bytes = limit_bytes - len(data), n_bytes + len(data)
            yield data
            if waited_s > window_s:
                if n_bytes < slowest_bytes_s * window_s:
                    raise UnreachableError(f"slower than {slowest_bytes_s} bytes/s for {window_s:g} s")
                waited_s, n_bytes = 0.0, 0


@contextmanager
def of_run(
    cache: Layout, patience: Patience, transfers: Transfers, connections: int, ends: float | None
) -> Iterator[Downloader]:
    """Make what brings files in one job of a run.

    Parameters
    ----------
    ends
        When the time of the run is over, by the monotonic clock; None: never.
    """
    places = Sources(transfers.sources, cache.observatory)
    with (
        Pace(ends, transfers.most_bytes_s, cache.state / pace.FILE) as paced,
        Downloader(patience, connections, places, paced) as ready,
    ):
        yield ready


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


def _cut(part: Part, record: FileRecord) -> str:
    return f"cut after {part.n_bytes} of {record.size_bytes} bytes"


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
