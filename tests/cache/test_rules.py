import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from crdscache.cache.rules import Rules, loader
from crdscache.contexts import closure
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.closure import Closure, Links
from crdscache.contexts.mapping import Level
from crdscache.contexts.records import Problem
from crdscache.errors import MappingError, MissingMappingError
from tests import written

RMAP = "hst_acs_darkfile_0001.rmap"
TEXT = written.mapping(RMAP, "b.fits", "N/A", "a.fits", "../c.fits")
LINKS = Links(
    Level.RMAP,
    "hst",
    "acs",
    "darkfile",
    ("b.fits", "a.fits"),
    (
        Problem(
            "'../c.fits'",
            "'../c.fits' is refused as a file name: only letters, digits and . _ - are allowed, 128 at most, "
            "no . or - first",
        ),
    ),
)


def rules(directory: Path, texts: Mapping[str, bytes], memory: Path | None = None) -> Rules:
    """Write some mappings, and read them by a catalogue that agrees."""
    written.write(directory, texts)
    return Rules(directory, written.catalogue_of(texts), memory)


def tree(**named: list[str]) -> dict[str, bytes]:
    """Write mappings that name each other; `__` stands for the dot."""
    names = {name.replace("__", "."): children for name, children in named.items()}
    return {name: written.mapping(name, *children) for name, children in names.items()}


def test_links_are_what_the_mapping_names(tmp_path: Path) -> None:
    assert rules(tmp_path, {RMAP: TEXT}).load(RMAP) == LINKS


def test_each_mapping_is_read_once(tmp_path: Path) -> None:
    loaded = rules(tmp_path, {RMAP: TEXT})

    first = loaded.load(RMAP)
    (tmp_path / RMAP).unlink()

    assert loaded.load(RMAP) is first


def test_what_cannot_be_had_is_told_each_time_it_is_asked_for(tmp_path: Path) -> None:
    loaded = rules(tmp_path, {})

    for _ in range(2):
        with pytest.raises(MissingMappingError, match=f"{RMAP}: neither here nor on the server"):
            loaded.load(RMAP)


def test_bytes_that_are_not_the_catalogues_are_refused_with_both_sums(tmp_path: Path) -> None:
    loaded = rules(tmp_path, {RMAP: TEXT})
    changed = written.mapping(RMAP, "c.fits")
    (tmp_path / RMAP).write_bytes(changed)

    with pytest.raises(
        MappingError, match=f"SHA-1 is {written.sha1_of(changed)}, the catalogue says {written.sha1_of(TEXT)}"
    ):
        loaded.load(RMAP)


def test_mapping_that_the_catalogue_does_not_know_is_believed(tmp_path: Path) -> None:
    written.write(tmp_path, {RMAP: TEXT})

    assert Rules(tmp_path, Catalogue({}), None).load(RMAP) == LINKS


def test_D11_link_to_a_mapping_elsewhere_is_read_through(tmp_path: Path) -> None:
    loaded = rules(tmp_path / "elsewhere", {RMAP: TEXT})
    (tmp_path / "elsewhere").rename(tmp_path / "there")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / RMAP).symlink_to(tmp_path / "there" / RMAP)

    assert loaded.load(RMAP) == LINKS


@pytest.mark.parametrize("target", ["nowhere", RMAP, "file/below"])
def test_D12_dangling_link_or_loop_counts_as_missing(tmp_path: Path, target: str) -> None:
    loaded = rules(tmp_path, {})
    (tmp_path / "file").touch()
    (tmp_path / RMAP).symlink_to(target)

    with pytest.raises(MissingMappingError):
        loaded.load(RMAP)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_D13_what_is_no_regular_file_is_told_and_not_opened(tmp_path: Path, make: object) -> None:
    """A pipe would hold us for ever."""
    assert callable(make)
    make(tmp_path / RMAP)

    with pytest.raises(MappingError, match=f"{RMAP}: it is not a regular file"):
        rules(tmp_path, {}).load(RMAP)


def test_copy_is_asked_for_by_the_record_of_what_is_not_here(tmp_path: Path) -> None:
    asked = []
    (tmp_path / "copy").write_bytes(TEXT)
    known = written.catalogue_of({RMAP: TEXT})

    def bring(record: object) -> Path:
        asked.append(record)
        return tmp_path / "copy"

    assert Rules(tmp_path, known, None, bring).load(RMAP) == LINKS
    assert asked == [written.record(RMAP, TEXT)]


@pytest.mark.parametrize("is_known", [True, False])
def test_copy_that_is_not_to_be_had_is_missing(tmp_path: Path, *, is_known: bool) -> None:
    known = written.catalogue_of({RMAP: TEXT} if is_known else {})

    with pytest.raises(MissingMappingError):
        Rules(tmp_path, known, None, lambda _: None).load(RMAP)


def test_links_are_remembered_by_the_sum_of_the_bytes(tmp_path: Path) -> None:
    memory = tmp_path / "links"
    rules(tmp_path, {RMAP: TEXT}, memory).load(RMAP)

    (remembered,) = memory.iterdir()
    first, _, text = remembered.read_text().replace("b.fits", "z.fits").split("\n", 2)
    remembered.write_text(f"{first}\n{written.sha1_of(text.encode())}\n{text}")

    assert remembered.name == f"{written.sha1_of(TEXT)}.rmap"
    assert rules(tmp_path, {RMAP: TEXT}, memory).load(RMAP).names == ("z.fits", "a.fits")


