"""Transfers against the demo server; the letter and number in a name is a row of the fault matrix."""

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from crdscache.cache import layout, publish
from crdscache.contexts.records import (
    Action,
    FileRecord,
    Kind,
    ManifestRow,
    Outcome,
    Patience,
    PlanRow,
    Receipt,
)
from crdscache.errors import DiskError
from crdscache.server import fetch
from crdscache.server.fetch import Downloader, Order
from crdscache.server.part import CHUNK_BYTES
from demo import faults
from demo.faultplan import Exchange, Fault
from demo.server import Server
from demo.wire import Step

NAME = "x1234567j_drk.fits"
SIZE = 4096

Bring = Callable[[FileRecord], Receipt]


@pytest.fixture
def bring(server: Server, downloader: Downloader, tmp_path: Path) -> Bring:
    """Bring one file into an empty directory."""
    return lambda record: downloader.bring_all([order(server, record, tmp_path)])[0]


def order(server: Server, record: FileRecord, directory: Path) -> Order:
    return Order(record, server.url_of(record.name), directory / record.name)


def fetched(server: Server, record: FileRecord, receipt: Receipt) -> Receipt:
    """Say what the receipt of a file that came should be; the time is its own."""
    total = sha1(server.content(record.name)).hexdigest()
    return Receipt(record.name, Outcome.FETCHED, record.size_bytes, total, server.url, receipt.seconds)


def failed(server: Server, reason: str, receipt: Receipt) -> Receipt:
    return Receipt(NAME, Outcome.FAILED, seconds=receipt.seconds, reason=f"{server.url_of(NAME)}: {reason}")


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def part_of(record: FileRecord) -> str:
    return publish.part_name(record.name, record.file_sha1)


def spy(ranges: list[str | None]) -> Fault:
    """Answer rightly, and note which range was asked for."""

    def play(exchange: Exchange) -> Iterator[Step]:
        ranges.append(exchange.request.header("range") or None)
        yield from exchange.reply.steps()

    return Fault("spy", play)


def test_each_file_gets_its_name_and_a_receipt_in_the_order_asked(
    server: Server, downloader: Downloader, tmp_path: Path
) -> None:
    records = [server.add_reference(f"x{number}_drk.fits", 100 * number) for number in range(20)]
    told: list[Receipt] = []

    receipts = downloader.bring_all([order(server, one, tmp_path) for one in records], progress=told.append)

    assert receipts == [fetched(server, *pair) for pair in zip(records, receipts, strict=True)]
    assert sorted(told, key=lambda one: one.size_bytes) == receipts
    assert content(tmp_path) == {one.name: server.content(one.name) for one in records}


def test_nothing_to_bring_is_done_at_once(downloader: Downloader) -> None:
    assert downloader.bring_all([]) == []


def test_a_row_of_the_plan_becomes_an_order(tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path, "hst")
    file = ManifestRow(
        NAME, Kind.REFERENCE, "acs", "drkfile", 5, "0" * 40, f"references/hst/acs/{NAME}", is_held=True
    )

    made = fetch.order(PlanRow(file, Action.FETCH, source="http://localhost/x/"), cache)

    target = tmp_path / "references/hst/acs" / NAME
    assert made == Order(FileRecord(NAME, 5, "0" * 40), f"http://localhost/x/{NAME}", target, "acs")


