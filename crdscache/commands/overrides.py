"""What a command line says of the settings."""

import argparse

import yaml

from crdscache.errors import SettingsError
from crdscache.workflow.settings import Setting

_SELECTIONS = {"all": ("all_contexts", False), "contexts": ("contexts", []), "last": ("last_n_contexts", 0)}


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
    if any(given.get(option) for option in _SELECTIONS):
        # A selection on the command line replaces the one of the layers below as a whole.
        for option, (key, nothing) in _SELECTIONS.items():
            found[key] = Setting(given[option] or nothing, f"--{option}")
    for option in ("fetch_references", "check_files"):
        if given.get(option):
            found[option] = Setting(value=True, origin=f"--{option.replace('_', '-')}")
    for word in (word for words in given["config"] for word in words):
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
