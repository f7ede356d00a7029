"""What is vetted of the engine's answers, and that many at a time are vetted as one is."""

from collections.abc import Callable

import pytest

from crdscache.assignment.assign import Assigner, Assignment, Vetting
from crdscache.bestrefs.choose import Chooser
from crdscache.cache.layout import Mode, default_layout
from crdscache.cache.stock import Lack, Stock
from crdscache.contexts.records import FileRecord, Problem
from tests.bestrefs import rules

PMAP = rules.read("{'COS': 'hst_cos_0001.imap', 'FOC': 'N/A'}", ("INSTRUME",), name="hst_0001.pmap")
IMAP = rules.read(
    "{'flatfile': 'hst_cos_flatfile_0001.rmap', 'geofile': 'N/A', 'phatab': 'OMIT'}",
    ("REFTYPE",),
    name="hst_cos_0001.imap",
)
SELECTOR = """Match({
    ('A',): 'a.fits', ('B',): 'B.R3H', ('C',): 'undefined', ('D',): 'N/A',
    ('E|X',): 'e.fits', ('E|Y',): 'f.fits', ('G',): UseAfter({'2020-01-01 00:00:00': 'late.fits'}),
    ('F',): UseAfter({'2000-01-01 00:00:00': 'late.fits'}),
})"""
RMAP = rules.read(SELECTOR, (("DETECTOR",), ("DATE-OBS", "TIME-OBS")))
NONE = "N/A"


@pytest.fixture
def assigner(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Assigner]:
    cache = default_layout(tmp_path_factory.mktemp("cache"), "hst")
    cache.references.mkdir(parents=True)
    for name in ("a.fits", "e.fits", "f.fits", "late.fits"):
        (cache.references / name).write_bytes(b"12345")

    def make(*bad_files: str, reftypes: tuple[str, ...] = (), **allowed: bool) -> Assigner:
        sizes = {"late.fits": 6, "b.r3d": 7}
        stock = Stock(
            cache, Mode.FLAT, lambda name: FileRecord(name, sizes[name], None) if name in sizes else None
        )
        chooser = Chooser("hst_0001.pmap", rules.loader(PMAP, IMAP, RMAP))
        return Assigner(chooser, Vetting(stock, frozenset(bad_files), **allowed), reftypes)

    return make


def header(detector: str) -> dict[str, object]:
    return {"INSTRUME": "COS", "DETECTOR": detector, "DATE-OBS": "2010-01-01", "TIME-OBS": "00:00:00"}


def what(assignment: Assignment) -> tuple[object, ...]:
    return (
        dict(assignment.references),
        {problem.name: problem.reason for problem in assignment.failures},
        {problem.name: problem.reason for problem in assignment.warnings},
        assignment.lacks,
    )


MISSING = "is required, but no rule fits: N/A"
WRONG = "late.fits has 5 bytes in the cache, the catalogue says 6"


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        ("A", ({"flatfile": "a.fits", "geofile": NONE}, {}, {}, ())),
        (
            "B",
            ({"flatfile": "B.R3H", "geofile": NONE}, {}, {}, (Lack("B.R3H", None), Lack("B.R3D", None))),
        ),
        ("C", ({"flatfile": NONE, "geofile": NONE}, {}, {}, ())),
        ("D", ({"flatfile": NONE, "geofile": NONE}, {}, {}, ())),
        ("E", ({"geofile": NONE}, {"flatfile": "rules of equal weight name several files"}, {}, ())),
        ("F", ({"geofile": NONE}, {"flatfile": WRONG}, {}, ())),
        ("G", ({"flatfile": NONE, "geofile": NONE}, {}, {"flatfile": MISSING}, ())),
    ],
)
def test_an_answer_is_a_name_or_n_a_or_a_failure_and_what_the_cache_lacks_is_told(
    detector: str, told: tuple[object, ...], assigner: Callable[..., Assigner]
) -> None:
    assigned = assigner().assign(header(detector))

    assert (assigned.context, assigned.instrument, [*assigned.bestrefs]) == (
        "hst_0001.pmap",
        "cos",
        ["flatfile", "geofile"],
    )
    assert what(assigned) == told


@pytest.mark.parametrize(
    ("bad", "failed"),
    [
        ("hst_0001.pmap", ["flatfile", "geofile"]),
        ("hst_cos_0001.imap", ["flatfile", "geofile"]),
        ("hst_cos_flatfile_0001.rmap", ["flatfile"]),
    ],
)
@pytest.mark.parametrize("detector", ["A", "D", "G"])
def test_S20_what_rejected_rules_say_is_not_followed_unless_allowed_though_they_say_that_there_is_none(
    detector: str, bad: str, failed: list[str], assigner: Callable[..., Assigner]
) -> None:
    plain = assigner().assign(header(detector))
    refused = assigner(bad).assign(header(detector))
    allowed = assigner(bad, allow_bad_rules=True).assign(header(detector))

    assert refused.failures == tuple(Problem(reftype, f"{bad} is rejected") for reftype in failed)
    assert refused.references == {name: ref for name, ref in plain.references.items() if name not in failed}
    assert (allowed.references, allowed.failures) == (plain.references, ())
    assert [warning.name for warning in allowed.warnings] == failed
    assert all(warning.reason.startswith(f"{bad} is rejected") for warning in allowed.warnings)


def test_S20_a_rejected_reference_is_not_written_unless_allowed(assigner: Callable[..., Assigner]) -> None:
    refused = assigner("a.fits").assign(header("A"))
    allowed = assigner("a.fits", allow_bad_references=True).assign(header("A"))

    assert what(refused) == ({"geofile": NONE}, {"flatfile": "a.fits is rejected"}, {}, ())
    assert what(allowed) == (
        {"flatfile": "a.fits", "geofile": NONE}, {}, {"flatfile": "a.fits is rejected"}, ()
    )  # fmt: skip


def test_only_the_types_that_are_asked_for_are_looked_up(assigner: Callable[..., Assigner]) -> None:
    assigned = assigner(reftypes=("GEOFILE", "phatab", "lamptab")).assign(header("A"))

    assert what(assigned) == ({"geofile": NONE}, {"lamptab": "Unknown reference type 'lamptab'"}, {}, ())
