"""Remote calls against the demo server; the letter and number in a name is a row of the fault matrix."""

import json
from collections.abc import Iterator

import pytest

from crdscache.contexts import serverinfo
from crdscache.contexts.records import Patience
from crdscache.errors import NotACacheError, ServerError, UnreachableError
from crdscache.server.rpc import RpcClient
from demo import faults, rpcfaults
from demo.faultplan import Exchange, Fault
from demo.server import Server
from demo.wire import Step

METHOD = "list_references"


@pytest.fixture
def client(server: Server, patience: Patience) -> Iterator[RpcClient]:
    server.add_reference("x_drk.fits")
    server.add_file("hst_0001.pmap", b"")
    server.set_default("hst_0001.pmap")
    server.set_edit("hst_0001.pmap")
    with RpcClient(f"{server.url}/", patience) as ready:
        yield ready


def complaint(server: Server, reason: str) -> str:
    return f"{METHOD} at {server.url}: {reason}"


def raw(data: bytes) -> Fault:
    """Answer with bytes that need not be text."""

    def play(_: Exchange) -> Iterator[Step]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data

    return Fault("raw", play)


def ask(client: RpcClient) -> object:
    return client.call(METHOD, "hst", "*")


def refused(client: RpcClient, kind: type[Exception] = ServerError) -> str:
    with pytest.raises(kind) as told:
        ask(client)
    return str(told.value)


def test_a_call_gives_its_result(client: RpcClient) -> None:
    assert ask(client) == ["x_drk.fits"]


def test_a_wrapped_result_is_unpacked(server: Server, client: RpcClient) -> None:
    server.override(METHOD, lambda result: serverinfo.wrap({"names": result}))

    assert ask(client) == {"names": ["x_drk.fits"]}


def test_server_info_is_checked(server: Server, client: RpcClient) -> None:
    info = client.server_info("hst")

    assert info == serverinfo.parse_server_info(info.raw, "hst")
    assert (info.default_context, info.reference_url) == ("hst_0001.pmap", server.base)
    assert server.requests == {"RPC get_server_info": 1}


def test_the_catalogue_is_asked_for_where_server_info_has_none(server: Server, client: RpcClient) -> None:
    whole = client.server_info("hst").metadata
    server.faults.add("get_server_info", rpcfaults.result_without("download_metadata"))

    info = client.server_info("hst")

    assert info.metadata == whole
    assert serverinfo.unwrap(info.raw["download_metadata"]) == whole


def test_the_history_is_checked(client: RpcClient) -> None:
    [era] = client.history("hst")

    assert (era.context, era.reason) == ("hst_0001.pmap", "moved by hand")


def test_S04_a_history_that_is_no_list_is_refused(server: Server, client: RpcClient) -> None:
    server.override("get_context_history", lambda _: {"hst_0001.pmap": 1})

    with pytest.raises(ServerError, match="key 'context_history' is"):
        client.history("hst")


def test_N30_the_server_of_another_observatory_is_refused(client: RpcClient) -> None:
    with pytest.raises(NotACacheError, match="for hst, this cache for jwst"):
        client.server_info("jwst")


def test_states_are_asked_for_in_batches(server: Server, client: RpcClient) -> None:
    server.add_file("y_drk.fits", 1, state="Submitted")
    unknown = [f"z{number}_drk.fits" for number in range(5000)]

    states = client.file_states("hst", ["y_drk.fits", "x_drk.fits", *unknown])

    assert states == {"x_drk.fits": "operational", "y_drk.fits": "submitted"} | dict.fromkeys(unknown, "")
    assert server.requests == {"RPC get_file_info_map": 2}


@pytest.mark.parametrize("value", [[], {"x_drk.fits": {"state": 5}}, {"x_drk.fits": {}}], ids=str)
def test_S04_states_of_a_wrong_type_are_refused(server: Server, client: RpcClient, value: object) -> None:
    server.faults.add("get_file_info_map", rpcfaults.result(value))

    with pytest.raises(ServerError, match="get_file_info_map"):
        client.file_states("hst", ["x_drk.fits"])


def test_N01_a_closed_port_is_told_with_the_address_and_the_reason(patience: Patience) -> None:
    with (
        RpcClient("http://me:secret@localhost:1", patience) as client,
        pytest.raises(UnreachableError, match=r"^get_server_info at http://localhost:1: Connection refused$"),
    ):
        client.server_info("hst")


def test_N01_a_name_that_does_not_resolve_is_told(patience: Patience) -> None:
    with (
        RpcClient("http://nowhere.invalid", patience) as client,
        pytest.raises(UnreachableError, match=r"^get_server_info at http://nowhere\.invalid: .*[Nn]ame"),
    ):
        client.server_info("hst")


@pytest.mark.parametrize(
    "fault",
    [faults.reset(), faults.close(), faults.truncate(at_bytes=10), faults.status(503)],
    ids=lambda one: one.kind,
)
def test_N04_N05_N16_trouble_is_cured_by_another_try(server: Server, client: RpcClient, fault: Fault) -> None:
    server.faults.add(METHOD, fault, times=2)

    assert ask(client) == ["x_drk.fits"]
    assert server.requests == {f"RPC {METHOD}": 3}


