"""The plan in process: what a run would do, found out by the same functions and without snakemake's start.

A run of the commands begins with it, and ends with it where there is nothing to do. It writes nothing in the
cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crdscache.cache import commit, identity, plan, rules, serverconfig
from crdscache.cache.answer import Answer
from crdscache.cache.manifest import Disk
from crdscache.cache.plan import Plan
from crdscache.cache.purge import Estimate
from crdscache.contexts.records import Action, Needs, Outcome, Problem, Receipt, each_once
from crdscache.errors import UnreachableError, UnreadableConfigError
from crdscache.server import fetch, mappings, rpc, sources
from crdscache.workflow import purging, steps
from crdscache.workflow.runs import Result
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status

if TYPE_CHECKING:
    from crdscache.bestrefs.choose import Load

_DONE = frozenset({Action.ADOPT, Action.FETCH})


@dataclass(frozen=True, slots=True)
class Numbers:
    """A dry run in a few numbers."""

    server_default: str
    fetch_mappings: int
    fetch_mappings_bytes: int
    fetch_references: int
    fetch_references_bytes: int
    fetch_by_type: Mapping[str, Mapping[str, int]]  # files and bytes of these, by instrument and type
    adopt: int
    adopt_bytes: int
    repair: int  # of those to fetch and to adopt: in the place of a wrong one
    seen: Mapping[str, int]  # files of the trees, by what would become of them
    pending: int

    def __str__(self) -> str:
        adopt = f"adopt {self.adopt} ({self.adopt_bytes} bytes), " if self.seen else ""
        repair = f"{self.repair} of them in the place of wrong ones, " if self.repair else ""
        return (
            f"would fetch {self.fetch_mappings} mappings ({self.fetch_mappings_bytes} bytes) and "
            f"{self.fetch_references} references ({self.fetch_references_bytes} bytes), "
            f"{adopt}{repair}{self.pending} pending; the server's default is {self.server_default}"
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What a run would find and do."""

    said: Answer
    disk: Disk
    drawn: Plan
    purge: Estimate | None  # of what would be purged, if that was asked for
    rules: tuple[Receipt, ...]  # of mappings that are not in the cache: brought aside, in a dry run only

    @property
    def numbers(self) -> Numbers:
        """Add up what would be done."""
        fetched = [receipt.size_bytes for receipt in self.rules if receipt.outcome is Outcome.FETCHED]
        totals = plan.totals(self.drawn)
        return Numbers(
            self.said.info.default_context,
            len(fetched),
            sum(fetched),
            totals.n_fetch,
            totals.fetch_bytes,
            plan.by_type(self.drawn.rows, Action.FETCH),
            totals.n_adopt,
            totals.adopt_bytes,
            totals.n_repair,
            totals.n_seen,
            totals.n_pending,
        )

    def problems(self) -> list[Problem]:
        """List what is wrong, each file once."""
        rows = [row for row in self.drawn.rows if row.action is not Action.KEEP]
        undone = [plan.receipt_of(row) for row in rows if row.action not in _DONE]
        told = [Problem(r.name, r.reason) for r in (*self.rules, *undone) if r.outcome is Outcome.FAILED]
        told += [Problem(row.file.name, row.reason) for row in rows if row.is_repair]
        pending = {receipt.name for receipt in self.rules if receipt.outcome is Outcome.PENDING}
        told += self.said.chosen.problems
        told += () if self.purge is None else self.purge.problems
        told += [problem for problem in self.drawn.problems if problem.name not in pending]
        return list(each_once(told))


def ask(config: Settings, stamp: identity.Identity) -> Answer:
    """Ask the server what there is.

    Raises
    ------
    UnreachableError
        No answer; the message names a damaged configuration too, which only an answer would mend.
    """
    cache = config.cache
    try:
        with rpc.RpcClient(config.server_url, config.patience) as server:
            info = server.server_info(cache.observatory)
    except UnreachableError as error:
        try:
            serverconfig.read_checked(cache.config, cache.observatory)
        except UnreadableConfigError as damage:
            raise UnreachableError(f"{error}; and what was saved is damaged: {damage}") from error
        raise
    places = sources.Sources(config.transfers.sources, cache.observatory)
    with mappings.lookout(cache.mappings, info.mapping_url, config.patience, places) as bring:
        return purging.settle(config, info, stamp, bring)


def find_nothing_to_do(config: Settings, stamp: identity.Identity) -> Result | None:
    """Tell that there is nothing to do; None where there is. One request, and nothing is parsed twice."""
    said = ask(config, stamp)
    identity.stamp(config.cache, stamp)
    disk = steps.disk(config, said)
    promise = steps.promise(config, said, stamp)
    current = commit.current(
        config.cache, said.info, config.server_url, promise, takes_default=said.chosen.takes_default
    )
    if current is None or any(not (config.cache.mappings / name).exists() for name in said.chosen.mappings):
        return None
    if purging.lacks_rules(config, said, disk.load):
        return None
    needed = _needs(config, said, rules.loader(config.cache.mappings))
    scope = steps.scope(config, said, stamp, needed.references)
    seen = Preview(said, disk, plan.draw_up(disk, scope, promise.holdings, needed.problems), None, ())
    if any(row.action is not Action.KEEP for row in seen.drawn.rows) or seen.problems():
        return None
    plan.sweep(disk, seen.drawn.rows, scope)
    manifest, kept = seen.drawn.manifest, Outcome.KEPT.value
    return Result(
        Status.OK,
        current,
        current,
        said.info.default_context,
        n_files={kept: len(manifest)},
        size_bytes={kept: sum(row.size_bytes or 0 for row in manifest)},
        pinned=stamp.pinned,
        refreshed=said.info.refreshed,
    )


def foresee(config: Settings, stamp: identity.Identity) -> Preview:
    """Find out what a run would do; rules that are not cached are brought to a temporary directory."""
    said = ask(config, stamp)
    with TemporaryDirectory(prefix="crdscache-") as scratch:
        shelf = mappings.Shelf(config.cache.mappings, Path(scratch), said.catalogue)
        load = rules.Rules(config.cache.mappings, said.catalogue, None, shelf.find).load
        places = sources.Sources(config.transfers.sources, config.cache.observatory)
        chosen, base_url = said.chosen, said.info.mapping_url
        with fetch.Downloader(config.patience, config.connections, places) as downloader:
            receipts = shelf.bring(chosen.mappings, base_url, downloader, load, chosen.lone_mappings)
        disk = steps.disk(config, said, load)
        needed = _needs(config, said, rules.loader(shelf.read))
        scope = steps.scope(config, said, stamp, needed.references)
        holdings = steps.promise(config, said, stamp).holdings
        drawn = plan.draw_up(disk, scope, holdings, needed.problems)
        purge = purging.estimate(config, said, shelf.find) if config.purging else None
    with rpc.RpcClient(config.server_url, config.patience) as server:
        drawn = steps.hold_back(config, drawn, partial(server.file_states, config.cache.observatory))
    brought = tuple(receipt for receipt in receipts if receipt.outcome is not Outcome.KEPT)
    return Preview(said, disk, drawn, purge, brought)


def _needs(config: Settings, said: Answer, load: "Load") -> Needs:
    """Find what the data sets need that a run is limited to."""
    if not (config.dataset_files or config.dataset_ids):
        return Needs(None, ())
    from crdscache.assignment import needs  # brings astropy, and few runs need it

    wanted = needs.Wanted(config.dataset_files, config.dataset_ids)
    with rpc.RpcClient(config.server_url, config.patience) as server:
        return needs.find(wanted, said.chosen.contexts, load, server, said.info.max_headers_per_rpc)
