import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from crdscache.cache import hashes, layout, lease
from crdscache.cache.hashes import Hashed
from crdscache.cache.repair import Mender
from crdscache.cache.rules import Rules
from crdscache.contexts import closure
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.closure import Links
from crdscache.contexts.records import Outcome, Patience, Policy, Receipt
from crdscache.errors import MappingError, MissingMappingError
from crdscache.server.fetch import Downloader
from crdscache.server.mappings import Shelf, lookout
from crdscache.server.sources import Sources
from demo import faults
from demo.faultplan import Fault
from demo.server import Server
from tests import written

PATIENCE = Patience(connect_timeout_s=5, read_timeout_s=5, tries=1, backoff_s=0, backoff_max_s=0)

# Two contexts that share a branch.
TREE = {
    "hst_1.pmap": ["acs_1.imap"],
    "hst_2.pmap": ["acs_1.imap", "wfc3_1.imap"],
    "acs_1.imap": ["acs_dark_1.rmap", "acs_bias_1.rmap"],
    "wfc3_1.imap": ["wfc3_dark_1.rmap"],
    "acs_dark_1.rmap": ["a.fits"],
    "acs_bias_1.rmap": ["b.fits"],
    "wfc3_dark_1.rmap": [],
}
TEXTS = {name: written.mapping(name, *children) for name, children in TREE.items()}
ONE = {"hst_1.pmap", "acs_1.imap", "acs_dark_1.rmap", "acs_bias_1.rmap"}
BOTH = ["hst_1.pmap", "hst_2.pmap"]


@dataclass(slots=True)
class Place:
    """A cache for rules, and the server that has them."""

    directory: Path
    server: Server
    downloader: Downloader
    seen: list[set[str]] = field(default_factory=list)

    @property
    def here(self) -> set[str]:
        """Name all files with a final name."""
        return {path.name for path in self.directory.iterdir() if not path.name.startswith(".")}

    @property
    def aside(self) -> set[str]:
        """Name all mappings that wait beside their place."""
        return {
            path.name[1:].rsplit(".", 2)[0] for path in self.directory.iterdir() if path.name.startswith(".")
        }

    def run(
        self, *wanted: str, aside: Path | None = None, mend: Mender | None = None, alone: Sequence[str] = ()
    ) -> tuple[Shelf, dict[str, Receipt], Rules]:
        """Bring closures as copies."""
        known = Catalogue(dict(self.server.archive.records))
        shelf = Shelf(self.directory, aside or self.directory, known, mend)
        rules = Rules(self.directory, known, None, shelf.find)
        base = self.server.url_of("x.pmap").removesuffix("x.pmap")
        return shelf, by_name(shelf.bring(wanted, base, self.downloader, rules.load, alone)), rules

    def sync(self, *wanted: str, mend: Mender | None = None, alone: Sequence[str] = ()) -> dict[str, Receipt]:
        """Bring closures, and put them where readers look; `seen` grows by what is there at each look."""
        shelf, receipts, rules = self.run(*wanted, mend=mend, alone=alone)
        return by_name(shelf.put(receipts.values(), self.watch(rules.load)))

    def mender(self, policy: Policy, known: dict[str, Hashed] | None = None) -> Mender:
        """Make what replaces wrong mappings."""
        root = self.directory.parent
        cache = replace(layout.default_layout(root, "hst"), mappings=self.directory)
        return Mender(cache, "run-1", policy, known or {})

    def watch(self, load: Callable[[str], Links]) -> Callable[[str], Links]:
        """Look what is there each time before a mapping is put."""

        def watching(name: str) -> Links:
            self.seen.append(self.here)
            return load(name)

        return watching

    def is_whole(self, name: str) -> bool:
        """Tell whether a reader finds all of a context."""
        return closure.walk(name, Rules(self.directory, Catalogue({}), None).load).is_whole


def by_name(receipts: list[Receipt]) -> dict[str, Receipt]:
    """Find each receipt by its name, as each mapping has one, in order of name."""
    found = {receipt.name: receipt for receipt in receipts}
    assert [receipt.name for receipt in receipts] == sorted(found)
    return found


