"""Options that ask for one thing, in place of a sync: they stand alone."""

from collections.abc import Mapping
from typing import Any

from crdscache.commands import overrides
from crdscache.errors import SettingsError

_ALONE = ("pin", "unpin", "rollback", "restore", "empty_trash")
_OF_A_SYNC = (
    *overrides.SELECTIONS,
    *overrides.SWITCHES,
    "instruments",
    "types",
    "adopt",
    "adopt_mode",
    "max_purge",
    "dataset_files",
    "dataset_ids",
    "context_list",
)


def require(given: Mapping[str, Any]) -> None:
    """Make sure that an option that stands alone does.

    Raises
    ------
    SettingsError
        Another of them, or one of a sync, stands beside it.
    """
    alone, of_a_sync = ([word for word in words if _is_given(given, word)] for words in (_ALONE, _OF_A_SYNC))
    if alone and len(alone) + len(of_a_sync) > 1:
        first, *others = (f"--{word.replace('_', '-')}" for word in (*alone, *of_a_sync))
        raise SettingsError(f"{first} does just this, and no sync: not with {', '.join(others)}")


def _is_given(given: Mapping[str, Any], option: str) -> bool:
    value = given.get(option)
    return value is not None and value is not False
