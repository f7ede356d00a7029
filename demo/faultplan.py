"""Which requests are answered wrongly, and how: by name and count, or at random at a rate."""

import inspect
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from threading import Lock
from typing import Concatenate, ParamSpec

from demo.content import Content
from demo.wire import Reply, Request, Step

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, the right answer to it, and what a fault may need beside."""

    request: Request
    reply: Reply
    find: Callable[[str], Content]  # raises KeyError


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to answer wrongly."""

    kind: str
    play: Callable[[Exchange], Iterator[Step]]


# By name, for those who ask from outside; filled by faults.py and rpcfaults.py.
KINDS: dict[str, Callable[..., Fault]] = {}


def kind(play: Callable[Concatenate[Exchange, P], Iterator[Step]]) -> Callable[P, Fault]:
    """Turn steps in answer to an exchange into a kind of fault: a function of the further arguments alone."""
    signature = inspect.signature(play)

    def make(*args: P.args, **kwargs: P.kwargs) -> Fault:
        signature.bind(None, *args, **kwargs)  # a wrong argument shows here, not in the middle of a reply
        return Fault(play.__name__, lambda exchange: play(exchange, *args, **kwargs))

    make.__name__, make.__doc__ = play.__name__, play.__doc__
    KINDS[play.__name__] = make
    return make


_NONE: Iterator[Fault] = iter(())


@dataclass(slots=True)
class _Rule:
    pattern: str
    fault: Fault
    left: int | None  # requests that it still answers; None: all


@dataclass(slots=True)
class _Rate:
    pattern: str
    percents: Mapping[Fault, float]
    seed: int
    asked: Counter[str] = field(default_factory=Counter)


class Faults:
    """All rules of a server; the oldest rule that fits a request answers it."""

    def __init__(self) -> None:
        self.played: Counter[str] = Counter()  # "kind name"
        self._rules: list[_Rule] = []
        self._rates: list[_Rate] = []
        self._in_turn: dict[str, Iterator[Fault]] = {}
        self._lock = Lock()

    def add(self, name: str, fault: Fault, *, times: int | None = None) -> None:
        """Answer the next `times` requests (all, if None) for a file or a remote method wrongly.

        `name` may be a pattern as in a shell: only names of files have a dot, so `*.*` means every file.
        """
        with self._lock:
            self._rules.append(_Rule(name, fault, times))

    def at_rate(self, percents: Mapping[Fault, float], *, seed: int = 0, names: str = "*.*") -> None:
        """Answer so many percent of all requests wrongly.

        What happens to the nth request for a name depends on the seed alone, not on the order of requests.
        """
        with self._lock:
            self._rates.append(_Rate(names, percents, seed))

    def in_turn(self, name: str, faults: Iterable[Fault]) -> None:
        """Answer the next requests for a file wrongly, each with the next of some faults; then rightly."""
        with self._lock:
            self._in_turn[name] = iter(faults)

    @property
    def are_set(self) -> bool:
        """Whether any request could be answered wrongly."""
        return bool(self._rules or self._rates or self._in_turn)

    def clear(self) -> None:
        """Answer everything rightly again."""
        with self._lock:
            self._rules, self._rates, self._in_turn = [], [], {}

    def pick(self, name: str) -> Fault | None:
        """Choose the fault for a request, and count it; None for the right answer."""
        if not self.are_set:
            return None
        with self._lock:
            fault = next(self._in_turn.get(name, _NONE), None) or self._by_rule(name) or self._by_rate(name)
        if fault is not None:
            self.played[f"{fault.kind} {name}"] += 1
        return fault

    def _by_rule(self, name: str) -> Fault | None:
        for rule in self._rules:
            if fnmatchcase(name, rule.pattern):
                if rule.left is not None:
                    rule.left -= 1
                    if rule.left <= 0:
                        self._rules.remove(rule)
                return rule.fault
        return None

    def _by_rate(self, name: str) -> Fault | None:
        for rate in self._rates:
            if not fnmatchcase(name, rate.pattern):
                continue
            rate.asked[name] += 1
            drawn = 100 * random.Random(f"{rate.seed} {name} {rate.asked[name]}").random()
            for fault, percent in rate.percents.items():
                drawn -= percent
                if drawn < 0:
                    return fault
        return None
