"""Connections as such: that do not come about, that are not to be trusted, that are few, that carry much."""

import os
from collections.abc import Iterator
from functools import partial
from hashlib import sha1
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread

import pytest

from crdscache.cache import publish
from crdscache.contexts.records import FileRecord, Outcome, Patience
from crdscache.errors import CacheError
from crdscache.server.fetch import Downloader, Order
from crdscache.server.rpc import RpcClient
from demo.content import Content
from demo.server import Server
from tests import badservers
from tests.badservers import Authority

NAME = "x1234567j_drk.fits"
IMPATIENT = Patience(connect_timeout_s=0.2, read_timeout_s=0.2, tries=2, backoff_s=0, backoff_max_s=0)


def bring(url: str, directory: Path, patience: Patience) -> str:
    """Bring a file of 10 bytes from a server; gives the reason why not."""
    record = FileRecord(NAME, 10, "ab" * 20)
    with Downloader(patience, 1) as downloader:
        receipt = downloader.bring(Order(record, f"{url}/{NAME}", directory / NAME))
    assert receipt.outcome is Outcome.FAILED
    assert list(directory.iterdir()) == []
    return receipt.reason


def call(url: str, patience: Patience) -> str:
    """Ask a server; gives the reason why there is no answer."""
    with RpcClient(url, patience) as client, pytest.raises(CacheError) as told:
        client.call("get_server_info")
    return str(told.value)


@pytest.fixture
def full() -> Iterator[str]:
    with badservers.dropping() as address:
        yield address


def test_N02_a_connection_that_does_not_come_about_is_given_up(full: str, tmp_path: Path) -> None:
    assert bring(full, tmp_path, IMPATIENT) == f"{full}/{NAME}: timed out (tries: 2)"
    assert call(full, IMPATIENT) == f"get_server_info at {full}: timed out"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


# By reason: the host and the days of a certificate, and whether it is from somebody whom we trust.
UNTRUSTED = {
    "unable to get local issuer certificate": ("localhost", badservers.DAYS, False),
    "certificate has expired": ("localhost", -1, True),
    "certificate is not valid for 'localhost'": ("elsewhere.example", badservers.DAYS, True),
}


def trust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust it, as a system does whose operator has made it so; and nobody beside."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("reason", UNTRUSTED)
def test_N03_nothing_is_asked_of_a_server_whose_certificate_is_wrong(
    reason: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, days, is_trusted = UNTRUSTED[reason]
    if is_trusted:
        trust(authority, monkeypatch)

    with badservers.serving(authority.vouch(host, days=days)) as server:
        told = bring(server.url, tmp_path, IMPATIENT), call(server.url, IMPATIENT)

    assert all(reason in one for one in told), told
    assert server.asked == []


def test_N03_a_server_is_asked_whose_certificate_is_right(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above would prove nothing."""
    trust(authority, monkeypatch)

    with badservers.serving(authority.vouch("localhost")) as server:
        told = bring(server.url, tmp_path, IMPATIENT), call(server.url, IMPATIENT)

    assert all("status 418" in one for one in told), told
    assert server.asked == [f"/{NAME}", "/json/get_server_info/"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_N32_a_server_of_one_connection_at_a_time_is_enough(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older protocol ends a connection after each reply; of the newer one we end those that are idle."""
    there, here = tmp_path / "there", tmp_path / "here"
    for directory in (there, here):
        directory.mkdir()
    contents = {f"x{number}_drk.fits": bytes([number]) * 1000 for number in range(40)}
    for name, data in contents.items():
        (there / name).write_bytes(data)
    monkeypatch.setattr(Quiet, "protocol_version", protocol)

    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=there)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        patience = Patience(connect_timeout_s=5, read_timeout_s=1, tries=5, backoff_s=0, backoff_max_s=0)
        base = f"http://127.0.0.1:{server.server_port}"
        orders = [
            Order(FileRecord(name, 1000, sha1(data).hexdigest()), f"{base}/{name}", here / name)
            for name, data in contents.items()
        ]
        with Downloader(patience, 4) as downloader:
            receipts = downloader.bring_all(orders)
        server.shutdown()
        thread.join()

    assert {receipt.outcome for receipt in receipts} == {Outcome.FETCHED}
    assert {path.name: path.read_bytes() for path in here.iterdir()} == contents


# Sums of so many zeros.
LARGE = {
    2**31 + 1000: "c032d6f42278605816c92fd2902b81b05843a608",
    2**32 + 1000: "feab348e12a4afb5d06d5de359a08ae1887e684b",
}


@pytest.mark.parametrize("size_bytes", LARGE)
def test_N31_a_file_beyond_the_range_of_an_integer_is_resumed_at_its_last_bytes(
    size_bytes: int, server: Server, downloader: Downloader, tmp_path: Path
) -> None:
    """Both ends are sparse: it is read in full, but takes no space."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    zeros = tmp_path / "there" / NAME
    record = FileRecord(NAME, size_bytes, LARGE[size_bytes])
    target = tmp_path / "here" / NAME
    part = target.with_name(publish.part_name(NAME, record.file_sha1))
    for path, n_bytes in ((zeros, size_bytes), (part, size_bytes - 2000)):
        path.touch()
        os.truncate(path, n_bytes)
    server.archive.put(Content(NAME, size_bytes, zeros), record)

    receipt = downloader.bring(Order(record, server.url_of(NAME), target))

    assert (receipt.outcome, receipt.file_sha1) == (Outcome.FETCHED, record.file_sha1)
    assert target.stat().st_size == size_bytes
    assert server.requests == {f"GET {NAME}": 1}
