"""What the steps of a run have in common: settings and the server's answer, as the package asks for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from crdscache.cache import commit, identity, layout, plan, rules
from crdscache.cache.answer import Answer
from crdscache.cache.manifest import Disk
from crdscache.cache.plan import Plan, Scope
from crdscache.contexts.closure import Load
from crdscache.contexts.records import Action
from crdscache.workflow.settings import Settings

LINKS = "links"  # directory of the state: what each mapping names, by its SHA-1


def disk(config: Settings, said: Answer, load: Load | None = None) -> Disk:
    """Describe the cache as it lies on disk; `load` reads mappings, by default from there."""
    cache = config.cache
    if load is None:
        load = rules.Rules(cache.mappings, said.catalogue, cache.state / LINKS).load
    return Disk(cache, layout.find_mode(cache, config.new_mode), said.catalogue, load)


def scope(config: Settings, said: Answer, references: frozenset[str] | None) -> Scope:
    """Say what the run looks after; `references` are those of the data sets that were asked for, if any."""
    chosen = said.chosen.contexts
    return Scope(
        chosen,
        said.info.default_context,
        config.fetch_references,
        config.check_files,
        said.info.reference_url,
        config.tolerate_missing,
        references,
    )


def promise(config: Settings, said: Answer, stamp: identity.Identity) -> commit.Promise:
    """Say what a context must have to become the default of this cache."""
    is_filtered = bool(config.dataset_files or config.dataset_ids)
    fetches_default = config.fetch_references and said.chosen.takes_default and not is_filtered
    holdings = identity.promised(stamp.holdings, config.holdings, fetches_default=fetches_default)
    return commit.Promise(stamp, holdings, config.tolerate_missing)


def hold_back(drawn: Plan, states: Callable[[Sequence[str]], Mapping[str, str]]) -> Plan:
    """Ask for the states of files that are to be fetched, and leave for later what is not archived yet."""
    names = [row.file.name for row in drawn.rows if row.action is Action.FETCH]
    return replace(drawn, rows=tuple(plan.hold_back(drawn.rows, states(names)))) if names else drawn
