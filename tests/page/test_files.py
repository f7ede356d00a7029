"""One look at the files of a cache."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import hashes, tables
from crdscache.contexts.records import Verdict
from crdscache.page import files
from crdscache.page.files import NEVER, RULES, Share, Survey
from crdscache.workflow import settings
from crdscache.workflow.settings import Settings
from tests.caches import Cache

AT = "2030-01-01 00:00:00"


@pytest.fixture
def config(whole_cache: Cache) -> Settings:
    values = {key: setting.value for key, setting in settings.resolve({}, whole_cache.environ).items()}
    return settings.typed(values)


def counts(ages: Mapping[str, Share]) -> dict[str, int]:
    return {age: share.n_files for age, share in ages.items() if share.n_files}


def test_files_and_bytes_are_those_on_disk(whole_cache: Cache, config: Settings) -> None:
    survey = files.look(config, AT)

    on_disk = [path for path in whole_cache.references.iterdir() if path.is_file()]
    shares = {key: share for key, share in survey.parts.items() if key[0] != RULES}
    assert sum(share.n_files for share in shares.values()) == len(on_disk)
    assert sum(share.size_bytes for share in shares.values()) == sum(path.stat().st_size for path in on_disk)
    assert survey.parts[RULES, ""].n_files == len(list(whole_cache.mappings.iterdir()))
    assert survey.bad == []


def test_lost_wrong_foreign_and_rejected_files_are_told(whole_cache: Cache, config: Settings) -> None:
    lost, wrong, *_ = sorted(whole_cache.references.iterdir())
    lost.unlink()
    wrong.write_bytes(b"short")
    (whole_cache.references / "notes.txt").write_text("mine")

    survey = files.look(config, AT)

    assert {row.name: row.verdict for row in survey.bad} == {
        lost.name: Verdict.MISSING,
        wrong.name: Verdict.WRONG_SIZE,
    }
    assert [row.name for row in survey.of(Verdict.DARK)] == ["references/hst/notes.txt"]
    made = files.tables(survey, Path("/place/verdicts.tsv"))
    assert [row[0] for row in made["bad"].rows] == sorted([lost.name, wrong.name])
    assert made["bad"].where == "/place/verdicts.tsv"


def test_ages_are_told_from_when_files_were_read(whole_cache: Cache, config: Settings) -> None:
    """A copy of a cache has inodes of its own: nothing is known of its files until somebody reads them."""
    new, old, changed, *others = sorted(whole_cache.references.iterdir())
    when = {new: AT, old: "2028-01-01 00:00:00", changed: AT}
    notes = [
        (path.name, hashes.hashed(path.stat(), "0" * 40, None)._replace(when=day))
        for path, day in when.items()
    ]
    hashes.append(whole_cache.state / hashes.FILE, notes)
    os.utime(changed, (1, 1))

    survey = files.look(config, AT)

    n_rules = survey.parts[RULES, ""].n_files
    assert counts(survey.ages) == {files.AGES[0]: 1, files.AGES[-2]: 1, NEVER: len(others) + 1 + n_rules}


def test_a_cache_without_configuration_is_told_as_such(whole_cache: Cache, config: Settings) -> None:
    (whole_cache.config / "server_config").unlink()

    survey = files.look(config, AT)

    assert survey.parts == {}
    assert "is not a cache" in survey.problem
    assert {table.empty for table in files.tables(survey, Path("v.tsv")).values()} == {survey.problem}


def test_a_damaged_record_of_sums_is_told_as_such(whole_cache: Cache, config: Settings) -> None:
    tables.write(whole_cache.state / hashes.FILE, "other", ("name",), [])

    assert str(whole_cache.state / hashes.FILE) in files.look(config, AT).problem


def test_readers_elsewhere_count_what_they_have_read_themselves(config: Settings, tmp_path: Path) -> None:
    """Without rights to write to the cache a verify notes what it read in its own directory."""
    elsewhere = replace(config, readers=tmp_path / "mine")

    assert counts(files.look(elsewhere, AT).ages) == counts(files.look(config, AT).ages)


def test_an_empty_look_has_all_ages() -> None:
    survey = Survey({}, {age: Share() for age in files.AGES})

    rows = files.tables(survey, Path("v.tsv"))["coverage"].rows
    assert rows == [(age, 0, 0) for age in files.AGES]
