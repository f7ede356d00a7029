"""The demo server: what it says, and that each fault does on the wire what it promises."""

import gzip
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crdscache.contexts.serverinfo import unwrap
from demo import faults, rpcfaults
from demo.content import Content
from demo.faultplan import KINDS, Fault
from demo.observatory import CONTEXTS, EDIT_CONTEXT
from demo.server import Server

NAME = "x1234567j_drk.fits"
BODY = bytes(range(250)) * 2
Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """All that came over one connection; the header Connection is left out."""

    status: int
    headers: Headers
    body: bytes
    ending: str = "close"

    def having(self, body: bytes | None = None, **changes: str | None) -> "Answer":
        """Change the body, and headers: None takes one out, new ones come last."""
        new = {name.replace("_", "-"): value for name, value in changes.items()}
        kept = {name: value for name, value in {**dict(self.headers), **new}.items() if value is not None}
        return replace(self, headers=list(kept.items()), body=self.body if body is None else body)


def raw(
    server: Server,
    path: str,
    *,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    patience_s: float = 10,
) -> tuple[bytes, str]:
    """Ask on a connection of its own; gives all that came, and how it ended."""
    where = urlsplit(server.url)
    told = {"Host": where.netloc, "Connection": "close", **(headers or {})}
    if data is not None:
        told["Content-Length"] = str(len(data))
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    request = f"{'GET' if data is None else 'POST'} {path} HTTP/1.1\r\n{lines}\r\n".encode() + (data or b"")
    with socket.create_connection(("127.0.0.1", where.port or 0), timeout=patience_s) as connection:
        connection.sendall(request)
        came, ending = b"", "close"
        try:
            while chunk := connection.recv(1 << 20):
                came += chunk
        except ConnectionResetError:
            ending = "reset"
        except TimeoutError:
            ending = "silence"
    return came, ending


def ask(
    server: Server,
    path: str,
    *,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    patience_s: float = 10,
) -> Answer:
    came, ending = raw(server, path, data=data, headers=headers, patience_s=patience_s)
    head, _, body = came.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = [
        (name, value) for name, _, value in (line.partition(": ") for line in lines) if name != "Connection"
    ]
    return Answer(int(first.split()[1]) if first else 0, pairs, body, ending)


def get(server: Server, name: str = NAME, *, patience_s: float = 10, **more: str) -> Answer:
    """Get a file; further headers have `_` for `-` in their names."""
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    return ask(server, urlsplit(server.url_of(name)).path, headers=headers, patience_s=patience_s)


def call(server: Server, method: str, *params: object) -> Answer:
    asked = {"jsonrpc": "1.0", "method": method, "params": params, "id": "me-1"}
    return ask(server, f"/json/{method}/me-1/", data=json.dumps(asked).encode())


def result(server: Server, method: str, *params: object) -> object:
    answer = json.loads(call(server, method, *params).body)
    assert answer["error"] is None
    return answer["result"]


def error(server: Server, method: str, *params: object) -> str:
    answer = json.loads(call(server, method, *params).body)
    assert answer["result"] is None
    return str(answer["error"]["message"])


@pytest.fixture
def bare() -> Iterator[Server]:
    with Server.empty() as server:
        server.add_reference(NAME, content=BODY)
        server.add_reference("y1234567j_drk.fits", content=b"another")
        yield server


