"""What an archive has to tell, and what it may not leave out."""

import json
from pathlib import Path

import pytest

from crdscache.affected.archives import Reader
from crdscache.affected.difference import InstrumentChange, of_instrument
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import rules
from crdscache.contexts.records import Archive, Patience
from crdscache.datasets.load import Loader
from crdscache.datasets.records import Dataset
from crdscache.errors import DatasetError
from crdscache.server.rpc import RpcClient
from demo.server import Server
from tests import frugal
from tests.caches import FORMER, LATEST

QUICK = Patience(connect_timeout_s=2, read_timeout_s=5, tries=1, backoff_s=0, backoff_max_s=0)


@pytest.fixture
def choosers(demo_root: Path) -> tuple[Chooser, Chooser]:
    load = rules.loader(demo_root / "mappings" / "hst")
    return Chooser(FORMER, load), Chooser(LATEST, load)


def change(choosers: tuple[Chooser, Chooser]) -> InstrumentChange:
    return of_instrument(*choosers, "acs", choosers[1].load)


def test_a_catalogue_that_was_filled_before_the_rules_asked_for_more_is_refused(
    choosers: tuple[Chooser, Chooser], tmp_path: Path
) -> None:
    path, lacks, every = tmp_path / "c.sqlite", "DRIZCORR", change(choosers).parameters
    datasets = [Dataset("J1:J1", {"DETECTOR": "WFC", lacks: "OMIT"})]

    def fill(names: tuple[str, ...]) -> None:
        values = {key: value for key, value in datasets[0].header.items() if key in names}
        Loader(path, {"acs": names}, lambda _: ("acs", values)).load(datasets)

    fill(tuple(name for name in every if name != lacks))
    with RpcClient("http://127.0.0.1:9", QUICK) as client:
        reader = Reader(Archive(f"sqlite:///{path}", None, None, None, 60), choosers, client, 1000)

        with pytest.raises(DatasetError) as told:
            list(reader.batches(change(choosers), (), None, tells_unknown=True))
        fill(every)
        [batch] = reader.batches(change(choosers), (), None, tells_unknown=True)

    assert (batch.ids, batch.table.values(0)[lacks]) == (["J1:J1"], "OMIT")
    cure = "affected_datasets --load brings it"
    assert str(told.value) == f"sqlite:///{path}: table acs was loaded without {lacks}: {cure}"


def test_the_server_is_asked_for_what_only_the_old_rules_look_at(
    choosers: tuple[Chooser, Chooser], server: Server, demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer context of the pair is the older one: its rules lack a parameter."""
    frugal.be_frugal(demo_root, monkeypatch)
    backward = choosers[1], choosers[0]
    with RpcClient(server.url, QUICK) as client:
        reader = Reader(Archive("server", None, None, None, 60), backward, client, 1000)
        [batch] = reader.batches(change(backward), (), None, tells_unknown=True)

    assert server.requests["RPC get_dataset_headers_by_id"] == 2
    found = {name: batch.table.values(number) for number, name in enumerate(batch.ids)}
    assert {name: (values["DETECTOR"], values["DRIZCORR"]) for name, values in found.items()} == {
        "JDEM01010:JDEM01A1Q": ("WFC", "PERFORM"),
        "JDEM01010:JDEM01A2Q": ("WFC", "PERFORM"),
        "JDEM02B1Q:JDEM02B1Q": ("HRC", "OMIT"),
    }


def test_the_server_is_asked_once_for_what_the_new_rules_look_at(
    choosers: tuple[Chooser, Chooser], server: Server
) -> None:
    with RpcClient(server.url, QUICK) as client:
        reader = Reader(Archive("server", None, None, None, 60), choosers, client, 1000)
        [batch] = reader.batches(change(choosers), (), "2010-09-15", tells_unknown=True)

    assert server.requests["RPC get_dataset_headers_by_id"] == 1
    assert batch.ids == ["JDEM01010:JDEM01A1Q", "JDEM01010:JDEM01A2Q"]


def test_data_sets_without_an_instrument_are_told_by_one_of_the_readers(
    choosers: tuple[Chooser, Chooser], tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"id": "N:N", "header": {"DETECTOR": "WFC"}}) + "\n")
    with RpcClient("http://127.0.0.1:9", QUICK) as client:
        reader = Reader(Archive(str(path), None, None, None, 60), choosers, client, 1000)
        told = [
            [
                problem.name
                for batch in reader.batches(change(choosers), (), None, tells_unknown=tells)
                for problem in batch.problems
            ]
            for tells in (True, False)
        ]

    assert told == [["N:N"], []]
