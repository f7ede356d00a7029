"""Directories as sources: they are read, and never waited for."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.contexts.records import FileRecord, Outcome, Patience, Receipt
from crdscache.server.fetch import Downloader, Order
from crdscache.server.sources import Sources
from demo.server import Server

NAME = "x1234567j_drk.fits"


def bring(server: Server, patience: Patience, record: FileRecord, target: Path, *places: str) -> Receipt:
    with Downloader(patience, 1, Sources(places, "hst")) as downloader:
        return downloader.bring(Order(record, server.url_of(record.name), target, "acs"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.write_bytes(b"x" * 4096), "SHA-1 is"),
        (lambda path: path.write_bytes(b"short"), "size is 5"),
        (lambda path: path.mkdir(), "not a file"),
        (os.mkfifo, "not a file"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("nowhere"), "No such file"),
    ],
    ids=["bytes", "length", "directory", "FIFO", "loop", "dangling"],
)
def test_D13_D24_what_is_wrong_in_a_directory_is_told_and_never_waited_for(
    make: object, reason: str, server: Server, patience: Patience, tmp_path: Path
) -> None:
    record = server.add_reference(NAME)
    place = tmp_path / "other" / "references" / "hst"
    place.mkdir(parents=True)
    make(place / NAME)  # type: ignore[operator]

    receipt = bring(server, patience, record, tmp_path / NAME, str(tmp_path / "other"))

    assert receipt.outcome is (Outcome.PENDING if "No such" in reason else Outcome.FAILED)
    assert f"{place / NAME}: " in receipt.reason
    assert reason in receipt.reason
    assert not (tmp_path / NAME).exists()


def test_D25_a_directory_that_is_closed_to_us_is_told_and_the_server_asked(
    server: Server, patience: Patience, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = server.add_reference(NAME)
    really = os.open

    def refusing(path: object, flags: int, mode: int = 0o777) -> int:
        if str(path).startswith("/closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, flags, mode)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)

    alone = bring(server, patience, record, tmp_path / NAME, "/closed")
    both = bring(server, replace(patience, tries=1), record, tmp_path / NAME, "/closed", "server")

    assert alone.reason == f"/closed/references/hst/{NAME}: Permission denied"
    assert both.source == server.url
