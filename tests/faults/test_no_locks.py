"""Row D28 of the fault matrix, for the locks of our own records: the file server is short of locks."""

import pytest

from tests.faults.lab import Lab, end_state


@pytest.mark.parametrize("stage", ["sync", "adopt by copy", "repair"])
def test_D28_records_are_written_where_there_are_no_locks_for_them(lab: Lab, stage: str) -> None:
    """The writer has its own lock by then, perhaps on a local disk (CRDS_LOCKS)."""
    points = [
        point
        for point in lab.undisturbed(stage).points
        if point.call == "flock" and "/.crdscache/" in point.path
    ]

    for point in points:
        lab.begin(stage)
        done = lab.strike(stage, point, "error=ENOLCK")

        assert done.status == 0, done
        assert end_state(lab.cache) == lab.undisturbed(stage).end
    assert points
