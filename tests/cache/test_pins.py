"""Pins and roll-backs as the cache does them: which context is meant, what is written, and what is not."""

import ast
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from crdscache.cache import commit, identity, pins, serverconfig, tables
from crdscache.cache.commit import Promise
from crdscache.cache.identity import ALL, NONE, PIN, ROLLBACK, Identity
from crdscache.cache.layout import Layout
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import DiskError
from tests import written
from tests.caches import FORMER, LATEST, listing

SERVER = "http://localhost"
STAMP = Identity("hst", SERVER, "ops", NONE)
A, B, C, D = (f"hst_000{number}.pmap" for number in (1, 2, 3, 4))


@dataclass(frozen=True, slots=True)
class Site:
    """A cache whose default is the former context, and its notes."""

    cache: Layout

    @property
    def saved(self) -> ServerInfo:
        found = serverconfig.read_info(self.cache.config, "hst")
        assert found is not None
        return found

    def note(self, *rows: tuple[str, str]) -> None:
        before = ""
        for after, why in rows:
            row = ("2026-01-01 00:00:00", before, after, why)
            tables.append(self.cache.state / "switches.tsv", "switches", commit.SWITCHES, row)
            before = after

    def notes(self) -> list[tuple[str, ...]]:
        return [tuple(row[1:]) for row in commit.switches(self.cache)]

    def former(self, default: str, stamp: Identity = STAMP, history: Sequence[str] = ()) -> str | None:
        eras = [[f"20{20 - number}-01-01 00:00:00", name, "why"] for number, name in enumerate(history)]
        raw = ast.literal_eval((self.cache.config / "server_config").read_text())
        raw |= {"operational_context": default, "latest_context": default, "context_history": eras}
        (self.cache.config / "server_config").write_text(repr(raw))
        return pins.former(self.cache, self.saved, stamp)

    def hold(self, context: str, why: str = PIN) -> Identity:
        saved, stamp = self.saved, identity.load(self.cache) or STAMP
        promise = Promise(stamp, stamp.holdings, frozenset())
        pins.hold(written.disk_of(self.cache, saved), saved, promise, context, why)
        held = identity.load(self.cache)
        assert held is not None
        return held


@pytest.fixture
def site(cache: Layout) -> Site:
    return Site(cache)


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([], []),
        ([(A, "first")], [A]),
        ([(A, "first"), (B, "server"), (C, "server")], [A, B, C]),
        ([(A, "first"), (B, "server"), (C, "server"), (B, "rollback")], [A, B]),
        ([(A, "first"), (B, "server"), (C, "server"), (B, "rollback"), (A, "rollback")], [A]),
        ([(A, "first"), (B, "server"), (A, "rollback"), (C, "server")], [A, C]),
        ([(A, "first"), (B, "server"), (A, "pin"), (B, "rollback")], [A, B]),
        ([(A, "foreign"), (B, "foreign"), (C, "pin")], [A, B, C]),
        # From before our notes: what came later is not what was before it.
        ([(B, "first"), (C, "server"), (A, "rollback")], [A]),
    ],
)
def test_what_was_rolled_back_is_not_among_the_defaults_that_lead_to_this_one(
    notes: list[tuple[str, str]], expected: list[str]
) -> None:
    rows = [["", "", after, why] for after, why in notes]

    assert pins.stack(rows) == expected


@pytest.mark.parametrize("seed", range(20))
def test_any_number_of_rollbacks_goes_back_through_all_defaults_each_once(seed: int, site: Site) -> None:
    """Whatever came before: switches, pins, roll-backs in between."""
    chance = random.Random(seed)
    rows: list[tuple[str, str]] = [(A, "first")]
    while len(rows) < 12:
        lead = pins.stack(["", "", *row] for row in rows)
        if len(lead) > 1 and chance.random() < 0.4:
            rows.append((lead[-2], "rollback"))
        elif (context := chance.choice([A, B, C, D])) != rows[-1][0]:
            rows.append((context, chance.choice(["server", "pin", "foreign"])))
    site.note(*rows)
    expected = pins.stack(["", "", *row] for row in rows)[-2::-1]

    went = []
    default = rows[-1][0]
    while (context := site.former(default)) is not None:
        went.append(context)
        site.note((context, "rollback"))
        default = context

    assert went == expected


