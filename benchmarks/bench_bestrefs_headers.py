"""Best references of headers, all types: one at a time by instrument, and 100,000 of WFC3 by columns."""

import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bestrefs
import harness

from crdscache.bestrefs import columns
from crdscache.bestrefs.choose import Chooser

N_RUNS = 3
N_DATASETS = 100_000
N_OF_PEER = 500  # of these as many are enough for its rate
DATED = "wfc3, random dates"

Headers = Sequence[Mapping[str, Any]]


class Peer:
    """The missions' client, in a process that has its rules loaded."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, name: str) -> tuple[float, list[dict[str, Any]]]:
        """Look up a set of headers; give the seconds and the answers."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        seconds, answers = json.loads(self._process.stdout.readline())
        return seconds, [bestrefs.settled(answer) for answer in answers]


@contextmanager
def peer_of(site: harness.Site, headers: Mapping[str, Headers]) -> Iterator[Peer]:
    """Start the peer, and end it."""
    file = site.place / "headers.json"
    file.write_text(json.dumps(headers), encoding="utf-8")
    script = Path(__file__).with_name("peer_headers.py")
    command = [str(harness.CLIENT.with_name("python")), str(script), harness.CONTEXT, str(file)]
    environ = {**site.environ(bestrefs.CACHE), "CRDS_READONLY_CACHE": "1"}
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Peer(process)


def main() -> None:
    """Time both sides in turn, and compare the answers."""
    harness.introduce("best references of headers")
    with bestrefs.serverless() as site:
        cases = bestrefs.oracle(site)
        headers: dict[str, Headers] = {
            instrument: [case.header for case in of_one] for instrument, of_one in cases.items()
        }
        many = dated(headers["wfc3"])
        headers[DATED] = many[:N_OF_PEER]
        chooser = bestrefs.chooser(site)
        with peer_of(site, headers) as peer:
            print("one at a time, best of", N_RUNS)
            rates = {name: one_at_a_time(chooser, peer, name, of_one) for name, of_one in headers.items()}
            print("  goal  at least 4 x the peer for each instrument")
            by_columns(chooser, headers["wfc3"], many, rates[DATED])


def dated(headers: Headers) -> list[dict[str, Any]]:
    """Make many headers of a few, each with a time of its own."""
    rng = random.Random(1)
    return [
        {
            **rng.choice(headers),
            "DATE-OBS": f"{rng.randint(2009, 2020)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            "TIME-OBS": f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}",
        }
        for _ in range(N_DATASETS)
    ]


def one_at_a_time(chooser: Chooser, peer: Peer, name: str, headers: Headers) -> float:
    """Print the rates of both sides for a set of headers, and give the peer's."""
    chooser.choose(headers[0])  # loads the rules
    ours_s, peer_s = [], []
    for _ in range(N_RUNS):
        seconds, expected = peer.run(name)
        peer_s.append(seconds)
        start = time.perf_counter()
        answers = [chooser.choose(header) for header in headers]
        ours_s.append(time.perf_counter() - start)
        bestrefs.require_same(name, [*map(bestrefs.ours, answers)], expected)
    show(name, len(headers) / min(ours_s), len(headers) / min(peer_s))
    return len(headers) / min(peer_s)


def by_columns(chooser: Chooser, few: Headers, many: Headers, peer_rate: float) -> None:
    """Print our rates for many headers at once."""
    for headers in (few, many[:: N_DATASETS // 1000]):
        expected = [chooser.choose(header) for header in headers]
        bestrefs.require_same("columns", columns.choose(chooser, headers), expected)
    rules = chooser.instrument("wfc3")

    def arrays() -> dict[str, columns.Answers]:
        table = columns.Table.of_values(rules.wanted.columns(many), len(many))
        return columns.decide(rules, table)

    works: dict[str, Callable[[], object]] = {
        "dictionaries to arrays": arrays,
        "to lists, one for a type": lambda: {key: found.each() for key, found in arrays().items()},
        "to one for a data set": lambda: columns.choose(chooser, many),
    }
    print(f"{len(many):,} headers of wfc3 by columns, best of {N_RUNS}")
    for name, work in works.items():
        show(name, len(many) / min(seconds_of(work) for _ in range(N_RUNS)), peer_rate)
    print("  goal  arrays: at least 100 x the peer, one at a time")


def seconds_of(work: Callable[[], object]) -> float:
    """Time some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(name: str, ours: float, peer: float) -> None:
    """Print two rates and their ratio."""
    print(f"  {name:24} ours {ours:10,.0f}/s  peer {peer:8,.0f}/s  ratio {ours / peer:8.1f}")


if __name__ == "__main__":
    main()
