"""What the steps of a run have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from crdscache.cache import answer, identity, layout
from crdscache.cache.answer import Answer
from crdscache.cache.identity import ALL, NONE, Holdings, Identity
from crdscache.cache.plan import Plan, Scope
from crdscache.contexts import serverinfo
from crdscache.contexts.records import Action, Kind, ManifestRow, PlanRow
from crdscache.contexts.selection import Wanted
from crdscache.workflow import settings, steps
from crdscache.workflow.settings import Settings
from crdscache.workflow.variables import Setting
from tests.caches import FORMER, LATEST
from tests.written import raw_answer

ACS_AND_COS = Holdings(("acs", "cos/darkfile"))


def config_with(root: Path, **given: object) -> Settings:
    layers = {key: Setting(value, "the test") for key, value in given.items()}
    found = settings.resolve(layers, {"CRDS_PATH": str(root), "CRDS_OBSERVATORY": "hst"})
    return settings.typed({key: setting.value for key, setting in found.items()})


def answer_for(root: Path, *contexts: str) -> Answer:
    info = serverinfo.parse_server_info(raw_answer(root, LATEST), "hst")
    return answer.settle(info, Wanted(contexts), is_first=False)


def test_the_scope_is_what_the_settings_ask_for_of_the_contexts_that_are_meant(demo_root: Path) -> None:
    said = answer_for(demo_root, FORMER)

    scope = steps.scope(
        config_with(demo_root, fetch_references=True, tolerate_missing=["a"]),
        said,
        Identity("hst", "http://localhost", "ops", NONE),
        frozenset({"x"}),
    )

    assert scope == Scope(
        (FORMER,),
        LATEST,
        fetch=True,
        check=False,
        source=said.info.reference_url,
        tolerated=frozenset({"a"}),
        chosen=frozenset({"x"}),
    )


def test_the_scope_of_files_is_just_these(demo_root: Path) -> None:
    info = serverinfo.parse_server_info(raw_answer(demo_root, LATEST), "hst")
    files = ("68v08000j_drk.fits", "hst_acs_darkfile_0003.rmap")
    said = answer.settle(info, Wanted(files=files), is_first=False)

    stamp = Identity("hst", "http://localhost", "ops", NONE)
    scope = steps.scope(config_with(demo_root, fetch_references=True), said, stamp, None)

    assert (scope.contexts, scope.files, scope.chosen) == ((), files, frozenset(files))


@pytest.mark.parametrize(
    ("context", "given", "expected"),
    [
        (LATEST, {"fetch_references": True}, ALL),
        (LATEST, {}, Holdings(("acs",))),
        (FORMER, {"fetch_references": True}, Holdings(("acs",))),
        (LATEST, {"fetch_references": True, "holdings": "none"}, NONE),
        (LATEST, {"holdings": ["wfc3"]}, Holdings(("wfc3",))),
        # What some data sets need is no promise for others.
        (LATEST, {"fetch_references": True, "dataset_ids": ["X"]}, Holdings(("acs",))),
        (LATEST, {"fetch_references": True, "dataset_files": ["/x.fits"]}, Holdings(("acs",))),
        (LATEST, {"fetch_references": True, "files": ["x.fits"]}, Holdings(("acs",))),
        # Of some parts the promise is these, beside what it was.
        (LATEST, {"fetch_references": True, "types": ["Darkfile"], "instruments": ["COS"]}, ACS_AND_COS),
    ],
)
def test_the_promise_is_the_setting_or_what_is_fetched_for_the_default(
    context: str, given: dict[str, object], expected: Holdings, demo_root: Path
) -> None:
    stamp = Identity("hst", "http://localhost", "ops", Holdings(("acs",)))

    promise = steps.promise(config_with(demo_root, **given), answer_for(demo_root, context), stamp)

    assert (promise.recorded, promise.holdings, promise.tolerated) == (stamp, expected, frozenset())


def test_the_disk_reads_rules_from_the_cache_and_remembers_what_they_name(
    demo_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "mappings").symlink_to(demo_root / "mappings")
    layout.default_layout(tmp_path, "hst").state.mkdir(parents=True)

    disk = steps.disk(config_with(tmp_path), answer_for(demo_root, FORMER))

    assert disk.load("hst_acs_ccdtab_0001.rmap").names
    assert len(list((tmp_path / ".crdscache" / "hst" / steps.LINKS).iterdir())) == 1
    assert disk.lacks(FORMER, identity.NONE, frozenset()) == []


def test_only_files_that_are_to_be_fetched_are_asked_for(tmp_path: Path) -> None:
    config = config_with(tmp_path)
    asked: list[Sequence[str]] = []

    def states(names: Sequence[str]) -> Mapping[str, str]:
        asked.append(names)
        return dict.fromkeys(names, "submitted")

    def row(name: str, action: Action) -> PlanRow:
        file = ManifestRow(name, Kind.REFERENCE, "acs", "x", 1, None, f"references/hst/{name}", is_held=True)
        return PlanRow(file, action)

    drawn = Plan((), (row("a", Action.KEEP), row("b", Action.FETCH), row("c", Action.WRONG)), ())
    nothing = Plan((), (row("a", Action.KEEP),), ())

    held = steps.hold_back(config, drawn, states)

    assert asked == [["b"]]
    assert [row.action for row in held.rows] == [Action.KEEP, Action.PENDING, Action.WRONG]
    assert steps.hold_back(config, nothing, states) == nothing
    assert asked == [["b"]]


def test_what_a_pinned_default_needs_is_held(demo_root: Path) -> None:
    stamp = Identity("hst", "http://localhost", "ops", NONE, pinned=FORMER)

    scope = steps.scope(config_with(demo_root), answer_for(demo_root, LATEST), stamp, None)

    assert (scope.contexts, scope.default_context) == ((LATEST,), FORMER)


def test_links_are_not_remembered_where_nobody_has_written_yet(tmp_path: Path) -> None:
    """A reader leaves no trace in a cache that other tools made, nor fails where it is read-only."""
    cache = layout.default_layout(tmp_path, "hst")
    before = steps.links(cache)
    cache.state.mkdir(parents=True)

    assert (before, steps.links(cache)) == (None, cache.state / "links")