@pytest.mark.parametrize(
    ("notes", "default", "history", "expected"),
    [
        ([(A, "first"), (B, "server")], B, [], A),
        ([(A, "first"), (B, "server")], C, [], B),  # another tool has moved it, which is not noted yet
        ([(B, "first")], B, [C, B, B, A], A),
        ([], B, [C, B, A], A),
        ([(A, "first")], A, [B, A], None),
        ([], D, [C, B, A], None),  # the server never had it
        ([], A, [], None),
    ],
)
def test_the_former_default_is_that_of_our_notes_else_of_the_servers_history(
    site: Site, notes: list[tuple[str, str]], default: str, history: list[str], expected: str | None
) -> None:
    site.note(*notes)

    assert site.former(default, history=history) == expected


@pytest.mark.parametrize("default", [B, A])
def test_P01_a_rollback_that_was_killed_before_its_note_goes_on_to_where_it_led(
    site: Site, default: str
) -> None:
    """Else the same command, given again, would go one step further."""
    site.note((D, "first"), (A, "server"), (B, "server"))

    assert site.former(default, replace(STAMP, pinned=A, pinned_by=ROLLBACK)) == A


def test_a_rollback_from_a_pin_goes_to_what_was_before_it(site: Site) -> None:
    site.note((A, "first"), (B, "server"), (C, "pin"))

    assert site.former(C, replace(STAMP, pinned=C)) == B


def test_what_is_held_becomes_the_default_by_the_saved_answer(site: Site, demo_root: Path) -> None:
    site.note((FORMER, "first"))

    held = site.hold(LATEST)

    assert held == replace(STAMP, pinned=LATEST)
    assert site.saved.raw == written.raw_answer(demo_root, LATEST) | {"server": SERVER}
    assert site.notes() == [("", FORMER, "first"), (FORMER, LATEST, "pin")]
    left = {path.name for path in site.cache.config.iterdir()}
    assert left == {"server_config", "bad_files.txt", "ref_cache_subdir_mode"}


def test_what_another_tool_did_is_noted_before_and_the_default_itself_can_be_held(site: Site) -> None:
    config = listing(site.cache.config)

    held = site.hold(FORMER)

    assert held == replace(STAMP, pinned=FORMER)
    assert site.notes() == [("", FORMER, "foreign")]
    assert listing(site.cache.config) == config


def test_a_rollback_is_noted_as_one_and_keeps_holdings(site: Site) -> None:
    identity.save(site.cache, replace(STAMP, holdings=ALL))
    site.note((LATEST, "first"), (FORMER, "server"))

    held = site.hold(LATEST, ROLLBACK)

    assert held == replace(STAMP, holdings=ALL, pinned=LATEST, pinned_by=ROLLBACK)
    assert site.notes()[-1] == (FORMER, LATEST, "rollback")


def test_a_switch_that_lacks_its_note_gets_it(site: Site) -> None:
    """As a kill after the rename leaves it."""
    site.note((LATEST, "first"))
    identity.save(site.cache, replace(STAMP, pinned=FORMER, pinned_by=ROLLBACK))

    site.hold(FORMER, ROLLBACK)
    site.hold(FORMER, ROLLBACK)

    assert site.notes() == [("", LATEST, "first"), (LATEST, FORMER, "rollback")]


def test_a_configuration_that_is_read_only_is_not_moved_and_nothing_is_recorded(site: Site) -> None:
    (site.cache.config / "server_config").chmod(0o444)
    before = listing(site.cache.root)

    with pytest.raises(DiskError, match="server_config is read-only, which holds the default context"):
        site.hold(LATEST)
    assert listing(site.cache.root) == before


def test_what_is_released_stays_where_it_is(site: Site) -> None:
    held = site.hold(LATEST, ROLLBACK)
    config = listing(site.cache.config)

    pins.release(site.cache, site.saved, held)

    assert identity.load(site.cache) == STAMP
    assert listing(site.cache.config) == config
    assert site.notes() == [("", FORMER, "foreign"), (FORMER, LATEST, "rollback")]
