"""The status of a command that an error has stopped."""

import pytest

from crdscache.errors import (
    CacheError,
    ContextError,
    LockedError,
    LockLostError,
    NotACacheError,
    SettingsError,
)
from crdscache.workflow import status
from crdscache.workflow.status import Status


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SettingsError("x"), Status.USAGE),
        (LockedError("x"), Status.BUSY),
        (LockLostError("x"), Status.ERR),
        (NotACacheError("x"), Status.FATAL),
        (ContextError("hst_0001.pmap", "x"), Status.FATAL),
        (CacheError("x"), Status.FATAL),
    ],
)
def test_class_of_an_error_decides(error: CacheError, expected: Status) -> None:
    assert status.of(error) is expected
