import os
from pathlib import Path

import pytest

from crdscache.cache import layout, manifest
from crdscache.cache.identity import ALL, NONE, Holdings
from crdscache.cache.layout import Layout, Mode
from crdscache.cache.manifest import Disk
from crdscache.cache.rules import Rules
from crdscache.contexts import closure
from crdscache.contexts.records import Kind, ManifestRow
from tests import written
from tests.caches import FORMER, LATEST
from tests.invariants import references_of

NO_TOLERANCE: frozenset[str] = frozenset()


@pytest.fixture
def whole(cache: Layout, demo_root: Path) -> Disk:
    return written.disk_of(cache, written.told(demo_root, LATEST))


def little(root: Path, *, mode: Mode = Mode.FLAT) -> Disk:
    """Make two contexts that share some references; `j` at the end of a first piece is acs's, `i` wfc3's."""
    cache = layout.default_layout(root, "hst")
    texts = {
        "hst_1.pmap": written.mapping("hst_1.pmap", "acs_1.imap"),
        "hst_2.pmap": written.mapping("hst_2.pmap", "acs_1.imap", "wfc3_1.imap"),
        "acs_1.imap": written.mapping("acs_1.imap", "acs_dark_1.rmap"),
        "wfc3_1.imap": written.mapping("wfc3_1.imap", "wfc3_dark_1.rmap"),
        "acs_dark_1.rmap": written.mapping("acs_dark_1.rmap", "1234567j_drk.fits", "shared.fits", "g.r3h"),
        "wfc3_dark_1.rmap": written.mapping(
            "wfc3_dark_1.rmap",
            "1234567i_drk.fits",
            "shared.fits",
            "1234567j_drk.fits",
            "odd.fits",
            instrument="wfc3",
        ),
    }
    written.write(cache.mappings, texts)
    files = {
        name: name.encode()
        for name in ("1234567j_drk.fits", "1234567i_drk.fits", "shared.fits", "g.r3h", "g.r3d")
    }
    known = written.catalogue_of(texts | files)
    return Disk(cache, mode, known, Rules(cache.mappings, known, None).load)


def row(
    disk: Disk, name: str, part: str, where: str, *, is_held: bool, kind: Kind = Kind.REFERENCE
) -> ManifestRow:
    """Expect a row of the manifest."""
    instrument, _, reftype = part.partition("/")
    record = disk.catalogue.records.get(name)
    size_bytes, file_sha1 = (record.size_bytes, record.file_sha1) if record else (None, None)
    return ManifestRow(name, kind, instrument, reftype, size_bytes, file_sha1, f"{where}/{name}", is_held)


def test_mappings_of_all_contexts_are_listed_once_and_those_of_the_default_are_marked(tmp_path: Path) -> None:
    disk = little(tmp_path)
    one, two = (closure.walk(name, disk.load) for name in ("hst_1.pmap", "hst_2.pmap"))

    held = ["acs_1.imap", "acs_dark_1.rmap", "hst_1.pmap"]
    assert manifest.mapping_rows([one, two], one, disk) == [
        row(disk, name, "", "mappings/hst", is_held=name in held, kind=Kind.MAPPING)
        for name in (
            "acs_1.imap",
            "acs_dark_1.rmap",
            "hst_1.pmap",
            "hst_2.pmap",
            "wfc3_1.imap",
            "wfc3_dark_1.rmap",
        )
    ]