def test_an_unpublished_file_stays_aside_verified_and_is_not_asked_for_again(
    server: Server, downloader: Downloader, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    wanted = [order(server, record, tmp_path)]

    (first,) = downloader.bring_all(wanted, publish=False)
    (again,) = downloader.bring_all(wanted, publish=False)

    assert (first, again) == (fetched(server, record, first), fetched(server, record, again))
    assert server.requests == {f"GET {NAME}": 1}
    assert content(tmp_path) == {part_of(record): server.content(NAME)}


def test_a_password_in_an_address_is_never_told(
    server: Server, downloader: Downloader, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    secret = server.url_of(NAME).replace("://", "://me:secret@")
    missing = replace(record, name="other_drk.fits")

    receipts = downloader.bring_all(
        [
            Order(record, secret, tmp_path / NAME),
            Order(missing, secret.replace(NAME, missing.name), tmp_path / missing.name),
        ]
    )

    assert receipts == [
        fetched(server, record, receipts[0]),
        Receipt(
            missing.name,
            Outcome.PENDING,
            seconds=receipts[1].seconds,
            reason=f"{server.url_of(missing.name)}: status 404",
        ),
    ]


# The connection


@pytest.mark.parametrize(
    "fault", [faults.reset(), faults.close(), faults.reset_in_body(1000)], ids=lambda one: one.kind
)
def test_N04_a_reset_is_cured_by_another_try(
    server: Server, bring: Bring, fault: Fault, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault, times=2)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N04_a_connection_that_is_always_reset_fails_with_the_number_of_tries(
    server: Server, bring: Bring
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.reset())

    receipt = bring(record)

    assert receipt == failed(server, "Connection reset by peer (tries: 3)", receipt)
    assert server.requests == {f"GET {NAME}": 3}


def test_N05_a_cut_file_is_resumed_by_the_next_try(server: Server, bring: Bring, tmp_path: Path) -> None:
    record = server.add_reference(NAME, 600_000)
    ranges: list[str | None] = []
    server.faults.add(NAME, faults.truncate(at_bytes=250_000), times=1)
    server.faults.add(NAME, spy(ranges))

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert ranges == ["bytes=250000-"]
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N05_a_cut_file_is_resumed_by_the_next_run(
    server: Server, bring: Bring, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    ranges: list[str | None] = []
    server.faults.add(NAME, faults.truncate(at_bytes=1000), times=1)
    server.faults.add(NAME, spy(ranges))

    with Downloader(replace(patience, tries=1), 1) as killed:
        receipt = killed.bring(order(server, record, tmp_path))
    left = content(tmp_path)
    again = bring(record)

    assert receipt == failed(
        server, "cut after 1000 of 4096 bytes: the connection was closed (tries: 1)", receipt
    )
    assert left == {part_of(record): server.content(NAME)[:1000]}
    assert again == fetched(server, record, again)
    assert ranges == ["bytes=1000-"]
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N24_the_next_run_asks_for_the_rest_of_the_same_version_only(
    server: Server, bring: Bring, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME, 2 * CHUNK_BYTES)
    asked: list[tuple[str, str]] = []

    def play(exchange: Exchange) -> Iterator[Step]:
        asked.append((exchange.request.header("range"), exchange.request.header("if-range")))
        yield from exchange.reply.steps()

    server.faults.add(NAME, faults.truncate(at_bytes=CHUNK_BYTES), times=1)
    server.faults.add(NAME, Fault("spy", play))
    with Downloader(replace(patience, tries=1), 1) as cut:
        cut.bring(order(server, record, tmp_path))
    notes = os.listxattr(tmp_path / part_of(record))

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    ((span, version),) = asked
    assert span == f"bytes={CHUNK_BYTES}-"
    # Where the file system takes notes; elsewhere the sum decides alone.
    assert bool(version) == bool(notes)
    assert not version or version.startswith('"')
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N06_a_short_body_without_a_length_is_a_cut(server: Server, bring: Bring, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.truncate_unframed(at_bytes=1000), times=1)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N06_a_body_that_never_gets_longer_fails_with_both_sizes(server: Server, bring: Bring) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(503), times=1)
    server.faults.add(NAME, faults.truncate_unframed(at_bytes=0))

    receipt = bring(record)

    assert receipt == failed(server, "cut after 0 of 4096 bytes (tries: 3)", receipt)


@pytest.mark.parametrize(
    ("fault", "found"),
    [(faults.shorter(by_bytes=96), 4000), (faults.longer(by_bytes=4), 4100)],
    ids=["less", "more"],
)
def test_N07_a_length_unlike_the_record_is_refused(
    server: Server, bring: Bring, fault: Fault, found: int, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault)

    receipt = bring(record)

    reason = f"{NAME}: size is {found}, the catalogue says 4096 (tries: 3)"
    assert receipt == failed(server, reason, receipt)
    assert content(tmp_path) == {}


def test_N08_no_more_is_read_than_the_record_has(server: Server, bring: Bring, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.longer_unframed(by_bytes=10**6))

    receipt = bring(record)

    reason = f"{NAME}: size is 4097 or more, the catalogue says 4096 (tries: 3)"
    assert receipt == failed(server, reason, receipt)
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    "fault",
    [
        faults.content_length("-1"),
        faults.content_length("4096|4096"),
        faults.content_length("many"),
        faults.many_headers(n_lines=200),
        faults.many_headers(n_lines=1, line_bytes=70_000),
        faults.not_http(),
    ],
    ids=["negative", "double", "no number", "many lines", "long line", "not HTTP"],
)
def test_N09_a_reply_that_is_no_good_HTTP_is_refused(
    server: Server, bring: Bring, fault: Fault, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault)

    receipt = bring(record)

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason.startswith(f"{server.url_of(NAME)}: bad reply: ")
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    "fault", [faults.truncate_chunked(1000), faults.bad_chunk_size()], ids=lambda one: one.kind
)
def test_N10_broken_chunks_are_a_cut(server: Server, bring: Bring, fault: Fault, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault, times=1)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N11_a_drip_is_given_up(server: Server, patience: Patience, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.drip(step_bytes=1, pause_s=0.02))

    with Downloader(replace(patience, read_timeout_s=0.2, tries=1), 1) as downloader:
        receipt = downloader.bring(order(server, record, tmp_path))

    assert receipt == failed(server, "slower than 1024 bytes/s for 0.2 s (tries: 1)", receipt)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.stall(), "timed out"),
        (faults.stall_in_headers(), "timed out"),
        (faults.stall_in_body(1000), "cut after 1000 of 4096 bytes: timed out"),
    ],
    ids=["before", "in headers", "in body"],
)
def test_N12_silence_is_given_up(
    server: Server, patience: Patience, fault: Fault, reason: str, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault)

    with Downloader(replace(patience, read_timeout_s=0.1, tries=1), 1) as downloader:
        receipt = downloader.bring(order(server, record, tmp_path))

    assert receipt == failed(server, f"{reason} (tries: 1)", receipt)


