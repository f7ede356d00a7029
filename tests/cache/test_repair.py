import os
from pathlib import Path

import pytest

from crdscache.cache import hashes, lease, tables, trash, verdicts
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.cache.repair import Mender
from crdscache.contexts.records import REPLACE_NOTHING, Kind, ManifestRow, Policy
from crdscache.errors import ContextError
from tests import written

RIGHT, WRONG = b"right", b"wrong"
REFERENCE = ManifestRow(
    "x.fits",
    Kind.REFERENCE,
    "acs",
    "darkfile",
    5,
    written.sha1_of(RIGHT),
    "references/hst/x.fits",
    is_held=True,
)


def note(path: Path, data: bytes, expected: bytes) -> Hashed:
    return hashes.hashed(path.stat(), written.sha1_of(data), written.sha1_of(expected))


def put(cache: Layout, mender: Mender, row: ManifestRow = REFERENCE) -> list[str]:
    """Replace a wrong file; gives the sums that the trash tells of it."""
    copy = cache.absolute(row.path).with_name(".copy.part")
    copy.write_bytes(RIGHT)
    mender.put(row, copy, "why")
    assert cache.absolute(row.path).read_bytes() == RIGHT
    ((*_, expected, found),) = tables.read(
        cache.state / "trash" / "run-1" / trash.TABLE, "trash", trash.COLUMNS
    )
    return [expected, found]


def test_replaced_file_is_told_with_both_sums(bare: Layout) -> None:
    bare.absolute(REFERENCE.path).write_bytes(WRONG)

    sums = put(bare, Mender(bare, "run-1", Policy(repairs=True), {}))

    assert sums == [written.sha1_of(RIGHT), written.sha1_of(WRONG)]


def test_sum_that_is_known_is_not_computed_again(bare: Layout) -> None:
    path = bare.absolute(REFERENCE.path)
    path.write_bytes(WRONG)
    known = {"x.fits": note(path, b"told", RIGHT)}

    sums = put(bare, Mender(bare, "run-1", Policy(repairs=True), known))

    assert sums == [written.sha1_of(RIGHT), written.sha1_of(b"told")]


@pytest.mark.parametrize("kind", ["pipe", "dangling link", "on tape"])
def test_sum_of_what_cannot_or_must_not_be_read_is_not_told(bare: Layout, kind: str) -> None:
    path = bare.absolute(REFERENCE.path)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "on tape":
        path.touch()
        os.truncate(path, 10**6)
    else:
        path.symlink_to("nowhere")

    sums = put(bare, Mender(bare, "run-1", Policy(repairs=True), {}))

    assert sums == [written.sha1_of(RIGHT), ""]


def test_context_that_a_reader_holds_is_left_alone(bare: Layout) -> None:
    mender = Mender(bare, "run-1", Policy(repairs=True), {})
    row = mender.mapping(written.record("hst_1.pmap", RIGHT))
    path = bare.absolute(row.path)
    path.write_bytes(WRONG)
    copy = path.with_name(".copy.part")
    copy.write_bytes(RIGHT)

    held = lease._hold(path)
    try:
        with pytest.raises(ContextError, match=r"hst_1\.pmap is held by a reader"):
            mender.put(row, copy, "why")
    finally:
        os.close(held)

    assert path.read_bytes() == WRONG
    assert put(bare, mender, row) == [written.sha1_of(RIGHT), written.sha1_of(WRONG)]


@pytest.mark.parametrize(
    ("policy", "changed", "damaged"),
    [
        (REPLACE_NOTHING, False, False),
        (Policy(follows_changes=True), True, False),
        (Policy(repairs=True), True, True),
    ],
)
def test_S23_what_is_replaced_is_decided_by_the_settings(
    bare: Layout, policy: Policy, *, changed: bool, damaged: bool
) -> None:
    path = bare.absolute(REFERENCE.path)
    path.write_bytes(WRONG)
    was_right, was_wrong = note(path, WRONG, WRONG), note(path, WRONG, RIGHT)

    covered = [
        verdicts.is_replaced(policy, REFERENCE, path.stat(), known) for known in (was_right, was_wrong, None)
    ]

    assert covered == [changed, damaged, damaged]
