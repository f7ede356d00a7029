"""The live line; what a terminal shows of it is tried with the command itself."""

import inspect

from crdscache.workflow import live


def test_nothing_is_drawn_where_nobody_looks() -> None:
    with live.line(lambda: (5, 500), shown=False) as tell:
        assert tell is None


def test_files_and_bytes_of_all_jobs_are_added_up_against_the_totals() -> None:
    with live.line(lambda: (5, 500), shown=True) as tell:
        assert tell is not None
        tell(7, 1, 100)
        tell(8, 2, 150)
        tell(7, 2, 200)
        (task,) = inspect.getclosurevars(tell).nonlocals["progress"].tasks

    assert (task.completed, task.total, task.fields["n_files"], task.fields["of_files"]) == (350, 500, 4, 5)
