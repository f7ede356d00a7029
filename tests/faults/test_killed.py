"""Rows P01 and P05 of the fault matrix: a kill -9 before each call that changes something below the root.

They are found at a dozen stages of a cache's life, and need a quarter of a second each. Calls
that only concern logs are left out. The suite takes all that concern the cache proper, and one in four of
those in the state; CRDSCACHE_FULL_SWEEP=1 takes all, and `pytest -s` tells how many.
"""

import random

import pytest

from tests.faults.lab import Lab, end_state, swept
from tests.faults.strikes import KILL, Point

CHUNKS = 2  # for several workers
STAGES = (
    "init",
    "sync",
    "switch",
    "rollback",
    "list",
    "adopt by symlink",
    "adopt by hardlink",
    "adopt by copy",
    "repair",
    "purge",
    "restore",
    "empty",
)
KILLED = -9


def kill(lab: Lab, stage: str, point: Point, *, seed: int = 0) -> None:
    done = lab.strike(stage, point, KILL, seed=seed)
    assert done.status == KILLED or (point.is_of_body and done.status == 0), f"not killed: {done}"


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("stage", STAGES)
def test_P01_after_a_kill_at_any_point_one_plain_run_makes_all_as_if_undisturbed(
    lab: Lab, stage: str, chunk: int
) -> None:
    points = lab.undisturbed(stage).points

    wrong = {}
    for point in swept(points, chunk, CHUNKS):
        lab.begin(stage)
        kill(lab, stage, point)
        try:
            lab.recover(stage)
        except AssertionError as error:
            wrong[point] = str(error)

    assert wrong == {}


def test_P01_a_rollback_that_was_killed_is_completed_by_the_same_command_and_goes_no_step_further(
    lab: Lab,
) -> None:
    """Before that there was no default: a second roll-back has nowhere to go, and says so."""
    wrong = {}
    for point in swept(lab.undisturbed("rollback").points, 0, 1):
        lab.begin("rollback")
        kill(lab, "rollback", point)
        again = lab.run("rollback")
        swept_up = lab.run("switch")
        if again.status not in {0, 1} or swept_up.status != 0:
            wrong[point] = f"{again} {swept_up}"
        elif end_state(lab.cache) != lab.undisturbed("rollback").end:
            wrong[point] = str(end_state(lab.cache))

    assert wrong == {}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("seed", range(3))
def test_P05_killed_and_then_killed_again_in_three_recoveries(lab: Lab, stage: str, seed: int) -> None:
    chance = random.Random(seed)
    points = lab.undisturbed(stage).points
    lab.begin(stage)

    kill(lab, stage, chance.choice(points))
    for again in (1, 2, 3):
        lab.check()
        lab.keep(f"killed-{stage}-{seed}-{again}")
        _, points = lab.trace(stage, seed=again)  # what a recovery does, no table tells beforehand
        lab.put_back(f"killed-{stage}-{seed}-{again}")
        kill(lab, stage, chance.choice(points), seed=again)

    lab.recover(stage)
