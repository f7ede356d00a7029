"""The list that the server computed for a change of context, beside ours.

Source: docs/protocol.md, "Affected data sets".
"""

from pathlib import Path

from crdscache.affected.results import Summary
from crdscache.cache import publish
from crdscache.contexts import names
from crdscache.contexts.records import Problem
from crdscache.errors import ServerError, UnreachableError
from crdscache.server.rpc import RpcClient

METHOD = "get_affected_datasets"
FILES = ("server_ids.txt", "only_ours.txt", "only_servers.txt")

_FAILED = "FAILED:"  # how the server says that a part of its answer is not there


def beside(server: RpcClient, place: Path, summary: Summary) -> tuple[str, Problem | None]:
    """Fetch the server's list, and write it and what differs into the directory of a report.

    Returns
    -------
    tuple
        A line that tells how many products are on which side, and what went wrong.
    """
    old, new = summary.steps[0].old, summary.steps[-1].new
    for name in FILES:
        (place / name).unlink(missing_ok=True)
    try:
        theirs, is_clean = _ask(server, summary.observatory, old, new)
    except (ServerError, UnreachableError) as error:
        return "the server's list: none", Problem("the server's list", str(error))
    ours = set((place / "ids.txt").read_text(encoding="utf-8").split())
    sides = theirs, ours - theirs, theirs - ours
    for name, products in zip(FILES, sides, strict=True):
        publish.write_text(place / name, "".join(f"{product}\n" for product in sorted(products)))
    n_only = f"{len(sides[1])} are only in ours, {len(sides[2])} only in its"
    errors = "" if is_clean else "; it says that there were errors"
    return f"the server's list: {len(theirs)} products; {n_only}{errors}", None


def _ask(server: RpcClient, observatory: str, old: str, new: str) -> tuple[set[str], bool]:
    answer = server.call(METHOD, observatory, old, new)
    if not isinstance(answer, dict):
        raise ServerError(f"{METHOD}: the answer is no table but a {type(answer).__name__}")
    match answer.get("affected_ids"):
        case str(reason):
            raise ServerError(f"{METHOD}: {names.printable(reason.removeprefix(_FAILED).strip())}")
        case list(ids) if all(isinstance(each, str) and each.isprintable() for each in ids):
            return {each.partition(":")[0].lower() for each in ids}, answer.get("bestrefs_status") == 0
    raise ServerError(f"{METHOD}: affected_ids is no list of ids")
