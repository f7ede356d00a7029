"""64 readers while the default context of their cache switches every second.

Arguments: for how many seconds, and for how long a reader rests at most before it asks. Rests keep the cores
from being short, as they are for readers on hosts of their own; with 0 all readers want a core all the time.

Each answer must be that of one context for all headers, and of the one which the reader says it used. There
is no peer: the missions' client knows no lease, and no lock for readers.
"""

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from subprocess import run
from typing import Any

import bestrefs
import harness

from crdscache.assignment.session import Allowed, Session
from crdscache.bestrefs import answers
from crdscache.cache import layout, lease, locks, publish, serverconfig
from crdscache.cache.layout import Layout, Mode
from crdscache.errors import CacheError

CONTEXTS = (harness.CONTEXT, "hst_0728.pmap")
N_READERS = 64
N_COMMANDS = 2  # beside them, with the whole command
N_SECONDS = 300.0
PERIOD_S = 1.0
REST_S = 60.0

Headers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What all readers do."""

    site: harness.Site
    headers: Headers
    expected: Mapping[str, Sequence[Mapping[str, Any]]]  # the answers by each context
    rest_s: float
    end: float  # by the clock of `time.monotonic`, which all processes share

    @property
    def cache(self) -> Layout:
        """The cache that all read."""
        return layout.default_layout(self.site.place / bestrefs.CACHE, "hst")


@dataclass(slots=True)
class Tally:
    """What became of a reader's questions."""

    by_context: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    failures: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)  # for lease and configuration, by the clock
    idle_s: list[float] = field(default_factory=list)  # of it neither at work nor short of a core

    def count(self, plan: Plan, context: str, given: Sequence[Mapping[str, Any]]) -> None:
        """Judge one answer."""
        if given == plan.expected.get(context):
            self.by_context[context] += 1
        else:
            self.mixed += 1


def main() -> None:
    """Let them read, and switch meanwhile."""
    harness.introduce("readers beside switches of the default")
    seconds, rest_s = map(float, sys.argv[1:] or (N_SECONDS, REST_S))
    with bestrefs.serverless() as site:
        headers, expected = questions(site)
        plan = Plan(site, headers, expected, rest_s, time.monotonic() + seconds)
        with ProcessPoolExecutor(N_READERS + N_COMMANDS, get_context("fork")) as pool:
            readers = [pool.submit(read, plan, number) for number in range(N_READERS)]
            commands = [pool.submit(command, plan, N_READERS + number) for number in range(N_COMMANDS)]
            n_switches, n_unlocked = switch(plan)
            print(f"{n_switches} switches in {seconds:.0f} s, {n_unlocked} of them without the lock")
            n_wrong = show(f"{N_READERS} readers", [each.result() for each in readers])
            n_wrong += show(f"{N_COMMANDS} loops of safe_bestrefs", [each.result() for each in commands])
    print("  goal  no failure, no mixture, no wait above 1 s; no peer, its client has none of this")
    sys.exit(f"{n_wrong} answers were wrong or failed" if n_wrong else None)


def questions(site: harness.Site) -> tuple[Headers, dict[str, list[dict[str, Any]]]]:
    """Find headers that the contexts answer otherwise and without failures, and the answers."""
    one, other = (bestrefs.chooser(site, context) for context in CONTEXTS)
    headers = [case.header for case in bestrefs.oracle(site)["wfc3"]]
    pairs = [(header, one.choose(header), other.choose(header)) for header in headers]
    headers = [
        header
        for header, first, second in pairs
        if first != second and bestrefs.is_clean(first) and bestrefs.is_clean(second)
    ]
    asked = {
        each.context: [answers.to_json(each.choose(header)) for header in headers] for each in (one, other)
    }
    return headers, asked


def switch(plan: Plan) -> tuple[int, int]:
    """Replace the configuration as a sync does; count how often, and how often without its lock."""
    config, n_unlocked = plan.cache.config, 0
    info = serverconfig.read_info(config, "hst")
    assert info
    for number, context in enumerate(cycle(reversed(CONTEXTS))):
        time.sleep(PERIOD_S - time.monotonic() % PERIOD_S)
        if time.monotonic() > plan.end:
            return number, n_unlocked
        saved = serverconfig.compose(info, plan.site.url, context)
        with serverconfig.staged(config, saved) as aside, locks.config_lock(plan.cache) as had:
            n_unlocked += not had
            publish.rename_into_place(aside, config / serverconfig.CONFIG_FILE)
        publish.sync_directory(config)
    return 0, 0


def read(plan: Plan, number: int) -> Tally:
    """Ask again and again, each time as a command does that has just been started."""
    tally = Tally()
    for _ in turns(plan, number):
        try:
            start, start_busy_s = time.monotonic(), busy_s()
            with lease.take(plan.cache, None) as held:
                wait_s = time.monotonic() - start
                tally.waits_s.append(wait_s)
                tally.idle_s.append(wait_s - (busy_s() - start_busy_s))
                assigner = Session(plan.cache, Mode.FLAT, held, Allowed()).assigner(None)
                given = [answers.to_json(assigner.assign(header).bestrefs) for header in plan.headers]
                tally.count(plan, held.info.default_context, given)
        except CacheError as error:
            tally.failures.append(str(error))
    return tally


def turns(plan: Plan, number: int) -> Iterator[None]:
    """Rest and go on, until the end."""
    os.nice(5)  # else the writer could not keep its pace, as it has no host of its own here
    rng = random.Random(number)
    while time.monotonic() < plan.end:
        time.sleep(rng.uniform(0, plan.rest_s))
        yield


def busy_s() -> float:
    """Tell how long this process has run, or could have if it had got a core."""
    run_ns, queued_ns, _ = Path("/proc/self/schedstat").read_text(encoding="ascii").split()
    return (int(run_ns) + int(queued_ns)) / 1e9


def command(plan: Plan, number: int) -> Tally:
    """Ask again and again by the command."""
    tally = Tally()
    questions, told = (plan.site.place / f"{name}{number}.jsonl" for name in ("questions", "answers"))
    questions.write_text("".join(json.dumps({"header": dict(header)}) + "\n" for header in plan.headers))
    words = (harness.CHECKOUT / "bin" / "safe_bestrefs", "--headers", questions, "--json", told)
    environ = plan.site.environ(bestrefs.CACHE)
    ask = partial(run, words, env=environ, capture_output=True, text=True, check=False)
    for _ in turns(plan, number):
        ended = ask()
        if ended.returncode != 0:
            tally.failures.append(ended.stderr)
            continue
        lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
        tally.count(plan, lines[0]["context"], [line["bestrefs"] for line in lines])
    return tally


def show(name: str, tallies: Sequence[Tally]) -> int:
    """Print what became of the questions; count those that were not answered rightly."""
    by_context = sum((tally.by_context for tally in tallies), Counter())
    failures = [failure for tally in tallies for failure in tally.failures]
    n_mixed = sum(tally.mixed for tally in tallies)
    said = ", ".join(f"{count} by {context}" for context, count in sorted(by_context.items()))
    print(f"{name}: right answers {said}; mixed {n_mixed}, failed {len(failures)}")
    print("".join(f"  {failure}\n" for failure in failures[:5]), end="")
    waits_s, idle_s = (
        [wait for each in tallies for wait in getattr(each, kind)] for kind in ("waits_s", "idle_s")
    )
    if waits_s:
        print(
            f"  longest wait for lease and configuration {max(waits_s):.2f} s by the clock; "
            f"for locks and disk, not for a core, {max(idle_s):.3f} s"
        )
    return n_mixed + len(failures)


if __name__ == "__main__":
    main()
