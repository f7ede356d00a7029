"""The rules that the missions themselves wrote: all of them must be read."""

import ast
import csv
import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from crdscache.cache import serverconfig
from crdscache.contexts import catalogue, closure, names
from crdscache.contexts.mapping import Level, Mapping, Node, Selector, parse_mapping
from crdscache.contexts.records import Patience
from crdscache.contexts.selection import Selection, Wanted, resolve, select
from crdscache.contexts.serverinfo import parse_server_info
from crdscache.server.rpc import RpcClient
from demo.server import Server

PATIENCE = Patience(connect_timeout_s=5, read_timeout_s=30, tries=1, backoff_s=0, backoff_max_s=0)
CONTEXTS = Path(__file__).parents[3] / "shared" / "data" / "contexts.tsv"


@dataclasses.dataclass
class Rules:
    """All mappings of the sample, and what each names; counts how often the latter is worked out."""

    mappings: dict[str, Mapping]
    loads: Counter[str]

    def loader(self) -> closure.Load:
        """Make a way to load that remembers."""

        @cache
        def load(name: str) -> closure.Links:
            self.loads[name] += 1
            return closure.links_of(self.mappings[name])

        self.loads.clear()
        return load


@pytest.fixture(scope="module")
def rules(shared_data: Path) -> Rules:
    paths = sorted(shared_data.glob("mappings/*/*.[pir]map"))
    return Rules({path.name: parse_mapping(path.name, path.read_bytes()) for path in paths}, Counter())


@pytest.fixture(scope="module")
def contexts(rules: Rules) -> list[dict[str, str]]:
    assert rules.mappings
    return list(csv.DictReader(CONTEXTS.read_text().splitlines(), delimiter="\t"))


def test_every_mapping_is_read_and_one_has_a_wrong_sum(rules: Rules) -> None:
    levels = Counter((each.observatory, each.level) for each in rules.mappings.values())

    assert levels == {
        ("hst", Level.PMAP): 60,
        ("hst", Level.IMAP): 121,
        ("hst", Level.RMAP): 569,
        ("jwst", Level.PMAP): 60,
        ("jwst", Level.IMAP): 150,
        ("jwst", Level.RMAP): 778,
        ("roman", Level.PMAP): 7,
        ("roman", Level.IMAP): 6,
        ("roman", Level.RMAP): 6,
        ("tobs", Level.PMAP): 1,
        ("tobs", Level.IMAP): 1,
        ("tobs", Level.RMAP): 1,
    }
    wrong = [name for name, each in rules.mappings.items() if not each.has_right_sum]
    assert wrong == ["roman_wfi_epsf_0001.rmap"]


def plain(node: Node) -> object:
    """Give a tree the form that Python's own literals have."""
    if isinstance(node, str):
        return node
    if isinstance(node, tuple):
        return tuple(plain(each) for each in node)
    return {key: plain(each) for key, each in node.items}


