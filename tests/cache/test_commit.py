import ast
import fcntl
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pprint import pformat

import pytest

from crdscache.cache import commit, identity, tables
from crdscache.cache.commit import Promise, Summary, Switch
from crdscache.cache.identity import ALL, NONE, PIN, ROLLBACK, Holdings, Identity
from crdscache.cache.layout import Layout
from crdscache.contexts import serverinfo
from crdscache.contexts.records import Outcome, Problem, Receipt
from crdscache.contexts.serverinfo import ServerInfo
from tests import written
from tests.caches import FORMER, LATEST, listing

SERVER = "http://localhost"
TABLE, DARK = "8221320aj_mdz.fits", "8221321au.r3d"  # the latest context alone needs them
RMAP = "hst_acs_mdriztab_0001.rmap"  # likewise
OLD_IMAP = "hst_acs_0001.imap"  # only the first context needs it
# Our notes do not yet have the default of a cache that another tool has left.
FOUND = ("", FORMER, "foreign")
HELD = ("", FORMER, "pin")  # if it is where it is pinned


@dataclass(frozen=True, slots=True)
class Site:
    """A cache with all that a commit is told."""

    cache: Layout
    demo_root: Path

    def told(self, default: str = LATEST, **changes: object) -> ServerInfo:
        return written.told(self.demo_root, default, **changes)

    def commit(
        self,
        info: ServerInfo | None = None,
        holdings: Holdings = NONE,
        *,
        recorded: Holdings = NONE,
        tolerated: tuple[str, ...] = (),
        takes_default: bool = True,
        pinned: str | None = None,
        pinned_by: str = PIN,
    ) -> Switch:
        info = info or self.told()
        stamp = Identity("hst", SERVER, "ops", recorded, pinned=pinned, pinned_by=pinned_by)
        promise = Promise(stamp, holdings, frozenset(tolerated))
        disk = written.disk_of(self.cache, info)
        return commit.commit(disk, info, SERVER, promise, takes_default=takes_default)

    def current(
        self,
        info: ServerInfo,
        holdings: Holdings = NONE,
        *,
        takes_default: bool = True,
        pinned: str | None = None,
    ) -> str | None:
        promise = Promise(Identity("hst", SERVER, "ops", NONE, pinned=pinned), holdings, frozenset())
        return commit.current(self.cache, info, SERVER, promise, takes_default=takes_default)

    @property
    def config_file(self) -> Path:
        return self.cache.config / "server_config"

    def saved(self) -> dict[str, object]:
        value: dict[str, object] = ast.literal_eval(self.config_file.read_text())
        return value

    def lose(self, *names: str) -> None:
        for name in names:
            folder = self.cache.mappings if name.endswith("map") else self.cache.references
            (folder / name).unlink()

    def switches(self) -> list[tuple[str, ...]]:
        """Read our notes, without the times."""
        path = self.cache.state / "switches.tsv"
        rows = tables.read(path, "switches", commit.SWITCHES) if path.exists() else []
        return [tuple(row[1:]) for row in rows]


@pytest.fixture
def site(cache: Layout, demo_root: Path) -> Site:
    return Site(cache, demo_root)


def test_default_moves_when_all_that_it_needs_is_here(site: Site) -> None:
    switch = site.commit(holdings=ALL)

    assert switch == Switch(FORMER, LATEST, LATEST, is_written=True)
    assert site.saved() == written.raw_answer(site.demo_root, LATEST)
    assert site.switches() == [FOUND, (FORMER, LATEST, "server")]


def test_saved_text_is_that_of_pprint_without_a_newline_and_bad_files_stand_beside_it(site: Site) -> None:
    site.commit(site.told(bad_files_list=["b.fits", "a.fits"]))

    text = site.config_file.read_text()
    assert text == pformat(ast.literal_eval(text))
    assert (site.cache.config / "bad_files.txt").read_bytes() == b"a.fits\nb.fits"
    names = {"server_config", "bad_files.txt", "ref_cache_subdir_mode"}
    assert {path.name for path in site.cache.config.iterdir()} == names


