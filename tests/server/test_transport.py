"""Connections: what is followed, through what, and what is not."""

import threading
from collections.abc import Iterator

import pytest
import urllib3

from crdscache.contexts.records import Patience
from crdscache.errors import ServerError, UnreachableError
from crdscache.server import transport
from crdscache.server.transport import Transport
from demo.server import Server


@pytest.fixture
def connections(patience: Patience) -> Iterator[Transport]:
    with Transport(patience, 2) as ready:
        yield ready


def test_a_reply_is_not_read_and_its_connection_is_used_again(server: Server, connections: Transport) -> None:
    server.add_reference("x_drk.fits")

    bodies = []
    for start in (0, 4000):
        reply = connections.get(server.url_of("x_drk.fits"), start)
        bodies.append(reply.read())
        reply.close()

    whole = server.content("x_drk.fits")
    assert bodies == [whole, whole[4000:]]
    (door,) = connections._doors.values()
    assert isinstance(door, urllib3.HTTPConnectionPool)
    assert door.num_connections == 1


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("https://a.example/b/c", "d", "https://a.example/b/d"),
        ("https://a.example/b", "//c.example/d", "https://c.example/d"),
        ("http://a.example/b", "https://a.example/b", "https://a.example/b"),
    ],
)
def test_N17_a_redirect_within_the_web_is_followed(url: str, location: str, target: str) -> None:
    assert transport._next_hop(url, location) == target


@pytest.mark.parametrize("location", ["http://a.example/b", "file:///etc/passwd", "http://["])
def test_N18_a_redirect_that_gives_up_safety_is_refused(location: str) -> None:
    with pytest.raises(ServerError, match="redirected to"):
        transport._next_hop("https://a.example/b", location)


def test_a_proxy_of_the_environment_is_used(
    server: Server, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo server takes whole addresses in requests, as a proxy gets them, for unknown paths."""
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)

    with Transport(patience, 1) as through:
        reply = through.get("http://far.example/x_drk.fits")
        status = reply.status
        reply.close()

    assert (status, server.requests) == (404, {"GET x_drk.fits": 1})


def test_a_host_that_needs_no_proxy_is_asked_directly(
    server: Server, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_reference("x_drk.fits")
    monkeypatch.setenv("http_proxy", "http://localhost:1")
    monkeypatch.setenv("no_proxy", "localhost")

    with Transport(patience, 1) as directly:
        reply = directly.get(server.url_of("x_drk.fits"))
        body = reply.read()
        reply.close()

    assert body == server.content("x_drk.fits")


@pytest.mark.parametrize("url", ["ftp://localhost/x", "x_drk.fits", "http:///x"])
def test_S21_what_is_no_address_of_the_web_is_refused(connections: Transport, url: str) -> None:
    with pytest.raises(ServerError):
        connections.get(url)


def test_N01_a_closed_port_is_told_in_plain_words(connections: Transport) -> None:
    with pytest.raises(UnreachableError, match=r"^Connection refused$"):
        connections.get("http://localhost:1/x")


def test_threads_share_one_pool_for_a_server(server: Server, connections: Transport) -> None:
    url = server.url_of("x_drk.fits")
    threads = [threading.Thread(target=lambda: connections.get(url).close()) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(connections._doors) == [server.url]
