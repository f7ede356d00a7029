"""What a command that only reads a cache goes by."""

import argparse
import logging
from pathlib import Path

import pytest

from crdscache.commands import arguments, reader
from crdscache.commands.reader import Reader


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> argparse.Namespace:
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    monkeypatch.setenv("CRDS_OBSERVATORY", "hst")
    monkeypatch.delenv("CRDS_CONTEXT", raising=False)
    return arguments.parser("it", "", "").parse_args([])


def test_settings_are_put_together_and_warnings_go_to_standard_error(
    options: argparse.Namespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[Reader] = []

    def body(given: Reader) -> int:
        found.append(given)
        logging.getLogger("crdscache").warning("late lock=%s", "x")
        logging.getLogger("crdscache").info("silent")
        return 1

    assert reader.run("it", options, body) == 1
    assert capsys.readouterr() == ("", "it: late lock=x\n")
    assert (found[0].config.cache.root, found[0].context) == (tmp_path, None)


def test_context_of_the_environment_is_handed_on_but_not_those_that_a_site_syncs(
    options: argparse.Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options.site = tmp_path / "site.yaml"
    options.site.write_text("contexts: [hst_0001.pmap, hst_0002.pmap]\n")
    found: list[str | None] = []

    def body(given: Reader) -> int:
        found.append(given.context)
        return 0

    reader.run("it", options, body)
    monkeypatch.setenv("CRDS_CONTEXT", "hst-2021-12-31 00:00:00")
    reader.run("it", options, body)

    assert found == [None, "hst-2021-12-31 00:00:00"]


def test_P19_a_wrong_setting_is_usage_before_anything_is_done(
    options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRDS_CONTEXT", "hst latest")

    assert reader.run("it", options, lambda _: 0) == 2
    assert "CRDS_CONTEXT: contexts: 'hst latest' does not match" in capsys.readouterr().err
