import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdscache.affected import serverlist
from crdscache.affected.results import Step, Summary
from crdscache.contexts.records import Patience
from crdscache.server.rpc import RpcClient
from demo.server import Server
from tests.caches import FORMER, LATEST
from tests.readers import copy_of

SUMMARY = Summary("hst", "ops", "", 2, (Step(FORMER, LATEST, "", "", ()),))
QUICK = Patience(connect_timeout_s=2, read_timeout_s=2, tries=1, backoff_s=0, backoff_max_s=0)


@pytest.fixture
def server(demo_root: Path, tmp_path: Path) -> Iterator[Server]:
    """Serve the demo observatory from a place of its own, where results can be put."""
    with Server(copy_of(demo_root, tmp_path / "served")) as serving:
        yield serving


@pytest.fixture
def client(server: Server) -> Iterator[RpcClient]:
    with RpcClient(server.url, QUICK) as ready:
        yield ready


def test_without_a_result_of_the_server_it_says_so(client: RpcClient, tmp_path: Path) -> None:
    told, problem = serverlist.beside(client, tmp_path, SUMMARY)

    assert told == "the server's list: none"
    assert problem is not None
    assert "No precomputed affected datasets results exist" in problem.reason


def test_N01_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    with RpcClient("http://127.0.0.1:9", QUICK) as away:
        _, problem = serverlist.beside(away, tmp_path, SUMMARY)

    assert problem is not None
    assert "127.0.0.1:9" in problem.reason


def computed(server: Server, answer: object) -> None:
    """Let the server have a result, as a job of its own would leave it."""
    assert server.archive.root is not None
    place = server.archive.root / "affected"
    place.mkdir()
    (place / f"{FORMER}--{LATEST}.json").write_text(json.dumps(answer))


@pytest.mark.parametrize(("status", "more"), [(0, ""), (3, "; it says that there were errors")])
def test_what_only_one_side_has_is_written_down(
    server: Server, client: RpcClient, tmp_path: Path, status: int, more: str
) -> None:
    (tmp_path / "ids.txt").write_text("a1\nb2\n")
    computed(server, {"affected_ids": ["B2:B2X", "b2", "C3"], "bestrefs_status": status})

    told, problem = serverlist.beside(client, tmp_path, SUMMARY)

    assert told == f"the server's list: 2 products; 1 are only in ours, 1 only in its{more}"
    assert problem is None
    files = {name: (tmp_path / name).read_text() for name in serverlist.FILES}
    assert files == {"server_ids.txt": "b2\nc3\n", "only_ours.txt": "a1\n", "only_servers.txt": "c3\n"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"affected_ids": "FAILED: no ids\x1b[31m"}, "get_affected_datasets: 'no ids\\x1b[31m'"),
        ({"affected_ids": [1]}, "get_affected_datasets: affected_ids is no list of ids"),
        ({}, "get_affected_datasets: affected_ids is no list of ids"),
        ([], "get_affected_datasets: the answer is no table but a list"),
    ],
)
def test_N27_an_answer_that_makes_no_sense_is_a_problem(
    server: Server, client: RpcClient, tmp_path: Path, answer: object, reason: str
) -> None:
    computed(server, answer)

    _, problem = serverlist.beside(client, tmp_path, SUMMARY)

    assert problem is not None
    assert problem.reason == reason
