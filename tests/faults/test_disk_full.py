"""Row D01 of the fault matrix, by method M1: the disk is full at any one system call that needs space.

The suite takes one in four of those in the state; CRDSCACHE_FULL_SWEEP=1 takes all, some 160 points.
"""

import pytest

from tests.faults.lab import Lab, end_state, swept
from tests.faults.strikes import NO_SPACE, Point

CHUNKS = 2  # for several workers
NEED_SPACE = {"openat", "write", "rename", "mkdir", "symlink", "fsync"}
OK, ERR, FATAL = 0, 1, 3


def meet(lab: Lab, stage: str, point: Point) -> None:
    lab.begin(stage)

    done = lab.strike(stage, point, NO_SPACE)

    assert "Traceback" not in done.out, done.out
    if done.status == OK:  # it could do without
        assert end_state(lab.cache) == lab.undisturbed(stage).end
    else:
        assert done.status in {ERR, FATAL}, done
        assert "No space left on device" in done.out
    lab.recover(stage)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("stage", ["sync", "switch", "rollback", "adopt by copy", "repair"])
def test_D01_a_full_disk_at_any_point_is_told_and_once_there_is_space_a_run_makes_all_whole(
    lab: Lab, stage: str, chunk: int
) -> None:
    points = [point for point in lab.undisturbed(stage).points if point.call in NEED_SPACE]

    wrong = {}
    for point in swept(points, chunk, CHUNKS):
        try:
            meet(lab, stage, point)
        except AssertionError as error:
            wrong[point] = str(error)

    assert wrong == {}