# What each fault of a file makes of the right answer.
FILE_FAULTS: list[tuple[Fault, Callable[[Answer], Answer]]] = [
    (faults.reset(), lambda _: Answer(0, [], b"", "reset")),
    (faults.close(), lambda _: Answer(0, [], b"", "close")),
    (faults.reset_in_body(7), lambda right: replace(right, body=BODY[:7], ending="reset")),
    (faults.truncate(7), lambda right: replace(right, body=BODY[:7])),
    (faults.stall(), lambda _: Answer(0, [], b"", "silence")),
    (faults.stall_in_body(7), lambda right: replace(right, body=BODY[:7], ending="silence")),
    (faults.delay(0.01), lambda right: right),
    (faults.drip(200, 0.01), lambda right: right),
    (faults.shorter(2), lambda right: right.having(BODY[:-2], Content_Length="498")),
    (faults.longer(2), lambda right: right.having(BODY + b"xx", Content_Length="502")),
    (faults.longer_unframed(2), lambda right: right.having(BODY + b"xx", Content_Length=None)),
    (faults.truncate_unframed(7), lambda right: right.having(BODY[:7], Content_Length=None)),
    (
        faults.truncate_chunked(7),
        lambda right: right.having(
            b"7\r\n" + BODY[:7] + b"\r\n", Content_Length=None, Transfer_Encoding="chunked"
        ),
    ),
    (
        faults.bad_chunk_size(),
        lambda right: right.having(b"zz\r\nabc\r\n", Content_Length=None, Transfer_Encoding="chunked"),
    ),
    (faults.content_length("-1"), lambda right: right.having(Content_Length="-1")),
    (
        faults.content_length("7|500"),
        lambda right: replace(
            right, headers=[*right.having(Content_Length="7").headers, ("Content-Length", "500")]
        ),
    ),
    (faults.many_headers(2, 3), lambda right: right.having(X_0="xxx", X_1="xxx")),
    (
        faults.status(404),
        lambda _: Answer(404, [("Content-Type", "text/plain"), ("Content-Length", "14")], b"as you wished\n"),
    ),
    (
        faults.status(429, "2"),
        lambda _: Answer(
            429,
            [("Content-Type", "text/plain"), ("Content-Length", "14"), ("Retry-After", "2")],
            b"as you wished\n",
        ),
    ),
    (
        faults.status(204),
        lambda _: Answer(204, [("Content-Type", "text/plain"), ("Content-Length", "0")], b""),
    ),
    (
        faults.redirect("file:///etc/passwd"),
        lambda _: Answer(
            302,
            [("Content-Type", "text/plain"), ("Content-Length", "0"), ("Location", "file:///etc/passwd")],
            b"",
        ),
    ),
    (
        faults.html(),
        lambda _: Answer(
            200,
            [("Content-Type", "text/html"), ("Content-Length", str(len(faults.PAGE)))],
            faults.PAGE.encode(),
        ),
    ),
    (faults.flip(3), lambda right: right.having(BODY[:3] + b"\x02" + BODY[4:])),
    (faults.content_of("y1234567j_drk.fits"), lambda right: right.having(b"another", Content_Length="7")),
    (faults.body("{}"), lambda right: right.having(b"{}", Content_Length="2")),
    (faults.filler(3), lambda right: right.having(b"   ", Content_Length="3")),
    (faults.encoded("br"), lambda right: right.having(Content_Encoding="br")),
    (faults.bad_gzip(), lambda right: right.having(Content_Encoding="gzip")),
    (faults.ignore_range(), lambda right: right),
    (faults.wrong_content_range(), lambda right: right),
    (faults.other_etag(), lambda right: right.having(ETag='"replaced"')),
]

RIGHT: dict[str, object] = {"jsonrpc": "1.0", "id": "me-1", "error": None}
FIRST: dict[str, object] = {"operational_context": "a.pmap", "observatory": "hst", "mappings": ["a.pmap"]}
# What each fault of a remote call makes of the reply whose result is FIRST.
RPC_FAULTS: list[tuple[Fault, dict[str, object]]] = [
    (rpcfaults.wrong_id(), {**RIGHT, "id": "somebody-else", "result": FIRST}),
    (rpcfaults.rpc_error("no"), {**RIGHT, "error": "no", "result": None}),
    (rpcfaults.without("error"), {"jsonrpc": "1.0", "id": "me-1", "result": FIRST}),
    (rpcfaults.without("result"), RIGHT),
    (rpcfaults.result([]), {**RIGHT, "result": []}),
    (rpcfaults.result_with("mappings", None), {**RIGHT, "result": {**FIRST, "mappings": None}}),
    (
        rpcfaults.result_without("mappings"),
        {**RIGHT, "result": {"operational_context": "a.pmap", "observatory": "hst"}},
    ),
    (rpcfaults.other_observatory("jwst"), {**RIGHT, "result": {**FIRST, "observatory": "jwst"}}),
    (
        rpcfaults.hostile_names(),
        {**RIGHT, "result": {**FIRST, "mappings": ["a.pmap", *rpcfaults.HOSTILE_NAMES]}},
    ),
    (
        rpcfaults.escaped_error("<b>"),
        {
            **RIGHT,
            "error": {"name": "OtherError", "code": 500, "data": None, "message": "&lt;b&gt;"},
            "result": None,
        },
    ),
]
TESTED_ALONE = {"stall_in_headers", "not_http", "hops", "encoded", "gzip_bomb"}


