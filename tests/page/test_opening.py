"""What the page opens with."""

from dataclasses import replace
from pathlib import Path

import pytest
from docutils.core import publish_parts

from crdscache.contexts.records import Problem
from crdscache.page import files, opening
from crdscache.page.files import Share, Survey
from crdscache.workflow import runs, settings
from crdscache.workflow.runs import Record, Result, Run
from crdscache.workflow.settings import Settings
from tests.caches import FORMER, LATEST, Cache

AT = "2030-01-02 00:00:00"
SURVEY = Survey({("acs", "biasfile"): Share(2, 2, 5000)}, {age: Share() for age in files.AGES})
RUN = Run("20300101T000000Z-abcdef", "cron_sync", "2030-01-01 00:00:00")
GOOD = Result(0, LATEST, LATEST, LATEST)


@pytest.fixture
def config(whole_cache: Cache) -> Settings:
    values = {key: setting.value for key, setting in settings.resolve({}, whole_cache.environ).items()}
    return settings.typed(values)


def told(config: Settings, result: Result, **more: str) -> dict[str, str]:
    """Tell of a cache whose last run ended in some way."""
    record = Record(RUN, "2030-01-01 00:00:09", result, "2030-01-01 00:00:00", None, None)
    runs.save(config.cache, replace(record, **more))
    return opening.facts(config, SURVEY, AT)


def test_the_default_is_told_with_since_when_and_why(config: Settings, whole_cache: Cache) -> None:
    when = (whole_cache.state / "switches.tsv").read_text().splitlines()[-1].split("\t")[0]

    facts = told(config, GOOD)

    assert facts["Default context"] == f"{FORMER}, since {when} UTC, why: first"
    assert facts["Last success"] == "2030-01-01 00:00:00 UTC, 24 h ago"
    assert facts["Last run"] == "cron_sync, ended at 2030-01-01 00:00:09 UTC with status 0"
    assert facts["Failures of the last run"] == "none"
    assert facts["Files"] == "2 here (5.0 kB), 0 bad"
    assert facts["Behind the server"] == "no, it is the server's default (asked at 2030-01-01 00:00:09 UTC)"


def test_a_password_in_the_servers_address_is_left_out(config: Settings) -> None:
    secret = replace(config, server_url="https://me:secret@crds.example.org:8443/a@b")

    facts = opening.facts(secret, SURVEY, AT)

    assert facts["Cache"] == f"{config.cache.root} (hst, from https://crds.example.org:8443/a@b)"


def test_a_default_that_waits_is_told_with_since_when_and_for_what(config: Settings) -> None:
    waiting = replace(GOOD, default_after=FORMER, waits_for=("a.fits", "b.fits", "c.fits", "d.fits"))

    assert told(config, waiting, waits_since="2029-12-31 00:00:00")["Behind the server"] == (
        f"the server has {LATEST}; waits since 2029-12-31 00:00:00 UTC for 4 files, a.fits, b.fits, c.fits "
        "and 1 more (asked at 2030-01-01 00:00:09 UTC)"
    )


def test_a_pin_is_told_beside_what_the_server_has(config: Settings) -> None:
    pinned = replace(GOOD, default_after=FORMER, pinned=FORMER)

    expected = f"held at {FORMER}, the server has {LATEST} (asked at 2030-01-01 00:00:09 UTC)"
    assert told(config, pinned)["Behind the server"] == expected


def test_failures_are_told_with_their_reasons_and_what_is_left_out_is_counted(config: Settings) -> None:
    failed = replace(GOOD, status=1, failures=tuple(Problem(f"f{number}", "gone") for number in range(12)))

    text = told(config, failed, failing_since="2030-01-01 00:00:00")["Failures of the last run"]

    names = "; ".join(f"f{number}: gone" for number in range(10))
    assert text == f"since 2030-01-01 00:00:00 UTC; {names}; 2 more"


def test_a_run_that_came_to_nothing_says_why(config: Settings) -> None:
    facts = told(config, Result(3, message="the server is away"))

    assert facts["Last run"].endswith("with status 3: the server is away")
    assert facts["Failures of the last run"] == "the server is away"
    assert facts["Behind the server"] == "not known: the last run got no answer"


def test_a_cache_that_we_never_synced_says_never(config: Settings, whole_cache: Cache) -> None:
    for name in (runs.SYNC, "switches.tsv", "identity.json"):
        (whole_cache.state / name).unlink()

    facts = opening.facts(config, replace(SURVEY, problem="nothing is here"), AT)

    assert facts["Default context"] == f"{FORMER}, since when is not known: another tool has set it"
    assert [facts[key] for key in ("Last run", "Last success", "Behind the server")] == [
        "never",
        "never",
        "not known: the server was never asked",
    ]
    assert facts["Files"] == "nothing can be said: nothing is here"


def test_a_cache_without_configuration_or_with_a_damaged_one_says_so(
    config: Settings, whole_cache: Cache
) -> None:
    path = whole_cache.config / "server_config"
    path.write_text("{")
    damaged = opening.facts(config, SURVEY, AT)["Default context"]
    path.unlink()
    absent = opening.facts(config, SURVEY, AT)["Default context"]

    assert damaged.startswith("cannot be read: ")
    assert absent == "none: there is no configuration yet"


@pytest.mark.parametrize(
    "text",
    [
        "`x <javascript:alert(1)>`_ **bold** |sub| ref_ :role:`x` http://example.org/a",
        "</script><script>alert(1)</script> <img src=x onerror=alert(1)> &amp;",
        "a\\b \\ .. raw:: html {{ 7 * 7 }} {% raw %}",
        "hst_0001.pmap: references/hst/a_b.fits has 5 bytes",
    ],
)
def test_all_text_comes_through_as_it_is(text: str, tmp_path: Path) -> None:
    opening.save(tmp_path / "opening.json", {"label": text})
    ((label, escaped),) = opening.load(tmp_path / "opening.json")

    body = publish_parts(f"**{label}**\n  {escaped}\n", writer="html")["body"]

    assert "system-message" not in body
    plain = body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&#64;", "@")
    assert f"<dd>{text}</dd>" in plain.replace("&amp;", "&")


def test_lines_cannot_be_broken(tmp_path: Path) -> None:
    opening.save(tmp_path / "opening.json", {"label": "one\n\n.. raw:: html\n\n   <b>\udcff"})

    ((_, text),) = opening.load(tmp_path / "opening.json")
    assert text.isprintable()


def test_before_the_data_are_made_there_is_nothing(tmp_path: Path) -> None:
    assert opening.load(tmp_path / "opening.json") == []
