"""Retries, and what is told of a failed exchange."""

from collections.abc import Callable

import pytest

from crdscache.contexts.records import Patience
from crdscache.errors import ServerError, UnreachableError
from crdscache.server import wire


def failing(*errors: Exception) -> Callable[[], int]:
    """Make work that fails with these errors, then gives how often it was tried."""
    left = list(errors)

    def work() -> int:
        if left:
            raise left.pop(0)
        return len(errors) + 1

    return work


def test_what_may_be_cured_is_tried_again(patience: Patience) -> None:
    work = failing(UnreachableError("one"), wire.BusyError("two", 0.0))

    assert wire.persist(patience, "it", work) == 3


def test_the_error_of_the_last_try_is_raised(patience: Patience) -> None:
    work = failing(UnreachableError("one"), UnreachableError("two"), UnreachableError("three"))

    with pytest.raises(UnreachableError, match="three"):
        wire.persist(patience, "it", work)


def test_what_no_other_try_would_cure_is_raised_at_once(patience: Patience) -> None:
    work = failing(UnreachableError("one"), ServerError("two"))

    with pytest.raises(ServerError, match="two"):
        wire.persist(patience, "it", work)


@pytest.mark.parametrize(
    ("retry_after", "wait_s"),
    [
        ("7", 7.0),
        ("999999999", 300.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 2100 23:59:59 GMT", 300.0),
    ],
)
def test_N15_a_server_says_when_to_ask_again_within_reason(retry_after: str, wait_s: float) -> None:
    error = wire.refusal("status 429", 429, retry_after)

    assert isinstance(error, wire.BusyError)
    assert error.wait_s == wait_s


@pytest.mark.parametrize(
    ("status", "kind"), [(503, UnreachableError), (408, UnreachableError), (403, ServerError)]
)
def test_a_status_says_whether_to_ask_again(status: int, kind: type[Exception]) -> None:
    assert type(wire.refusal("told", status, None)) is kind


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/b/c.fits", "https://a.example/b/c.fits"),
        ("https://me:secret@a.example/b", "https://a.example/b"),
        ("https://me:sec/r@et@a.example/b", "https://a.example/b"),
        ("https://a.example/b?signature=secret", "https://a.example/b"),
    ],
)
def test_what_may_be_secret_is_not_shown(url: str, shown: str) -> None:
    assert wire.shown(url) == shown


def test_text_of_others_becomes_one_short_printable_line() -> None:
    assert wire.printable("a\r\n\tb \x1b[31m\x00\ud800c" + "d" * 100, 12) == "a b [31mcddd"
