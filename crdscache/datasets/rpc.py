"""Asks the server for the headers of data sets. Source: docs/protocol.md, "JSON-RPC"."""

from collections.abc import Iterator, Sequence

from crdscache.contexts import names
from crdscache.contexts.records import Problem
from crdscache.datasets.records import Dataset
from crdscache.errors import ServerError
from crdscache.server.rpc import RpcClient

METHOD = "get_dataset_headers_by_id"
METHOD_OF_IDS = "get_dataset_ids"


def dataset_ids(server: RpcClient, context: str, instrument: str, since: str | None = None) -> list[str]:
    """Ask which data sets of an instrument there are, by PRODUCT:EXPOSURE.

    Parameters
    ----------
    since : a time; the server leaves out what is earlier

    Raises
    ------
    ServerError, UnreachableError
        The server gives no answer that makes sense.
    """
    answer = server.call(METHOD_OF_IDS, context, instrument, since)
    if not isinstance(answer, list) or not all(
        isinstance(each, str) and each.isprintable() for each in answer
    ):
        raise ServerError(f"{METHOD_OF_IDS}: the answer is no list of ids: {names.printable(answer)}")
    return answer


def headers(server: RpcClient, context: str, ids: Sequence[str], batch: int) -> Iterator[Dataset | Problem]:
    """Ask for headers, a batch of ids in each call; each data set comes once, under the server's id for it.

    That is in upper case. To an id of one part the server may tell several data sets, with ids of two parts.

    Parameters
    ----------
    context : tells the server which parameters are wanted
    batch : the server's `max_headers_per_rpc`

    Raises
    ------
    ServerError, UnreachableError
        The server gives no answer that makes sense; after the data sets of the batches before.
    """
    wanted = list(dict.fromkeys(each.upper() for each in ids))
    told: set[str] = set()
    for start in range(0, len(wanted), batch):
        asked = wanted[start : start + batch]
        answer = server.call(METHOD, context, asked, None)
        if not isinstance(answer, dict):
            raise ServerError(f"{METHOD}: the answer is no table but a {type(answer).__name__}")
        new = {name: header for name, header in answer.items() if name not in told}
        told |= {*new}
        yield from (_dataset(name, new[name]) for name in sorted(new))
        # The parts of all ids, once: to look for each id in each would take a minute for 1,000.
        known = {part for name in answer for part in (name, *name.split(":"))}
        yield from (
            Problem(_in_one_line(name), "the server tells nothing of it")
            for name in asked
            if name not in known
        )


def _dataset(name: str, header: object) -> Dataset | Problem:
    match header:
        case str(reason):
            return Problem(_in_one_line(name), _in_one_line(reason))
        case dict() if _is_plain(name, header):
            return Dataset(name, header)
    found = names.printable(header)
    return Problem(_in_one_line(name), f"{METHOD}: a header was expected, found {found}")


def _is_plain(name: str, header: dict[str, object]) -> bool:
    try:
        f"{name}{''.join(f'{key}{value}' for key, value in header.items())}".encode()
    except UnicodeEncodeError:  # half a surrogate pair is no text, and would fail later in a write
        return False
    return all(isinstance(value, str | int | float) for value in header.values())


def _in_one_line(text: str) -> str:
    return "".join(character for character in " ".join(text[:500].split()) if character.isprintable())
