"""The alert rules for Prometheus, tried by promtool and by what real runs tell."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import CHECKOUT, LATEST, Cache

EXAMPLES = CHECKOUT / "examples"
RULES = EXAMPLES / "prometheus" / "crdscache-rules.yml"
_METRIC = re.compile(r"crdscache_[a-z_]+")


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    return found


def checked(*words: str | Path, said: str | None = None) -> str:
    done = subprocess.run(words, input=said, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_alert_rules_fire_when_they_should_and_only_then(promtool: str) -> None:
    checked(promtool, "check", "rules", RULES)
    checked(promtool, "test", "rules", RULES.with_name("crdscache-rules-test.yml"))
    names = re.findall("alert: (.+)", RULES.read_text())
    tests = RULES.with_name("crdscache-rules-test.yml").read_text()
    fired = re.findall(r"alertname: (\w+)\n +exp_alerts", tests)
    assert sorted(set(fired)) == sorted(names)


def test_each_figure_of_the_alert_rules_is_told_by_real_runs(
    promtool: str, whole_cache: Cache, server: Server
) -> None:
    server.set_default(LATEST)
    assert whole_cache.run("cron_sync", "--fetch-references", "--check-sha1sum").status == 0
    synced = (whole_cache.state / "metrics.prom").read_text()
    server.close()
    assert whole_cache.run("cron_sync").status == 3
    failed = (whole_cache.state / "metrics.prom").read_text()

    for told in (synced, failed):
        assert checked(promtool, "check", "metrics", said=told) == ""
        assert 'observatory="hst"' in told
    assert set(_METRIC.findall(RULES.read_text())) <= set(_METRIC.findall(synced))
    assert f'context="{LATEST}",observatory="hst",wanted="{LATEST}"' in synced
    steps = set(re.findall('step="(.+)"', synced))
    assert {"query_server", "mappings", "plan", "fetch", "commit", "all"} <= steps
    values = dict(re.findall(r"^crdscache_(\w+_files){.*} (.+)$", synced, re.MULTILINE))
    assert values["wanted_files"] == values["present_files"]
    told = f'cache="{whole_cache.root}",observatory="hst",run="sync"'
    assert f"crdscache_run_status{{{told}}} 3.0" in failed
