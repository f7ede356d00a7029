"""Work cut into pieces that take as long as each other."""

import heapq
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def balance(items: Sequence[T], cost: Callable[[T], int], n_shards: int) -> list[list[T]]:
    """Cut work into shards of equal cost; in each, the order stays as it is."""
    costs = [cost(item) for item in items]
    members: list[list[int]] = [[] for _ in range(n_shards)]
    loads = [(0, shard) for shard in range(n_shards)]
    # The largest first: what is left at the end evens out.
    for number in sorted(range(len(items)), key=costs.__getitem__, reverse=True):
        load, shard = loads[0]
        members[shard].append(number)
        heapq.heapreplace(loads, (load + costs[number], shard))
    return [[items[number] for number in sorted(numbers)] for numbers in members]
