"""Context lists as text: written, read again, compared; what must be refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from crdscache.cache import contextlist
from crdscache.cache.contextlist import Change, ContextList, Listed
from crdscache.cache.layout import Mode
from crdscache.contexts.records import FileRecord, Problem
from crdscache.errors import SettingsError
from tests import written

CONTEXT = "hst_0001.pmap"


def listed(name: str, data: bytes, part: str, mode: Mode = Mode.FLAT) -> Listed:
    path = contextlist.path_of(name, part, "hst", mode)
    return Listed(path, len(data), written.sha1_of(data), part)


def made(*files: Listed, mode: Mode = Mode.FLAT) -> ContextList:
    everything = (listed(CONTEXT, b"rules", "mapping"), *files)
    in_order = tuple(sorted(everything, key=lambda one: one.path))
    return ContextList(CONTEXT, "hst", written.SERVER, "2026-01-01 00:00:00", mode, in_order)


SMALL = made(listed("a0000001j_drk.fits", b"dark", "acs/darkfile"))


def lines_of(listing: ContextList) -> list[str]:
    return contextlist.text(listing).split("\n")


def read(path: Path, text: str, observatory: str | None = "hst") -> ContextList:
    path.write_text(text)
    return contextlist.read(path, observatory)


def test_a_list_says_what_it_is_and_has_a_line_for_sha1sum_after_each_description() -> None:
    assert contextlist.text(SMALL) == "\n".join(
        (
            "# crdscache context-list 1",
            "# context: hst_0001.pmap",
            "# observatory: hst",
            "# server: http://localhost",
            "# catalogue of: 2026-01-01 00:00:00",
            "# layout: flat",
            "# files: 2",
            "# bytes: 9",
            f"# tree hash: {SMALL.tree_hash}",
            "# 5 mapping mappings/hst/hst_0001.pmap",
            f"{written.sha1_of(b'rules')}  mappings/hst/hst_0001.pmap",
            "# 4 acs/darkfile references/hst/a0000001j_drk.fits",
            f"{written.sha1_of(b'dark')}  references/hst/a0000001j_drk.fits",
            "",
        )
    )


def test_tree_hash_is_the_sum_of_the_lines_for_sha1sum() -> None:
    lines = [line for line in lines_of(SMALL) if line and not line.startswith("#")]

    assert SMALL.tree_hash == written.sha1_of("".join(f"{line}\n" for line in lines).encode())


@pytest.mark.parametrize("seed", range(20))
def test_what_was_written_is_read_again_and_gives_the_same_text_whatever_the_order(
    tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    mode = chance.choice(list(Mode))
    files = []
    for number in chance.sample(range(10**7), chance.randrange(30)):
        data = chance.randbytes(chance.randrange(9))
        instrument = chance.choice(["acs", "wfpc2", "new"])
        name = f"{chance.choice('abz')}{number:07}{chance.choice(['j_drk.fits', 'u.r3h', 'u.r3d', '.json'])}"
        files.append(listed(name, data, f"{instrument}/{chance.choice(['darkfile', 'imphttab'])}", mode))
    listing = made(*files, listed("hst_acs_0001.imap", b"imap", "mapping"), mode=mode)
    shuffled = replace(listing, files=tuple(chance.sample(listing.files, len(listing.files))))

    text = contextlist.text(shuffled)

    assert read(tmp_path / "list", text) == listing
    assert contextlist.text(listing) == text


def edited(number: int, new: str | None) -> Callable[[list[str]], list[str]]:
    """Replace a line, or leave it out."""
    return lambda lines: [*lines[: number - 1], *([] if new is None else [new]), *lines[number:]]


def moved(path: str) -> Callable[[list[str]], list[str]]:
    """Give the last file another path."""
    return lambda lines: [*lines[:11], f"# 4 acs/darkfile {path}", f"{lines[12][:40]}  {path}", ""]


def swapped(lines: list[str]) -> list[str]:
    return [*lines[:9], *lines[11:13], *lines[9:11], ""]


def twice(lines: list[str]) -> list[str]:
    """Let a file stand there again with another sum."""
    again = [
        "# 4 acs/darkfile references/hst/a0000001j_drk.fits",
        lines[12].replace(lines[12][:4], "0000", 1),
    ]
    return [*lines[:6], "# files: 3", *lines[7:13], *again, ""]


@pytest.mark.parametrize(
    ("change", "line", "why"),
    [
        (edited(1, "# crdscache context-list 2"), 1, "expected '# crdscache context-list 1'"),
        (edited(1, ""), 1, "expected '# crdscache context-list 1', found ''"),
        (edited(2, "# context: ../hst_0001.pmap"), 2, "the context is '../hst_0001.pmap'"),
        (edited(2, "# context: hst_0002.pmap"), 2, "the context hst_0002.pmap is not in the list"),
        (edited(2, None), 2, "expected '# context: ...'"),
        (edited(3, "# observatory: jwst"), 3, "the list is for jwst, the cache for hst"),
        (edited(3, "# observatory: nowhere"), 3, "the observatory is 'nowhere'"),
        (edited(4, f"# server: {'x' * 600}"), 4, "more than 500 characters"),
        (edited(4, "# server: a\x1b[2Jb"), 4, "expected '# server: ...'"),
        (edited(6, "# layout: round"), 6, "the layout is 'round'"),
        (edited(6, "# layout: instrument"), 12, "must be 'references/hst/acs/a0000001j_drk.fits'"),
        (edited(7, "# files: 3"), 13, "the list ends here, but 3 files make 15 lines"),
        (edited(7, f"# files: {'9' * 19}"), 7, "more than 1048576 files"),
        (edited(7, "# files: -1"), 7, "the files is '-1'"),
        (edited(8, "# bytes: 10"), 8, "bytes is 10, the lines below give 9"),
        (edited(9, f"# tree hash: {'0' * 40}"), 9, "the lines below give"),
        (edited(11, f"{'0' * 40}  mappings/hst/hst_0001.pmap"), 9, "the lines below give"),
        (edited(11, f"{'0' * 39}  mappings/hst/hst_0001.pmap"), 11, "expected 'SHA1  PATH'"),
        (edited(11, f"{'X' * 40}  mappings/hst/hst_0001.pmap"), 11, "expected 'SHA1  PATH'"),
        (edited(11, f"{'0' * 40}  mappings/hst/hst_0002.pmap"), 11, "the line before is about"),
        (
            edited(12, "# 4e1 acs/darkfile references/hst/a0000001j_drk.fits"),
            12,
            "expected '# SIZE TYPE PATH'",
        ),
        (edited(12, "# 4 mapping references/hst/a0000001j_drk.fits"), 12, "is not of type mapping"),
        (edited(12, "# 4 acs/../x references/hst/a0000001j_drk.fits"), 12, "expected '# SIZE TYPE PATH'"),
        (edited(13, None), 12, "the list ends here"),
        (lambda lines: [*lines[:12], lines[12][:20]], 13, "the list ends here"),
        (lambda lines: lines[:5], 6, "expected '# layout: ...'"),
        (moved("references/hst/../../../etc/a0000001j_drk.fits"), 12, "is refused: in the layout flat"),
        (moved("/etc/a0000001j_drk.fits"), 12, "is refused: in the layout flat"),
        (moved("references/jwst/a0000001j_drk.fits"), 12, "is refused: in the layout flat"),
        (moved("references/hst/.."), 12, "no safe file name"),
        (moved("references/hst/.hidden"), 12, "no safe file name"),
        (moved("references/hst/x.lock"), 12, "no safe file name"),
        (moved("references/hst/a\x1b[2Jb"), 12, "no safe file name"),
        (moved(f"references/hst/{'x' * 129}"), 12, "no safe file name"),
        (twice, 14, "a0000001j_drk.fits stands in line 12 already"),
        (swapped, 12, "the lines must be in order"),
    ],
)
def test_what_makes_no_sense_or_leads_out_is_refused_with_file_and_line(
    tmp_path: Path, change: Callable[[list[str]], list[str]], line: int, why: str
) -> None:
    path = tmp_path / "bad.sha1"

    with pytest.raises(SettingsError) as caught:
        read(path, "\n".join(change(lines_of(SMALL))))

    assert str(caught.value).startswith(f"{path}, line {line}: ")
    assert why in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_is_no_text_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary", tmp_path / "large"
    binary.write_bytes(b"# crdscache context-list 1\n\xff\n")
    with large.open("wb") as stream:
        stream.truncate(contextlist.MAX_BYTES + 1)

    for path, why in (
        (binary, ", line 2: expected ASCII, found other bytes"),
        (large, ": expected a regular file of at most 268435456 bytes"),
        (tmp_path, ": expected a regular file of at most 268435456 bytes"),
        (tmp_path / "none", ": the list cannot be read: No such file or directory"),
    ):
        with pytest.raises(SettingsError) as caught:
            contextlist.read(path)
        assert str(caught.value) == f"{path}{why}"


def test_what_a_server_calls_itself_stays_in_its_line(tmp_path: Path) -> None:
    odd = replace(SMALL, server="http://x\n# layout: instrument\x1b", catalogued="é")

    assert read(tmp_path / "list", contextlist.text(odd)) == replace(
        SMALL, server="http://x # layout: instrument", catalogued=""
    )


def test_files_of_a_list_serve_as_a_catalogue() -> None:
    assert SMALL.records(frozenset({"a0000001j_drk.fits"})) == {
        CONTEXT: FileRecord(CONTEXT, 5, written.sha1_of(b"rules")),
        "a0000001j_drk.fits": FileRecord("a0000001j_drk.fits", 4, written.sha1_of(b"dark"), is_rejected=True),
    }


def test_departures_are_told_both_ways() -> None:
    assert list(contextlist.departures(frozenset({"a", "b"}), ["b", "c"])) == [
        Problem("c", "the context needs it, but the list does not have it"),
        Problem("a", "the list has it, but the context does not need it"),
    ]


def test_lists_are_compared_by_name_and_sum_wherever_the_files_lie() -> None:
    old = made(
        listed("stays.fits", b"same", "acs/darkfile"),
        listed("goes.fits", b"old", "acs/darkfile"),
        listed("turns.fits", b"old", "acs/biasfile"),
    )
    new = made(
        listed("stays.fits", b"same", "acs/darkfile", Mode.INSTRUMENT),
        listed("comes.fits", b"longer", "wfc3/darkfile", Mode.INSTRUMENT),
        listed("turns.fits", b"new!", "acs/biasfile", Mode.INSTRUMENT),
        mode=Mode.INSTRUMENT,
    )

    changes = contextlist.compare(old, new)

    sums = {data: written.sha1_of(data) for data in (b"old", b"new!", b"longer")}
    assert changes == [
        Change("comes.fits", "added", "wfc3/darkfile", 0, 6, "", sums[b"longer"]),
        Change("goes.fits", "removed", "acs/darkfile", 3, 0, sums[b"old"]),
        Change("turns.fits", "changed", "acs/biasfile", 3, 4, sums[b"old"], sums[b"new!"]),
    ]
    assert [line.split() for line in contextlist.changes_text(changes).splitlines()] == [
        ["added", "wfc3/darkfile", "1", "files", "6", "bytes"],
        ["added", "all", "1", "files", "6", "bytes"],
        ["removed", "acs/darkfile", "1", "files", "3", "bytes"],
        ["removed", "all", "1", "files", "3", "bytes"],
        ["changed", "acs/biasfile", "1", "files", "4", "bytes"],
        ["changed", "all", "1", "files", "4", "bytes"],
    ]
    assert contextlist.changes_text(contextlist.compare(new, new)) == "nothing has changed\n"


def test_lists_of_two_observatories_are_not_compared() -> None:
    with pytest.raises(SettingsError, match="two observatories: hst, jwst"):
        contextlist.compare(SMALL, replace(SMALL, observatory="jwst"))