# The status


@pytest.mark.parametrize("code", [404, 410])
def test_N13_a_file_that_is_not_there_is_pending_after_one_request(
    server: Server, bring: Bring, code: int
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(code))

    receipt = bring(record)

    reason = f"{server.url_of(NAME)}: status {code}"
    assert receipt == Receipt(NAME, Outcome.PENDING, seconds=receipt.seconds, reason=reason)
    assert server.requests == {f"GET {NAME}": 1}


@pytest.mark.parametrize("code", [401, 403, 451])
def test_N14_a_refusal_is_not_asked_again(server: Server, bring: Bring, code: int) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(code))

    receipt = bring(record)

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason.startswith(f"{server.url_of(NAME)}: status {code} ")
    assert server.requests == {f"GET {NAME}": 1}


@pytest.mark.parametrize("retry_after", ["0", "Fri, 31 Dec 1999 23:59:59 GMT", "soon", "-5"])
def test_N15_a_busy_server_is_asked_again(server: Server, bring: Bring, retry_after: str) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(429, retry_after=retry_after), times=2)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)


@pytest.mark.parametrize("code", [500, 502, 503, 504])
@pytest.mark.parametrize("times", [1, 4])
def test_N16_a_server_in_trouble_is_asked_again(
    server: Server, patience: Patience, code: int, times: int, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(code), times=times)

    with Downloader(replace(patience, tries=5), 1) as downloader:
        receipt = downloader.bring(order(server, record, tmp_path))

    assert receipt == fetched(server, record, receipt)
    assert server.requests == {f"GET {NAME}": times + 1}


def test_N16_a_server_that_stays_in_trouble_fails_the_file(server: Server, bring: Bring) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(503))

    receipt = bring(record)

    assert receipt == failed(server, "status 503 Service Unavailable (tries: 3)", receipt)
    assert server.requests == {f"GET {NAME}": 3}


def test_N16_after_twenty_failures_in_a_row_a_server_is_left_alone(
    server: Server, patience: Patience, tmp_path: Path
) -> None:
    records = [server.add_reference(f"x{number:02}_drk.fits") for number in range(25)]
    server.faults.add("*.fits", faults.status(503))

    with Downloader(replace(patience, tries=1), 1) as downloader:
        receipts = downloader.bring_all([order(server, record, tmp_path) for record in records])

    asked, unasked = (
        "status 503 Service Unavailable (tries: 1)",
        "not asked for, as 20 files in a row could not be had",
    )
    reasons = [asked] * 20 + [unasked] * 5
    assert [receipt.reason for receipt in receipts] == [
        f"{server.url_of(record.name)}: {reason}" for record, reason in zip(records, reasons, strict=True)
    ]
    assert server.requests.total() == 20


def test_N17_five_redirects_are_followed(server: Server, bring: Bring) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.hops(5), times=1)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)


def test_N17_more_redirects_are_not(server: Server, bring: Bring) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.hops())

    receipt = bring(record)

    assert receipt == failed(server, "more than 5 redirects", receipt)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/x", "//[", "gopher:x"])
def test_N18_a_redirect_out_of_the_web_is_refused(
    server: Server, bring: Bring, target: str, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.redirect(target))

    receipt = bring(record)

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason.startswith(f"{server.url_of(NAME)}: redirected to ")
    assert content(tmp_path) == {}