@pytest.fixture
def place(tmp_path: Path, server: Server, downloader: Downloader) -> Place:
    for name, text in TEXTS.items():
        server.add_file(name, text)
    (tmp_path / "mappings").mkdir()
    return Place(tmp_path / "mappings", server, downloader)


def outcomes(receipts: dict[str, Receipt]) -> dict[str, Outcome]:
    return {name: receipt.outcome for name, receipt in receipts.items()}


def test_closure_is_brought_whole_by_one_request_for_each_mapping(place: Place) -> None:
    receipts = place.sync("hst_1.pmap")

    assert outcomes(receipts) == dict.fromkeys(sorted(ONE), Outcome.FETCHED)
    assert {path.name: path.read_bytes() for path in place.directory.iterdir()} == {
        name: TEXTS[name] for name in ONE
    }
    assert place.server.requests == {f"GET {name}": 1 for name in ONE}


def test_what_two_contexts_share_is_brought_once(place: Place) -> None:
    receipts = place.sync(*BOTH, *BOTH)

    assert outcomes(receipts) == dict.fromkeys(sorted(TREE), Outcome.FETCHED)
    assert place.server.requests == {f"GET {name}": 1 for name in TREE}


def test_mappings_that_are_here_are_kept_without_a_request(place: Place) -> None:
    place.sync("hst_1.pmap")
    place.server.requests.clear()

    receipts = place.sync(*BOTH)

    new = {"hst_2.pmap", "wfc3_1.imap", "wfc3_dark_1.rmap"}
    assert outcomes(receipts) == {n: Outcome.FETCHED if n in new else Outcome.KEPT for n in sorted(TREE)}
    assert place.server.requests == {f"GET {name}": 1 for name in new}


def test_copies_have_no_final_name_before_they_are_put(place: Place) -> None:
    shelf, receipts, rules = place.run(*BOTH)
    before, waiting = place.here, place.aside

    shelf.put(receipts.values(), rules.load)

    assert (before, waiting) == (set(), set(TREE))
    assert (place.here, place.aside) == (set(TREE), set())


def test_leaves_are_put_before_what_names_them(place: Place) -> None:
    """A run may be killed at any point: a context that can be opened is whole."""
    place.sync(*BOTH)

    assert sorted({len(names) for names in place.seen}) == list(range(len(TREE)))
    for names in place.seen:
        assert all(set(TREE[name]) <= names for name in names if not name.endswith(".rmap"))


def test_S14_mapping_that_is_nowhere_spoils_its_context_alone(place: Place) -> None:
    place.server.archive.forget("wfc3_dark_1.rmap")

    receipts = place.sync(*BOTH)

    lacked = "wfc3_dark_1.rmap: neither here nor on the server"
    why = f"not put in place, as it is not whole: wfc3_dark_1.rmap: {lacked} (path: "
    assert {
        name: receipt.reason for name, receipt in receipts.items() if receipt.outcome is Outcome.FAILED
    } == {
        "hst_2.pmap": why + "hst_2.pmap > wfc3_1.imap > wfc3_dark_1.rmap)",
        "wfc3_1.imap": why + "wfc3_1.imap > wfc3_dark_1.rmap)",
        "wfc3_dark_1.rmap": lacked,
    }
    assert {name for name, receipt in receipts.items() if receipt.outcome is Outcome.FETCHED} == ONE
    assert (place.here, place.aside) == (ONE, {"wfc3_1.imap", "hst_2.pmap"})
    assert (place.is_whole("hst_1.pmap"), place.is_whole("hst_2.pmap")) == (True, False)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (faults.status(500), Outcome.FAILED),
        (faults.status(404), Outcome.PENDING),
        (faults.flip(), Outcome.FAILED),
    ],
)
def test_S14_what_waits_for_a_leaf_is_taken_up_by_the_next_run_without_another_request(
    place: Place, fault: Fault, outcome: Outcome
) -> None:
    place.server.faults.add("wfc3_dark_1.rmap", fault)
    first = place.sync(*BOTH)
    waiting = place.aside
    place.server.reset()

    second = place.sync(*BOTH)

    assert first["wfc3_dark_1.rmap"].outcome is outcome
    assert waiting == {"wfc3_1.imap", "hst_2.pmap"}
    assert place.server.requests == {"GET wfc3_dark_1.rmap": 1}
    assert outcomes(second) == {
        name: Outcome.KEPT if name in ONE else Outcome.FETCHED for name in sorted(TREE)
    }
    assert (place.here, place.aside) == (set(TREE), set())


