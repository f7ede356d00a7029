"""Where files may be had from, and who delivered them."""

from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path

import pytest

from crdscache.contexts.records import FileRecord, Outcome, Patience, Receipt
from crdscache.server import sources
from crdscache.server.fetch import Downloader, Order
from crdscache.server.sources import Sources
from demo import faults
from demo.faultplan import Fault
from demo.server import Server

NAME = "x1234567j_drk.fits"


@pytest.fixture
def mirror() -> Iterator[Server]:
    with Server.empty() as running:
        yield running


def place_of(server: Server) -> str:
    return f"{server.url}/unchecked_get/references/{{observatory}}/{{name}}"


def bring(server: Server, patience: Patience, record: FileRecord, target: Path, *places: str) -> Receipt:
    with Downloader(patience, 1, Sources(places, "hst")) as downloader:
        return downloader.bring(Order(record, server.url_of(record.name), target, "acs"))


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("server", "http://crds/get/x.fits"),
        ("https://mirror/", "https://mirror/references/hst/x.fits"),
        ("https://mirror/a/{instrument}/{name}", "https://mirror/a/acs/x.fits"),
        ("/grp/crds", "/grp/crds/references/hst/x.fits"),
        ("/grp/{branch}/{observatory}/{name}", "/grp/references/hst/x.fits"),
    ],
)
def test_a_place_is_completed_to_the_address_of_a_file(place: str, address: str) -> None:
    where = Sources((place, "server"), "hst")

    assert where.addresses("x.fits", "http://crds/get/x.fits", "acs") == (address, "http://crds/get/x.fits")


def test_mappings_have_a_branch_of_their_own() -> None:
    assert Sources(("/grp/crds",), "hst").addresses("hst.pmap", "", "") == (
        "/grp/crds/mappings/hst/hst.pmap",
    )


def test_who_delivers_is_a_host_or_a_directory() -> None:
    assert sources.origin("https://host:8/a/b?c") == "https://host:8"
    assert sources.origin("/grp/crds/x.fits") == "/grp/crds"


def test_the_first_source_that_has_the_right_file_delivers_it(
    server: Server, mirror: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    mirror.add_reference(NAME)
    places = (str(tmp_path / "no cache here"), place_of(mirror), "server")

    receipt = bring(server, patience, record, tmp_path / NAME, *places)

    assert (receipt.outcome, receipt.source) == (Outcome.FETCHED, mirror.url)
    assert server.requests == {}
    assert (tmp_path / NAME).read_bytes() == server.content(NAME)


WRONG = (
    faults.status(404),
    faults.status(403),
    faults.flip(5),
    faults.shorter(),
    faults.reset(),
    faults.html(),
)


@pytest.mark.parametrize("fault", WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_N23_what_a_mirror_does_not_have_right_comes_from_the_server(
    fault: Fault, server: Server, mirror: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    mirror.add_reference(NAME)
    mirror.faults.add(NAME, fault)

    receipt = bring(server, patience, record, tmp_path / NAME, place_of(mirror), "server")

    assert (receipt.outcome, receipt.source) == (Outcome.FETCHED, server.url)
    assert server.requests == {f"GET {NAME}": 1}
    assert (tmp_path / NAME).read_bytes() == server.content(NAME)


def test_a_file_that_one_source_cut_is_continued_by_the_next(
    server: Server, mirror: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    mirror.add_reference(NAME)
    mirror.faults.add(NAME, faults.truncate(at_bytes=1000))

    receipt = bring(server, patience, record, tmp_path / NAME, place_of(mirror), "server")

    assert receipt.source == server.url
    assert (tmp_path / NAME).read_bytes() == server.content(NAME)


def test_the_last_source_decides_whether_a_file_is_pending(
    server: Server, mirror: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    mirror.faults.add(NAME, faults.status(503))
    server.faults.add(NAME, faults.status(404))

    receipt = bring(server, patience, record, tmp_path / NAME, place_of(mirror), "server")

    assert receipt.outcome is Outcome.PENDING
    assert receipt.reason == (
        f"{mirror.url_of(NAME)}: status 503 Service Unavailable; {server.url_of(NAME)}: status 404"
    )
    assert mirror.requests == server.requests == {f"GET {NAME}": 1}


@pytest.mark.parametrize("fault", [faults.close(), faults.flip(5)], ids=["gone", "wrong"])
def test_a_mirror_that_is_gone_or_always_wrong_is_left_alone_after_twenty_files(
    fault: Fault, server: Server, mirror: Server, patience: Patience, tmp_path: Path
) -> None:
    records = [server.add_reference(f"x{number:02}_drk.fits") for number in range(25)]
    for record in records:
        mirror.add_reference(record.name)
    mirror.faults.add("*", fault)

    with Downloader(patience, 1, Sources((place_of(mirror), "server"), "hst")) as downloader:
        orders = [Order(one, server.url_of(one.name), tmp_path / one.name) for one in records]
        receipts = downloader.bring_all(orders)

    assert {receipt.source for receipt in receipts} == {server.url}
    assert sum(mirror.requests.values()) == 20
    assert sum(server.requests.values()) == 25


def test_a_file_of_a_mounted_cache_is_copied_and_summed(
    server: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    other = tmp_path / "other" / "references" / "hst"
    other.mkdir(parents=True)
    (other / NAME).write_bytes(server.content(NAME))

    receipt = bring(server, patience, record, tmp_path / NAME, str(tmp_path / "other"), "server")

    total = sha1(server.content(NAME)).hexdigest()
    assert receipt == Receipt(NAME, Outcome.FETCHED, record.size_bytes, total, str(other), receipt.seconds)
    assert server.requests == {}
    assert (tmp_path / NAME).stat().st_ino != (other / NAME).stat().st_ino
    assert list(tmp_path.glob(".*")) == []
