"""Rows P01 and P05 for `affected_datasets`: a kill -9 before each call that changes something below the root.

The mail goes to a real server. Whatever the kill, one plain run more ends with the same list, the mark where
it belongs, and the mail sent; more than once only under the same Message-ID. The suite takes one in eight,
CRDSCACHE_FULL_SWEEP=1 all of them.
"""

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crdscache.cache import commit, tables
from demo.server import Server
from tests import smtp
from tests.caches import FORMER, LATEST, Cache
from tests.faults.strikes import KILL, Point, Runs
from tests.smtp import Sink

CHUNKS = 2
LINE = ["affected_datasets"]


@dataclass(frozen=True, slots=True)
class Site:
    """A cache whose default has moved, which is to be told of."""

    cache: Cache
    before: Path  # the state of the cache, to begin with
    runs: Runs
    sink: Sink

    def begin(self) -> None:
        """Put all back."""
        self.sink.mails.clear()
        shutil.rmtree(self.cache.state)
        shutil.copytree(self.before, self.cache.state)

    def result(self) -> dict[str, bytes]:
        """Give what must be the same however it came about."""
        place = self.cache.state / "readers" / "affected"
        names = ("ids.txt", "affected.tsv", "summary.json", "mail.eml")
        found = {name: (place / "hst_0005__hst_0006" / name).read_bytes() for name in names}
        return {**found, "mark": (place / "mark.json").read_bytes()}

    def message_ids(self) -> list[bytes]:
        """List the mails that came."""
        return [
            content.replace(b"\r\n ", b" ").partition(b"Message-ID:")[2].split(b"\r\n")[0].strip()
            for _, _, content in self.sink.mails
        ]


@pytest.fixture(scope="module")
def site(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("affected")
    with Server(demo_root) as server, smtp.serving() as sink, Runs(home) as runs:
        server.set_default(FORMER)
        (home / "quick.yaml").write_text(
            f"shards: 1\ntries: 1\ncatalog: {demo_root}/datasets\nmail_security: none\nmail_tries: 1\n"
            f"mail_server: 127.0.0.1:{sink.port}\nmail_sender: crds@example.org\n"
            "mail_recipients: {hst-ops: [a@example.org]}\n"
        )
        cache = Cache(home, server, home / "cache")
        assert cache.run("remote_cache_init").status == 0
        assert cache.run(*LINE).status == 0  # sets the mark
        row = ("2026-01-01 00:00:00", FORMER, LATEST, "server")
        tables.append(cache.state / "switches.tsv", "switches", commit.SWITCHES, row)
        shutil.copytree(cache.state, home / "before")
        yield Site(cache, home / "before", runs, sink)


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> tuple[list[Point], dict[str, bytes], list[bytes]]:
    site.begin()
    done, points = site.runs.trace(LINE, site.cache.environ, site.cache.root)
    assert done.status == 0, done
    assert len(points) > 50, "the search finds nothing any more"
    return points, site.result(), site.message_ids()


def recover(site: Site, expected: dict[str, bytes], ids: list[bytes]) -> None:
    done = site.runs.run(LINE, site.cache.environ, seed=1)
    assert done.status == 0, done
    assert site.result() == expected
    assert {*site.message_ids()} == {*ids}
    assert len(site.message_ids()) <= 2
    again = site.runs.run(LINE, site.cache.environ, seed=2)
    assert (again.status, again.out) == (0, "")


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_P01_E06_after_a_kill_at_any_point_one_plain_run_tells_all(
    site: Site, undisturbed: tuple[list[Point], dict[str, bytes], list[bytes]], chunk: int
) -> None:
    points, expected, ids = undisturbed
    every = 1 if os.environ.get("CRDSCACHE_FULL_SWEEP") else 8

    wrong = {}
    for point in points[chunk :: CHUNKS * every]:
        site.begin()
        done = site.runs.strike(LINE, site.cache.environ, point, KILL)
        assert done.status == -9, f"not killed at {point}: {done}"
        try:
            recover(site, expected, ids)
        except AssertionError as error:
            wrong[point] = str(error)

    assert wrong == {}


@pytest.mark.parametrize("seed", range(3))
def test_P05_killed_and_then_killed_again_in_three_recoveries(
    site: Site, undisturbed: tuple[list[Point], dict[str, bytes], list[bytes]], seed: int
) -> None:
    points, expected, ids = undisturbed
    chance = random.Random(seed)
    site.begin()

    for number in range(4):
        site.runs.strike(LINE, site.cache.environ, chance.choice(points), KILL, seed=10 * number)

    recover(site, expected, [*ids])
