"""Many headers at a time get what one at a time gets."""

import json
from pathlib import Path

import pytest

from crdscache.assignment import headers
from crdscache.assignment.work import Task
from crdscache.contexts.records import Problem
from crdscache.datasets.records import Dataset
from crdscache.errors import ContextError
from demo.deliveries import DATASETS
from tests.assignment.conftest import NewWorker
from tests.caches import FORMER, LATEST
from tests.readers import copy_of, without

ACS, WFC3 = (DATASETS[name] for name in ("JDEM01010:JDEM01A2Q", "IDEM02D1Q:IDEM02D1Q"))


@pytest.mark.parametrize(
    "task",
    [
        Task(),
        Task("hst_0002.pmap"),
        Task(old_context="hst_0003.pmap"),
        Task(compares_source=True),
        Task(explains="darkfile"),
    ],
)
def test_what_comes_of_headers_is_what_comes_of_each_alone(task: Task, new_worker: NewWorker) -> None:
    variants = [
        {},
        {"DATE-OBS": "1980-01-01"},
        {"DETECTOR": "WFC"},
        {"DARKFILE": "jref$old_drk.fits"},
        {"INSTRUME": "COS"},
    ]
    lines = [
        Dataset(f"{name}{number}", {**header, **variant})
        for name, header in DATASETS.items()
        for number, variant in enumerate(variants)
    ]
    worker = new_worker(task)

    together = headers.of_lines(worker, lines)

    assert together == [done for line in lines for done in headers.of_lines(worker, [line])]
    assigner = worker.session.assigner(task.context)
    assert [done for done in together if not done.error] == [
        worker.done(line.id, assigner, line.header, assigner.assign(line.header))
        for line in lines
        if line.header["INSTRUME"] != "COS"
    ]


def test_headers_are_looked_up_in_portions(
    tmp_path: Path, new_worker: NewWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "AT_ONCE", 2)
    lines = [json.dumps({"id": name, "header": header}) for name, header in DATASETS.items()]
    (tmp_path / "headers").write_text("\n".join(lines))

    done = list(headers.of_file(new_worker(Task()), tmp_path / "headers"))

    assert [each.id for each in done] == [*DATASETS]


def test_lines_keep_their_order_whatever_contexts_they_name(new_worker: NewWorker) -> None:
    lines = [
        Dataset("a", ACS),
        Dataset("b", ACS, FORMER),
        Problem("line 3", "damaged"),
        Dataset("c", ACS, "hst_9999.pmap"),
        Dataset("d", WFC3),
        Dataset("e", ACS, FORMER),
        Dataset("f", {}),
    ]

    done = headers.of_lines(new_worker(Task()), lines)

    assert [(each.id, each.context, each.instrument, bool(each.failures)) for each in done] == [
        ("a", LATEST, "acs", False),
        ("b", FORMER, "acs", False),
        ("line 3", None, "", True),
        ("c", "hst_9999.pmap", "", True),
        ("d", LATEST, "wfc3", False),
        ("e", FORMER, "acs", False),
        ("f", LATEST, "", True),
    ]
    assert [each.error.partition(":")[0] for each in done if each.error] == [
        "DatasetError", "ContextError", "CrdsError"
    ]  # fmt: skip


@pytest.mark.parametrize("context", [None, FORMER])
def test_B09_rules_that_are_missing_are_a_problem_of_the_line_that_named_its_own_context_but_else_of_all(
    context: str | None, demo_root: Path, tmp_path: Path, new_worker: NewWorker
) -> None:
    """The line is one of many; the context of the run is what all are asked by."""
    root = copy_of(demo_root, tmp_path / "cache")
    without(root, "hst_wfc3_idctab_0001.rmap")
    worker = new_worker(Task(), root=root)
    lines = [Dataset("a", ACS), Dataset("b", WFC3, context)]

    if context is None:
        with pytest.raises(ContextError, match=r"^hst_wfc3_idctab_0001\.rmap is not in "):
            headers.of_lines(worker, lines)
    else:
        fine, failed = headers.of_lines(worker, lines)
        assert (fine.error, failed.error.partition(" is not in ")[0]) == (
            "", "ContextError: hst_wfc3_idctab_0001.rmap"
        )  # fmt: skip