def test_S18_reference_of_two_instruments_or_of_none_is_placed_by_its_name_or_else_by_the_rmap(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = little(tmp_path, mode=Mode.INSTRUMENT)
    one, two = (closure.walk(name, disk.load) for name in ("hst_1.pmap", "hst_2.pmap"))

    rows = manifest.reference_rows([one, two], one, disk, ALL)

    acs, wfc3 = "references/hst/acs", "references/hst/wfc3"
    assert rows == [
        row(disk, "1234567i_drk.fits", "wfc3/darkfile", wfc3, is_held=False),
        row(disk, "1234567j_drk.fits", "acs/darkfile", acs, is_held=True),
        row(disk, "g.r3d", "acs/darkfile", acs, is_held=True),
        row(disk, "g.r3h", "acs/darkfile", acs, is_held=True),
        row(disk, "odd.fits", "wfc3/darkfile", wfc3, is_held=False),
        row(disk, "shared.fits", "acs/darkfile", acs, is_held=True),
    ]
    warned = [record.args[0] for record in caplog.records if isinstance(record.args, tuple)]
    assert warned == ["g.r3d", "g.r3h", "odd.fits", "shared.fits"]


@pytest.mark.parametrize(
    ("holdings", "held"),
    [
        (NONE, []),
        (ALL, ["1234567i_drk.fits", "1234567j_drk.fits", "g.r3d", "g.r3h", "odd.fits", "shared.fits"]),
        (Holdings(("acs",)), ["1234567j_drk.fits", "g.r3d", "g.r3h", "shared.fits"]),
        (Holdings(("wfc3/darkfile",)), ["1234567i_drk.fits", "odd.fits"]),
        (Holdings(("wfc3/biasfile",)), []),
    ],
)
def test_references_of_the_default_are_marked_within_the_holdings(
    tmp_path: Path, holdings: Holdings, held: list[str]
) -> None:
    disk = little(tmp_path)
    both = closure.walk("hst_2.pmap", disk.load)

    rows = manifest.reference_rows([both], both, disk, holdings)

    assert [row.name for row in rows if row.is_held] == held
    assert len(rows) == 6


def test_reference_that_the_catalogue_does_not_know_is_listed_without_size(tmp_path: Path) -> None:
    disk = little(tmp_path)
    both = closure.walk("hst_2.pmap", disk.load)

    (odd,) = [one for one in manifest.reference_rows([both], both, disk, ALL) if one.name == "odd.fits"]

    assert odd == ManifestRow(
        "odd.fits", Kind.REFERENCE, "wfc3", "darkfile", None, None, "references/hst/odd.fits", is_held=True
    )


def test_manifest_of_the_demo_observatory_is_what_its_files_say(whole: Disk, demo_root: Path) -> None:
    latest = closure.walk(LATEST, whole.load)

    rows = manifest.reference_rows([latest], latest, whole, ALL)

    assert {row.name: (row.instrument, row.reftype) for row in rows} == references_of(
        demo_root, "hst", LATEST
    )


def test_whole_context_lacks_nothing(whole: Disk) -> None:
    assert [whole.lacks(name, ALL, NO_TOLERANCE) for name in (FORMER, LATEST)] == [[], []]


def test_missing_rules_are_lacked_whatever_is_promised(whole: Disk) -> None:
    for name in ("hst_acs_mdriztab_0001.rmap", "hst_wfpc2_0002.imap"):
        (whole.cache.mappings / name).unlink()

    assert whole.lacks(LATEST, NONE, NO_TOLERANCE) == ["hst_acs_mdriztab_0001.rmap", "hst_wfpc2_0002.imap"]


def test_references_are_lacked_only_within_the_holdings_and_if_they_are_not_tolerated(whole: Disk) -> None:
    dark, table = "8221321au.r3d", "8221320aj_mdz.fits"
    for name in (dark, table):
        (whole.cache.references / name).unlink()

    def lacks(*parts: str, tolerated: frozenset[str] = NO_TOLERANCE) -> list[str]:
        return whole.lacks(LATEST, Holdings(parts), tolerated)

    assert lacks() == []
    assert lacks("all") == [table, dark]
    assert lacks("acs") == [table]
    assert lacks("wfpc2/darkfile", "wfc3") == [dark]
    assert lacks("all", tolerated=frozenset({table})) == [dark]
    assert lacks("all", tolerated=frozenset({table, dark})) == []
    assert whole.lacks(FORMER, ALL, NO_TOLERANCE) == []


def test_reference_of_wrong_length_or_kind_is_lacked(whole: Disk) -> None:
    short, pipe, dangling = "8221321au.r3d", "8221320aj_mdz.fits", "82213200j_mdz.fits"
    for name in (short, pipe, dangling):
        (whole.cache.references / name).unlink()
    (whole.cache.references / short).write_bytes(b"short")
    os.mkfifo(whole.cache.references / pipe)
    (whole.cache.references / dangling).symlink_to("nowhere")

    assert whole.lacks(LATEST, ALL, NO_TOLERANCE) == [dangling, pipe, short]


def test_unknown_reference_is_lacked_only_if_it_is_not_here(tmp_path: Path) -> None:
    disk = little(tmp_path)
    written.write(disk.cache.references, {name: name.encode() for name in disk.catalogue.records})
    missing = disk.lacks("hst_2.pmap", ALL, NO_TOLERANCE)
    odd = disk.cache.references / "odd.fits"
    odd.mkdir()
    no_file = disk.lacks("hst_2.pmap", ALL, NO_TOLERANCE)
    odd.rmdir()
    odd.write_bytes(b"of any length")

    assert (missing, no_file) == (["odd.fits"], ["odd.fits"])
    assert disk.lacks("hst_2.pmap", ALL, NO_TOLERANCE) == []


def test_named_references_belong_where_the_default_or_any_rules_here_have_them_else_where_their_name_says(
    tmp_path: Path,
) -> None:
    disk = little(tmp_path)
    default = closure.walk("hst_1.pmap", disk.load)
    asked = ("1234567j_drk.fits", "odd.fits", "7654321l_new.fits", "strange.fits", "acs_1.imap")

    rows = manifest.reference_rows([], default, disk, Holdings(("acs",)), asked)

    where = "references/hst"
    assert rows == [
        row(disk, "1234567j_drk.fits", "acs/darkfile", where, is_held=True),
        row(disk, "7654321l_new.fits", "cos/unknown", where, is_held=False),
        row(disk, "odd.fits", "wfc3/darkfile", where, is_held=False),
        row(disk, "strange.fits", "unknown/unknown", where, is_held=False),
    ]
    assert list(manifest.problems_of_named(asked, rows, disk)) == []


def test_named_files_without_a_place_or_without_what_they_name_are_problems(tmp_path: Path) -> None:
    disk = little(tmp_path, mode=Mode.INSTRUMENT)
    (disk.cache.mappings / "wfc3_dark_1.rmap").unlink()
    default = closure.walk("hst_1.pmap", disk.load)
    asked = ("odd.fits", "hst_2.pmap", "acs_1.imap", "7654321l_new.fits", "hst_3.pmap")

    rows = manifest.reference_rows([], default, disk, NONE, asked)

    assert [each.path for each in rows] == ["references/hst/cos/7654321l_new.fits"]
    assert {problem.name: problem.reason for problem in manifest.problems_of_named(asked, rows, disk)} == {
        "odd.fits": "neither its name nor any rules that are here tell its instrument",
        "hst_2.pmap": "not all that it names is here: --contexts hst_2.pmap brings that too",
        "hst_3.pmap": "hst_3.pmap: neither here nor on the server (path: hst_3.pmap)",
    }
