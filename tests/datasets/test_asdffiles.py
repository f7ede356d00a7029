"""The library may be missing: then that is told. The tree is what it makes of a file."""

import datetime as dt
import importlib.util
from pathlib import Path

import pytest
from astropy.time import Time  # type: ignore[import-untyped]

from crdscache.datasets import asdffiles
from crdscache.errors import DatasetError

IS_INSTALLED = importlib.util.find_spec("asdf") is not None
TREE: dict[object, object] = {
    "asdf_library": {"name": "asdf"},
    "roman": {
        "meta": {
            "instrument": {"name": "WFI", "optical_element": "F158"},
            "exposure": {
                "start_time": Time("2027-01-01T00:00:59.987"),
                "end_time": dt.datetime(2027, 1, 2, 3, 4, 5),  # noqa: DTZ001 (as files have it)
                "nresultants": 8,
                "frame_time": 3.04,
                "is_dark": False,
                "groups": [[1], [2, 3]],
                "nothing": None,
                5: "no text for a key",
            },
        },
        "data": b"",
    },
    "roman.meta": {"instrument": {"name": "of a later key"}},
}


def test_values_are_named_by_their_path_through_the_tree() -> None:
    assert list(asdffiles.flattened(TREE).items()) == [
        ("ASDF_LIBRARY.NAME", "asdf"),
        ("ROMAN.META.INSTRUMENT.NAME", "WFI"),
        ("ROMAN.META.INSTRUMENT.OPTICAL_ELEMENT", "F158"),
        ("ROMAN.META.EXPOSURE.START_TIME", "2027-01-01T00:00:59"),
        ("ROMAN.META.EXPOSURE.END_TIME", "2027-01-02T03:04:05"),
        ("ROMAN.META.EXPOSURE.NRESULTANTS", 8),
        ("ROMAN.META.EXPOSURE.FRAME_TIME", 3.04),
        ("ROMAN.META.EXPOSURE.IS_DARK", False),
    ]


def test_S12_a_tree_without_end_is_refused() -> None:
    tree: dict[object, object] = {}
    tree["again"] = tree

    with pytest.raises(ValueError, match="more than 50 deep"):
        asdffiles.flattened(tree)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n--- [1\n...\n", b"#ASDF 1.0.0\n--- x\n"],
)
def test_B01_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.asdf"
    path.write_bytes(content)
    reason = (
        "an ASDF file was expected, found "
        if IS_INSTALLED
        else "to read it, the library asdf must be installed$"
    )

    with pytest.raises(DatasetError, match=f"^{path}: {reason}"):
        asdffiles.read_header(path)


def test_B01_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"No such file or directory$"):
        asdffiles.read_header(tmp_path / "x.asdf")
