from hypothesis import given
from hypothesis import strategies as st

from crdscache.cache import shards

work = st.lists(st.tuples(st.integers(0, 2**40), st.text("ab", max_size=2)))
n_shards = st.integers(1, 5)


def cost(item: tuple[int, str]) -> int:
    return item[0]


@given(work, n_shards)
def test_shards_are_together_the_work_each_in_its_order(items: list[tuple[int, str]], n_shards: int) -> None:
    numbered = list(enumerate(items))

    cut = shards.balance(numbered, lambda item: item[1][0], n_shards)

    assert len(cut) == n_shards
    assert sorted(item for shard in cut for item in shard) == numbered
    assert [sorted(shard) for shard in cut] == cut


@given(work, n_shards)
def test_no_shard_costs_more_than_another_by_more_than_one_item(
    items: list[tuple[int, str]], n_shards: int
) -> None:
    sums = [sum(map(cost, shard)) for shard in shards.balance(items, cost, n_shards)]

    assert max(sums) - min(sums) <= max(map(cost, items), default=0)


def test_what_costs_most_is_dealt_out_first() -> None:
    """Else one shard is still at it when the others have long been done."""
    assert shards.balance([1, 1, 1, 4, 1], lambda item: item, 2) == [[4], [1, 1, 1, 1]]


@given(work, n_shards)
def test_the_same_work_is_cut_in_the_same_way(items: list[tuple[int, str]], n_shards: int) -> None:
    assert shards.balance(items, cost, n_shards) == shards.balance(list(items), cost, n_shards)
