"""The purge in the terms of a run: what is kept, the estimate, and the deed."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from crdscache.cache import answer, identity, keep, publish, purge, purgereport, removal
from crdscache.cache.answer import Answer
from crdscache.cache.identity import Identity
from crdscache.cache.keep import Kept
from crdscache.cache.purge import Estimate
from crdscache.cache.removal import Deed
from crdscache.cache.rules import Bring, Rules
from crdscache.contexts import closure
from crdscache.contexts.records import Problem
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.workflow import listed, steps
from crdscache.workflow.settings import Settings

DEED = "purged.json"


def kept(config: Settings, said: Answer) -> Kept:
    """Find what a purge of this run keeps."""
    stamp = identity.load(config.cache)
    return keep.find(config.cache, said, config.keeping, None if stamp is None else stamp.pinned)


def settle(config: Settings, info: ServerInfo, stamp: Identity, bring: Bring | None = None) -> Answer:
    """Settle what a run is about, by what the server has said; `bring` as for `answer.settle`."""
    said = listed.settle(config, info, stamp, bring)
    if not config.policy.follows_changes:
        said = answer.doubted(said, config.cache)
    return with_kept(config, said)


def with_kept(config: Settings, said: Answer) -> Answer:
    """Look after the rules of all that a purge keeps too: without them nobody knows what they need."""
    if not config.purging:
        return said
    known = [name for name in kept(config, said).why if said.info.lists(name)]
    mappings = tuple(sorted({*said.chosen.mappings, *known}))
    return replace(said, chosen=replace(said.chosen, mappings=mappings))


def lacks_rules(config: Settings, said: Answer, load: closure.Load) -> bool:
    """Tell whether rules of what a purge keeps are to be brought first."""
    names = kept(config, said).why if config.purging else ()
    return any(not closure.walk(name, load).is_whole for name in names)


def estimate(config: Settings, said: Answer, bring: Bring | None = None) -> Estimate:
    """Find out what a purge would do.

    Parameters
    ----------
    bring
        Tells where mappings lie that a dry run has brought.
    """
    cache = config.cache
    is_strict = not config.ignore_mapping_checksum
    load = Rules(cache.mappings, said.catalogue, steps.links(cache), bring, is_strict=is_strict).load
    disk = steps.disk(config, said, load)
    return purge.draw_up(disk, said, kept(config, said), config.purging, config.keeping)


def totals(config: Settings, made: Estimate) -> purgereport.Totals:
    """Add an estimate up."""
    return purgereport.totals(made, empties_trash=config.keeping.trash_days == 0)


def save(config: Settings, made: Estimate) -> None:
    """Write an estimate to the state."""
    purgereport.save(made, totals(config, made), config.cache.state / purgereport.DIRECTORY)


def carry_out(config: Settings, said: Answer, run_id: str) -> Deed:
    """Do what the named estimate says, if one that is made now says the same; tell what was done."""
    made = estimate(config, said)
    refused = made.problems or _is_another(made.plan, config.purging.plan)
    if refused:
        deed = Deed(run_id, made.plan, failures=refused)
    else:
        is_blind = config.keeping.ignores_leases
        deed = removal.carry_out(config.cache, made, run_id, ignores_leases=is_blind)
    publish.write_text(config.cache.state / DEED, json.dumps(asdict(deed), indent=2) + "\n")
    return deed


def _is_another(plan: str, asked: str | None) -> tuple[Problem, ...]:
    if asked is None:
        return (Problem(plan, f"nothing was purged: --config purge_plan={plan} carries this estimate out"),)
    if asked != plan:
        reason = f"nothing was purged: what it rests on has changed, and now it would be {plan}"
        return (Problem(asked, reason),)
    return ()


def load_deed(path: Path) -> Deed:
    """Read what a purge did."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Deed(**{**data, "failures": tuple(Problem(**problem) for problem in data["failures"])})
