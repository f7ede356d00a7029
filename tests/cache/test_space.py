"""Room for what a plan is to bring."""

import os
from pathlib import Path

import pytest

from crdscache.cache import layout, publish, space
from crdscache.contexts.records import Action, AdoptMode, Kind, ManifestRow, PlanRow

BLOCK = 4096


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> layout.Layout:
    """Give a cache on a disk with 10 free blocks."""
    really = os.statvfs(tmp_path)

    def ten_blocks(_: Path) -> os.statvfs_result:
        return os.statvfs_result((BLOCK, BLOCK, 1000, 20, 10, *tuple(really)[5:]))

    monkeypatch.setattr(os, "statvfs", ten_blocks)
    return layout.default_layout(tmp_path, "hst")


def row(name: str, size_bytes: int, action: Action = Action.FETCH) -> PlanRow:
    path = f"references/hst/{name}"
    file = ManifestRow(name, Kind.REFERENCE, "acs", "x", size_bytes, "a" * 40, path, is_held=True)
    return PlanRow(file, action)


@pytest.mark.parametrize(
    ("rows", "mode", "needed_bytes"),
    [
        ([], AdoptMode.SYMLINK, None),
        ([row("a", 10 * BLOCK)], AdoptMode.SYMLINK, None),
        ([row("a", 10 * BLOCK + 1)], AdoptMode.SYMLINK, 11 * BLOCK),
        # Each file takes whole blocks.
        ([row(str(number), 1) for number in range(11)], AdoptMode.SYMLINK, 11 * BLOCK),
        ([row("a", 99 * BLOCK, Action.KEEP), row("b", 99 * BLOCK, Action.PENDING)], AdoptMode.COPY, None),
        ([row("a", 99 * BLOCK, Action.ADOPT)], AdoptMode.SYMLINK, None),
        ([row("a", 99 * BLOCK, Action.ADOPT)], AdoptMode.COPY, 99 * BLOCK),
    ],
    ids=["nothing", "all", "a byte more", "small", "no work", "links", "copies"],
)
def test_S10_what_does_not_fit_is_told_before_it_comes(
    rows: list[PlanRow], mode: AdoptMode, needed_bytes: int | None, cache: layout.Layout
) -> None:
    told = space.lack(cache, rows, mode)

    expected = f"{cache.references}: not enough room, {needed_bytes} bytes needed, {10 * BLOCK} bytes free"
    assert told == (None if needed_bytes is None else expected)


def test_what_an_earlier_run_brought_of_a_file_needs_no_room_again(cache: layout.Layout) -> None:
    wanted = row("a", 12 * BLOCK)
    cache.references.mkdir(parents=True)
    (cache.references / publish.part_name("a", "a" * 40)).write_bytes(b"x" * 2 * BLOCK)

    assert space.lack(cache, [wanted], AdoptMode.SYMLINK) is None
