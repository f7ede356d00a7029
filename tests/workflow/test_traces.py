"""What Snakemake leaves behind has an end."""

from base64 import urlsafe_b64encode
from pathlib import Path

from crdscache.workflow import traces


def note(directory: Path, kind: str, output: str) -> Path:
    """Make a note of an output, as Snakemake does."""
    path = directory / ".snakemake" / kind / urlsafe_b64encode(output.encode()).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    logs = tmp_path / ".snakemake" / "log"
    logs.mkdir(parents=True)
    for number in range(4):
        (logs / f"2026-01-0{number}T000000.000000.snakemake.log").touch()

    traces.prune(tmp_path, 2)

    assert sorted(path.name[:10] for path in logs.iterdir()) == ["2026-01-02", "2026-01-03"]


def test_notes_of_outputs_that_are_gone_go_too_and_no_others(tmp_path: Path) -> None:
    """Each pair of contexts that is compared has outputs of its own, and so on for years."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "acs.json").touch()
    stay = [note(tmp_path, kind, "here/acs.json") for kind in ("metadata", "incomplete")]
    go = [note(tmp_path, kind, "gone/\N{SNOWMAN}.json") for kind in ("metadata", "incomplete")]
    long = tmp_path / ".snakemake" / "metadata" / "@part-of-a-long-name"
    long.mkdir()

    traces.prune(tmp_path, 2)

    assert [path.exists() for path in (*stay, long, *go)] == [True] * 3 + [False] * 2


def test_where_snakemake_never_ran_there_is_nothing_to_do(tmp_path: Path) -> None:
    traces.prune(tmp_path, 2)

    assert list(tmp_path.iterdir()) == []
