"""`cache_config --tree-hash` and `--compare-lists`."""

from pathlib import Path

import pytest

from crdscache.cache import contextlist
from crdscache.cache.contextlist import ContextList, Listed
from crdscache.cache.layout import Mode
from tests import written
from tests.caches import Cache, listing


def written_list(path: Path, context: str, **references: bytes) -> Path:
    """Write a list of a context and some files of acs."""
    files = [Listed(f"mappings/hst/{context}", len(context), written.sha1_of(context.encode()), "mapping")]
    for name, data in sorted(references.items()):
        place = f"references/hst/{name}.fits"
        files.append(Listed(place, len(data), written.sha1_of(data), "acs/darkfile"))
    made = ContextList(context, "hst", written.SERVER, "2026-01-01 00:00:00", Mode.FLAT, tuple(files))
    path.write_text(contextlist.text(made))
    return path


@pytest.fixture
def lists(tmp_path: Path) -> tuple[str, str]:
    old = written_list(tmp_path / "old", "hst_0001.pmap", goes=b"12345", stays=b"1", turns=b"old")
    new = written_list(tmp_path / "new", "hst_0002.pmap", comes=b"1234567", stays=b"1", turns=b"newer")
    return str(old), str(new)


def test_what_changed_between_two_lists_is_told_by_type(no_cache: Cache, lists: tuple[str, str]) -> None:
    done = no_cache.run("cache_config", "--compare-lists", *lists)

    assert (done.status, done.err) == (0, "")
    assert [line.split() for line in done.out.splitlines()] == [
        ["hst_0001.pmap", "->", "hst_0002.pmap"],
        ["added", "acs/darkfile", "1", "files", "7", "bytes"],
        ["added", "mapping", "1", "files", "13", "bytes"],
        ["added", "all", "2", "files", "20", "bytes"],
        ["removed", "acs/darkfile", "1", "files", "5", "bytes"],
        ["removed", "mapping", "1", "files", "13", "bytes"],
        ["removed", "all", "2", "files", "18", "bytes"],
        ["changed", "acs/darkfile", "1", "files", "5", "bytes"],
        ["changed", "all", "1", "files", "5", "bytes"],
    ]


def test_as_data_each_file_is_named(no_cache: Cache, lists: tuple[str, str]) -> None:
    data = no_cache.run("cache_config", "--compare-lists", *lists, "--json").data

    assert (data["old"], data["new"]) == ("hst_0001.pmap", "hst_0002.pmap")
    assert data["types"] == {
        "acs/darkfile": {"added": 1, "removed": 1, "changed": 1},
        "mapping": {"added": 1, "removed": 1, "changed": 0},
    }
    assert [(one["name"], one["kind"]) for one in data["files"]] == [
        ("comes.fits", "added"),
        ("goes.fits", "removed"),
        ("hst_0001.pmap", "removed"),
        ("hst_0002.pmap", "added"),
        ("turns.fits", "changed"),
    ]


def test_what_is_no_list_is_usage(no_cache: Cache, lists: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("nonsense\n")

    done = no_cache.run("cache_config", "--compare-lists", lists[0], str(tmp_path / "bad"))

    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(
        f"cache_config: {tmp_path / 'bad'}, line 1: expected '# crdscache context-list 1'"
    )


def test_tree_hash_is_told_with_files_and_bytes_and_nothing_is_written(rules_cache: Cache) -> None:
    before = listing(rules_cache.root)
    sizes = [path.stat().st_size for path in rules_cache.mappings.iterdir()]

    text = rules_cache.run("cache_config", "--tree-hash")
    data = rules_cache.run("cache_config", "--tree-hash", "--json").data

    assert (text.status, text.err) == (0, "")
    assert data["n_files"] == len(sizes)
    assert text.out == f"tree hash {data['tree_hash']}: {len(sizes)} files, {sum(sizes)} bytes\n"
    assert listing(rules_cache.root) == before


def test_what_cannot_be_read_is_named_with_status_1(rules_cache: Cache) -> None:
    (rules_cache.mappings / "hst_9999.pmap").symlink_to("nowhere")

    done = rules_cache.run("cache_config", "--tree-hash")

    assert (done.status, done.out) == (1, "")
    told = "it cannot be read: No such file or directory (ENOENT)"
    assert done.err == f"failed: mappings/hst/hst_9999.pmap: {told}\n"