def test_context_that_cannot_be_had_has_one_receipt_and_nothing_below_it(place: Place) -> None:
    place.server.faults.add("hst_2.pmap", faults.status(404))

    receipts = place.sync("hst_2.pmap")

    assert outcomes(receipts) == {"hst_2.pmap": Outcome.PENDING}
    assert (place.here, place.aside) == (set(), set())


def test_mapping_that_cannot_be_read_fails_and_is_not_put(place: Place) -> None:
    place.server.add_file("wfc3_1.imap", b"selector = __import__('os')\n")

    receipts = place.sync(*BOTH)

    assert receipts["wfc3_1.imap"].outcome is Outcome.FAILED
    assert receipts["wfc3_1.imap"].reason.startswith("wfc3_1.imap")
    assert "wfc3_dark_1.rmap" not in receipts
    assert (place.here, place.aside) == (ONE, {"wfc3_1.imap", "hst_2.pmap"})


def test_I12_mapping_that_is_here_with_other_bytes_is_told_and_never_replaced(place: Place) -> None:
    theirs = written.mapping("acs_1.imap", "acs_dark_1.rmap")
    written.write(place.directory, {"acs_1.imap": theirs})

    receipts = place.sync("hst_1.pmap")

    assert outcomes(receipts) == {"acs_1.imap": Outcome.FAILED, "hst_1.pmap": Outcome.FAILED}
    assert "SHA-1 is" in receipts["acs_1.imap"].reason
    assert (place.directory / "acs_1.imap").read_bytes() == theirs
    assert place.server.requests == {"GET hst_1.pmap": 1}


@pytest.mark.parametrize("target", ["nowhere", "acs_1.imap"])
def test_D12_dangling_link_or_loop_is_replaced_by_the_mapping(place: Place, target: str) -> None:
    (place.directory / "acs_1.imap").symlink_to(target)

    receipts = place.sync("hst_1.pmap")

    assert outcomes(receipts) == dict.fromkeys(sorted(ONE), Outcome.FETCHED)
    assert place.here == ONE
    assert not (place.directory / "acs_1.imap").is_symlink()


def test_D13_pipe_under_the_name_of_a_mapping_is_told(place: Place) -> None:
    os.mkfifo(place.directory / "acs_1.imap")

    receipts = place.sync("hst_1.pmap")

    assert receipts["acs_1.imap"] == Receipt(
        "acs_1.imap", Outcome.FAILED, reason="acs_1.imap: it is not a regular file"
    )


def test_S13_circle_of_mappings_ends_and_is_not_put(place: Place) -> None:
    circle = {"a.imap": written.mapping("a.imap", "b.imap"), "b.imap": written.mapping("b.imap", "a.imap")}
    for name, text in circle.items():
        place.server.add_file(name, text)

    receipts = place.sync("a.imap")

    assert outcomes(receipts) == dict.fromkeys(circle, Outcome.FAILED)
    assert (place.here, place.aside) == (set(), set(circle))


def test_dry_run_brings_copies_elsewhere_and_nothing_here(place: Place, tmp_path: Path) -> None:
    elsewhere = tmp_path / "scratch"
    elsewhere.mkdir()

    _, receipts, rules = place.run("hst_1.pmap", aside=elsewhere)

    assert outcomes(receipts) == dict.fromkeys(sorted(ONE), Outcome.FETCHED)
    assert list(place.directory.iterdir()) == []
    assert closure.walk("hst_1.pmap", rules.load).is_whole


