"""Which references some data sets need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdscache.assignment import needs
from crdscache.assignment.needs import Wanted
from crdscache.cache import rules
from crdscache.contexts.records import Needs, Patience, Problem
from crdscache.errors import MissingMappingError
from crdscache.server.rpc import RpcClient
from demo.server import Server
from tests.bestrefs import rules as handmade
from tests.caches import FORMER, LATEST

ACS = {"61i15450j_bia.fits", "m5c1200cj_ccd.fits", "68v08000j_drk.fits", "n9d1445bj_fls.fits"}
DRIZZLE = "82213200j_mdz.fits"  # of the latest context
GEIS = {f"{name}{half}" for name in ("e6o0938au.r3", "e3a1100au.r4", "e2b1215au.r0") for half in "hd"}


@pytest.fixture
def rpc(server: Server) -> Iterator[RpcClient]:
    patience = Patience(connect_timeout_s=5, read_timeout_s=5, tries=1, backoff_s=0, backoff_max_s=0)
    with RpcClient(server.url, patience) as client:
        yield client


def files(demo_root: Path, *names: str) -> tuple[str, ...]:
    return tuple(str(demo_root / "datasets" / f"{name}_raw.fits") for name in names)


@pytest.mark.parametrize(
    ("contexts", "drizzle"), [((FORMER,), set()), ((LATEST,), {DRIZZLE}), ((FORMER, LATEST), {DRIZZLE})]
)
@pytest.mark.parametrize("is_known_to_server", [False, True])
def test_of_each_context_the_names_alone_are_needed_and_both_halves_of_geis_pairs(
    contexts: tuple[str, ...], drizzle: set[str], demo_root: Path, rpc: RpcClient, *, is_known_to_server: bool
) -> None:
    load = rules.loader(demo_root / "mappings" / "hst")
    wanted = Wanted(files(demo_root, "jdem01a2q", "udem0101t"))
    if is_known_to_server:
        wanted = Wanted(ids=("jdem01a2q", "UDEM0101T:UDEM0101T"))

    found = needs.find(wanted, contexts, load, rpc, 1)

    assert found == Needs(frozenset(ACS | GEIS | drizzle), ())


def test_without_data_sets_nothing_is_left_out_and_nobody_is_asked(rpc: RpcClient, server: Server) -> None:
    def load(name: str) -> object:
        raise AssertionError(name)

    assert needs.find(Wanted(), [LATEST], load, rpc, 1) == Needs(None, ())  # type: ignore[arg-type]
    assert server.requests == {}


def test_a_data_set_that_cannot_be_looked_up_is_named_once_and_the_others_are(
    demo_root: Path, rpc: RpcClient
) -> None:
    load = rules.loader(demo_root / "mappings" / "hst")
    missing = "/no\nwhere.fits"
    wanted = Wanted((missing, *files(demo_root, "jdem01a2q")), ("nobody",))

    found = needs.find(wanted, [FORMER, LATEST], load, rpc, 100)

    assert found.references == frozenset({*ACS, DRIZZLE})
    assert [problem.name for problem in found.problems] == [repr(missing), "NOBODY"]
    assert found.problems[0].reason == "No such file or directory"


def test_a_context_whose_rules_are_not_usable_needs_nothing_here(demo_root: Path, rpc: RpcClient) -> None:
    whole = rules.loader(demo_root / "mappings" / "hst")

    def load(name: str) -> object:
        if name == "hst_acs_0005.imap":  # of the latest context
            raise MissingMappingError(name)
        return whole(name)

    wanted = Wanted(files(demo_root, "jdem01a2q"))

    found = needs.find(wanted, [LATEST, FORMER, "hst_9999.pmap"], load, rpc, 1)  # type: ignore[arg-type]

    assert found == Needs(frozenset(ACS), ())


def test_all_names_of_an_answer_that_is_not_one_are_needed(demo_root: Path, rpc: RpcClient) -> None:
    """Which of them is right nobody can tell: a pipeline that goes on may want either."""
    pmap = handmade.read("{'ACS': 'hst_acs_0001.imap'}", ("INSTRUME",), name="hst_0001.pmap")
    imap = handmade.read("{'ccdtab': 'hst_acs_ccdtab_0001.rmap'}", ("REFTYPE",), name="hst_acs_0001.imap")
    rmap = handmade.read(
        "Match({('WFC|A',): 'a.fits', ('WFC|B',): 'b.fits'})",
        (("DETECTOR",),),
        name="hst_acs_ccdtab_0001.rmap",
    )  # fmt: skip

    found = needs.find(
        Wanted(files(demo_root, "jdem01a2q")), ["hst_0001.pmap"], handmade.loader(pmap, imap, rmap), rpc, 1
    )

    assert found == Needs(frozenset({"a.fits", "b.fits"}), ())


def test_a_problem_has_a_name_that_harms_no_terminal(demo_root: Path, rpc: RpcClient) -> None:
    load = rules.loader(demo_root / "mappings" / "hst")

    found = needs.find(Wanted(("/no\x1b[31mwhere",)), [LATEST], load, rpc, 1)

    assert all(problem.name.isprintable() and problem.reason.isprintable() for problem in found.problems)
    assert found.problems[0] == Problem(repr("/no\x1b[31mwhere"), found.problems[0].reason)
