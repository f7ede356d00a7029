"""Kinds of faults of remote calls: right HTTP with a wrong reply in it."""

import html
import json
from collections.abc import Callable, Iterator

from demo.faultplan import KINDS, Exchange, Fault, kind
from demo.faults import instead_of
from demo.wire import Step

HOSTILE_NAMES = (
    "../../etc/passwd",
    "/tmp/x.fits",
    "a\nb.fits",
    "-rf.fits",
    ".hidden.fits",
    "x" * 129,
    "",
    "\uff58.fits",
)


def _answer(exchange: Exchange) -> dict[str, object]:
    answer = json.loads(exchange.reply.body.read())
    if not isinstance(answer, dict):
        raise ValueError("a fault of remote calls can only spoil the answer to one")
    return answer


def _edited(exchange: Exchange, **changes: object) -> Iterator[Step]:
    return instead_of(exchange.reply, json.dumps(_answer(exchange) | changes).encode())


def _edited_result(
    exchange: Exchange, edit: Callable[[dict[str, object]], dict[str, object]]
) -> Iterator[Step]:
    result = _answer(exchange)["result"]
    return _edited(exchange, result=edit(result) if isinstance(result, dict) else result)


@kind
def wrong_id(exchange: Exchange) -> Iterator[Step]:
    """Answer under the id of another call."""
    yield from _edited(exchange, id="somebody-else")


@kind
def rpc_error(exchange: Exchange, error: object = "out of order") -> Iterator[Step]:
    """Answer with an error: an object as the protocol has it, or anything else."""
    yield from _edited(exchange, result=None, error=error)


@kind
def escaped_error(exchange: Exchange, text: str = "<b>no</b> & \x1b[31mnever") -> Iterator[Step]:
    """Answer with an error object whose message is HTML-escaped."""
    error = {"name": "OtherError", "code": 500, "data": None, "message": html.escape(text)}
    yield from _edited(exchange, result=None, error=error)


@kind
def without(exchange: Exchange, key: str = "error") -> Iterator[Step]:
    """Leave `error` or `result` out of the reply."""
    rest = {name: value for name, value in _answer(exchange).items() if name != key}
    yield from instead_of(exchange.reply, json.dumps(rest).encode())


@kind
def result(exchange: Exchange, value: object = None) -> Iterator[Step]:
    """Answer with any result."""
    yield from _edited(exchange, result=value)


@kind
def result_with(exchange: Exchange, key: str, value: object = None) -> Iterator[Step]:
    """Put any value under one key of the result."""
    yield from _edited_result(exchange, lambda old: old | {key: value})


@kind
def result_without(exchange: Exchange, key: str) -> Iterator[Step]:
    """Leave one key out of the result."""
    yield from _edited_result(
        exchange, lambda old: {name: value for name, value in old.items() if name != key}
    )


@kind
def other_observatory(exchange: Exchange, name: str = "jwst") -> Iterator[Step]:
    """Answer get_server_info as the server of another observatory."""
    yield from _edited_result(exchange, lambda old: old | {"observatory": name})


@kind
def hostile_names(exchange: Exchange, where: str = "mappings") -> Iterator[Step]:
    """Add names that must not become paths to the result, or to the list under one key of it."""
    match _answer(exchange)["result"]:
        case dict(table):
            named: object = table | {where: [*table.get(where, []), *HOSTILE_NAMES]}
        case list(listed):
            named = [*listed, *HOSTILE_NAMES]
        case other:
            named = other
    yield from _edited(exchange, result=named)


def named(name: str, **arguments: object) -> Fault:
    """Make a fault of any kind, those of `faults` included, by the name of its kind.

    Raises
    ------
    ValueError
        There is no such kind, or it does not take these arguments.
    """
    if name not in KINDS:
        raise ValueError(f"{name} is no kind of fault; there are: {', '.join(sorted(KINDS))}")
    try:
        return KINDS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
