"""Files to be checked: a cache of a few references, made up by a test."""

import os
from pathlib import Path

from crdscache.cache import layout
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Kind, ManifestRow, VerdictRow
from tests.written import sha1_of

FOLDER = "references/hst"


def add(cache: Layout, name: str, data: bytes, *, part: str = "acs/darkfile") -> ManifestRow:
    """Write a file, a mapping or a reference, and give its row of the manifest."""
    is_mapping = name.endswith("map")
    directory = cache.mappings if is_mapping else cache.references
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_bytes(data)
    instrument, _, reftype = ("" if is_mapping else part).partition("/")
    return ManifestRow(
        name,
        Kind.MAPPING if is_mapping else Kind.REFERENCE,
        instrument,
        reftype,
        len(data),
        sha1_of(data),
        cache.relative(path),
        is_held=True,
    )


def statuses(cache: Layout, rows: list[ManifestRow]) -> dict[str, os.stat_result]:
    """Look at all files."""
    return layout.statuses(cache.root, (row.path for row in rows))


def by_name(found: list[VerdictRow]) -> dict[str, str]:
    """Give the verdicts alone."""
    assert len({row.name for row in found}) == len(found)
    return {row.name: row.verdict.value for row in found}


def let_clock_tick(directory: Path) -> None:
    """Wait until a change has another time than those before: file systems count in milliseconds."""
    probe = directory / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()
    probe.unlink()
