"""Signals as exceptions."""

import os
import signal

import pytest

from crdscache.commands import signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_becomes_an_exception_once_and_a_second_one_does_not_cut_the_tidying_short(
    number: signal.Signals,
) -> None:
    before = {each: signal.getsignal(each) for each in signals._NUMBERS}
    tidied = False

    def work() -> None:
        nonlocal tidied
        with signals.raising():
            try:
                os.kill(os.getpid(), number)
            finally:
                for each in signals._NUMBERS:
                    os.kill(os.getpid(), each)
                tidied = True

    with pytest.raises(signals.Stopped, match=number.name) as stopped:
        work()

    assert (stopped.value.number, tidied) == (number, True)
    assert {each: signal.getsignal(each) for each in signals._NUMBERS} == before


def test_no_handler_for_errors_of_our_own_takes_a_signal_for_one() -> None:
    assert not issubclass(signals.Stopped, Exception)


def test_a_signal_that_our_caller_ignores_stays_ignored() -> None:
    """So that `nohup` works."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raising():
            os.kill(os.getpid(), signal.SIGHUP)
        after = signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert after is signal.SIG_IGN
