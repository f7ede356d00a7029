from pathlib import Path

import pytest

from crdscache.cache import answer
from crdscache.cache.answer import Chosen
from crdscache.contexts.records import Problem
from crdscache.contexts.selection import Wanted
from crdscache.contexts.serverinfo import parse_server_info
from demo.observatory import CONTEXTS, EDIT_CONTEXT
from tests import written
from tests.caches import FORMER, LATEST

FIRST = CONTEXTS[0]
ALL_MAPPINGS = Wanted(all_contexts=True)


@pytest.mark.parametrize(
    ("wanted", "is_first", "contexts", "takes_default"),
    [
        (Wanted(), False, (LATEST,), True),
        (Wanted((FIRST,)), False, (FIRST,), False),
        (Wanted((FIRST,)), True, (FIRST, LATEST), True),
        (Wanted((LATEST,)), False, (LATEST,), True),
        (Wanted(last_n=2), False, (LATEST, EDIT_CONTEXT), True),
    ],
)
def test_run_looks_after_what_was_asked_for_and_a_first_one_after_the_servers_default_too(
    demo_root: Path,
    wanted: Wanted,
    *,
    is_first: bool,
    contexts: tuple[str, ...],
    takes_default: bool,
) -> None:
    settled = answer.settle(written.told(demo_root, LATEST), wanted, is_first=is_first)

    assert settled.chosen == Chosen(contexts, takes_default, contexts, ())


@pytest.mark.parametrize(
    ("wanted", "pinned", "contexts"),
    [
        (Wanted(), FIRST, (FIRST, LATEST)),
        (Wanted((FORMER,)), FIRST, (FORMER,)),
        (Wanted(), "hst_9999.pmap", (LATEST,)),  # the server does not list it: nothing can be brought
    ],
)
def test_who_looks_after_the_default_looks_after_the_pinned_one_too(
    demo_root: Path, wanted: Wanted, pinned: str, contexts: tuple[str, ...]
) -> None:
    settled = answer.settle(written.told(demo_root, LATEST), wanted, is_first=False, pinned=pinned)

    assert settled.chosen == Chosen(contexts, LATEST in contexts, contexts, ())


def test_all_contexts_bring_the_mappings_that_none_of_them_names(demo_root: Path) -> None:
    info = written.told(demo_root, LATEST)

    settled = answer.settle(info, ALL_MAPPINGS, is_first=False)

    assert settled.chosen == Chosen(
        contexts=(*CONTEXTS, EDIT_CONTEXT), takes_default=True, mappings=info.mappings, problems=()
    )


def test_problems_of_answer_catalogue_and_selection_are_told_in_this_order(demo_root: Path) -> None:
    info = written.told(
        demo_root,
        FORMER,
        edit_context="../x.pmap",
        download_metadata={"x.fits": {"size": "-1", "sha1sum": "none"}},
    )

    settled = answer.settle(info, Wanted(("hst_9999.pmap", FORMER)), is_first=False)

    assert [problem.name for problem in settled.chosen.problems] == ["'../x.pmap'", "x.fits", "hst_9999.pmap"]
    assert settled.chosen.problems[2] == Problem("hst_9999.pmap", "the server does not list it")


def test_answer_is_read_as_it_was_written(demo_root: Path, tmp_path: Path) -> None:
    info = written.told(demo_root, FORMER, context_history=[["2026-01-01 00:00:00", FORMER, "°\u2028"]])
    settled = answer.settle(info, Wanted(("hst_9999.pmap",), last_n=1), is_first=False)

    answer.save(settled, tmp_path)

    assert answer.load(tmp_path, "hst") == settled


def test_files_are_those_of_the_catalogue_and_no_context_comes_along(demo_root: Path) -> None:
    names = ("68v08000j_drk.fits", "hst_acs_darkfile_0003.rmap", "nobody.fits")
    info = written.told(demo_root, LATEST)

    settled = answer.settle(info, Wanted(files=names), is_first=False, pinned=FORMER)
    first = answer.settle(info, Wanted(files=names), is_first=True)

    problem = Problem("nobody.fits", "the server's catalogue has no entry for it")
    expected = Chosen((), takes_default=True, mappings=(), problems=(problem,), files=names[:2])
    assert (settled.chosen, settled.chosen.lone_mappings) == (expected, names[1:2])
    assert (first.chosen.contexts, first.chosen.files) == ((LATEST,), names[:2])


def test_N27_answer_whose_default_is_not_among_its_mappings_is_not_saved_and_nothing_is_purged_by_it(
    demo_root: Path,
) -> None:
    raw = written.raw_answer(demo_root, LATEST)
    listed = [name for name in written.told(demo_root, LATEST).mappings if name != LATEST]
    info = parse_server_info(raw | {"mappings": listed}, "hst")

    settled = answer.settle(info, Wanted(), is_first=False)

    problem = Problem(LATEST, "the server's default context is not among the mappings that it lists")
    assert settled.chosen == Chosen(
        (LATEST,),
        takes_default=True,
        mappings=(LATEST,),
        problems=(problem,),
        is_doubted=True,
        doubts=(problem,),
    )
