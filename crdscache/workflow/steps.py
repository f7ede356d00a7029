"""What the steps of a run have in common: settings and the server's answer, as the package asks for them."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from crdscache.cache import answer, commit, hashes, identity, layout, plan, rules, space, supply, trees
from crdscache.cache.adopt import Adopter
from crdscache.cache.answer import Answer
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.cache.manifest import Disk
from crdscache.cache.plan import Plan, Scope
from crdscache.cache.repair import Mender
from crdscache.cache.supply import Supplier
from crdscache.cache.trees import Forest
from crdscache.contexts.closure import Load
from crdscache.contexts.records import Action, Kind, PlanRow, SightingRow
from crdscache.workflow.settings import Settings

LINKS = "links"  # directory of the state: what each mapping names, by its SHA-1


def links(cache: Layout) -> Path | None:
    """Tell where the memory of links lies; None where it cannot be written: readers go without."""
    return cache.state / LINKS if os.access(cache.state, os.W_OK) else None


def disk(
    config: Settings,
    said: Answer,
    load: Load | None = None,
    known: Mapping[str, Hashed] | None = None,
) -> Disk:
    """Describe the cache as it lies on disk.

    Parameters
    ----------
    load
        Reads mappings, by default from there.
    known
        What was hashed when, by default as the state has it.
    """
    cache = config.cache
    if load is None:
        load = rules.Rules(cache.mappings, said.catalogue, links(cache)).load
    if known is None:
        known = hashes.load(cache.state / hashes.FILE)
    return Disk(cache, layout.find_mode(cache, config.new_mode), said.catalogue, load, known)


def scope(
    config: Settings, said: Answer, stamp: identity.Identity, references: frozenset[str] | None
) -> Scope:
    """Say what the run looks after; `references` are those of the data sets that were asked for, if any."""
    listed = frozenset(said.chosen.listed) or None
    if said.chosen.files:
        references = frozenset(said.chosen.files)
    return Scope(
        said.chosen.contexts,
        stamp.pinned or said.info.default_context,
        config.fetch_references,
        config.check_files,
        said.info.reference_url,
        config.tolerate_missing,
        listed if references is None else references,
        config.policy,
        forest(config),
        config.parts,
        listed,
        config.purging.rejected,
        said.chosen.files,
    )


def forest(config: Settings) -> Forest | None:
    """Give the trees to adopt from, which are only looked through when that is of use.

    Raises
    ------
    SettingsError
        One of them is not there, or lies in the cache.
    """
    if not config.trees:
        return None
    trees.require_apart(config.trees, config.cache)
    return Forest(config.trees, config.cache)


def saved_plan(config: Settings, known: Mapping[str, Hashed] | None = None) -> tuple[Disk, Plan]:
    """Look at the cache as its saved configuration knows it: no server is asked, and nothing is to be done.

    References that are neither here nor promised are left out, unless all are asked for.
    """
    said = answer.saved(config.cache, config.wanted)
    here = disk(config, said, known=known)
    stamp = identity.load(config.cache)
    holdings = identity.NONE if stamp is None else stamp.holdings
    contexts, default = said.chosen.contexts, said.info.default_context
    looked = Scope(contexts, default, fetch=False, check=True, source="", tolerated=config.tolerate_missing)
    if said.chosen.files:
        looked = replace(looked, files=said.chosen.files, chosen=frozenset(said.chosen.files))
    drawn = plan.draw_up(here, looked, holdings, said.chosen.problems)
    if config.fetch_references or config.check_files:
        return here, drawn

    def is_expected(row: PlanRow) -> bool:
        is_missing = row.action is Action.MISSING and not row.file.is_held
        return not is_missing or os.path.lexists(config.cache.absolute(row.file.path))

    rows = tuple(filter(is_expected, drawn.rows))
    names = {row.file.name for row in rows}
    files = tuple(row for row in drawn.manifest if row.kind is Kind.MAPPING or row.name in names)
    return here, replace(drawn, manifest=files, rows=rows)


def mender(config: Settings, run_id: str) -> Mender:
    """Make what replaces wrong files in a run."""
    known = hashes.load(config.cache.state / hashes.FILE)
    return Mender(config.cache, run_id, config.policy, known)


def supplier(
    config: Settings, run_id: str, duplicates: Iterable[SightingRow], bring: supply.Bring
) -> Supplier:
    """Make what does a shard of the plan; `duplicates` are files to fall back on, `bring` fetches."""
    return Supplier(
        config.cache,
        Adopter(config.cache, config.adoption, duplicates),
        mender(config, run_id),
        bring,
        _sources(config),
    )


def _sources(config: Settings) -> Callable[[PlanRow], str | None]:
    """Tell where to fetch from what no tree has after all; nowhere, where that was not asked for."""

    @cache
    def url() -> str:
        return answer.reference_url(config.cache.state, config.cache.observatory)

    def source(row: PlanRow) -> str | None:
        is_repaired = config.policy.repairs and row.file.is_held
        return url() if config.fetch_references or row.is_repair or is_repaired else None

    return source


def make_room(config: Settings, rows: Iterable[PlanRow]) -> None:
    """Make the directories that the first references need."""
    instruments = {row.file.instrument for row in rows if row.action in {Action.ADOPT, Action.FETCH}}
    if instruments:
        layout.settle_mode(config.cache, layout.find_mode(config.cache, config.new_mode), instruments)


def promise(config: Settings, said: Answer, stamp: identity.Identity) -> commit.Promise:
    """Say what a context must have to become the default of this cache."""
    is_filtered = bool(config.dataset_files or config.dataset_ids or config.wanted.files)
    fetches_default = config.fetch_references and said.chosen.takes_default and not is_filtered
    fetched = (
        identity.holdings_of(config.parts, config.cache.observatory) if fetches_default else identity.NONE
    )
    holdings = identity.promised(stamp.holdings, config.holdings, fetched)
    return commit.Promise(stamp, holdings, config.tolerate_missing)


def hold_back(config: Settings, drawn: Plan, states: Callable[[Sequence[str]], Mapping[str, str]]) -> Plan:
    """Ask for the states of files that are to be fetched, and leave for later what is not archived yet."""
    names = [row.file.name for row in drawn.rows if row.action is Action.FETCH]
    if not names:
        return drawn
    rows = plan.hold_back(drawn.rows, states(names), config.transfers.delivered)
    return replace(drawn, rows=tuple(rows))


def lack_of_space(config: Settings, drawn: Plan) -> str | None:
    """Tell how much room is lacking for what is to be brought; None where there is enough."""
    return space.lack(config.cache, drawn.rows, config.adoption.mode)
