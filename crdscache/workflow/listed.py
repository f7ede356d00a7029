"""Lists in the terms of a run: of a context, or of files; what a run makes by one, and how a list is made."""

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from crdscache.cache import answer, contextlist, identity, listing, publish, serverconfig
from crdscache.cache.answer import Answer
from crdscache.cache.contextlist import ContextList
from crdscache.cache.identity import Identity
from crdscache.cache.rules import Bring
from crdscache.contexts.records import Problem
from crdscache.contexts.selection import Wanted
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import SettingsError
from crdscache.workflow import steps
from crdscache.workflow.settings import Settings

# What a list takes the place of, with the value that says nothing.
_SELECTIONS: dict[str, object] = {
    "all_contexts": False,
    "contexts": [],
    "last_n_contexts": 0,
    "context_range": None,
    "up_to_context": None,
    "after_context": None,
    "instruments": [],
    "types": [],
    "files": [],
    "dataset_files": [],
    "dataset_ids": [],
}
# What would need to know all that is wanted.
_PURGES = dict.fromkeys(("purge_mappings", "purge_references", "purge_rejected"), False)


def narrow(values: Mapping[str, Any], told: Container[str]) -> dict[str, Any]:
    """Change settings to those of a run that makes what a list has, of a context or of files, if one is set.

    Parameters
    ----------
    told
        The settings that stand on the command line: another selection may not be among them.

    Raises
    ------
    SettingsError
        There is another selection, or the list makes no sense.
    """
    if not values["context_list"]:
        return _of_files(values, told) if values["files"] else dict(values)
    others = [key for key in _SELECTIONS if key in told and values[key]]
    if others:
        message = f"context_list: the list says what is wanted, so not with {', '.join(others)}"
        raise SettingsError(message)
    found = contextlist.read(Path(values["context_list"]), values["observatory"])
    # What a tree has is compared with the list too, not only by its length.
    how = {"fetch_references": True, "adopt_sums": True, "layout": found.mode.value}
    return {**values, **_SELECTIONS, "contexts": [found.context], **how}


def _of_files(values: Mapping[str, Any], told: Container[str]) -> dict[str, Any]:
    """Change settings to those of a run for files by name: no context is looked after, and nothing purged."""
    others = {**_SELECTIONS, **_PURGES}
    del others["files"]
    beside = [key for key in others if key in told and values[key]]
    if beside:
        message = f"files: just these are looked after, so not with {', '.join(beside)}"
        raise SettingsError(message)
    return {**values, **others, "fetch_references": True}


def admit(config: Settings, *, set_up: bool) -> Identity:
    """Make sure that the root is this cache, as `identity.admit` does.

    A cache that is made by a list is held at its context: the server's default is another by then.
    """
    stamp = identity.admit(config.cache, config.server_url, config.use_case, set_up=set_up)
    is_new = stamp.pinned is None and not serverconfig.exists(config.cache.config)
    if config.context_list is None or not is_new:
        return stamp
    return replace(stamp, pinned=config.wanted.contexts[0], pinned_by=identity.LIST)


def settle(config: Settings, info: ServerInfo, stamp: Identity, bring: Bring | None = None) -> Answer:
    """Settle what a run looks after, by the list or by the selection.

    Parameters
    ----------
    bring
        As for `answer.settle`.
    """
    if config.context_list is None:
        is_first = not serverconfig.exists(config.cache.config)
        here = config.cache.mappings
        return answer.settle(info, config.wanted, here, bring, is_first=is_first, pinned=stamp.pinned)
    found = contextlist.read(config.context_list, config.cache.observatory)
    if config.wanted.contexts != (found.context,):
        message = f"{config.context_list}: the list was replaced while the run was at work"
        raise SettingsError(message)
    # By the pin, not by what is there: a run that was killed after its first configuration is completed.
    return answer.by_list(info, found, takes_default=stamp.pinned == found.context)


def make(config: Settings, context: str) -> tuple[ContextList, tuple[Problem, ...]]:
    """List a context as it lies, by the saved configuration; and what keeps the list from being whole."""
    said = answer.saved(config.cache, Wanted((context,)))
    disk = steps.disk(config, said)
    seen = listing.survey(disk, context)
    server = str(said.info.raw.get("server") or config.server_url)
    catalogued = str(said.info.raw.get("last_synced", ""))
    mode, observatory = disk.mode, config.cache.observatory
    return ContextList(context, observatory, server, catalogued, mode, seen.files), seen.problems


def record(config: Settings, context: str, path: Path) -> tuple[Problem, ...]:
    """Write the list of a context if all of it is here and right; else tell what is not, and what helps."""
    made, problems = make(config, context)
    if not problems:
        publish.write_text(path, contextlist.text(made))
    return problems


def cure(context: str, problems: tuple[Problem, ...]) -> str:
    """Say what an operator may do about a context that cannot be listed."""
    command = f"cron_sync --contexts {context} --fetch-references"
    return (
        f"no list of {context}: {len(problems)} files are missing or wrong; {command} brings what is missing"
    )