def test_D14_memory_with_a_wrong_bit_is_made_anew(tmp_path: Path) -> None:
    """What it leaves out would be purged."""
    memory = tmp_path / "links"
    rules(tmp_path, {RMAP: TEXT}, memory).load(RMAP)
    (remembered,) = memory.iterdir()
    whole = remembered.read_text()
    remembered.write_text(whole.replace("b.fits", "c.fits"))

    assert rules(tmp_path, {RMAP: TEXT}, memory).load(RMAP) == LINKS
    assert remembered.read_text() == whole


def test_remembered_links_are_those_that_were_read(tmp_path: Path) -> None:
    texts = {
        RMAP: TEXT,
        "hst_0001.pmap": written.mapping("hst_0001.pmap", "x.imap"),
        "x.imap": written.mapping("x.imap"),
    }

    first, second = (
        [rules(tmp_path, texts, tmp_path / "links").load(name) for name in texts] for _ in range(2)
    )

    assert first == second


def test_D16_memory_that_a_power_cut_left_half_is_made_anew(tmp_path: Path) -> None:
    memory = tmp_path / "links"
    rules(tmp_path, {RMAP: TEXT}, memory).load(RMAP)
    (remembered,) = memory.iterdir()
    whole = remembered.read_bytes()

    for n_bytes in range(0, len(whole), 7):
        remembered.write_bytes(whole[:n_bytes])
        assert rules(tmp_path, {RMAP: TEXT}, memory).load(RMAP) == LINKS
        assert remembered.read_bytes() == whole


def test_bytes_remembered_under_one_kind_of_name_are_not_believed_under_another(tmp_path: Path) -> None:
    loaded = rules(tmp_path, {RMAP: TEXT, "x.imap": TEXT}, tmp_path / "links")
    loaded.load(RMAP)

    with pytest.raises(MappingError, match=r"x\.imap"):
        loaded.load("x.imap")


def test_S13_circle_is_told_with_the_path_of_names(tmp_path: Path) -> None:
    loaded = rules(
        tmp_path,
        tree(
            c__pmap=["a.imap"], a__imap=["x.rmap", "a.imap", "b.imap"], b__imap=["a.imap"], x__rmap=["r.fits"]
        ),
    )

    found = closure.walk("c.pmap", loaded.load)

    assert found == Closure(
        "c.pmap",
        ("a.imap", "b.imap", "c.pmap", "x.rmap"),
        ("x.rmap",),
        (
            Problem("a.imap", "it names itself in a circle (path: c.pmap > a.imap > a.imap)"),
            Problem("a.imap", "it names itself in a circle (path: c.pmap > a.imap > b.imap > a.imap)"),
        ),
    )
    assert not found.is_whole


def test_S13_mapping_that_names_itself_is_told(tmp_path: Path) -> None:
    loaded = rules(tmp_path, tree(c__pmap=["c.pmap"]))

    assert closure.walk("c.pmap", loaded.load) == Closure(
        "c.pmap", ("c.pmap",), (), (Problem("c.pmap", "it names itself in a circle (path: c.pmap > c.pmap)"),)
    )


def test_S13_diamond_is_whole(tmp_path: Path) -> None:
    texts = tree(c__pmap=["a.imap", "b.imap"], a__imap=["x.rmap"], b__imap=["x.rmap"], x__rmap=["r.fits"])

    found = closure.walk("c.pmap", rules(tmp_path, texts).load)

    assert found == Closure("c.pmap", tuple(sorted(texts)), ("x.rmap",))
    assert found.is_whole


def test_S13_chain_longer_than_pythons_stack_is_walked(tmp_path: Path) -> None:
    chain = [f"c_{number}.imap" for number in range(1_200)]
    texts = {
        name: written.mapping(name, child) for name, child in zip(chain, [*chain[1:], "x.rmap"], strict=True)
    }

    found = closure.walk("c_0.imap", rules(tmp_path, texts | tree(x__rmap=[])).load)

    assert found == Closure("c_0.imap", tuple(sorted([*chain, "x.rmap"])), ("x.rmap",))


def test_S14_mapping_that_is_missing_makes_its_context_incomplete_and_no_other(tmp_path: Path) -> None:
    texts = tree(
        bad__pmap=["half.imap"],
        good__pmap=["whole.imap"],
        half__imap=["x.rmap", "lost.rmap"],
        whole__imap=["x.rmap"],
        x__rmap=[],
    )
    loaded = rules(tmp_path, texts)

    bad, good = (closure.walk(name, loaded.load) for name in ("bad.pmap", "good.pmap"))

    why = "lost.rmap: neither here nor on the server (path: bad.pmap > half.imap > lost.rmap)"
    assert bad.problems == (Problem("lost.rmap", why),)
    assert good == Closure("good.pmap", ("good.pmap", "whole.imap", "x.rmap"), ("x.rmap",))


@pytest.mark.parametrize("is_directory", [True, False])
def test_whole_mappings_come_from_a_directory_or_from_what_gives_their_bytes(
    tmp_path: Path, *, is_directory: bool
) -> None:
    written.write(tmp_path, {RMAP: TEXT})
    source = tmp_path if is_directory else {RMAP: TEXT}.__getitem__

    read = loader(source)(RMAP)

    assert (read.name, read.instrument, read.reftype) == (RMAP, "acs", "darkfile")


def test_a_mapping_that_is_not_in_the_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingMappingError, match=f"^{RMAP}: "):
        loader(tmp_path)(RMAP)


def test_S15_a_mapping_with_a_wrong_sum_is_refused_unless_sums_are_ignored(tmp_path: Path) -> None:
    written.write(tmp_path, {RMAP: TEXT.replace(b"b.fits", b"x.fits")})

    with pytest.raises(MappingError, match=rf"^{RMAP}: the sum in its header is [0-9a-f]{{40}}, should be "):
        loader(tmp_path)(RMAP)

    assert loader(tmp_path, ignore_sums=True)(RMAP).name == RMAP
