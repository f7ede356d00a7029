"""Headers from the demo server; the letter and number in a name is a row of the fault matrix."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdscache.contexts.records import Patience, Problem
from crdscache.datasets import rpc
from crdscache.datasets.records import Dataset
from crdscache.errors import ServerError, UnreachableError
from crdscache.server.rpc import RpcClient
from demo import faults, rpcfaults
from demo.server import Server
from tests.caches import LATEST

CALL = f"RPC {rpc.METHOD}"


@pytest.fixture
def client(server: Server) -> Iterator[RpcClient]:
    patience = Patience(connect_timeout_s=5, read_timeout_s=5, tries=2, backoff_s=0, backoff_max_s=0)
    with RpcClient(server.url, patience) as ready:
        yield ready


@pytest.fixture(scope="module")
def archive(demo_root: Path) -> dict[str, Dataset]:
    """Read what the server has, by id."""
    known = json.loads((demo_root / "datasets.json").read_text())
    return {name: Dataset(name, header) for name, header in known.items()}


def ask(client: RpcClient, *ids: str, batch: int = 1000) -> list[Dataset | Problem]:
    return list(rpc.headers(client, LATEST, ids, batch))


def test_headers_come_by_id_whatever_its_case(
    client: RpcClient, archive: dict[str, Dataset], server: Server
) -> None:
    found = ask(client, *(name.lower() for name in archive))

    assert found == [archive[name] for name in sorted(archive)]
    assert server.requests == {CALL: 1}


def test_an_id_of_one_part_means_all_data_sets_that_have_it(
    client: RpcClient, archive: dict[str, Dataset]
) -> None:
    products = [name.partition(":")[0] for name in archive]
    product = max(products, key=products.count)

    assert ask(client, product) == [archive[name] for name in sorted(archive) if name.startswith(product)]


def test_ids_are_asked_for_in_batches_and_each_once(
    client: RpcClient, archive: dict[str, Dataset], server: Server
) -> None:
    exposures = [name.partition(":")[2] for name in archive]

    found = ask(client, *exposures, *archive, *exposures, batch=3)

    assert sorted(found, key=lambda one: one.id) == [archive[name] for name in sorted(archive)]  # type: ignore[union-attr]
    assert server.requests == {CALL: -(-2 * len(archive) // 3)}


def test_an_unknown_id_is_a_problem_and_the_others_come(
    client: RpcClient, archive: dict[str, Dataset]
) -> None:
    name = next(iter(archive))

    assert ask(client, name, "nothing1") == [
        archive[name],
        Problem("NOTHING1", "NOT FOUND NOTHING1 is not in the archive"),
    ]


def test_S04_an_id_that_the_answer_leaves_out_is_a_problem(client: RpcClient, server: Server) -> None:
    server.faults.add(rpc.METHOD, rpcfaults.result({}))

    assert ask(client, "a", "b:c") == [
        Problem("A", "the server tells nothing of it"),
        Problem("B:C", "the server tells nothing of it"),
    ]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("no \x1b[31mway\r\nat all", "no [31mway at all"),
        ("x" * 1000, "x" * 500),
        ([], f"{rpc.METHOD}: a header was expected, found <list>"),
        (None, f"{rpc.METHOD}: a header was expected, found None"),
        ({"INSTRUME": ["ACS"]}, f"{rpc.METHOD}: a header was expected, found <dict>"),
    ],
)
def test_S04_what_is_no_header_is_a_problem_of_that_id(
    client: RpcClient, server: Server, told: object, reason: str
) -> None:
    server.faults.add(rpc.METHOD, rpcfaults.result({"A": told, "B": {"X": "1"}}))

    assert ask(client, "a", "b") == [Problem("A", reason), Dataset("B", {"X": "1"})]


def test_S04_an_answer_that_is_no_table_is_refused(client: RpcClient, server: Server) -> None:
    server.faults.add(rpc.METHOD, rpcfaults.result(["A"]))

    with pytest.raises(ServerError, match=f"^{rpc.METHOD}: the answer is no table but a list$"):
        ask(client, "a")


def test_N16_trouble_that_stays_is_told_after_the_batches_before(
    client: RpcClient, archive: dict[str, Dataset], server: Server
) -> None:
    name, other, *_ = archive
    found = rpc.headers(client, LATEST, [name, other], 1)

    assert next(found) == archive[name]
    server.faults.add(rpc.METHOD, faults.status(503))
    with pytest.raises(UnreachableError, match="503"):
        next(found)


def test_S04_a_text_that_cannot_be_written_is_a_problem_of_that_id(client: RpcClient, server: Server) -> None:
    told = {"A": {"X": "\ud800"}, "B": {"\udfff": "1"}, "C": {"X": "é"}}
    server.faults.add(rpc.METHOD, rpcfaults.result(told))

    reason = f"{rpc.METHOD}: a header was expected, found <dict>"
    assert ask(client, *told) == [Problem("A", reason), Problem("B", reason), Dataset("C", {"X": "é"})]


@pytest.mark.parametrize(
    ("since", "exposures"),
    [
        (None, ["JDEM01A1Q", "JDEM01A2Q", "JDEM02B1Q"]),
        ("2010-09-15 00:00:00", ["JDEM01A1Q", "JDEM01A2Q"]),
        ("2030-01-01 00:00:00", []),
    ],
)
def test_ids_of_an_instrument_are_told_since_a_time(
    client: RpcClient, since: str | None, exposures: list[str]
) -> None:
    found = rpc.dataset_ids(client, LATEST, "acs", since)

    assert [name.partition(":")[2] for name in found] == exposures


@pytest.mark.parametrize("told", [None, {"A": "B"}, "A:A", ["A:A", 1], ["A\nB"], ["\ud800"]])
def test_S04_ids_that_are_no_list_of_names_are_refused(
    client: RpcClient, server: Server, told: object
) -> None:
    server.faults.add(rpc.METHOD_OF_IDS, rpcfaults.result(told))

    with pytest.raises(ServerError, match=f"^{rpc.METHOD_OF_IDS}: the answer is no list of ids: "):
        rpc.dataset_ids(client, LATEST, "acs")
