"""The command line of `cache_report`; what it does is tried in test_paging.py."""

from pathlib import Path

import pytest

from crdscache.commands import cache_report
from tests.caches import Cache


def test_help_has_examples_and_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cache_report.main(["-help"])

    assert "cache_report --output /var/www/crds.html" in capsys.readouterr().out


def test_a_page_cannot_be_a_directory(whole_cache: Cache, tmp_path: Path) -> None:
    done = whole_cache.run("cache_report", "--output", str(tmp_path))

    assert (done.status, done.out) == (2, "")
    assert done.err == f"cache_report: --output: expected a file, {tmp_path} is a directory\n"


def test_a_root_that_is_no_cache_is_refused_and_stays_as_it_is(no_cache: Cache) -> None:
    no_cache.root.mkdir()

    done = no_cache.run("cache_report")

    assert (done.status, done.out) == (3, "")
    assert done.err.startswith(f"cache_report: {no_cache.root} is not a cache: ")
    assert list(no_cache.root.iterdir()) == []