def test_a_mapping_is_read_from_its_copy_or_else_from_where_it_is(place: Place, tmp_path: Path) -> None:
    """A dry run looks at rules that it does not keep."""
    written.write(place.directory, {"acs_dark_1.rmap": TEXTS["acs_dark_1.rmap"]})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    shelf, _, _ = place.run("hst_1.pmap", aside=elsewhere)

    assert {name: shelf.read(name) for name in ONE} == {name: TEXTS[name] for name in ONE}
    assert place.here == {"acs_dark_1.rmap"}
    with pytest.raises(MissingMappingError, match=r"^wfc3_1\.imap: "):
        shelf.read("wfc3_1.imap")


REPAIR = Policy(repairs=True)
FOLLOW = Policy(follows_changes=True)


def spoil(place: Place, *names: str) -> None:
    """Flip a bit of mappings that are here."""
    for name in names:
        path = place.directory / name
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def test_D14_wrong_mapping_stays_and_fails_where_nothing_is_replaced(place: Place) -> None:
    place.sync("hst_1.pmap")
    spoil(place, "acs_1.imap")

    receipts = place.sync("hst_1.pmap", mend=place.mender(Policy()))

    assert outcomes(receipts) == {"acs_1.imap": Outcome.FAILED, "hst_1.pmap": Outcome.KEPT}


def test_D14_wrong_mappings_are_replaced_leaves_first_and_kept_in_the_trash(place: Place) -> None:
    place.sync("hst_1.pmap")
    bad = ["acs_1.imap", "acs_dark_1.rmap", "hst_1.pmap"]
    spoil(place, *bad)
    spoiled = {name: (place.directory / name).read_bytes() for name in bad}

    receipts = place.sync("hst_1.pmap", mend=place.mender(REPAIR))

    assert outcomes(receipts) == {
        name: Outcome.REPAIRED if name in bad else Outcome.KEPT for name in sorted(ONE)
    }
    assert {name: (place.directory / name).read_bytes() for name in ONE} == {
        name: TEXTS[name] for name in ONE
    }
    trash = place.directory.parent / ".crdscache" / "hst" / "trash" / "run-1"
    assert {name: (trash / name).read_bytes() for name in bad} == spoiled
    assert receipts["acs_1.imap"].reason.startswith(
        f"mappings/acs_1.imap has the SHA-1 {written.sha1_of(spoiled['acs_1.imap'])}, "
        f"the catalogue says {written.sha1_of(TEXTS['acs_1.imap'])}"
    )


@pytest.mark.parametrize("kind", ["pipe", "directory", "dangling link", "cut"])
def test_D12_D13_D15_whatever_stands_under_the_name_of_a_mapping_is_replaced(place: Place, kind: str) -> None:
    place.sync("hst_1.pmap")
    path = place.directory / "acs_1.imap"
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "cut":
        path.write_bytes(TEXTS["acs_1.imap"][:10])
    else:
        path.symlink_to("nowhere")

    receipts = place.sync("hst_1.pmap", mend=place.mender(REPAIR))

    expected = Outcome.FETCHED if kind == "dangling link" else Outcome.REPAIRED  # that counts as missing
    assert receipts["acs_1.imap"].outcome is expected
    assert path.read_bytes() == TEXTS["acs_1.imap"]


def test_wrong_mapping_stays_where_no_good_copy_can_be_had(place: Place) -> None:
    place.sync("hst_1.pmap")
    spoil(place, "acs_1.imap")
    place.server.faults.add("acs_1.imap", faults.status(404))

    receipts = place.sync("hst_1.pmap", mend=place.mender(REPAIR))

    assert receipts["acs_1.imap"].outcome is Outcome.FAILED
    assert "it stays, as no good copy could be had: " in receipts["acs_1.imap"].reason
    assert (place.directory / "acs_1.imap").exists()


