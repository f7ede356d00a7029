from pathlib import Path

import pytest

from crdscache.affected import transitions
from crdscache.affected.transitions import Mark, Point
from crdscache.cache import commit, layout, tables
from crdscache.contexts import serverinfo
from crdscache.contexts.changes import Transition
from crdscache.errors import CacheError

CONTEXTS = [f"hst_{number:04}.pmap" for number in range(10)]


def points(*numbers: int, year: int = 2020) -> list[Point]:
    """Make a history: one context after the other, a day each."""
    return [
        Point(f"{year}-01-{day:02} 00:00:00", CONTEXTS[number], "why")
        for day, number in enumerate(numbers, start=1)
    ]


def test_E07_each_change_since_the_mark_is_told_once_in_order_backward_ones_too() -> None:
    history = points(1, 2, 3, 2, 5)
    mark = transitions.mark_at(history[:2])

    found = transitions.since(mark, history)
    after = [transitions.since(transitions.mark_at(history, each), history) for each in found]

    assert [(each.old, each.new) for each in found] == [
        (CONTEXTS[2], CONTEXTS[3]),
        (CONTEXTS[3], CONTEXTS[2]),
        (CONTEXTS[2], CONTEXTS[5]),
    ]
    assert found[0] == Transition(CONTEXTS[2], CONTEXTS[3], "2020-01-03 00:00:00", "why")
    assert after == [found[1:], found[2:], []]


def test_the_same_context_again_is_no_change() -> None:
    history = points(1, 2, 2, 2)

    assert len(transitions.since(transitions.mark_at(history[:1]), history)) == 1


def test_a_history_that_was_cut_goes_on_by_time() -> None:
    history = points(1, 2, 3, 4)
    mark = transitions.mark_at(history[:3])

    found = transitions.since(mark, history[1:])

    assert [(each.old, each.new) for each in found] == [(CONTEXTS[3], CONTEXTS[4])]


def test_who_follows_another_history_misses_nothing_and_repeats_nothing() -> None:
    """The server moves a little before the cache does."""
    server = points(1, 2, 3)
    cache = [Point(point.when.replace("00:00:00", "00:30:00"), point.context, "server") for point in server]
    by_cache, by_server = transitions.mark_at(cache[:2]), transitions.mark_at(server[:2])

    assert [each.new for each in transitions.since(by_cache, server)] == [CONTEXTS[3]]
    assert [each.new for each in transitions.since(by_server, cache)] == [CONTEXTS[3]]


def test_S22_the_servers_history_comes_newest_first_and_its_reasons_are_cleaned() -> None:
    raw = [
        ["2020-01-02 00:00:00", CONTEXTS[2], "evil\r\nBcc: x\x1b[31m" + "y" * 5000],
        ["2020-01-01 00:00:00", CONTEXTS[1], "first"],
        ["no date", CONTEXTS[3], "left out"],
    ]

    found = transitions.of_server(serverinfo.parse_history(raw))

    assert [(point.when, point.context) for point in found] == [
        ("2020-01-01 00:00:00", CONTEXTS[1]),
        ("2020-01-02 00:00:00", CONTEXTS[2]),
    ]
    assert found[1].why.startswith("evil Bcc: x[31my")
    assert len(found[1].why) <= 1000


def test_the_mark_is_kept_and_a_damaged_one_is_not_passed_over(tmp_path: Path) -> None:
    mark = transitions.mark_at(points(1, 2))

    none = transitions.load(tmp_path)
    transitions.save(tmp_path / "new", mark)
    (tmp_path / transitions.MARK).write_text('{"n_points": 1}')

    assert (none, transitions.load(tmp_path / "new")) == (None, mark)
    assert mark == Mark(2, points(1, 2)[1])
    with pytest.raises(CacheError, match="no readable mark"):
        transitions.load(tmp_path)


def test_the_history_of_a_cache_is_what_commits_wrote_down(tmp_path: Path) -> None:
    cache = layout.default_layout(tmp_path, "hst")
    none = transitions.of_cache(cache)
    rows = [
        ("2020-01-01 00:00:00", "", CONTEXTS[1], "found"),
        ("2020-01-02 00:00:00", *CONTEXTS[1:3], "server"),
    ]
    cache.state.mkdir(parents=True)
    for row in rows:
        tables.append(cache.state / "switches.tsv", "switches", commit.SWITCHES, row)

    found = transitions.of_cache(cache)

    assert none == []
    assert found == [Point(when, after, why) for when, _, after, why in rows]
    assert transitions.since(transitions.mark_at(found[:1]), found) == [
        Transition(CONTEXTS[1], CONTEXTS[2], "2020-01-02 00:00:00", "server")
    ]


def test_a_history_whose_reasons_were_written_anew_repeats_nothing() -> None:
    history = points(1, 2, 3)
    anew = [Point(point.when, point.context, "corrected") for point in points(1, 2, 3, 4)]

    found = transitions.since(transitions.mark_at(history), anew)

    assert [(each.old, each.new) for each in found] == [(CONTEXTS[3], CONTEXTS[4])]


def test_a_switch_back_within_one_second_is_told_in_order_of_the_server() -> None:
    """It lists the newest first; both have the same start."""
    raw = [[f"2020-01-0{day} 00:00:00", CONTEXTS[number], "why"] for day, number in ((2, 1), (2, 2), (1, 1))]
    history = transitions.of_server(serverinfo.parse_history(raw))

    found = transitions.since(transitions.mark_at(history[:1]), history)

    assert [(each.old, each.new) for each in found] == [tuple(CONTEXTS[1:3]), tuple(CONTEXTS[2:0:-1])]
