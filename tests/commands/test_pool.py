"""Work spread over processes."""

import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from crdscache.commands import pool
from crdscache.errors import (
    BestrefsError,
    BusyError,
    CacheError,
    ContextError,
    MappingError,
    MismatchError,
    MissingMappingError,
    UnsafeNameError,
)

MANY = range(100)

ERRORS = [
    ContextError("hst_0001.pmap", "is being purged"),
    MappingError("hst_acs_0001.imap", "damaged", line=7),
    MissingMappingError("hst_acs_0001.imap"),
    BestrefsError("KeyError", "no instrument"),
    BusyError("http://localhost: status 503", 3.0),
    MismatchError("x.fits", "size", expected=1, actual=2),
    UnsafeNameError("../x", "no"),
]


def process_of(number: int) -> tuple[int, int]:
    return number, os.getpid()


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_the_order_of_the_items(jobs: int) -> None:
    done = list(pool.ordered(process_of, MANY, jobs))

    assert [number for number, _ in done] == list(MANY)
    processes = {process for _, process in done[1:]}
    assert (os.getpid() in processes, len(processes) <= jobs) == (jobs == 1, True)


@pytest.mark.parametrize("n_items", [0, 1, 2, 8])
def test_few_items_are_not_worth_a_process(n_items: int) -> None:
    done = list(pool.ordered(process_of, range(n_items), 4))

    assert done == [(number, os.getpid()) for number in range(n_items)]


def test_what_the_first_item_loads_all_processes_have() -> None:
    loaded: list[int] = []

    def load_once(number: int) -> int:
        if not loaded:
            loaded.append(number)
        return loaded[0]

    assert set(pool.ordered(load_once, MANY, 2)) == {0}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_another_process_is_the_one_that_was_raised_there(error: CacheError) -> None:
    """Each of ours is made of other arguments than its message."""

    def fail(number: int) -> int:
        if number == 50:
            raise error
        return number

    results = pool.ordered(fail, MANY, 2)
    with pytest.raises(CacheError) as raised:
        list(results)

    assert type(raised.value) is type(error)
    assert (str(raised.value), vars(raised.value)) == (str(error), vars(error))


def test_a_process_that_is_killed_ends_the_work_with_an_error_that_says_so_whatever_the_others_do() -> None:
    """The executor asks the others to end, which ours would not hear."""
    begun, never = os.pipe(), os.pipe()

    def die_beside_one_that_is_busy(number: int) -> int:
        if number == 1:
            os.read(begun[0], 1)
            os.kill(os.getpid(), signal.SIGKILL)
        elif number > 1:
            os.write(begun[1], b"x")
            os.read(never[0], 1)
        return number

    with pytest.raises(CacheError, match=r"^a process of ours was killed; the files that it had are whole, "):
        list(pool.ordered(die_beside_one_that_is_busy, MANY, 2))

    for descriptor in (*begun, *never):
        os.close(descriptor)


def test_signals_to_all_are_left_to_the_first_process() -> None:
    """A terminal sends Ctrl-C to each: who ends first would leave the others without an end."""
    parent = os.getpid()

    def interrupted(number: int) -> int:
        if os.getpid() != parent:
            for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), each)
        return number

    assert list(pool.ordered(interrupted, MANY, 2)) == list(MANY)


def test_who_wants_no_more_results_leaves_no_process_behind() -> None:
    with closing(pool.ordered(process_of, MANY, 2)) as results:  # type: ignore[type-var]
        first, (_, process) = next(results), next(results)

    assert first == (0, os.getpid())
    assert not Path(f"/proc/{process}").exists()
