"""The layers of settings, and which one each value comes from."""

import json
from pathlib import Path

import pytest
import yaml

from crdscache.cache.identity import ALL, Holdings
from crdscache.cache.layout import Mode
from crdscache.contexts.records import Telling
from crdscache.contexts.selection import Wanted
from crdscache.errors import SettingsError
from crdscache.workflow import settings
from crdscache.workflow.settings import CHECKOUT
from crdscache.workflow.variables import Setting

Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    return {"CRDS_PATH": str(tmp_path / "cache"), "CRDS_OBSERVATORY": "hst"}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def stamp(root: str, observatory: str, server_url: str) -> None:
    told = {
        "observatory": observatory,
        "server_url": server_url,
        "use_case": "ops",
        "holdings": {"parts": []},
        "version": 1,
    }
    write(Path(root) / ".crdscache" / observatory / "identity.json", json.dumps(told))


def test_without_other_layers_each_setting_is_that_of_the_checkout() -> None:
    defaults = yaml.safe_load((CHECKOUT / "config.yaml").read_text())

    assert settings.resolve({}, {}) == {key: Setting(value, "default") for key, value in defaults.items()}


def test_each_layer_lies_over_the_one_before(environ: Environ, tmp_path: Path) -> None:
    site = write(tmp_path / "site.yaml", "tries: 2\nshards: 2\nconnections: 2\n")
    environ |= {"CRDS_CLIENT_RETRY_COUNT": "3", "CRDSCACHE_SITE": "/not/this/one"}

    found = settings.resolve({"shards": Setting(4, "--config")}, environ, site)

    assert (found["connections"], found["tries"], found["shards"], found["keep_logs"]) == (
        Setting(2, str(site)),
        Setting(3, "CRDS_CLIENT_RETRY_COUNT"),
        Setting(4, "--config"),
        Setting(100, "default"),
    )


def test_the_site_file_is_that_of_the_environment_or_else_of_the_cache(
    environ: Environ, tmp_path: Path
) -> None:
    in_cache = write(tmp_path / "cache" / ".crdscache" / "hst" / "site.yaml", "tries: 2\n")
    named = write(tmp_path / "named.yaml", "tries: 3\n")

    of_cache = settings.resolve({}, environ)["tries"]
    of_environment = settings.resolve({}, environ | {"CRDSCACHE_SITE": str(named)})["tries"]

    assert of_cache == Setting(2, str(in_cache))
    assert of_environment == Setting(3, f"CRDSCACHE_SITE={named}")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"mappings": "{root}/mappings/hst", "references": "{root}/references/hst", "locks": "{root}"}),
        ({"CRDS_REFPATH": "/refs/"}, {"references": "/refs/hst"}),
        ({"CRDS_REFPATH_SINGLE": "/refs", "CRDS_REFPATH": "/no"}, {"references": "/refs"}),
        ({"CRDS_MAPPATH": "/maps", "CRDS_CFGPATH": "/cfg"}, {"mappings": "/maps/hst", "config": "/cfg/hst"}),
        (
            {"CRDS_PATH_SINGLE": "/one"},
            {"root": "/one", "mappings": "/one/mappings", "references": "/one/references"},
        ),
        ({"CRDS_LOCKS": "/run/locks"}, {"locks": "/run/locks"}),
    ],
)
def test_branches_lie_where_the_clients_variables_say(
    variables: Environ, expected: Environ, environ: Environ
) -> None:
    found = settings.resolve({}, environ | variables)

    cache = settings.typed({key: setting.value for key, setting in found.items()}).cache
    assert {key: str(getattr(cache, key)) for key in expected} == {
        key: place.format(root=environ["CRDS_PATH"]) for key, place in expected.items()
    }


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CRDS_SERVER_URL": "https://jwst-crds.stsci.edu"}, Setting("jwst", "the server's name")),
        ({"CRDS_SERVER_URL": "https://hst@jwst-crds.stsci.edu/hst"}, Setting("jwst", "the server's name")),
        ({"CRDS_OBSERVATORY": "ROMAN"}, Setting("roman", "CRDS_OBSERVATORY")),
        ({}, Setting("hst", "the cache")),
    ],
)
def test_the_observatory_is_told_from_what_there_is(
    variables: Environ, expected: Setting, tmp_path: Path
) -> None:
    stamp(str(tmp_path), "hst", "http://localhost:1")

    assert settings.resolve({}, {"CRDS_PATH": str(tmp_path)} | variables)["observatory"] == expected