def test_N16_trouble_that_stays_is_told(server: Server, client: RpcClient) -> None:
    server.faults.add(METHOD, faults.status(503))

    told = refused(client, UnreachableError)

    assert told == complaint(server, "status 503 Service Unavailable")
    assert server.requests == {f"RPC {METHOD}": 3}


def test_N12_silence_is_given_up(server: Server, patience: Patience) -> None:
    server.faults.add(METHOD, faults.stall())
    impatient = Patience(patience.connect_timeout_s, 0.1, 1, 0, 0)

    with RpcClient(server.url, impatient) as client:
        told = refused(client, UnreachableError)

    assert told == complaint(server, "timed out")


@pytest.mark.parametrize("code", [401, 403, 404])
def test_N14_a_refusal_is_not_asked_again(server: Server, client: RpcClient, code: int) -> None:
    server.faults.add(METHOD, faults.status(code))

    told = refused(client)

    assert told.startswith(complaint(server, f"status {code} "))
    assert server.requests == {f"RPC {METHOD}": 1}


def test_N18_a_redirect_is_named_and_not_followed(server: Server, client: RpcClient) -> None:
    server.faults.add(METHOD, faults.redirect("https://me:secret@elsewhere.example/json/", code=301))

    told = refused(client)

    assert told == complaint(server, "status 301 Moved Permanently https://elsewhere.example/json/")


def test_N19_a_page_for_people_is_shown(server: Server, client: RpcClient) -> None:
    server.faults.add(METHOD, faults.html())

    assert refused(client) == complaint(server, f"the reply is not JSON: {faults.PAGE[:80]!r}")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.body(""), "the reply is not JSON: ''"),
        (faults.body("nothing \x1b[31mof the\nkind"), "the reply is not JSON: 'nothing [31mof the kind'"),
        (faults.body("\ufeff{}"), "the reply is not JSON: '{}'"),
        (faults.body("[" * 100_000), f"the reply is not JSON: {'[' * 80!r}"),
        (faults.body('{"result": NaN}'), "the reply is not JSON: '{\"result\": NaN}'"),
        (faults.body('["a", 1]'), "the reply is no JSON object: '[\"a\", 1]'"),
        (raw('{"result": "é"}'.encode("latin-1")), 'the reply is not JSON: \'{"result": "\ufffd"}\''),
        (rpcfaults.wrong_id(), "the reply is to another call, 'somebody-else'"),
    ],
    ids=["empty", "text", "BOM", "nested", "NaN", "list", "latin-1", "id"],
)
def test_S01_a_reply_that_is_none_is_refused(
    server: Server, client: RpcClient, fault: Fault, reason: str
) -> None:
    server.faults.add(METHOD, fault)

    assert refused(client) == complaint(server, reason)
    assert server.requests == {f"RPC {METHOD}": 1}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (rpcfaults.rpc_error("out of\r\norder"), "out of order"),
        (rpcfaults.rpc_error({"code": 500, "message": "x" * 2000}), "x" * 1000),
        (rpcfaults.rpc_error({"code": 500}), "{'code': 500}"),
        (rpcfaults.rpc_error(["a", 1]), "['a', 1]"),
        (rpcfaults.escaped_error(text="<b>no</b> & \x1b[31mnever"), "<b>no</b> & [31mnever"),
        (rpcfaults.escaped_error(text="&lt;"), "&lt;"),
        (rpcfaults.without("error"), "the reply has no 'error'"),
        (rpcfaults.without("result"), "the reply has no 'result'"),
    ],
    ids=["text", "long", "no message", "list", "escaped", "escaped twice", "no error", "no result"],
)
def test_S02_an_error_is_told_in_the_words_of_the_server(
    server: Server, client: RpcClient, fault: Fault, reason: str
) -> None:
    server.faults.add(METHOD, fault)

    assert refused(client) == complaint(server, reason)


def test_S02_an_error_without_a_result_is_told_too(server: Server, client: RpcClient) -> None:
    server.faults.add(METHOD, faults.body(json.dumps({"id": None, "error": {"message": "no"}})))

    assert refused(client) == complaint(server, "no")


def test_S05_a_reply_that_does_not_end_is_cut_off(server: Server, client: RpcClient) -> None:
    server.faults.add(METHOD, faults.filler(1 << 30))

    assert refused(client) == complaint(server, f"the reply is longer than {64 * 2**20} bytes")


@pytest.mark.parametrize("payload", ["???", "aGVsbG8="], ids=["no base64", "no gzip"])
def test_S06_a_wrapping_that_is_damaged_is_refused(server: Server, client: RpcClient, payload: str) -> None:
    server.faults.add(METHOD, rpcfaults.result({"crds_encoded": "1.0", "crds_payload": payload}))

    assert refused(client).startswith(complaint(server, "cannot unpack the answer: "))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "nowhere", "http://["])
def test_S21_an_address_that_is_none_is_refused(patience: Patience, url: str) -> None:
    with RpcClient(url, patience) as client:
        told = refused(client)

    assert told == f"{METHOD} at {url}: the address is not one that can be asked"
