"""What a command line says of the settings."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crdscache.commands import arguments
from crdscache.errors import SettingsError
from crdscache.workflow.variables import Setting

# Options of reports on data sets, with the settings that they are.
_OF_REPORTS = {
    "catalog": "catalog",
    "optimize_tables": "optimize_tables",
    "exposure_types": "exposure_types",
    "datasets_since": "datasets_since",
}
SWITCHES = (
    "fetch_references",
    "check_files",
    "check_sha1sum",
    "repair_files",
    "purge_mappings",
    "purge_references",
    "purge_rejected",
    "no_leases",
)
SELECTIONS = {
    "all": ("all_contexts", False),
    "contexts": ("contexts", []),
    "last": ("last_n_contexts", 0),
    "range": ("context_range", None),
    "up_to_context": ("up_to_context", None),
    "after_context": ("after_context", None),
    "files": ("files", []),
}


def collect(options: argparse.Namespace) -> dict[str, Setting]:
    """Turn options into settings; `--config` comes last.

    Raises
    ------
    SettingsError
        A `--config` word is no KEY=VALUE.
    """
    found = {}
    given = vars(options)
    if given["observatory"] is not None:
        found["observatory"] = Setting(given["observatory"].lower(), "--observatory")
    if given.get("rebind"):
        found["server_url"] = Setting(given["rebind"], "--rebind")
    # Of the commands that know no contexts, `--files` means data sets.
    if "contexts" in given and any(given.get(option) for option in SELECTIONS):
        # A selection on the command line replaces the one of the layers below as a whole.
        for option, (key, nothing) in SELECTIONS.items():
            found[key] = Setting(given.get(option) or nothing, f"--{option.replace('_', '-')}")
    if found.get("files"):
        lines = arguments.listed(given.get("files") or [])
        found["files"] = Setting([word for line in lines for word in line.split()], "--files")
    found |= _asked(given)
    found |= _datasets(given.get("dataset_files") or [], given.get("dataset_ids") or [])
    return found | _told(word for words in given["config"] for word in words)


def _asked(given: Mapping[str, Any]) -> dict[str, Setting]:
    found = {
        option: Setting(value=True, origin=f"--{option.replace('_', '-')}")
        for option in SWITCHES
        if given.get(option)
    }
    if given.get("adopt"):
        found["adopt"] = Setting([str(Path(tree).absolute()) for tree in given["adopt"]], "--adopt")
    for option in ("instruments", "types"):  # of `safe_bestrefs` the latter means something else
        if "instruments" in given and given.get(option):
            found[option] = Setting(given[option], f"--{option}")
    if given.get("max_purge") is not None:
        found["max_purge"] = Setting(given["max_purge"], "--max-purge")
    if given.get("context_list"):
        found["context_list"] = Setting(str(Path(given["context_list"]).absolute()), "--context-list")
    if given.get("adopt_mode"):
        found["adopt_mode"] = Setting(given["adopt_mode"], "--adopt-mode")
    for option, key in _OF_REPORTS.items():
        if given.get(option):
            found[key] = Setting(given[option], f"--{option.replace('_', '-')}")
    return found


def _told(words: Iterable[str]) -> dict[str, Setting]:
    found = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            message = f"--config: expected KEY=VALUE, found {word!r}"
            raise SettingsError(message)
        try:
            found[key] = Setting(yaml.safe_load(text), "--config")
        except yaml.YAMLError as error:
            message = f"--config: {word!r} has no readable value"
            raise SettingsError(message) from error
    return found


def _datasets(files: Sequence[str], ids: Sequence[str]) -> dict[str, Setting]:
    """Limit a run to the references of data sets: they are to be fetched, nothing else is."""
    if not (files or ids):
        return {}
    paths = [str(Path(path).absolute()) for path in arguments.listed(files)]
    return {
        "dataset_files": Setting(paths, "--dataset-files"),
        "dataset_ids": Setting(arguments.listed(ids), "--dataset-ids"),
        "fetch_references": Setting(value=True, origin="--dataset-files" if files else "--dataset-ids"),
    }
