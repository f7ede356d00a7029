"""The work on single data sets, as a library gives it; the command's tests tell what it writes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from crdscache.assignment.comparison import Change
from crdscache.assignment.work import SOFTWARE, Done, Edit, Task
from crdscache.cache import publish
from crdscache.contexts.records import Problem
from crdscache.datasets import headeredit
from demo.deliveries import DATASETS
from tests.assignment.conftest import NewWorker
from tests.caches import FORMER, LATEST

ACS, WFC3 = (DATASETS[name] for name in ("JDEM01010:JDEM01A2Q", "IDEM02D1Q:IDEM02D1Q"))
CCDTAB = {"ccdtab": "m5c1200cj_ccd.fits"}


@pytest.fixture
def path(demo_root: Path, tmp_path: Path) -> str:
    return str(shutil.copy(demo_root / "datasets" / "jdem01a2q_raw.fits", tmp_path))


def test_what_comes_of_a_file_is_one_record(path: str, new_worker: NewWorker) -> None:
    done = new_worker(Task(), reftypes=("ccdtab",)).of_file(path)

    assert done == Done(
        path,
        LATEST,
        "acs",
        CCDTAB,
        references=CCDTAB,
        edits=(
            Edit("CRDS_CTX", None, LATEST),
            Edit("CRDS_VER", None, SOFTWARE),
            Edit("CCDTAB", None, "jref$m5c1200cj_ccd.fits"),
        ),
    )
    assert done.line() == {"id": path, "context": LATEST, "bestrefs": CCDTAB}


def test_a_file_is_changed_once(path: str, new_worker: NewWorker) -> None:
    worker = new_worker(Task(updates=True))

    first, second = worker.of_file(path), worker.of_file(path)

    assert (first.is_changed, second.is_changed, second.edits) == (True, False, ())


@pytest.mark.parametrize(("n_changes", "is_changed"), [(1, True), (2, True), (3, False)])
def test_a_file_that_changes_meanwhile_is_looked_at_anew(
    path: str,
    new_worker: NewWorker,
    monkeypatch: pytest.MonkeyPatch,
    n_changes: int,
    is_changed: bool,  # noqa: FBT001
) -> None:
    """So it is where a run names a file twice, by a link too, and two processes are at it."""
    write, left = publish.rename_into_place, [*range(n_changes)]

    def disturbed(values: bytes, *more: Any) -> bytes:  # noqa: ANN401 (whatever it takes)
        if left:
            left.pop()
            other = Path(path).with_name("other")
            shutil.copy(path, other)
            write(other, Path(path))
        return edited(values, *more)

    edited = headeredit.edited
    monkeypatch.setattr(headeredit, "edited", disturbed)

    done = new_worker(Task(updates=True)).of_file(path)

    assert done.is_changed is is_changed
    assert [problem.reason.endswith("meanwhile") for problem in done.failures] == [True] * (not is_changed)


def test_a_comparison_with_another_context_names_what_changes_and_edits_just_that(
    path: str, new_worker: NewWorker
) -> None:
    done = new_worker(Task(old_context=FORMER)).of_file(path)

    assert done.changes == (Change("mdriztab", "n/a", "82213200j_mdz.fits"),)
    assert [edit.keyword for edit in done.edits] == ["CRDS_CTX", "CRDS_VER", "MDRIZTAB"]


def test_what_is_wrong_with_one_file_is_told_in_its_record(tmp_path: Path, new_worker: NewWorker) -> None:
    missing = str(tmp_path / "missing.fits")

    done = new_worker(Task()).of_file(missing)

    reason = f"{missing}: No such file or directory"
    failures = (Problem("", "No such file or directory"),)
    assert done == Done(missing, LATEST, error=f"DatasetError: {reason}", failures=failures)
    assert done.line() == {
        "id": missing, "context": LATEST, "bestrefs": None, "error": f"DatasetError: {reason}"
    }  # fmt: skip
