import gzip
from collections.abc import Iterable
from pathlib import Path

import pytest

from crdscache.affected import gather, results
from crdscache.affected.gather import Parts, Report
from crdscache.affected.results import Step, Summary, Tally
from crdscache.cache import tables


def summary(**changes: object) -> Summary:
    tally = Tally("acs", n_datasets=4, **changes)  # type: ignore[arg-type]
    return Summary("hst", "ops", "2026-01-02 03:04:05", 0, (Step("a.pmap", "b.pmap", "", "", (tally,)),))


def affected(path: Path, ids: Iterable[str]) -> Path:
    rows = [(name, "acs", "darkfile", "x.fits", "y.fits", "r1 -> r2", "new: row") for name in ids]
    tables.write(path, "affected", results.AFFECTED, rows)
    return path


def parts(place: Path) -> Parts:
    tables.write(
        place / "u.tsv", "undetermined", results.UNDETERMINED, [("U:U", "acs", "t", "x", "error: no")]
    )
    tables.write(place / "f.tsv", "failed", results.FAILED, [("F:F", "acs", "bad\nvalue")])
    first = affected(place / "1.tsv", ["J2:J2A", "J2:J2B", "J1:J1"])
    second = affected(place / "2.tsv", ["J2:J2C", "A9:A9"])
    return Parts((first, second), (place / "u.tsv",), (place / "f.tsv",))


def test_the_list_has_each_product_once_sorted_in_small_letters(tmp_path: Path) -> None:
    report = Report(tmp_path)

    told = gather.gather(report, parts(tmp_path), summary(n_failed=1))

    assert report.ids.read_text() == "a9\nj1\nj2\n"
    assert gzip.decompress((tmp_path / "ids.txt.gz").read_bytes()) == report.ids.read_bytes()
    assert (told.n_affected, told.disposition.value) == (3, "ERRORS")
    assert results.load_summary(report.summary) == told
    rows = list(tables.read(tmp_path / "affected.tsv", "affected", results.AFFECTED))
    assert [row[0] for row in rows] == ["J2:J2A", "J2:J2B", "J1:J1", "J2:J2C", "A9:A9"]
    assert list(tables.read(tmp_path / "failed.tsv", "failed", results.FAILED)) == [
        ["F:F", "acs", "bad value"]
    ]


def test_S24_a_list_of_any_length_is_the_same_sorted_a_little_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather, "_AT_ONCE", 2)
    ids = [f"J{number * 7 % 50}:J{number}" for number in range(100)]
    made = affected(tmp_path / "1.tsv", ids)

    told = gather.gather(Report(tmp_path), Parts((made, made), (), ()), summary())

    expected = sorted({name.partition(":")[0].lower() for name in ids})
    assert (tmp_path / "ids.txt").read_text().split() == expected
    assert told.n_affected == len(expected) == 50
    assert not list(tmp_path.glob("tmp*"))


def test_the_same_results_are_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        gather.gather(Report(tmp_path / name), parts(tmp_path), summary())
        made.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})

    assert made[0] == made[1]
    assert len(made[0]) == 7


def test_E10_where_not_all_was_looked_at_there_is_no_list(tmp_path: Path) -> None:
    report = Report(tmp_path)

    told = gather.gather(report, parts(tmp_path), summary(unread="connection lost"))

    assert (told.n_affected, told.disposition.value) == (0, "FAILED")
    assert report.ids.read_text() == ""
    assert list(tables.read(tmp_path / "affected.tsv", "affected", results.AFFECTED)) == []
    assert "CRDS - ERROR -  acs: not looked at: connection lost" in report.log.read_text().splitlines()