def test_N19_a_page_for_people_is_not_the_file(server: Server, bring: Bring, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.html())

    receipt = bring(record)

    assert receipt == failed(server, f"not the file: {faults.PAGE[:80]} (tries: 3)", receipt)
    assert content(tmp_path) == {}


@pytest.mark.parametrize("code", [203, 204, 206, 300, 304])
def test_N20_a_status_that_was_not_asked_for_is_refused(
    server: Server, bring: Bring, code: int, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.status(code))

    receipt = bring(record)

    assert receipt.outcome is Outcome.FAILED
    assert receipt.reason.startswith(f"{server.url_of(NAME)}: status {code} ")
    assert content(tmp_path) == {}


# The content


@pytest.mark.parametrize("fault", [faults.encoded("br"), faults.bad_gzip()], ids=lambda one: one.kind)
def test_N21_an_encoding_does_not_matter_where_the_bytes_are_right(
    server: Server, bring: Bring, fault: Fault, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert content(tmp_path) == {NAME: server.content(NAME)}


@pytest.mark.parametrize(
    "fault", [faults.encoded("gzip"), faults.gzip_bomb(1 << 24)], ids=lambda one: one.kind
)
def test_N21_N22_nothing_is_unpacked(server: Server, bring: Bring, fault: Fault, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, fault)

    receipt = bring(record)

    assert receipt.outcome is Outcome.FAILED
    assert content(tmp_path) == {}


def test_N23_a_flipped_bit_is_cured_by_another_try(server: Server, bring: Bring, tmp_path: Path) -> None:
    record = server.add_reference(NAME)
    server.faults.add(NAME, faults.flip(at_byte=2000), times=1)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N23_two_files_of_one_size_that_were_swapped_are_told_apart(
    server: Server, bring: Bring, tmp_path: Path
) -> None:
    record, other = server.add_reference(NAME), server.add_reference("other_drk.fits")
    server.faults.add(NAME, faults.content_of(other.name))

    receipt = bring(record)

    reason = f"{NAME}: SHA-1 is {other.file_sha1}, the catalogue says {record.file_sha1} (tries: 3)"
    assert receipt == failed(server, reason, receipt)
    assert content(tmp_path) == {}


@pytest.mark.parametrize(
    "fault",
    [faults.ignore_range(), faults.wrong_content_range(), faults.other_etag(), faults.status(416)],
    ids=lambda one: one.kind,
)
def test_N24_a_range_that_is_not_what_was_asked_for_starts_from_zero(
    server: Server, bring: Bring, fault: Fault, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    (tmp_path / part_of(record)).write_bytes(server.content(NAME)[:1000])
    server.faults.add(NAME, fault, times=1)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_N24_a_part_of_another_file_is_found_out_by_the_sum(
    server: Server, bring: Bring, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    (tmp_path / part_of(record)).write_bytes(b"x" * 1000)
    ranges: list[str | None] = []
    server.faults.add(NAME, spy(ranges))

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert ranges == ["bytes=1000-", None]
    assert content(tmp_path) == {NAME: server.content(NAME)}


def test_trouble_while_resuming_costs_nothing_of_what_is_here(
    server: Server, bring: Bring, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    (tmp_path / part_of(record)).write_bytes(server.content(NAME)[:1000])
    ranges: list[str | None] = []
    server.faults.add(NAME, faults.status(503), times=1)
    server.faults.add(NAME, faults.html(), times=1)
    server.faults.add(NAME, spy(ranges))

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert ranges == ["bytes=1000-"]


def test_S09_a_file_without_a_recorded_sum_is_checked_by_size_and_never_resumed(
    server: Server, bring: Bring, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    record = replace(server.add_reference(NAME), file_sha1=None)
    (tmp_path / part_of(record)).write_bytes(server.content(NAME)[:1000])
    ranges: list[str | None] = []
    server.faults.add(NAME, spy(ranges))

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert ranges == [None]
    assert caplog.messages == [f"size checked only, no catalogue SHA-1 name={NAME}"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_goes_wrong_no_wrong_byte_gets_a_final_name(
    server: Server, patience: Patience, seed: int, tmp_path: Path
) -> None:
    records = [server.add_reference(f"x{number}_drk.fits", 997 * number) for number in range(80)]
    kinds = [
        faults.reset(),
        faults.close(),
        faults.reset_in_body(500),
        faults.truncate(700),
        faults.truncate_unframed(900),
        faults.truncate_chunked(300),
        faults.bad_chunk_size(),
        faults.shorter(),
        faults.longer(),
        faults.longer_unframed(),
        faults.content_length("x"),
        faults.not_http(),
        faults.status(503),
        faults.status(404),
        faults.status(403),
        faults.html(),
        faults.flip(3),
        faults.content_of("x7_drk.fits"),
        faults.ignore_range(),
        faults.wrong_content_range(),
        faults.encoded("gzip"),
    ]
    server.faults.at_rate(dict.fromkeys(kinds, 3.0), seed=seed)

    with Downloader(replace(patience, tries=2), 4) as downloader:
        receipts = downloader.bring_all([order(server, record, tmp_path) for record in records])

    came = {receipt.name for receipt in receipts if receipt.outcome is Outcome.FETCHED}
    assert 0 < len(came) < len(records)
    found = {name: data for name, data in content(tmp_path).items() if not publish.is_temporary(name)}
    assert found == {name: server.content(name) for name in came}


# The disk


def test_D11_a_link_under_the_name_is_replaced_and_its_original_stays(
    server: Server, bring: Bring, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    record = server.add_reference(NAME)
    original = tmp_path_factory.mktemp("elsewhere") / "original"
    original.write_bytes(b"mine")
    (tmp_path / NAME).symlink_to(original)

    receipt = bring(record)

    assert receipt == fetched(server, record, receipt)
    assert not (tmp_path / NAME).is_symlink()
    assert original.read_bytes() == b"mine"


def test_D13_a_directory_under_the_name_fails_that_file_alone(
    server: Server, downloader: Downloader, tmp_path: Path
) -> None:
    records = [server.add_reference(NAME), server.add_reference("other_drk.fits")]
    (tmp_path / NAME).mkdir()

    receipts = downloader.bring_all([order(server, record, tmp_path) for record in records])

    assert [receipt.outcome for receipt in receipts] == [Outcome.FAILED, Outcome.FETCHED]
    assert receipts[0].reason.startswith(f"{server.url_of(NAME)}: [Errno 21] Is a directory")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other_drk.fits", NAME]


def test_a_directory_that_is_missing_fails_its_files_alone(
    server: Server, downloader: Downloader, tmp_path: Path
) -> None:
    record, other = server.add_reference(NAME), server.add_reference("other_drk.fits")

    receipts = downloader.bring_all([order(server, record, tmp_path / "no"), order(server, other, tmp_path)])

    assert [receipt.outcome for receipt in receipts] == [Outcome.FAILED, Outcome.FETCHED]
    assert content(tmp_path) == {other.name: server.content(other.name)}


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_D03_a_limit_of_file_size_stops_the_run(
    server: Server, downloader: Downloader, tmp_path: Path, file_size_limit: Callable[[int], None]
) -> None:
    small, large = server.add_reference("small_drk.fits", 100), server.add_reference(NAME, 2**22)
    file_size_limit(2**21)

    with pytest.raises(
        DiskError, match=rf"{tmp_path / NAME}: File too large, 4194304 bytes needed, \d+ bytes free"
    ):
        downloader.bring_all([order(server, small, tmp_path), order(server, large, tmp_path)])

    assert content(tmp_path) == {small.name: server.content(small.name)}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=False, capture_output=True
    )
    if mount.returncode != 0:
        pytest.skip(f"mount does not work here: {mount.stderr.decode()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_D01_a_full_disk_stops_the_run_and_whole_files_stay(
    server: Server, downloader: Downloader, small_disk: Path
) -> None:
    records = [server.add_reference(f"x{number}_drk.fits", 300_000) for number in range(20)]
    orders = [order(server, record, small_disk) for record in records]

    with pytest.raises(DiskError, match=r"No space left on device, 300000 bytes needed, \d+ bytes free"):
        downloader.bring_all(orders)

    put = content(small_disk)
    assert 0 < len(put) < len(records)
    assert put == {name: server.content(name) for name in put}
    assert server.requests.total() < len(records)


def test_D01_a_run_after_the_disk_was_freed_brings_the_rest(
    server: Server, downloader: Downloader, small_disk: Path
) -> None:
    filler, record = small_disk / "filler", server.add_reference(NAME, 300_000)
    filler.write_bytes(bytes(1_000_000))
    with pytest.raises(DiskError):
        downloader.bring(order(server, record, small_disk))
    filler.unlink()

    receipt = downloader.bring(order(server, record, small_disk))

    assert receipt == fetched(server, record, receipt)


def test_D06_a_read_only_disk_stops_the_run(server: Server, downloader: Downloader, small_disk: Path) -> None:
    record = server.add_reference(NAME)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)

    with pytest.raises(DiskError, match="Read-only file system"):
        downloader.bring_all([order(server, record, small_disk)])

    assert content(small_disk) == {}
