from pathlib import Path

from tests.caches import FORMER, Cache, listing, proper
from tests.invariants import references_of


def spoil(path: Path) -> None:
    """Flip a bit, and leave length and time as they were."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])


def test_dry_run_of_the_comprehensive_check_reads_all_and_writes_nothing(whole_cache: Cache) -> None:
    name = min(references_of(whole_cache.root, "hst", FORMER))
    spoil(whole_cache.references / name)
    before = proper(whole_cache), listing(whole_cache.state)

    told = whole_cache.run("cron_sync", "--check-sha1sum", "--dry-run", "--json")
    by_length = whole_cache.run("cron_sync", "--check-files", "--dry-run")
    text = whole_cache.run("cron_sync", "--check-sha1sum", "--dry-run")

    n_wanted = sum(number for verdict, number in told.data["verdicts"].items() if verdict != "dark")
    assert (told.status, by_length.status, text.status) == (1, 0, 1)
    assert told.data["verdicts"]["wrong-sum"] == 1
    assert [problem["name"] for problem in told.data["failures"]] == [name]
    assert f"hst: dry run: checked {n_wanted} files: " in text.out
    assert text.err.startswith(f"failed: {name}: references/hst/{name} has the SHA-1 ")
    assert (proper(whole_cache), listing(whole_cache.state)) == before


def test_dry_run_names_what_repair_would_replace(whole_cache: Cache) -> None:
    name = min(references_of(whole_cache.root, "hst", FORMER))
    (whole_cache.references / name).write_bytes(b"short")

    told = whole_cache.run("cron_sync", "--repair-files", "--dry-run", "--json")

    assert told.status == 1
    assert (told.data["repair"], told.data["fetch_references"]) == (1, 1)
    assert [problem["name"] for problem in told.data["failures"]] == [name]


def test_dry_run_before_there_is_a_configuration_has_nothing_to_compare(no_cache: Cache) -> None:
    no_cache.run("remote_cache_init", "--contexts", FORMER)
    (no_cache.config / "server_config").unlink()

    told = no_cache.run("cron_sync", "--check-sha1sum", "--dry-run", "--json")

    assert (told.status, told.data["verdicts"], told.data["failures"]) == (0, {}, [])


def test_verbose_dry_run_names_the_files_of_a_tree_that_cannot_be_taken_over(rules_cache: Cache) -> None:
    tree = rules_cache.home / "tree"
    tree.mkdir()
    wanted = sorted(references_of(rules_cache.root, "hst", FORMER))
    (tree / wanted[0]).write_bytes(b"short")
    (tree / "foreign.fits").write_bytes(b"")

    words = ("--fetch-references", "--adopt", str(tree), "--dry-run", "--verbose")
    told = rules_cache.run("cron_sync", *words)

    lines = [line for line in told.out.splitlines() if str(tree) in line]
    assert told.status == 0
    assert len(lines) == 1
    assert lines[0].startswith(f"wrong size: {tree}/{wanted[0]}: it has 5 bytes, the catalogue says ")
    assert "hst: dry run: files of the trees: 1 wrong size, 1 not in the catalogue\n" in told.out
