"""The command line, before anything is done."""

import argparse
import subprocess
from pathlib import Path

import pytest

from crdscache import __version__
from crdscache.commands import arguments, cron_sync
from crdscache.errors import SettingsError
from tests.caches import Cache, finish, start

COMMANDS = ("cron_sync", "remote_cache_init", "cache_config", "cache_lease", "safe_bestrefs")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("-all", "--all"),
        ("-fetch-references", "--fetch-references"),
        ("-config=shards=2", "--config=shards=2"),
        ("--all", "--all"),
        ("-h", "-h"),
        ("-1", "-1"),
        ("hst-operational", "hst-operational"),
        ("hst_0001.pmap", "hst_0001.pmap"),
    ],
)
def test_a_long_option_may_have_one_dash(word: str, expected: str) -> None:
    assert arguments.two_dashes([word]) == [expected]


def test_the_old_crontabs_line_is_understood() -> None:
    words = ["-all", "-fetch-references", "-check-files", "-verbose"]

    options = vars(cron_sync.make_parser().parse_args(arguments.two_dashes(words)))

    given = {name for name, value in options.items() if value}
    assert given == {"all", "fetch_references", "check_files", "verbose"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_version_says_whose_command_it_is(command: str, no_cache: Cache) -> None:
    helped, version = no_cache.run(command, "--help"), no_cache.run(command, "-version")

    assert (helped.status, helped.err, version.status) == (0, "", 0)
    assert f"examples:\n  {command}" in helped.out
    assert version.out.startswith(f"{command} of crdscache {__version__} ")


def test_help_comes_without_what_is_slow_to_import(no_cache: Cache) -> None:
    program = no_cache.checkout / ".venv" / "bin" / "python"
    code = (
        "import sys; from crdscache.commands import cache_lease, cron_sync, safe_bestrefs; "
        "cron_sync.make_parser(); cache_lease.make_parser(); safe_bestrefs.make_parser(); print(*sys.modules)"
    )

    loaded = subprocess.run(
        [program, "-c", code], cwd=no_cache.checkout, capture_output=True, text=True, check=True
    )

    assert {"requests", "yaml", "jsonschema", "rich", "snakemake", "numpy", "astropy"} & set(
        loaded.stdout.split()
    ) == set()


@pytest.mark.parametrize("words", [["--al"], ["--last", "x"], ["--frobnicate"], ["stray"]])
def test_a_wrong_command_line_is_usage_and_touches_nothing(words: list[str], no_cache: Cache) -> None:
    before = sorted(no_cache.home.rglob("*"))

    done = no_cache.run("cron_sync", *words)

    assert (done.status, done.out) == (2, "")
    assert words[0] in done.err
    assert sorted(no_cache.home.rglob("*")) == before


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRDS_PATH", None),
        ("CRDS_PATH", ""),
        ("CRDS_PATH", "relative/cache"),
        ("CRDS_PATH", "/"),
        ("CRDS_PATH", "//"),
        ("CRDS_PATH", "{home}/with blank"),
        ("CRDS_PATH", "{home}/new\nline"),
        ("CRDS_PATH", "{home}/caché"),
        ("CRDS_READONLY_CACHE", "yes"),
        ("CRDS_OBSERVATORY", "hubble"),
        ("CRDS_SERVER_URL", "ftp://crds"),
        ("CRDS_CLIENT_RETRY_COUNT", "many"),
        ("CRDS_CLIENT_TIMEOUT_SECONDS", "-1"),
        ("CRDS_LOCKS", "locks"),
        ("CRDS_CONTEXT", "hst latest"),
        ("CRDS_CONTEXT", "2020-01-01 12:00:00 "),
        ("CRDSCACHE_SITE", "{home}/nowhere.yaml"),
    ],
)
@pytest.mark.parametrize("command", ["remote_cache_init", "cache_config"])
def test_P19_a_bad_variable_is_usage_with_its_name_and_value_and_nothing_is_made(
    command: str, variable: str, value: str | None, no_cache: Cache
) -> None:
    given = {} if value is None else {variable: value.format(home=no_cache.home)}
    environ = {name: text for name, text in no_cache.environ.items() if name != variable} | given
    before = sorted(no_cache.home.rglob("*"))

    done = finish(start(no_cache.line(command), environ))

    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert variable in done.err
    assert all(repr(text)[1:-1] in done.err for text in given.values())
    assert sorted(no_cache.home.rglob("*")) == before


def test_a_list_stands_for_its_lines_and_what_is_named_twice_counts_once(tmp_path: Path) -> None:
    lines = b"# of today\n\nb.fits\n   \nwith blanks.fits\ncaf\xe9.fits\na.fits\n-x.fits"
    (tmp_path / "list").write_bytes(lines)

    found = arguments.listed(
        ["a.fits", f"@{tmp_path / 'list'}", "c\nd.fits", "a.fits", f"@{tmp_path / 'list'}"]
    )

    assert found == ["a.fits", "b.fits", "with blanks.fits", "caf\udce9.fits", "-x.fits", "c\nd.fits"]


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_list_that_cannot_be_read_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"^@{tmp_path}/{name}: "):
        arguments.listed([f"@{tmp_path}/{name}"])


def test_a_count_is_one_at_least() -> None:
    assert [arguments.count(word) for word in ("1", "12")] == [1, 12]
    for word in ("0", "-1"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"expected 1 or more, found {word}"):
            arguments.count(word)
