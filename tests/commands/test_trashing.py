"""The trash by hand, and by the way of other runs."""

import pytest

from crdscache.cache import trash
from crdscache.cache.trash import Gone, Why
from demo.server import Server
from tests.caches import Cache, Done, proper

FITS = "x0000001j_drk.fits"
OLD, NEW = "20200101T000000Z-aaaaaa", "20991231T000000Z-bbbbbb"


def throw(cache: Cache, run_id: str, size_bytes: int = 5000) -> None:
    """Put a file into the trash of a run."""
    directory = cache.state / "trash" / run_id
    trash.write_table(directory, [Gone("2026-01-01 00:00:00", FITS, f"references/hst/{FITS}", Why("why"))])
    (directory / FITS).write_bytes(b"x" * size_bytes)


def runs(cache: Cache) -> list[str]:
    return sorted(path.name for path in (cache.state / "trash").glob("*"))


def test_restore_asks_no_server_and_tells_what_came_back(rules_cache: Cache, server: Server) -> None:
    throw(rules_cache, NEW)
    server.requests.clear()

    done = rules_cache.run("cron_sync", "--restore", NEW, "--json")

    assert (done.status, done.data["news"]) == (0, [f"brought back 1 files (5000 bytes) of {NEW}"])
    assert not server.requests
    assert (rules_cache.root / "references" / "hst" / FITS).exists()


def test_what_cannot_come_back_is_named_and_stays(rules_cache: Cache) -> None:
    throw(rules_cache, NEW)
    (rules_cache.references / FITS).mkdir(parents=True)

    done = rules_cache.run("cron_sync", "--restore", NEW)

    assert done.status == 1
    assert f"failed: references/hst/{FITS}: something has its name again" in done.err
    assert runs(rules_cache) == [NEW]


def test_unknown_run_is_usage(rules_cache: Cache) -> None:
    done = rules_cache.run("cron_sync", "--restore", "nonsense")

    assert (done.status, done.out) == (2, "")
    assert done.err == "cron_sync: --restore 'nonsense': no such run in the trash: it is empty\n"


@pytest.mark.parametrize("words", [("--restore", NEW), ("--empty-trash",)])
def test_dry_run_changes_nothing_and_takes_no_lock(rules_cache: Cache, words: tuple[str, ...]) -> None:
    throw(rules_cache, NEW)
    before = proper(rules_cache)

    done = rules_cache.run("cron_sync", *words, "--dry-run")

    assert (done.status, done.err) == (0, "")
    assert "dry run: " in done.out
    assert (proper(rules_cache), runs(rules_cache)) == (before, [NEW])


def test_read_only_cache_is_not_written(rules_cache: Cache) -> None:
    throw(rules_cache, NEW)
    rules_cache.more["CRDS_READONLY_CACHE"] = "1"

    assert rules_cache.run("cron_sync", "--empty-trash").status == 3
    assert runs(rules_cache) == [NEW]


def test_any_sync_empties_what_is_too_old_and_says_so(rules_cache: Cache) -> None:
    throw(rules_cache, OLD)
    throw(rules_cache, NEW)

    done = rules_cache.run("cron_sync")

    assert (done.status, runs(rules_cache)) == (0, [NEW])
    assert "hst: emptied the trash of 1 runs: 1 files, 8192 bytes\n" in done.out
    assert rules_cache.run("cron_sync") == Done(0, "", "")


def test_any_sync_empties_the_oldest_where_space_is_short(rules_cache: Cache) -> None:
    throw(rules_cache, "20990101T000000Z-aaaaaa")
    throw(rules_cache, NEW)

    assert rules_cache.run("cron_sync", "--config", f"reserve_bytes={10**18}").status == 0

    assert runs(rules_cache) == []


def test_space_of_the_trash_is_reported(rules_cache: Cache) -> None:
    throw(rules_cache, NEW)

    told = rules_cache.run("cache_config", "--json").data["cache"]

    assert told["trash"] == "1 runs, 1 files, 8.2 kB"


def test_no_trash_no_word(rules_cache: Cache) -> None:
    assert (
        rules_cache.run("cron_sync", "--empty-trash").out
        == "hst: emptied the trash: 0 files, 0 bytes free again\n"
    )
