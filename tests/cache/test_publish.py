from pathlib import Path

import pytest

from crdscache.cache import publish


def test_part_of_a_file_has_the_same_name_in_every_run() -> None:
    assert publish.part_name("x.fits", "0123456789abcdef" * 2) == ".x.fits.0123456789ab.part"
    assert publish.part_name("x.fits", None) == ".x.fits.000000000000.part"


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (publish.part_name("x.fits", None), True),
        (".x.fits.0123abcd.crdstmp", True),
        ("..x.0123abcd.crdstmp", True),
        ("x.fits", False),
        ("x.fits.000000000000.part", False),
        (".x.fits.part", False),
        (".x.fits.0123456789AB.part", False),
        (".x.fits.0123456789ab.part.old", False),
        (".x.fits.0123abc.crdstmp", False),
        ("..0123abcd.crdstmp", False),
        (".tmp_x_12", False),
        ("x.fits.lock", False),
        (".x.swp", False),
        (".0123abcd.crdstmp", False),
    ],
)
def test_own_temporaries_are_told_from_all_other_files(name: str, *, is_ours: bool) -> None:
    assert publish.is_temporary(name) is is_ours


def test_two_temporaries_beside_one_file_never_have_the_same_name(tmp_path: Path) -> None:
    one, two = publish.aside(tmp_path / "x"), publish.aside(tmp_path / "x")

    assert one != two
    assert {one.parent, two.parent} == {tmp_path}
    assert publish.is_temporary(one.name)


def test_published_file_appears_whole_and_alone(tmp_path: Path) -> None:
    with publish.publish(tmp_path / "x") as temporary:
        temporary.write_text("new")
        during = [path.name for path in tmp_path.iterdir()]

    assert during == [temporary.name]
    assert publish.is_temporary(temporary.name)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "new"}


def test_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")

    with pytest.raises(UnicodeEncodeError):
        publish.write_text(tmp_path / "x", "new, but \udc80")

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "old"}


def test_link_under_the_name_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    """Caches may be farms of links to other people's files."""
    original, link = tmp_path / "original", tmp_path / "x"
    original.write_text("theirs")
    link.symlink_to(original)

    publish.write_text(link, "ours")

    assert (link.is_symlink(), link.read_text(), original.read_text()) == (False, "ours", "theirs")


def test_hard_link_under_the_name_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    original, link = tmp_path / "original", tmp_path / "x"
    original.write_text("theirs")
    link.hardlink_to(original)

    publish.write_text(link, "ours")

    assert (link.read_text(), original.read_text()) == ("ours", "theirs")


def test_text_is_written_as_it_is_in_utf_8(tmp_path: Path) -> None:
    publish.write_text(tmp_path / "x", "a\r\nb\n°")

    assert (tmp_path / "x").read_bytes() == b"a\r\nb\n\xc2\xb0"