class Bare(ast.NodeTransformer):
    """Takes the selector classes away, so that a literal is left."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        return node.args[0]


def test_values_are_those_that_python_reads(shared_data: Path, rules: Rules) -> None:
    """A slow twin that is easy to believe, on the smallest and the oddest files."""
    paths = [path for path in shared_data.glob("mappings/*/*.[pir]map") if path.stat().st_size < 3000]
    assert len(paths) > 1000

    for path in paths:
        sections = {
            ast.unparse(each.targets[0]): ast.literal_eval(Bare().visit(each.value))
            for each in ast.parse(path.read_text()).body
            if isinstance(each, ast.Assign)
        }
        read = rules.mappings[path.name]
        assert (path.name, read.header, plain(read.selector)) == (
            path.name,
            sections["header"],
            sections["selector"],
        )


def selectors(node: Node) -> Iterator[str]:
    if isinstance(node, Selector):
        yield node.class_name.value
    if not isinstance(node, str):
        for each in node if isinstance(node, tuple) else (each for _, each in node.items):
            yield from selectors(each)


def test_every_selector_class_of_the_test_mission_is_read(rules: Rules) -> None:
    found = Counter(selectors(rules.mappings["tobs_tinstr_tfilekind.rmap"].selector))

    assert found == {
        "Match": 1,
        "UseAfter": 1,
        "SelectVersion": 1,
        "ClosestTime": 1,
        "Bracket": 1,
        "GeometricallyNearest": 1,
    }


def test_every_closure_is_that_of_the_missions_client(rules: Rules, contexts: list[dict[str, str]]) -> None:
    load = rules.loader()

    found = []
    for row in contexts:
        walked = closure.walk(row["context"], load)
        references = {name for rmap in walked.rmaps for name in load(rmap).names}
        n_data = sum(1 for name in references if names.geis_data(name))
        numbers = [len(walked.mappings), len(references), n_data]
        keys = ("mappings", "references", "geis_data")
        found.append(
            {"observatory": row["observatory"], "context": row["context"]}
            | dict(zip(keys, map(str, numbers), strict=True))
        )
        assert walked.is_whole

    assert len(contexts) == 128
    assert found == contexts


def test_sixty_contexts_load_each_mapping_once(rules: Rules, contexts: list[dict[str, str]]) -> None:
    load = rules.loader()

    closures = [closure.walk(row["context"], load) for row in contexts if row["observatory"] == "hst"]
    references = closure.references([rmap for each in closures for rmap in each.rmaps], load)

    assert len(closures) == 60
    assert rules.loads == Counter({name for each in closures for name in each.mappings})
    assert len(rules.loads) == 750
    assert len(references) == 35_979 + 3_989
    assert list(references) == sorted(references)


def test_S18_instrument_of_a_name_is_that_of_the_rmap_or_cannot_be_told(rules: Rules) -> None:
    untold, different = set(), set()
    for each in rules.mappings.values():
        if each.level is Level.RMAP and each.observatory in {"hst", "jwst", "roman"}:
            for name in closure.links_of(each).names:
                told = names.instrument_of(name, each.observatory)
                if told is None:
                    untold.add(name)
                elif told != each.instrument:
                    different.add((name, each.instrument))

    assert "weekdark_15551_0H_wk02_drk.fits" in untold
    assert (len(untold), different) == (17, set())


@pytest.mark.parametrize(
    ("observatory", "n_files", "n_rejected", "last"),
    [
        ("hst", 40_718, 97, ("hst_0728.pmap", "hst_0729.pmap")),
        ("jwst", 3_964, 41, ("jwst_0540.pmap", "jwst_0541.pmap")),
        ("roman", 24, 0, ("roman_0004.pmap", "roman_0006.pmap", "roman_0007.pmap")),
    ],
)
def test_every_catalogue_is_read(
    shared_data: Path, observatory: str, n_files: int, n_rejected: int, last: tuple[str, ...]
) -> None:
    text = (shared_data / "config" / observatory / "server_config").read_text()
    info = parse_server_info(ast.literal_eval(text), observatory)

    read = catalogue.from_metadata(info.metadata, info.bad_files)
    kinds = {name: names.is_mapping(name) or names.is_reference(name) for name in read.records}
    assert [name for name, is_one in kinds.items() if not is_one] == []

    assert read.problems == ()
    assert len(read.records) == n_files
    assert sum(record.is_rejected for record in read.records.values()) == n_rejected
    assert select(info, Wanted(last_n=2)) == Selection(last, takes_default=True)


@pytest.mark.parametrize(("observatory", "n_eras"), [("hst", 398), ("jwst", 150)])
def test_every_era_means_the_same_by_the_server_and_by_the_saved_configuration(
    shared_data: Path, observatory: str, n_eras: int
) -> None:
    """Each start, the moments after and before it, and each name: what the missions' own history says."""
    rows = ast.literal_eval((shared_data / "config" / observatory / "server_config").read_text())
    starts = [start for start, _, _ in rows["context_history"]]  # newest first
    contexts = [context for _, context, _ in rows["context_history"]]
    here = {path.name for path in (shared_data / "mappings" / observatory).glob("*.pmap")}

    saved = serverconfig.read_info(shared_data / "config" / observatory, observatory)
    with Server(shared_data, observatory, cap_bytes=1) as server, RpcClient(server.url, PATIENCE) as rpc:
        told = rpc.server_info(observatory)

    assert len(contexts) == n_eras
    for info in (saved, told):
        assert info is not None
        assert [resolve(info, start) for start in starts] == contexts
        assert [resolve(info, f"{observatory}-{start.replace(' ', 'T')}.5") for start in starts] == contexts
        assert [resolve(info, _just_before(start)) for start in starts[:-1]] == contexts[1:]
        assert [resolve(info, context) for context in contexts] == contexts
        assert select(info, Wanted(tuple(contexts))).contexts == tuple(sorted(here.intersection(contexts)))


def _just_before(start: str) -> str:
    return str(datetime.fromisoformat(start) - timedelta(microseconds=1))
