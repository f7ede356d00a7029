"""`safe_bestrefs` as pipelines start it: a process with streams, an environment and an exit status."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from demo.observatory import CONTEXTS
from tests.caches import listing
from tests.readers import LATEST, PROGRAM, SafeBestrefs, environ_of


def shell(line: str, root: Path, *words: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell; `$0` is the program."""
    return subprocess.run(
        ["/bin/sh", "-c", line, PROGRAM, *words],
        env=environ_of(root),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--files"],
        ["--files", "a.fits", "--headers", "h"],
        ["--files", "-x.fits"],
        ["--files", "a.fits", "--jobs", "0"],
        ["--files", "a.fits", "--jobs", "-1"],
        ["--files", "a.fits", "--jobs", "many"],
        ["--files", "a.fits", "--update"],
        ["--files", "@nowhere"],
        ["--files", "a.fits", "--config", "shards"],
        ["a.fits"],
    ],
)
def test_a_wrong_command_line_is_usage_and_touches_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bestrefs: SafeBestrefs
) -> None:
    monkeypatch.chdir(tmp_path)

    done = bestrefs(*words)

    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("safe_bestrefs: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CRDS_PATH", ""),
        ("CRDS_PATH", "relative/cache"),
        ("CRDS_PATH", "/"),
        ("CRDS_PATH", "/with blank"),
        ("CRDS_PATH", "/new\nline"),
        ("CRDS_OBSERVATORY", "hubble"),
        ("CRDS_ALLOW_BAD_RULES", "perhaps"),
        ("CRDS_IGNORE_MAPPING_CHECKSUM", "2"),
    ],
)
def test_P19_a_bad_variable_is_usage_with_its_name_and_value(
    variable: str, value: str, data_sets: Path, bestrefs: SafeBestrefs
) -> None:
    before = listing(data_sets)

    done = bestrefs("--files", *data_sets.iterdir(), "--update-bestrefs", **{variable: value})

    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert variable in done.err
    assert repr(value)[1:-1] in done.err
    assert listing(data_sets) == before


def test_P19_the_read_only_variable_keeps_no_reader_away_and_the_context_variable_is_not_looked_at(
    data_sets: Path, bestrefs: SafeBestrefs
) -> None:
    """As for the missions' client: its tool does not look at CRDS_CONTEXT either."""
    words = ["--files", data_sets / "udem0101t_raw.fits"]

    done = bestrefs(*words, CRDS_READONLY_CACHE="1", CRDS_CONTEXT=CONTEXTS[0])

    assert (done.status, done.err.partition(":")[0]) == (0, LATEST)


@pytest.mark.parametrize("target", ["> {out}", "| cat > {out}", ">> {out}"])
def test_results_and_answers_share_standard_output_wherever_it_leads_to(
    target: str, data_sets: Path, demo_root: Path, tmp_path: Path
) -> None:
    """As root a file that takes the name of /dev/stdout would be the end of it."""
    out = tmp_path / "out"
    out.write_text("former\n")
    line = (
        f'"$0" --files "$1" --json /dev/stdout --types idctab --print-new-references {target.format(out=out)}'
    )
    file = data_sets / "idem01c1q_raw.fits"
    before = os.lstat("/dev/stdout")

    done = shell(line, demo_root, file)

    lines = out.read_text().splitlines()
    if ">>" in target:
        assert lines.pop(0) == "former"
    answer = {"id": str(file), "context": LATEST, "bestrefs": {"idctab": "w3m1800bi_idc.fits"}}
    assert (json.loads(lines[0]), lines[1:]) == (
        answer, [f"{file} wfc3 idctab none w3m1800bi_idc.fits".lower()]
    )  # fmt: skip
    assert done.returncode == 0
    assert (os.lstat("/dev/stdout").st_ino, list(Path("/dev").glob(".std*"))) == (before.st_ino, [])


@pytest.mark.parametrize(
    "line", ['"$0" --files "$1" --json /dev/fd/3 3>&1 >/dev/null | cat', '"$0" --files "$1" --json /dev/null']
)
def test_answers_may_go_to_a_pipe_or_a_device(line: str, data_sets: Path, demo_root: Path) -> None:
    done = shell(line, demo_root, data_sets / "udem0101t_raw.fits")

    n_lines = 1 if "fd" in line else 0
    assert (done.returncode, len(done.stdout.splitlines())) == (0, n_lines)
    assert (
        done.stderr
        == f"{LATEST}: dry run, nothing is written: 1 of 1 files would change; --update-bestrefs writes\n"
    )


def test_answers_replace_what_a_link_leads_to_as_a_whole_and_the_link_stays(
    data_sets: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    (tmp_path / "there").write_text("former")
    link = tmp_path / "link"
    link.symlink_to("there")

    done = bestrefs("--files", data_sets / "udem0101t_raw.fits", "--json", link)

    assert (done.status, link.is_symlink()) == (0, True)
    assert json.loads((tmp_path / "there").read_text())["context"] == LATEST


def test_answers_that_cannot_be_written_stop_the_run_before_a_file_is_changed(
    data_sets: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    before = listing(data_sets)

    done = bestrefs("--files", *data_sets.iterdir(), "--update-bestrefs", "--json", tmp_path / "no" / "out")

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert f"{tmp_path / 'no' / 'out'}: No such file or directory" in done.err
    assert listing(data_sets) == before


@pytest.mark.parametrize("closing", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_P20_a_bare_environment_and_closed_streams_are_enough(
    closing: str, data_sets: Path, demo_root: Path
) -> None:
    file = data_sets / "udem0101t_raw.fits"

    done = shell(f'exec "$0" --files "$1" --update-bestrefs --verbose {closing}', demo_root, file)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert b"CRDS_CTX= 'hst_0006.pmap'" in file.read_bytes()


def test_a_reader_that_stops_reading_ends_the_run_without_a_traceback(
    data_sets: Path, demo_root: Path
) -> None:
    line = '{ "$0" --files "$1" --print-new-references; echo "status $?" >&2; } | true'

    done = shell(line, demo_root, data_sets / "udem0101t_raw.fits")

    assert done.stderr.splitlines()[-2:] == ["safe_bestrefs: standard output: Broken pipe", "status 1"]
    assert "Traceback" not in done.stderr


def test_help_has_examples_and_each_option_and_needs_no_settings(bestrefs: SafeBestrefs) -> None:
    done = bestrefs("--help", CRDS_PATH="")

    assert (done.status, done.err) == (0, "")
    assert "examples:\n  safe_bestrefs --files" in done.out
