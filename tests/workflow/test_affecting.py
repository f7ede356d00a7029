import os
from pathlib import Path

from crdscache.cache import lease
from crdscache.contexts.changes import Transition
from crdscache.workflow import affecting
from crdscache.workflow.affecting import Report, Step
from demo.observatory import CONTEXTS
from tests import written

OLD, NEW = CONTEXTS[-2:]


def step(old: str = OLD, new: str = NEW, when: str = "2026-01-01 00:00:00") -> Step:
    return Step(old, new, when, "server", ("acs",))


def test_a_step_has_the_instruments_whose_rules_may_differ(demo_root: Path, tmp_path: Path) -> None:
    cache = written.cache_of(demo_root, tmp_path / "cache")

    with lease.take(cache, OLD, NEW) as held:
        found = affecting.step(held, Transition(OLD, NEW, "2026-01-01 00:00:00", "server"))

    assert found == Step(OLD, NEW, "2026-01-01 00:00:00", "server", ("acs", "wfpc2"))
    assert found.name == "hst_0005__hst_0006"


def test_a_report_of_one_change_has_its_name_and_a_digest_one_of_its_own() -> None:
    one = affecting.report([step()], "run", sends=True)
    back = step(NEW, OLD, "2026-01-02 00:00:00")
    digest = affecting.report([step(), back, step(when="2026-01-03 00:00:00")], "run", sends=False)

    assert one == Report("hst_0005__hst_0006", "2026-01-01 00:00:00", "run", sends=True, steps=(step(),))
    assert (digest.name, digest.when) == ("hst_0005__hst_0006.digest", "2026-01-03 00:00:00")
    assert [each.name for each in digest.steps] == ["hst_0005__hst_0006", "hst_0006__hst_0005"]


def test_a_report_goes_through_the_settings_of_a_run() -> None:
    report = affecting.report([step()], "run", sends=True)

    assert affecting.of_config({"affected_report": affecting.to_config(report)}) == report
    assert affecting.of_config({"affected_report": affecting.to_config(None)}) is None


def test_by_hand_two_contexts_are_named_or_nothing_is_compared(demo_root: Path, tmp_path: Path) -> None:
    cache = written.cache_of(demo_root, tmp_path / "cache")

    nothing = affecting.by_hand(cache, {"affected_old": None, "affected_new": NEW})
    found = affecting.by_hand(cache, {"affected_old": OLD, "affected_new": NEW})
    same = affecting.by_hand(cache, {"affected_old": OLD, "affected_new": "hst-operational"})

    assert nothing is None
    assert found is not None
    assert [(each.old, each.new, each.instruments) for each in found.steps] == [(OLD, NEW, ("acs", "wfpc2"))]
    assert not found.sends
    assert same is not None
    assert [(each.old, each.new, each.instruments) for each in same.steps] == [(OLD, OLD, ())]


def test_the_last_results_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        os.utime(tmp_path / str(number), ns=(number, number))
    (tmp_path / "mark.json").write_text("{}")

    affecting.prune(tmp_path, 2)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4", "mark.json"]
