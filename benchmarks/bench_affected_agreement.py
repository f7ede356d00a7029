"""Agreement with brute force: 50,000 data sets for each of 20 pairs of contexts, hst and jwst.

Brute force asks the plain engine for each type of each data set under both contexts. Give another number of
data sets as argument for a shorter run.
"""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import harness

from crdscache.affected import compare, difference, population
from crdscache.affected.compare import Effect
from crdscache.bestrefs.answers import Answer, NoFile
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from crdscache.contexts import changes
from demo.population import Population

N_DATASETS = 50_000
N_PAIRS = 20

Found = dict[tuple[int, str], tuple[Effect, str, str]]  # by number of the data set and type


def pairs(place: Path) -> Iterator[tuple[str, str, str]]:
    """Draw pairs of contexts, half of them neighbours, some backward: observatory, old, new."""
    rng = random.Random(1)
    for number in range(N_PAIRS):
        observatory = "jwst" if number % 4 == 3 else "hst"  # noqa: PLR2004 (the last of four)
        contexts = sorted(path.name for path in (place / "mappings" / observatory).glob("*.pmap"))
        at = rng.randrange(len(contexts) - 1)
        pair = contexts[at : at + 2] if number % 2 else rng.sample(contexts, 2)
        yield observatory, *(pair if number % 5 else pair[::-1])  # type: ignore[misc]


def compare_pair(mappings: Path, old: str, new: str, n_datasets: int, seed: int) -> tuple[int, int, float]:
    """Compare in both ways; give how many data sets, how many changes, and the seconds of brute force."""
    load = rules.loader(mappings, ignore_sums=True)
    choosers = Chooser(old, load), Chooser(new, load)
    names = [
        name for name in changes.instruments(choosers[0].root, choosers[1].root) if _is_known(choosers, name)
    ]
    n_found, n_looked_at, brute_s = 0, 0, 0.0
    for name in names:
        chooser, other = choosers if name in changes.imaps(choosers[0].root) else choosers[::-1]
        rows = Population(chooser, name, seed, [other]).rows(n_datasets // len(names))
        change = difference.of_instrument(*choosers, name, load)
        [batch] = population.of_rows([rows], chooser.primary, name)
        found: Found = {
            (number, each.change.reftype): (each.effect, each.old, each.new)
            for each in compare.compare(change, batch, compare.Counts())
            for number in each.members.tolist()
        }
        start = time.perf_counter()
        headers = [
            dict(zip(rows.columns, values, strict=True))
            for values in zip(*rows.columns.values(), strict=True)
        ]
        expected = dict(brute_force(choosers, name, [_there(header) for header in headers]))
        brute_s += time.perf_counter() - start
        if found != expected:
            [first, *_] = [key for key in {**found, **expected} if found.get(key) != expected.get(key)]
            sys.exit(f"{old} {new} {name} {first}: {found.get(first)}, by brute force {expected.get(first)}")
        n_found, n_looked_at = n_found + len(found), n_looked_at + len(headers)
    return n_looked_at, n_found, brute_s


def _is_known(choosers: Sequence[Chooser], name: str) -> bool:
    return any(name in changes.imaps(chooser.root) for chooser in choosers)


def _there(header: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in header.items() if value is not None}


def brute_force(
    choosers: Sequence[Chooser], name: str, headers: Sequence[dict[str, object]]
) -> Iterator[tuple[tuple[int, str], tuple[Effect, str, str]]]:
    """Ask the plain engine."""
    for number, header in enumerate(headers):
        before, after = (
            chooser.choose(header) if name in changes.imaps(chooser.root) else dict[str, Answer]()
            for chooser in choosers
        )
        for reftype in {**before, **after}:
            old, new = before.get(reftype, NoFile.OMITTED), after.get(reftype, NoFile.OMITTED)
            effect = compare.effect(old, new)
            if effect is not Effect.NONE:
                yield (number, reftype), (effect, compare.file_of(old), compare.file_of(new))


def main() -> None:
    """Compare all pairs, over the cores."""
    harness.introduce("affected data sets, agreement with brute force")
    n_datasets = int(sys.argv[1]) if len(sys.argv) > 1 else N_DATASETS
    with harness.sample(everything=True) as place, ProcessPoolExecutor(2) as pool:
        jobs = [
            (
                old,
                new,
                pool.submit(
                    compare_pair, place / "data" / "mappings" / observatory, old, new, n_datasets, seed
                ),
            )
            for seed, (observatory, old, new) in enumerate(pairs(place / "data"))
        ]
        total = 0
        for old, new, job in jobs:
            n_looked_at, n_found, brute_s = job.result()
            total += n_looked_at
            print(f"  {old} {new}: {n_looked_at:,} data sets, {n_found:,} changes, the same; {brute_s:.0f} s")
    print(f"all {total:,} data sets agree")


if __name__ == "__main__":
    main()
