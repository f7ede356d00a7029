"""`cache_report` from end to end: the page is opened in a browser, as an operator does."""

import base64
import os
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.contexts.records import Problem
from crdscache.workflow import runs
from crdscache.workflow.runs import Result
from tests import mounts
from tests.caches import FORMER, LATEST, Cache, finish, start, wait_until

PLOTS = ["plots/coverage.svg", "plots/files.svg"]
TABLES = [
    *("tables/affected.html", "tables/bad.html", "tables/coverage.html", "tables/dark.html"),
    *("tables/failures.html", "tables/files.html", "tables/pending.html", "tables/purgeable.html"),
    *("tables/rejected.html", "tables/runs.html", "tables/switches.html", "tables/trash.html"),
]
HOSTILE = "</script><script>document.title='owned'</script> `x <javascript:alert(1)>`_ <b>|x|</b> {{ 7*7 }}"
SECRET = "a-secret-that-was-planted"


@pytest.fixture(scope="module", autouse=True)
def _needs_a_browser() -> None:
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not here: apt-get install chromium chromium-driver")


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Let another process hold a lock."""
    environ = {"PATH": "/usr/bin:/bin"}
    holder = start(["flock", lock, "sleep", "60"], environ)
    try:
        wait_until(lambda: finish(start(["flock", "--nonblock", lock, "true"], environ)).status != 0)
        yield
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()


def content(page: Path) -> str:
    """Give all that a page has, what it has embedded too."""
    text = page.read_text()
    embedded = re.findall(r";base64,([A-Za-z0-9+/=]+)", text)
    return text + "".join(base64.b64decode(each).decode(errors="replace") for each in embedded)


def test_the_page_opens_and_has_figures_plots_and_tables_beside_a_writer(whole_cache: Cache) -> None:
    """By clicks: home, category, result. Nothing is asked of any network."""
    from demo import browser  # noqa: PLC0415 (selenium is slow to import)

    lost = min(whole_cache.references.iterdir())
    lost.unlink()

    with held(whole_cache.root / "crds.sync.lock"):
        done = whole_cache.run("cache_report")

    page = whole_cache.state / "readers" / "report" / "report.html"
    assert (done.status, done.out, done.err) == (0, f"{page}\n", "")
    assert page.stat().st_size < 5_000_000
    with browser.opened(page) as shown:
        opening = shown.opening()
        assert sorted(shown.results()) == PLOTS + TABLES
        plots = {path: shown.plot(path) for path in PLOTS}
        tables = {path: shown.table(path) for path in TABLES}
        assert (shown.requests(), shown.complaints()) == ([], [])
    assert opening["Default context"].startswith(f"{FORMER}, since 20")
    assert opening["Failures of the last run"] == "none"
    assert opening["Files"].endswith(" 1 bad")
    assert {path: size for path, size in plots.items() if min(size) < 100} == {}
    assert tables["tables/bad.html"][1][:2] == [lost.name, "missing"]
    assert ["acs", "biasfile"] in [row[:2] for row in tables["tables/files.html"]]
    assert tables["tables/switches.html"][1][1:] == ["", FORMER, "first"]
    assert [row[1] for row in tables["tables/runs.html"][1:]] == ["cron_sync", "remote_cache_init"]
    assert tables["tables/affected.html"] == [["never"]]


def test_hostile_names_and_messages_are_text_and_secrets_are_not_in_the_page(
    whole_cache: Cache, tmp_path: Path
) -> None:
    from demo import browser  # noqa: PLC0415 (selenium is slow to import)

    name = "<img src=x onerror=document.title='owned'>.fits"
    (whole_cache.references / name).write_bytes(b"dark")
    failed = Result(1, FORMER, FORMER, LATEST, failures=(Problem(HOSTILE, HOSTILE),), message=HOSTILE)
    cache = layout.default_layout(whole_cache.root, "hst")
    runs.record(cache, runs.begin("cron_sync"), failed, told=None)
    password = tmp_path / "password"
    password.write_text(SECRET)
    password.chmod(0o600)
    secrets = {"CRDSCACHE_MAIL_PASSWORD": SECRET, "CRDSCACHE_CATALOG_PASSWORD": SECRET}
    planted = replace(whole_cache, more=secrets)

    done = planted.run(
        "cache_report", "--output", str(tmp_path / "page.html"), "--config", f"mail_password_file={password}"
    )

    assert (done.status, done.err) == (0, "")
    with browser.opened(tmp_path / "page.html") as shown:
        opening, dark = shown.opening(), shown.table("tables/dark.html")
        failures = shown.table("tables/failures.html")
        assert (shown.driver.title, shown.complaints()) == ("Snakemake Report", [])
    assert HOSTILE in opening["Last run"]
    assert dark[1][0] == f"references/hst/{name}"
    assert failures[1][2:] == [HOSTILE, HOSTILE]
    assert SECRET not in content(tmp_path / "page.html")
    assert "&lt;img src=x" in content(tmp_path / "page.html")  # what is embedded was looked at


def test_a_cache_of_other_tools_that_is_read_only_has_a_page_without_a_server(
    demo_root: Path, no_cache: Cache
) -> None:
    for folder in ("mappings", "references", "config"):
        shutil.copytree(demo_root / folder, no_cache.root / folder)
    elsewhere = no_cache.home / "elsewhere"
    offline = replace(no_cache, more={"CRDS_SERVER_URL": "http://localhost:1"})

    with mounts.mounted(no_cache.root, "-o", "bind,ro", str(no_cache.root)):
        done = offline.run("cache_report", "--json", "--config", f"readers_dir={elsewhere}")
        refused = offline.run("cache_report")

    page = elsewhere / "report" / "report.html"
    assert (done.status, done.err) == (0, "")
    assert done.data == {"status": 0, "page": str(page)}
    assert "another tool has set it" in (elsewhere / "report" / "opening.json").read_text()
    assert (refused.status, refused.out) == (3, "")
    assert refused.err.startswith(f"cache_report: {no_cache.state}/readers/report: Read-only file system")
    assert refused.err.endswith("; the setting readers_dir names another place\n")


def test_a_page_that_cannot_be_made_leaves_the_former_one_and_says_why(whole_cache: Cache) -> None:
    directory = whole_cache.state / "readers" / "report"
    directory.mkdir(parents=True)
    (directory / "report.html").write_text("the former one")
    (directory / "tables").write_text("a file stands where a directory should")

    done = whole_cache.run("cache_report")

    assert (done.status, done.out) == (3, "")
    assert done.err.startswith("cache_report: ")
    assert "Traceback" not in done.err
    assert str(directory / "report.log") in done.err
    assert (directory / "report.html").read_text() == "the former one"
    assert [path.name for path in directory.glob(".report*")] == []


def test_a_second_one_at_the_same_time_is_busy(whole_cache: Cache) -> None:
    lock = whole_cache.state / "readers" / "report" / "report.lock"
    lock.parent.mkdir(parents=True)

    with held(lock):
        done = whole_cache.run("cache_report")

    assert (done.status, done.out) == (75, "")
    assert done.err == f"cache_report: another cache_report is at work already: {lock} is held\n"


def test_a_signal_ends_it_and_leaves_the_former_page(whole_cache: Cache) -> None:
    directory = whole_cache.state / "readers" / "report"
    directory.mkdir(parents=True)
    (directory / "report.html").write_text("the former one")

    process = whole_cache.start("cache_report")
    wait_until((directory / "report.log").exists)
    process.send_signal(signal.SIGTERM)
    done = finish(process)

    assert (done.status, done.out) == (128 + signal.SIGTERM, "")
    assert "Traceback" not in done.err
    assert (directory / "report.html").read_text() == "the former one"
    assert [path.name for path in directory.glob(".report*")] == []
