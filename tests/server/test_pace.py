"""The limits of a run: bytes a second over all jobs, and the end of its time."""

import multiprocessing
import time
from pathlib import Path

import pytest

from crdscache.contexts.records import Outcome, Patience
from crdscache.server.fetch import Downloader, Order
from crdscache.server.pace import Pace
from demo import faults
from demo.server import Server

MB = 10**6


def _hold_back(file: Path, n_bytes: int) -> None:
    with Pace(None, MB, file) as pace:
        for _ in range(10):
            pace.hold_back(n_bytes // 10)


def test_two_jobs_share_one_limit(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=_hold_back, args=(tmp_path / "pace", 300_000)) for _ in range(2)]

    for job in jobs:
        job.start()
    began = time.monotonic()
    for job in jobs:
        job.join()

    # No less than the limit says, whoever began first; how much longer depends on the machine.
    assert [job.exitcode for job in jobs] == [0, 0]
    with Pace(None, MB, tmp_path / "pace") as pace:
        assert pace.hold_back(0) < 0.1
    assert time.monotonic() - began > 0.25


def test_what_an_earlier_boot_wrote_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "pace").write_bytes(b"\x7f" * 8)  # years from now

    with Pace(None, MB, tmp_path / "pace") as pace:
        assert pace.hold_back(1000) < 1


def test_a_pause_ends_with_the_time_of_the_run(tmp_path: Path) -> None:
    with Pace(time.monotonic() + 0.05, 1, tmp_path / "pace") as pace:
        assert pace.hold_back(1000) < 1
        assert pace.is_over


def test_without_limits_nothing_is_written_or_waited_for(tmp_path: Path) -> None:
    with Pace(None, None, tmp_path / "pace") as pace:
        assert pace.hold_back(10**12) == 0
        assert (pace.is_over, pace.at_a_time(17)) == (False, 17)

    assert list(tmp_path.iterdir()) == []


def test_a_transfer_takes_the_time_that_the_limit_gives_it(
    server: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference("x_drk.fits", 100_000)
    began = time.monotonic()

    with Pace(None, 400_000, tmp_path / "pace") as pace, Downloader(patience, 1, pace=pace) as downloader:
        receipt = downloader.bring(Order(record, server.url_of(record.name), tmp_path / record.name))

    assert receipt.outcome is Outcome.FETCHED
    assert time.monotonic() - began > 0.2


@pytest.fixture
def dripping(server: Server) -> Server:
    server.faults.add("*", faults.drip(step_bytes=100, pause_s=0.05))
    return server


def test_when_the_time_is_over_a_file_stops_where_it_is_and_others_are_not_asked_for(
    dripping: Server, patience: Patience, tmp_path: Path
) -> None:
    records = [dripping.add_reference(f"x{number}_drk.fits") for number in range(3)]
    orders = [Order(one, dripping.url_of(one.name), tmp_path / one.name) for one in records]

    with Downloader(patience, 1, pace=Pace(time.monotonic() + 0.3)) as downloader:
        receipts = downloader.bring_all(orders)
    (left,) = tmp_path.iterdir()

    assert [receipt.outcome for receipt in receipts] == [Outcome.FAILED] * 3
    assert 0 < left.stat().st_size < records[0].size_bytes
    begun, *others = (receipt.reason for receipt in receipts)
    over = "as the time of this run is over"
    assert begun == (
        f"{dripping.url_of(records[0].name)}: cut after {left.stat().st_size} of 4096 bytes, {over}"
    )
    assert others == [f"{dripping.url_of(one.name)}: not asked for, {over}" for one in records[1:]]
    assert sum(dripping.requests.values()) == 1


def test_a_server_that_asks_for_a_pause_beyond_the_end_is_not_waited_for(
    server: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference("x_drk.fits")
    server.faults.add("*", faults.status(429, retry_after="200"))

    with Downloader(patience, 1, pace=Pace(time.monotonic() + 60)) as downloader:
        receipt = downloader.bring(Order(record, server.url_of(record.name), tmp_path / record.name))

    assert receipt.outcome is Outcome.FAILED
    assert server.requests == {f"GET {record.name}": 1}
