"""The live line; what a terminal shows of it is tried with the command itself."""

import inspect
from pathlib import Path

from crdscache.cache import layout, plan
from crdscache.cache.plan import Totals
from crdscache.workflow import live


def test_nothing_is_drawn_where_nobody_looks(tmp_path: Path) -> None:
    with live.line(layout.default_layout(tmp_path, "hst"), shown=False) as tell:
        assert tell is None


def test_files_and_bytes_of_all_jobs_are_added_up_against_the_plan(tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path, "hst")
    (cache.state / "plan").mkdir(parents=True)
    plan.save_totals(cache.state / "plan" / "totals.json", Totals("2026-01-01 00:00:00", 5, 500, 0, 0, 0, ()))

    with live.line(cache, shown=True) as tell:
        assert tell is not None
        tell(7, 1, 100)
        tell(8, 2, 150)
        tell(7, 2, 200)
        (task,) = inspect.getclosurevars(tell).nonlocals["progress"].tasks

    assert (task.completed, task.total, task.fields["n_files"], task.fields["of_files"]) == (350, 500, 4, 5)