def test_context_that_a_reader_holds_is_replaced_by_a_later_run(place: Place) -> None:
    place.sync("hst_1.pmap")
    spoil(place, "hst_1.pmap", "acs_1.imap")
    held = lease._hold(place.directory / "hst_1.pmap")

    try:
        first = place.sync("hst_1.pmap", mend=place.mender(REPAIR))
    finally:
        os.close(held)
    second = place.sync("hst_1.pmap", mend=place.mender(REPAIR))

    reason = "hst_1.pmap is held by a reader: a later run replaces it"
    assert first["acs_1.imap"].outcome is Outcome.REPAIRED
    assert (first["hst_1.pmap"].outcome, first["hst_1.pmap"].reason) == (Outcome.FAILED, reason)
    assert second["hst_1.pmap"].outcome is Outcome.REPAIRED
    assert (place.directory / "hst_1.pmap").read_bytes() == TEXTS["hst_1.pmap"]


def test_S23_changed_mapping_is_followed_only_if_it_was_right_before(place: Place) -> None:
    """A test server is refreshed from the operational one; damage is another matter."""
    place.sync("hst_1.pmap")
    changed, damaged = "acs_dark_1.rmap", "acs_bias_1.rmap"
    known = {}
    for name in (changed, damaged):
        path = place.directory / name
        known[name] = hashes.hashed(path.stat(), written.sha1_of(TEXTS[name]), written.sha1_of(TEXTS[name]))
    spoil(place, damaged)
    new = TEXTS[changed] + b"# refreshed\n"
    place.server.add_file(changed, new)

    receipts = place.sync("hst_1.pmap", mend=place.mender(FOLLOW, known))

    assert receipts[changed].outcome is Outcome.REPAIRED
    assert (place.directory / changed).read_bytes() == new
    assert receipts[damaged].outcome is Outcome.FAILED


def test_mapping_that_is_only_looked_at_is_brought_once_where_it_is_not_here_rightly(place: Place) -> None:
    records = place.server.archive.records
    right, wrong, absent = (records[name] for name in ("acs_1.imap", "wfc3_1.imap", "hst_1.pmap"))
    written.write(place.directory, {right.name: TEXTS[right.name], wrong.name: b"another"})
    missing = replace(absent, name="hst_3.pmap")
    base = place.server.url_of("x.pmap").removesuffix("x.pmap")

    with lookout(place.directory, base, PATIENCE, Sources()) as bring:
        copies = [bring(record) for record in (right, wrong, absent, absent)]
        read = [None if copy is None else copy.read_bytes() for copy in copies]
        with pytest.raises(MappingError, match=r"hst_3\.pmap: .*404"):
            bring(missing)

    texts = [TEXTS[name] for name in ("wfc3_1.imap", "hst_1.pmap", "hst_1.pmap")]
    assert read == [None, *texts]
    assert place.server.requests == {"GET wfc3_1.imap": 1, "GET hst_1.pmap": 1, "GET hst_3.pmap": 1}
    assert place.here == {right.name, wrong.name}
    assert not any(copy.exists() for copy in copies if copy is not None)


def test_mapping_alone_comes_without_what_it_names_and_is_put_if_that_is_here(place: Place) -> None:
    place.sync("hst_1.pmap")
    asked = ["hst_2.pmap", "wfc3_dark_1.rmap", "wfc3_1.imap", "acs_1.imap"]

    first = place.sync(alone=["hst_2.pmap"])
    lone = place.here, place.aside
    second = place.sync(alone=asked)

    why = "not put in place, as not all that it names is here: --contexts hst_2.pmap brings that too"
    assert first == {"hst_2.pmap": Receipt("hst_2.pmap", Outcome.FAILED, reason=why)}
    assert lone == (ONE, {"hst_2.pmap"})
    assert outcomes(second) == {
        name: Outcome.KEPT if name == "acs_1.imap" else Outcome.FETCHED for name in sorted(asked)
    }
    assert (place.here, place.is_whole("hst_2.pmap")) == (set(TREE), True)


def test_mapping_alone_that_a_context_needs_too_is_brought_with_it(place: Place) -> None:
    receipts = place.sync("hst_2.pmap", alone=["acs_1.imap", "wfc3_dark_1.rmap"])

    assert outcomes(receipts) == dict.fromkeys(sorted(TREE.keys() - {"hst_1.pmap"}), Outcome.FETCHED)