@pytest.mark.parametrize(
    ("holdings", "tolerated", "waits_for"),
    [
        (NONE, (), ()),
        (ALL, (), (TABLE, DARK)),
        (Holdings(("acs",)), (), (TABLE,)),
        (Holdings(("acs/mdriztab", "wfc3")), (), (TABLE,)),
        (Holdings(("acs/biasfile",)), (), ()),
        (ALL, (TABLE,), (DARK,)),
        (ALL, (TABLE, DARK), ()),
    ],
)
def test_default_waits_for_missing_references_within_the_holdings(
    site: Site, holdings: Holdings, tolerated: tuple[str, ...], waits_for: tuple[str, ...]
) -> None:
    site.lose(TABLE, DARK)

    switch = site.commit(holdings=holdings, recorded=holdings, tolerated=tolerated)

    after = FORMER if waits_for else LATEST
    assert switch == Switch(FORMER, after, LATEST, waits_for, is_written=not waits_for)
    assert site.saved()["operational_context"] == after


def test_default_waits_for_missing_rules_whatever_is_promised(site: Site) -> None:
    site.lose(RMAP)

    assert site.commit() == Switch(FORMER, FORMER, LATEST, (RMAP,))


def test_default_moves_as_soon_as_its_references_are_here_whoever_brought_them(site: Site) -> None:
    site.lose(TABLE)
    waiting = site.commit(holdings=ALL, recorded=ALL)
    shutil.copy(site.demo_root / "references" / "hst" / TABLE, site.cache.references)

    moved = site.commit(holdings=ALL, recorded=ALL)

    assert waiting == Switch(FORMER, FORMER, LATEST, (TABLE,))
    assert moved == Switch(FORMER, LATEST, LATEST, is_written=True)


def test_answer_is_saved_while_the_default_waits(site: Site) -> None:
    """Whoever reads the cache should know of bad files at once."""
    site.lose(RMAP)

    switch = site.commit(site.told(bad_files_list=["x.fits"]))

    assert switch == Switch(FORMER, FORMER, LATEST, (RMAP,), is_written=True)
    assert site.saved() == written.raw_answer(site.demo_root, FORMER, bad_files_list=["x.fits"])
    assert site.switches() == [FOUND]


def test_failure_in_another_context_does_not_hold_the_default_back(site: Site) -> None:
    site.lose(OLD_IMAP)

    assert site.commit(holdings=ALL) == Switch(FORMER, LATEST, LATEST, is_written=True)


def test_run_that_does_not_select_the_servers_default_leaves_ours_where_it_is(site: Site) -> None:
    switch = site.commit(site.told(bad_files_list=[]), takes_default=False)

    assert switch == Switch(FORMER, FORMER, LATEST, is_written=True)
    assert site.saved() == written.raw_answer(site.demo_root, FORMER, bad_files_list=[])