@pytest.mark.parametrize(
    ("fault", "spoil"), FILE_FAULTS, ids=[f"{n}-{fault.kind}" for n, (fault, _) in enumerate(FILE_FAULTS)]
)
def test_a_fault_answers_once_as_it_says_and_then_all_is_right_again(
    bare: Server, fault: Fault, spoil: Callable[[Answer], Answer]
) -> None:
    right = get(bare)
    bare.faults.add(NAME, fault, times=1)

    spoilt = get(bare, patience_s=0.2 if fault.kind.startswith("stall") else 10)
    after = get(bare)

    assert spoilt == spoil(right)
    assert after == right
    assert bare.faults.played == {f"{fault.kind} {NAME}": 1}


@pytest.mark.parametrize(("fault", "reply"), RPC_FAULTS, ids=[fault.kind for fault, _ in RPC_FAULTS])
def test_a_fault_of_a_remote_call_changes_the_reply_as_it_says(
    bare: Server, fault: Fault, reply: dict[str, object]
) -> None:
    bare.override("get_server_info", lambda _: FIRST)
    bare.faults.add("get_server_info", fault, times=1)

    spoilt, after = call(bare, "get_server_info"), call(bare, "get_server_info")

    assert json.loads(spoilt.body) == reply
    assert json.loads(after.body) == {**RIGHT, "result": FIRST}


def test_each_kind_of_fault_has_a_test() -> None:
    tested = {fault.kind for fault, _ in FILE_FAULTS} | {fault.kind for fault, _ in RPC_FAULTS}

    assert tested | TESTED_ALONE == KINDS.keys()


def test_each_kind_of_fault_is_in_the_readme() -> None:
    readme = Path(rpcfaults.__file__).with_name("README.md").read_text()

    assert [kind for kind in KINDS if f"`{kind}(" not in readme] == []


def test_headers_can_stop_in_the_middle(bare: Server) -> None:
    bare.faults.add(NAME, faults.stall_in_headers())

    came, ending = raw(bare, urlsplit(bare.url_of(NAME)).path, patience_s=0.2)

    assert (came[:15], b"\r\n\r\n" in came, ending) == (b"HTTP/1.1 200 OK", False, "silence")


def test_another_protocol_can_answer(bare: Server) -> None:
    bare.faults.add(NAME, faults.not_http())

    assert raw(bare, urlsplit(bare.url_of(NAME)).path) == (b"220 mail.example ready\r\n", "close")


@pytest.mark.parametrize("n_hops", [1, 3])
def test_redirects_lead_to_the_file_in_the_end(bare: Server, n_hops: int) -> None:
    right = get(bare)
    bare.faults.add(NAME, faults.hops(n_hops), times=1)

    answers = [get(bare)]
    while answers[-1].status == 307:
        answers.append(ask(bare, dict(answers[-1].headers)["Location"]))

    assert [answer.status for answer in answers] == [307] * n_hops + [200]
    assert answers[-1] == right


def test_an_unasked_gzip_body_unpacks_to_the_file(bare: Server) -> None:
    bare.faults.add(NAME, faults.encoded("gzip"))

    answer = get(bare)

    assert (dict(answer.headers)["Content-Encoding"], gzip.decompress(answer.body)) == ("gzip", BODY)


def test_a_gzip_bomb_is_small_and_unpacks_to_much(bare: Server) -> None:
    bare.faults.add(NAME, faults.gzip_bomb(3 << 20))

    answer = get(bare)

    assert len(answer.body) < 10_000
    assert gzip.decompress(answer.body) == bytes(3 << 20)


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "body"),
    [
        ("bytes=0-", 206, "bytes 0-499/500", BODY),
        ("bytes=10-19", 206, "bytes 10-19/500", BODY[10:20]),
        ("bytes=490-9999", 206, "bytes 490-499/500", BODY[490:]),
        ("bytes=-5", 206, "bytes 495-499/500", BODY[-5:]),
        ("bytes=500-", 416, "bytes */500", b""),
        ("bytes=0-1,5-6", 200, None, BODY),
        ("lines=1-2", 200, None, BODY),
    ],
)
def test_ranges_are_served(
    bare: Server, asked: str, status: int, content_range: str | None, body: bytes
) -> None:
    answer = get(bare, Range=asked)

    headers = dict(answer.headers)
    assert (answer.status, headers.get("Content-Range"), answer.body) == (status, content_range, body)
    assert headers["Content-Length"] == str(len(body))