def test_the_server_is_that_of_the_cache_or_else_the_missions(environ: Environ) -> None:
    before = settings.resolve({}, environ)["server_url"]
    stamp(environ["CRDS_PATH"], "hst", "http://localhost:1")
    after = settings.resolve({}, environ)["server_url"]

    assert before == Setting("https://hst-crds.stsci.edu", "the mission's server")
    assert after == Setting("http://localhost:1", "the cache")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("shard: 2", "site.yaml|settings: .*'shard'"),
        ("shards: many", "site.yaml: shards: 'many'"),
        ("shards: 0", "site.yaml: shards: 0"),
        ("holdings: [ACS]", "site.yaml: holdings: "),
        ("layout: legacy", "site.yaml: layout: 'legacy' is not one of"),
        ("- shards", "site.yaml: expected 'key: value' lines, found list"),
        ("a: [", "site.yaml: not YAML"),
        ("!!python/object/apply:os.system ['false']", "site.yaml: not YAML"),
    ],
)
def test_a_site_file_with_a_mistake_is_refused_by_file_key_and_what_is_allowed(
    text: str, reason: str, environ: Environ, tmp_path: Path
) -> None:
    site = write(tmp_path / "site.yaml", text)

    with pytest.raises(SettingsError, match=reason):
        settings.resolve({}, environ, site)


@pytest.mark.parametrize("missing", ["CRDS_PATH", "CRDS_OBSERVATORY"])
def test_P19_without_root_or_observatory_the_variable_to_set_is_named(missing: str, environ: Environ) -> None:
    del environ[missing]
    values = {key: setting.value for key, setting in settings.resolve({}, environ).items()}

    with pytest.raises(SettingsError, match=f"{missing} is not set"):
        settings.typed(values)


def test_checked_values_get_their_types(environ: Environ) -> None:
    given = {"contexts": ["hst_0001.pmap"], "holdings": ["wfc3", "acs/darkfile"], "layout": "instrument"}
    values = {key: setting.value for key, setting in settings.resolve({}, environ).items()} | given

    config, automatic = settings.typed(values), settings.typed(values | {"holdings": "auto"})

    assert config.wanted == Wanted(("hst_0001.pmap",))
    assert config.holdings == Holdings(("acs/darkfile", "wfc3"))
    assert config.new_mode is Mode.INSTRUMENT
    assert (automatic.holdings, settings.typed(values | {"holdings": "all"}).holdings) == (None, ALL)


@pytest.mark.parametrize(
    ("given", "takes_all"),
    [
        ({}, True),
        ({"contexts": ["hst_0001.pmap"]}, False),
        ({"last_n_contexts": 2}, False),
        ({"context_range": "1:2"}, False),
    ],
)
def test_a_set_up_is_about_all_rules_unless_contexts_are_named_and_about_no_references(
    given: dict[str, object], *, takes_all: bool
) -> None:
    ends = dict.fromkeys(("context_range", "up_to_context", "after_context"))
    plain = {"contexts": [], "last_n_contexts": 0, "all_contexts": False, **ends}

    more: dict[str, object] = {
        "fetch_references": True,
        "check_files": True,
        "check_sha1sum": True,
        "adopt": ["/cdbs"],
    }
    more |= {"dataset_files": ["/x.fits"], "dataset_ids": ["X"], "context_list": "/x.sha1", "files": ["x"]}
    more |= {"purge_mappings": True, "purge_references": True, "purge_rejected": True}
    changed = settings.for_set_up({**plain, **more, **given})

    assert changed == plain | given | {
        "all_contexts": takes_all,
        "fetch_references": False,
        "check_files": False,
        "check_sha1sum": False,
        "purge_mappings": False,
        "purge_references": False,
        "purge_rejected": False,
        "adopt": [],
        "files": [],
        "dataset_files": [],
        "dataset_ids": [],
        "context_list": None,
        "shards": 1,
    }


@pytest.mark.parametrize(
    ("key", "words"), [("instruments", ["acs", "ACSS"]), ("holdings", ["cos", "acss/darkfile"])]
)
def test_instrument_that_the_observatory_does_not_have_is_refused(
    key: str, words: list[str], tmp_path: Path
) -> None:
    """A promise of nothing would let the default move to a context whose references are not here."""
    environ = {"CRDS_PATH": str(tmp_path), "CRDS_OBSERVATORY": "hst"}
    found = settings.resolve({key: Setting(words, "--config")}, environ)

    with pytest.raises(SettingsError, match=f"{key}: expected some of acs, cos, .*; found 'acss'"):
        settings.typed({name: setting.value for name, setting in found.items()})


@pytest.mark.parametrize("command", ["/bin/true", ["pager"], ["/bin/pager", ""], ["/bin/pager", "a\0b"]])
def test_a_program_for_alarms_is_a_list_that_begins_with_its_whole_path(
    command: object, environ: Environ
) -> None:
    """Cron's PATH is short, and a single text would ask for a shell."""
    with pytest.raises(SettingsError, match="the test: notify_command: "):
        settings.resolve({"notify_command": Setting(command, "the test")}, environ)


def test_how_long_something_may_go_on_is_in_seconds_from_hours(environ: Environ) -> None:
    hours = {"busy_alarm_h": 1, "pending_alarm_h": 2, "frozen_alarm_h": 0, "stale_alarm_h": 0.5}
    given = {key: Setting(value, "the test") for key, value in hours.items()}
    given["notify_command"] = Setting(["/bin/pager", "-x"], "the test")

    resolved = settings.resolve(given, {**environ, "CRDS_OBSERVATORY": "hst"})
    config = settings.typed({key: setting.value for key, setting in resolved.items()})

    assert config.telling == Telling(3600, 7200, None, 1800, ("/bin/pager", "-x"), 30, 100)
