"""What a command line says of the settings."""

import argparse
from pathlib import Path

import pytest

from crdscache.commands import arguments, cron_sync, overrides, remote_cache_init, safe_bestrefs
from crdscache.errors import SettingsError
from crdscache.workflow.variables import Setting


def parsed(line: str) -> argparse.Namespace:
    return cron_sync.make_parser().parse_args(arguments.two_dashes(line.split()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("--dry-run --verbose --quiet --json", {}),
        ("--observatory JWST", {"observatory": Setting("jwst", "--observatory")}),
        ("--fetch-references", {"fetch_references": Setting(value=True, origin="--fetch-references")}),
        ("--check-files", {"check_files": Setting(value=True, origin="--check-files")}),
        (
            "--config shards=2 holdings=[acs] --config use_case=test",
            {
                "shards": Setting(2, "--config"),
                "holdings": Setting(["acs"], "--config"),
                "use_case": Setting("test", "--config"),
            },
        ),
        (
            "--dataset-files /a.fits /b.fits /a.fits",
            {
                "dataset_files": Setting(["/a.fits", "/b.fits"], "--dataset-files"),
                "dataset_ids": Setting([], "--dataset-ids"),
                "fetch_references": Setting(value=True, origin="--dataset-files"),
            },
        ),
        (
            "-dataset-ids X Y:Z",
            {
                "dataset_files": Setting([], "--dataset-files"),
                "dataset_ids": Setting(["X", "Y:Z"], "--dataset-ids"),
                "fetch_references": Setting(value=True, origin="--dataset-ids"),
            },
        ),
        # What `--config` says comes last.
        ("--observatory hst --config observatory=jwst", {"observatory": Setting("jwst", "--config")}),
    ],
)
def test_each_option_becomes_a_setting_that_names_it(line: str, expected: dict[str, Setting]) -> None:
    assert overrides.collect(parsed(line)) == expected


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("--all", {"all_contexts": True}),
        ("--last 3", {"last_n_contexts": 3}),
        ("--contexts a.pmap b.pmap", {"contexts": ["a.pmap", "b.pmap"]}),
        ("--contexts a.pmap --last 1", {"contexts": ["a.pmap"], "last_n_contexts": 1}),
        ("--range 1:5", {"context_range": "1:5"}),
        ("--up-to-context a.pmap", {"up_to_context": "a.pmap"}),
        ("--after-context hst-edit", {"after_context": "hst-edit"}),
    ],
)
def test_a_selection_replaces_that_of_the_layers_below_as_a_whole(
    line: str, values: dict[str, object]
) -> None:
    """Else `--contexts C` would bring all contexts where the site's file says so."""
    found = overrides.collect(parsed(line))

    ends = dict.fromkeys(("context_range", "up_to_context", "after_context"))
    nothing = {"all_contexts": False, "contexts": [], "last_n_contexts": 0, "files": [], **ends}
    assert {key: setting.value for key, setting in found.items()} == nothing | values


def test_instruments_and_types_limit_a_sync_and_not_the_reader_that_has_types_of_its_own() -> None:
    found = overrides.collect(parsed("--instruments acs --types darkfile biasfile"))

    assert {key: setting.value for key, setting in found.items()} == {
        "instruments": ["acs"],
        "types": ["darkfile", "biasfile"],
    }
    reader = safe_bestrefs.make_parser().parse_args(["--files", "x.fits", "--types", "darkfile"])
    assert "types" not in overrides.collect(reader)


@pytest.mark.parametrize("word", ["shards", "shards=[", ""])
def test_a_word_that_sets_nothing_is_refused_by_name(word: str) -> None:
    options = parsed("")
    options.config = [[word]]

    with pytest.raises(SettingsError, match="--config: "):
        overrides.collect(options)


def test_a_new_address_of_the_server_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[argparse.Namespace] = []
    monkeypatch.setattr("crdscache.commands.writer.WriterRun.main", lambda run: given.append(run.options))

    remote_cache_init.main(["-rebind", "https://new.name"])

    assert overrides.collect(given[0]) == {"server_url": Setting("https://new.name", "--rebind")}


def test_files_of_data_sets_are_named_for_a_process_that_stands_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_text("b.fits\n/c.fits\n")

    found = overrides.collect(parsed("--dataset-files a.fits @list"))

    assert found["dataset_files"].value == [f"{tmp_path}/a.fits", f"{tmp_path}/b.fits", "/c.fits"]


def test_files_are_words_also_those_of_a_list_and_replace_other_selections(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# for a test\nb.fits c.rmap\n\nd.fits\n")

    found = overrides.collect(parsed(f"--files a.fits @{tmp_path}/list"))

    assert found["files"] == Setting(["a.fits", "b.fits", "c.rmap", "d.fits"], "--files")
    assert (found["contexts"].value, found["all_contexts"].value) == ([], False)
    assert overrides.collect(parsed("--all"))["files"] == Setting([], "--files")