def test_N25_default_that_moved_back_is_followed_with_a_warning(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.commit()

    switch = site.commit(site.told(FORMER))

    assert switch == Switch(LATEST, FORMER, FORMER, is_written=True)
    assert f"the server's default moved back from={LATEST} to={FORMER}" in caplog.messages
    assert site.switches() == [FOUND, (FORMER, LATEST, "server"), (LATEST, FORMER, "server")]
    assert (site.cache.mappings / LATEST).exists()


def test_pinned_default_stays_while_the_servers_new_answer_is_saved(site: Site) -> None:
    """What is bad must be known at once, and a pin is nothing that anybody waits for."""
    switch = site.commit(site.told(bad_files_list=["x.fits"]), pinned=FORMER)

    assert switch == Switch(FORMER, FORMER, LATEST, is_written=True, pinned=FORMER)
    assert site.saved() == written.raw_answer(site.demo_root, FORMER, bad_files_list=["x.fits"])
    assert site.switches() == [HELD]
    assert site.current(site.told(bad_files_list=["x.fits"]), pinned=FORMER) == FORMER


def test_default_follows_the_server_again_when_the_pin_is_gone(site: Site) -> None:
    site.commit(pinned=FORMER)

    switch = site.commit()

    assert switch == Switch(FORMER, LATEST, LATEST, is_written=True)
    assert site.switches() == [HELD, (FORMER, LATEST, "server")]


def move(site: Site, context: str) -> None:
    """Move the default as another tool does."""
    theirs = site.config_file.read_text().replace(f"context': '{site.saved()['operational_context']}", "\0")
    site.config_file.unlink()
    site.config_file.write_text(theirs.replace("\0", f"context': '{context}"))


@pytest.mark.parametrize("takes_default", [True, False])
def test_D32_pinned_default_that_another_tool_moved_is_put_back(
    site: Site, caplog: pytest.LogCaptureFixture, *, takes_default: bool
) -> None:
    """In any run: a pin does not ask which contexts are fetched."""
    site.commit(pinned=FORMER)
    move(site, LATEST)

    is_current = site.current(site.told(), pinned=FORMER, takes_default=takes_default)
    switch = site.commit(pinned=FORMER, takes_default=takes_default)

    assert is_current is None
    assert switch == Switch(LATEST, FORMER, LATEST, is_written=True, pinned=FORMER)
    assert site.switches() == [HELD, (FORMER, LATEST, "foreign"), (LATEST, FORMER, "pin")]
    assert [text for text in caplog.messages if "moved back" in text] == []


def test_D32_pinned_default_that_is_not_whole_any_more_is_waited_for(site: Site) -> None:
    site.commit(pinned=FORMER)
    move(site, LATEST)
    site.lose("t6k1016aj_drk.fits")

    waits = site.commit(pinned=FORMER, recorded=ALL, holdings=ALL)
    shutil.copy(site.demo_root / "references/hst/t6k1016aj_drk.fits", site.cache.references)
    back = site.commit(pinned=FORMER, recorded=ALL, holdings=ALL)

    assert waits == Switch(LATEST, LATEST, LATEST, ("t6k1016aj_drk.fits",), pinned=FORMER)
    assert back == Switch(LATEST, FORMER, LATEST, is_written=True, pinned=FORMER)
    assert site.switches() == [HELD, (FORMER, LATEST, "foreign"), (LATEST, FORMER, "pin")]


@pytest.mark.parametrize("why", [PIN, ROLLBACK])
@pytest.mark.parametrize("is_moved", [True, False])
def test_P01_pin_that_was_killed_before_its_note_is_completed_and_noted_as_what_it_was(
    site: Site, why: str, *, is_moved: bool
) -> None:
    site.commit()
    if is_moved:
        move(site, FORMER)

    is_current = site.current(site.told(), pinned=FORMER)
    switch = site.commit(pinned=FORMER, pinned_by=why)

    assert is_current is None
    assert (switch.after, site.saved()["operational_context"]) == (FORMER, FORMER)
    assert site.switches() == [FOUND, (FORMER, LATEST, "server"), (LATEST, FORMER, why)]


def test_S19_damaged_configuration_of_a_pinned_cache_is_written_with_the_pinned_default(site: Site) -> None:
    site.commit(pinned=FORMER)
    site.config_file.write_bytes(b"")

    switch = site.commit(pinned=FORMER)

    assert switch == Switch(FORMER, FORMER, LATEST, is_written=True, pinned=FORMER)
    assert site.saved() == written.raw_answer(site.demo_root, FORMER)
    assert site.switches() == [HELD]


def test_holdings_of_a_pinned_cache_are_recorded_with_the_pin(site: Site) -> None:
    site.commit(pinned=FORMER, holdings=ALL)

    assert identity.load(site.cache) == Identity("hst", SERVER, "ops", ALL, pinned=FORMER)


def test_first_configuration_needs_rules_only(site: Site) -> None:
    """Else a new cache could not be used before its last reference is there."""
    shutil.rmtree(site.cache.config)
    shutil.rmtree(site.cache.references)

    switch = site.commit(holdings=ALL)

    assert switch == Switch(None, LATEST, LATEST, is_written=True)
    assert site.switches() == [("", LATEST, "first")]
    assert identity.load(site.cache) is None


def test_first_configuration_waits_for_the_rules(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(site.cache.config)
    site.lose(RMAP)
    before = listing(site.cache.root)

    switch = site.commit()

    assert switch == Switch(None, None, LATEST, (RMAP,))
    assert listing(site.cache.root) == before
    assert f"no configuration written: the default is not whole context={LATEST}" in caplog.messages


def test_answer_without_change_writes_nothing(site: Site) -> None:
    info = site.told()
    site.commit(info)
    before = listing(site.cache.root)

    switch = site.commit(info)

    assert switch == Switch(LATEST, LATEST, LATEST)
    assert listing(site.cache.root) == before


def test_answer_that_differs_in_its_times_alone_writes_nothing(site: Site) -> None:
    site.commit()
    before = listing(site.cache.root)
    catalogue = written.raw_answer(site.demo_root, LATEST)["download_metadata"]
    assert isinstance(catalogue, dict)

    again = written.packed(serverinfo.unwrap(catalogue), at=12345)
    site.commit(site.told(last_synced="now", last_refreshed="now", download_metadata=again))

    assert listing(site.cache.root) == before


@pytest.mark.parametrize("linked", ["", "mappings", "references/hst", "config", "config/hst"])
def test_D10_default_moves_in_a_cache_behind_links_and_the_links_stay(
    site: Site, tmp_path: Path, linked: str
) -> None:
    place, elsewhere = site.cache.root / linked, tmp_path / "elsewhere"
    shutil.move(place, elsewhere)
    place.symlink_to(elsewhere, target_is_directory=True)

    switch = site.commit(holdings=ALL)

    assert switch == Switch(FORMER, LATEST, LATEST, is_written=True)
    assert site.saved() == written.raw_answer(site.demo_root, LATEST)
    assert place.readlink() == elsewhere
    assert identity.load(site.cache) == Identity("hst", SERVER, "ops", ALL)


def test_list_of_bad_files_is_mended_alone(site: Site) -> None:
    """It is a second rename: a killed run can have left the old one."""
    site.commit()
    before = site.config_file.stat()
    right = (site.cache.config / "bad_files.txt").read_bytes()
    (site.cache.config / "bad_files.txt").write_text("old")

    switch = site.commit()

    assert not switch.is_written
    assert (site.cache.config / "bad_files.txt").read_bytes() == right
    assert site.config_file.stat() == before


def test_read_only_configuration_holds_the_default_where_it_is(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.config_file.chmod(0o444)
    before = listing(site.cache.config)

    switch = site.commit()

    assert switch == Switch(FORMER, FORMER, LATEST)
    assert listing(site.cache.config) == before
    assert site.switches() == [FOUND]
    assert f"configuration is read-only and stays as it is path={site.cache.config}" in caplog.messages


def test_move_by_another_tool_is_noted_as_foreign(site: Site) -> None:
    site.commit(site.told(FORMER))
    move(site, "hst_0001.pmap")

    switch = site.commit(site.told(FORMER), takes_default=False)

    assert (switch.before, switch.after) == ("hst_0001.pmap", "hst_0001.pmap")
    assert site.switches() == [FOUND, (FORMER, "hst_0001.pmap", "foreign")]


def test_D16_note_that_a_power_cut_left_half_is_passed_over(site: Site) -> None:
    site.commit(site.told(FORMER))
    notes = site.cache.state / "switches.tsv"
    notes.write_text(notes.read_text() + "2026-01-01 00:")

    site.commit()

    assert site.switches() == [FOUND, (FORMER, LATEST, "server")]


@pytest.mark.parametrize(
    ("recorded", "holdings", "lost", "expected"),
    [
        (NONE, ALL, (), ALL),
        (NONE, ALL, (TABLE,), None),
        (NONE, Holdings(("wfc3",)), (TABLE,), Holdings(("wfc3",))),
        (ALL, NONE, (TABLE,), NONE),
        (ALL, ALL, (), None),
    ],
)
def test_holdings_are_recorded_once_they_are_kept(
    site: Site, recorded: Holdings, holdings: Holdings, lost: tuple[str, ...], expected: Holdings | None
) -> None:
    site.commit()
    site.lose(*lost)

    site.commit(holdings=holdings, recorded=recorded)

    stamp = None if expected is None else Identity("hst", SERVER, "ops", expected)
    assert identity.load(site.cache) == stamp


def damaged(raw: dict[str, object]) -> dict[str, bytes]:
    """Spoil a configuration in many ways."""
    without = {key: value for key, value in raw.items() if key != "last_synced"}
    whole = pformat(raw).encode()
    return {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "binary": b"\xff\xfe\x00\x01",
        "code": b"{'observatory': __import__('pathlib').Path('canary').touch()}",
        "other observatory": pformat(raw | {"observatory": "jwst"}).encode(),
        "without last_synced": pformat(without).encode(),
    }


@pytest.mark.parametrize("kind", damaged({}))
def test_S19_damaged_configuration_is_as_none_and_is_written_anew(
    site: Site, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(site.cache.root)
    site.config_file.write_bytes(damaged(written.raw_answer(site.demo_root, FORMER))[kind])

    switch = site.commit()

    assert switch == Switch(None, LATEST, LATEST, is_written=True)
    assert site.saved() == written.raw_answer(site.demo_root, LATEST)
    (warning,) = [text for text in caplog.messages if "damaged" in text]
    assert f"{site.config_file}: " in warning
    assert not list(site.cache.root.rglob("canary"))


def test_S19_damaged_configuration_gets_the_default_of_our_notes_while_the_servers_is_not_whole(
    site: Site,
) -> None:
    """What was promised of the default holds after an accident too."""
    site.commit(site.told(FORMER), holdings=ALL)
    site.lose(TABLE)
    site.config_file.write_bytes(b"")

    switch = site.commit(holdings=ALL, recorded=ALL)

    assert switch == Switch(FORMER, FORMER, LATEST, (TABLE,), is_written=True)
    assert site.saved() == written.raw_answer(site.demo_root, FORMER)
    assert site.switches() == [FOUND]


def test_S19_no_configuration_is_written_if_no_default_is_what_was_promised(site: Site) -> None:
    site.commit(site.told(FORMER), holdings=ALL)
    site.lose("t6k1016aj_drk.fits")  # both contexts need it
    site.config_file.unlink()

    switch = site.commit(holdings=ALL, recorded=ALL)

    assert switch == Switch(None, None, LATEST, ("t6k1016aj_drk.fits",))
    assert not site.config_file.exists()


def test_R5_reader_that_holds_the_lock_delays_the_rename_by_a_second_at_most(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with (site.cache.locks / "crds.config.lock").open("w") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        switch = site.commit()

    assert switch.is_written
    assert time.monotonic() - started < 5
    assert "configuration replaced without its lock, which a reader holds" in caplog.messages


def test_configuration_that_cannot_be_put_leaves_nothing_aside(site: Site) -> None:
    site.config_file.unlink()
    site.config_file.mkdir()

    with pytest.raises(OSError, match="server_config"):
        site.commit()
    assert [path for path in site.cache.config.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda site: site.config_file.unlink(),
        lambda site: site.config_file.write_text(""),
        lambda site: (site.cache.config / "bad_files.txt").write_text("old"),
        lambda site: (site.cache.state / "switches.tsv").unlink(),
    ],
)
def test_commit_has_something_to_do_where_the_disk_is_not_as_it_left_it(
    site: Site, change: Callable[[Site], object]
) -> None:
    site.commit()
    before = site.current(site.told())
    change(site)

    assert (before, site.current(site.told())) == (LATEST, None)


def test_commit_has_something_to_do_where_the_server_or_the_promise_is_another(site: Site) -> None:
    site.commit()

    assert site.current(site.told()) == LATEST
    assert site.current(site.told(last_synced="later")) == LATEST
    assert site.current(site.told(bad_files_list=[])) is None
    assert site.current(site.told(FORMER)) is None
    assert site.current(site.told(FORMER), takes_default=False) == LATEST
    assert site.current(site.told(), ALL) is None


def test_summary_names_each_file_once_with_its_first_reason_and_adds_up(tmp_path: Path) -> None:
    receipts = [
        Receipt("a", Outcome.FETCHED, 10),
        Receipt("b", Outcome.FETCHED, 5),
        Receipt("c", Outcome.KEPT, 7),
        Receipt("e", Outcome.PENDING, reason="not yet"),
        Receipt("d", Outcome.PENDING, reason="not yet"),
        Receipt("f", Outcome.FAILED, reason="first"),
    ]
    switch = Switch(FORMER, FORMER, LATEST, ("f",))

    problems = [Problem("f", "second"), Problem("e", "not here"), Problem("g", "why")]
    summary = commit.summarise("id", switch, receipts, problems, kept=(3, 30), n_seen={"adopted": 2})
    commit.save(tmp_path / "commit.json", summary)

    assert summary == Summary(
        "id",
        switch,
        (Problem("f", "first"), Problem("g", "why")),
        ("d", "e"),
        {"fetched": 2, "kept": 4, "pending": 2, "failed": 1},
        {"fetched": 15, "kept": 37, "pending": 0, "failed": 0},
        {"adopted": 2},
    )
    assert commit.load(tmp_path / "commit.json") == summary
