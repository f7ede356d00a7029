"""How a command ends, as a number."""

from enum import IntEnum

from crdscache.errors import CacheError, LockedError, LockLostError, SettingsError


class Status(IntEnum):
    """How a command ends; 128 + n where signal n stopped it. Never a count."""

    OK = 0
    ERR = 1
    USAGE = 2
    FATAL = 3
    BUSY = 75


def of(error: CacheError) -> Status:
    """Tell the status of a command that an error has stopped."""
    match error:
        case SettingsError():
            return Status.USAGE
        case LockedError():
            return Status.BUSY
        case LockLostError():
            return Status.ERR
        case _:
            return Status.FATAL
