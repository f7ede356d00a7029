"""Agreement with the missions' own client, on every line of the oracle."""

from pathlib import Path

import pytest

from tests.bestrefs import oracle

CHOOSE: dict[str, oracle.Choose] = {
    "one at a time": oracle.one_at_a_time,
    "many at a time": oracle.many_at_a_time,
}


@pytest.mark.parametrize("choose", CHOOSE.values(), ids=CHOOSE)
@pytest.mark.parametrize("file", oracle.FILES)
def test_our_answers_are_those_of_the_client(
    oracle_roots: tuple[Path, ...], file: str, choose: oracle.Choose
) -> None:
    assert oracle.disagreements(file, oracle_roots, choose) == []