def test_a_range_of_another_version_gives_the_whole(bare: Server) -> None:
    etag = dict(get(bare).headers)["ETag"]

    same = get(bare, Range="bytes=400-", If_Range=etag)
    other = get(bare, Range="bytes=400-", If_Range='"old"')

    assert (same.status, same.body) == (206, BODY[400:])
    assert (other.status, other.body) == (200, BODY)


@pytest.mark.parametrize(
    ("fault", "status", "content_range", "body"),
    [
        (faults.ignore_range(), 200, None, BODY),
        (faults.other_etag(), 200, None, BODY),
        (faults.wrong_content_range(7), 206, "bytes 407-499/500", BODY[400:]),
        (faults.truncate(5), 206, "bytes 400-499/500", BODY[400:405]),
        (faults.status(416), 416, None, b"as you wished\n"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_faults_of_a_resumed_transfer(
    bare: Server, fault: Fault, status: int, content_range: str | None, body: bytes
) -> None:
    bare.faults.add(NAME, fault)

    answer = get(bare, Range="bytes=400-")

    assert (answer.status, dict(answer.headers).get("Content-Range"), answer.body) == (
        status,
        content_range,
        body,
    )


def test_two_files_can_be_swapped(bare: Server) -> None:
    bare.faults.add(NAME, faults.content_of("y1234567j_drk.fits"))
    bare.faults.add("y1234567j_drk.fits", faults.content_of(NAME))

    assert (get(bare).body, get(bare, "y1234567j_drk.fits").body) == (b"another", BODY)


def test_rules_are_used_up_in_their_order(bare: Server) -> None:
    bare.faults.add(NAME, faults.status(503), times=2)
    bare.faults.add("*.fits", faults.status(404), times=1)

    assert [get(bare).status for _ in range(4)] == [503, 503, 404, 200]


def test_faults_in_turn_answer_one_request_each(bare: Server) -> None:
    bare.faults.in_turn(NAME, [faults.status(503), faults.flip()])

    answers = [ask(bare, f"/unchecked_get/references/hst/{NAME}") for _ in range(3)]

    assert [answer.status for answer in answers] == [503, 200, 200]
    assert [answer.body == BODY for answer in answers] == [False, False, True]
    assert bare.faults.played == {f"status {NAME}": 1, f"flip {NAME}": 1}


def test_a_server_that_vanishes_refuses_connections_until_it_is_back(bare: Server) -> None:
    path = f"/unchecked_get/references/hst/{NAME}"

    bare.vanish()
    with pytest.raises(ConnectionRefusedError):
        ask(bare, path)
    bare.come_back()

    assert ask(bare, path).body == BODY


def test_faults_by_rate_depend_on_seed_and_name_alone(bare: Server) -> None:
    def statuses(seed: int) -> list[int]:
        bare.reset()
        bare.faults.at_rate({faults.status(503): 30, faults.status(404): 20}, seed=seed)
        return [get(bare).status for _ in range(40)]

    first, again, other = statuses(1), statuses(1), statuses(2)

    assert first == again
    assert first != other
    assert set(first) == {200, 404, 503}


def test_head_gives_the_headers_alone_and_connections_are_kept(bare: Server) -> None:
    where = urlsplit(bare.url_of(NAME))
    with closing(http.client.HTTPConnection("127.0.0.1", where.port)) as connection:
        connection.request("HEAD", where.path)
        head = connection.getresponse()
        told = (head.status, head.getheader("Content-Length"), head.read())
        first = connection.sock
        connection.request("GET", where.path)
        body = connection.getresponse().read()

        assert connection.sock is first

    assert (told, body) == ((200, "500", b""), BODY)
    assert bare.requests == {f"HEAD {NAME}": 1, f"GET {NAME}": 1}


def test_requests_sent_at_once_are_answered_in_their_order(bare: Server) -> None:
    where = urlsplit(bare.url_of(NAME))
    one = f"GET {where.path} HTTP/1.1\r\nHost: x\r\n\r\n"
    last = one.replace("x\r\n\r\n", "x\r\nConnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", where.port or 0), timeout=5) as connection:
        connection.sendall((one + one + last).encode())
        came = b"".join(iter(lambda: connection.recv(1 << 16), b""))

    assert came.count(BODY) == 3


def test_a_file_of_any_size_is_made_from_its_name_and_streamed(bare: Server) -> None:
    record = bare.add_reference("z1234567j_drk.fits", size_bytes=5_000_001)

    body = get(bare, "z1234567j_drk.fits").body

    assert (len(body), sha1(body).hexdigest()) == (record.size_bytes, record.file_sha1)
    assert get(bare, "z1234567j_drk.fits", Range="bytes=3000000-").body == body[3_000_000:]
    assert Content("z1234567j_drk.fits", 10).read() == body[:10]


def test_latency_holds_up_one_answer_and_not_the_others(bare: Server) -> None:
    bare.latency_s = 0.2
    where = urlsplit(bare.url_of(NAME))
    connections = [http.client.HTTPConnection("127.0.0.1", where.port) for _ in range(10)]
    started = time.monotonic()

    for connection in connections:
        connection.request("GET", where.path)
    bodies = [connection.getresponse().read() for connection in connections]
    elapsed_s = time.monotonic() - started
    for connection in connections:
        connection.close()

    assert bodies == [BODY] * 10
    assert 0.2 <= elapsed_s < 2.0  # one after another: 2


def test_server_info_matches_what_is_served(server: Server) -> None:
    info = server.archive.server_info(server.url)
    metadata = unwrap(info["download_metadata"])  # type: ignore[arg-type]

    assert info["latest_context"] == info["operational_context"] == CONTEXTS[-1]
    assert info["edit_context"] == EDIT_CONTEXT
    assert info["bad_files_list"] == ["56615301j_drk.fits"]
    assert metadata == {
        name: {"size": str(len(body)), "sha1sum": sha1(body).hexdigest()}
        for name in server.archive.records
        for body in [get(server, name).body]
    }


def test_the_default_context_moves_while_it_runs(server: Server) -> None:
    server.set_default(CONTEXTS[2])

    assert result(server, "get_default_context", "hst") == CONTEXTS[2]
    assert result(server, "get_default_context", "hst", "edit") == EDIT_CONTEXT
    history = result(server, "get_context_history", "hst")
    assert isinstance(history, list)
    assert [context for _, context, _ in history] == [CONTEXTS[2], CONTEXTS[1], CONTEXTS[0]]


def test_closures_and_symbolic_contexts_are_told(server: Server) -> None:
    mappings = result(server, "get_mapping_names", CONTEXTS[0])
    references = result(server, "get_reference_names", "hst_wfpc2_darkfile_0001.rmap")

    assert isinstance(mappings, list)
    assert (len(mappings), mappings[0]) == (14, CONTEXTS[0])
    assert references == ["e1b1000du.r3h", "e1b1001du.r3h", "e6o0938au.r3h"]
    assert [
        result(server, "get_context_by_date", spec, "hst")
        for spec in (
            "2022-01-01",
            "hst-2022-01-20T15:45:10",
            "hst-acs-edit",
            "hst-wfc3-pfltfile-latest",
            "hst-cos-edit",
        )
    ] == ["hst_0002.pmap", "hst_0003.pmap", "hst_acs_0006.imap", "hst_wfc3_pfltfile_0002.rmap", "N/A"]
    assert "before the first" in error(server, "get_context_by_date", "2001-01-01", "hst")


def test_file_information_is_told_in_lower_case_text(server: Server) -> None:
    server.archive.change("68v08000j_drk.fits", state="submitted")
    asked = ["68v08000j_drk.fits", "56615301j_drk.fits", "hst_0002.pmap", "none.fits"]

    told = result(
        server, "get_file_info_map", "hst", asked, ["blacklisted", "rejected", "state", "instrument"]
    )
    server.archive.change("68v08000j_drk.fits", state="operational")

    assert told == {
        "68v08000j_drk.fits": {
            "blacklisted": "false",
            "rejected": "false",
            "state": "submitted",
            "instrument": "acs",
        },
        "56615301j_drk.fits": {
            "blacklisted": "true",
            "rejected": "true",
            "state": "operational",
            "instrument": "acs",
        },
        "hst_0002.pmap": {
            "blacklisted": "true",
            "rejected": "false",
            "state": "operational",
            "instrument": "",
        },
        "none.fits": "NOT FOUND",
    }
    assert "not in the catalogue" in error(server, "get_file_info", "hst", "none.fits")


def test_the_whole_catalogue_comes_wrapped(server: Server) -> None:
    wrapped = result(server, "get_file_info_map", "hst", None, ["sha1sum", "size"])

    assert isinstance(wrapped, dict)
    assert unwrap(wrapped) == unwrap(server.archive.server_info("")["download_metadata"])  # type: ignore[arg-type]


def test_data_sets_are_told_by_instrument_and_by_id(server: Server) -> None:
    ids = result(server, "get_dataset_ids", CONTEXTS[-1], "acs", "2010-01-01 00:00:00")
    headers = result(server, "get_dataset_headers_by_id", CONTEXTS[-1], ["jdem01010", "NOSUCH"], None)

    assert ids == ["JDEM01010:JDEM01A1Q", "JDEM01010:JDEM01A2Q"]
    assert isinstance(headers, dict)
    assert list(headers) == ["JDEM01010:JDEM01A1Q", "JDEM01010:JDEM01A2Q", "NOSUCH"]
    assert headers["NOSUCH"] == "NOT FOUND NOSUCH is not in the archive"


def test_what_the_server_lacks_is_an_error_in_the_protocol_s_words(server: Server) -> None:
    assert "No precomputed affected datasets results exist" in error(
        server, "get_affected_datasets", "hst", CONTEXTS[0], CONTEXTS[1]
    )
    assert "no selection engine" in error(server, "get_best_references", CONTEXTS[0], {}, None)
    assert "no method" in error(server, "nonsense")
    assert "this is the server of hst" in error(server, "get_context_history", "jwst")
    assert "get_context_history" in error(server, "get_context_history")


def test_a_selection_engine_can_be_given(demo_root: Path) -> None:
    with Server(
        demo_root, bestrefs=lambda context, header, types: {"asked": [context, header, types]}
    ) as server:
        answer = result(server, "get_best_references", CONTEXTS[0], {"A": "1"}, ["biasfile"])

    assert answer == {"asked": [CONTEXTS[0], {"A": "1"}, ["biasfile"]]}


def test_a_pushed_context_is_remembered(server: Server) -> None:
    assert result(server, "push_remote_context", "hst", "latest", "ops", CONTEXTS[3]) is None
    assert result(server, "get_remote_context", "hst", "ops") == CONTEXTS[3]


def test_real_catalogues_are_served_with_contents_cut_to_the_cap(shared_data: Path) -> None:
    with Server(shared_data, cap_bytes=300) as server:
        name = "j4d1435ij_bia.fits"

        body = get(server, name).body

        assert len(server.archive.records) == 40_718
        record = server.archive.records[name]
        assert (len(body), sha1(body).hexdigest()) == (record.size_bytes, record.file_sha1)
        assert record.size_bytes == 300


def test_real_catalogues_without_a_cap_are_refused(shared_data: Path) -> None:
    with pytest.raises(ValueError, match="give a cap"):
        Server(shared_data)


def test_a_server_of_its_own_obeys_orders_and_stops_when_told(demo_root: Path) -> None:
    command = [sys.executable, "-m", "demo.server", str(demo_root), "--rate", "status:100"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        url = urlsplit(process.stdout.readline().strip())
        with closing(http.client.HTTPConnection("127.0.0.1", url.port)) as connection:

            def order(orders: dict[str, object]) -> tuple[int, str]:
                connection.request("POST", "/_control/", json.dumps(orders))
                response = connection.getresponse()
                return response.status, response.read().decode()

            def status() -> int:
                connection.request("GET", "/unchecked_get/mappings/hst/hst_0001.pmap")
                response = connection.getresponse()
                response.read()
                return response.status

            statuses = [status()]
            told = order(
                {
                    "reset": True,
                    "set_default": CONTEXTS[1],
                    "fault": {"name": "hst_0001.pmap", "kind": "status", "code": 410, "times": 1},
                }
            )
            statuses += [status(), status()]
            refused = order({"fault": {"name": "x", "kind": "nonsense"}})
        process.send_signal(signal.SIGTERM)

        assert process.wait(10) == 0

    assert statuses == [503, 410, 200]
    assert told == (200, json.dumps({"default": CONTEXTS[1], "requests": {}, "faults": {}}))
    assert (refused[0], refused[1][:43]) == (400, "ValueError: nonsense is no kind of fault; t")
