"""Target contexts/NAME.sha1, by snakemake itself."""

import subprocess

import pytest

from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, proper
from tests.invariants import closure, references_of

TARGET = f"contexts/{FORMER}.sha1"


def test_sha1sum_accepts_the_list_which_has_all_files_and_comes_without_a_server(
    whole_cache: Cache, server: Server
) -> None:
    server.requests.clear()
    before = proper(whole_cache)

    done = whole_cache.snakemake(TARGET)

    path = whole_cache.state / TARGET
    check = subprocess.run(
        ["sha1sum", "-c", "--strict", path], cwd=whole_cache.root, capture_output=True, text=True, check=False
    )
    expected = {f"references/hst/{name}" for name in references_of(whole_cache.root, "hst", FORMER)}
    expected |= {f"mappings/hst/{name}" for name in closure(whole_cache.mappings, FORMER)}
    assert done.status == 0
    assert (check.returncode, check.stderr) == (0, "")
    assert {line.removesuffix(": OK") for line in check.stdout.splitlines()} == expected
    assert any(name.endswith(".r3d") for name in expected)
    assert not server.requests
    assert {key: value for key, value in proper(whole_cache).items() if key in before} == before


def test_a_list_is_made_anew_each_time_and_is_the_same_to_the_byte(whole_cache: Cache) -> None:
    whole_cache.snakemake(TARGET)
    first = (whole_cache.state / TARGET).read_bytes()
    (whole_cache.state / TARGET).write_text("edited")

    assert whole_cache.snakemake(TARGET).status == 0

    assert (whole_cache.state / TARGET).read_bytes() == first


def test_where_files_are_missing_or_wrong_each_is_named_with_the_cure_and_no_list_is_left(
    whole_cache: Cache,
) -> None:
    assert whole_cache.snakemake(TARGET).status == 0
    missing, short, *_ = sorted(references_of(whole_cache.root, "hst", FORMER))
    rmap = max(name for name in closure(whole_cache.mappings, FORMER) if name.endswith(".rmap"))
    (whole_cache.references / missing).unlink()
    (whole_cache.references / short).write_bytes(b"short")
    text = (whole_cache.mappings / rmap).read_bytes()
    (whole_cache.mappings / rmap).write_bytes(text.replace(b"'", b'"', 2))

    done = whole_cache.snakemake(TARGET)

    assert done.status == 1
    assert f"failed: {missing}: references/hst/{missing} is missing" in done.err
    assert f"failed: {short}: references/hst/{short} has 5 bytes, the catalogue says" in done.err
    assert f"failed: {rmap}: {rmap}: SHA-1 is" in done.err
    assert f"cron_sync --contexts {FORMER} --fetch-references" in done.err
    assert not (whole_cache.state / TARGET).exists()


@pytest.mark.parametrize("name", [LATEST, "hst_9999.pmap"])
def test_a_context_that_is_not_here_is_not_listed(whole_cache: Cache, name: str) -> None:
    done = whole_cache.snakemake(f"contexts/{name}.sha1")

    assert done.status == 1
    assert f"failed: {name}: " in done.err
    assert not (whole_cache.state / f"contexts/{name}.sha1").exists()
