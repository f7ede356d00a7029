import pytest

from crdscache.contexts.records import Problem
from crdscache.contexts.selection import Selection, Wanted, select
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import SettingsError

DEFAULT, EDIT = "hst_0003.pmap", "hst_0005.pmap"
PMAPS = ("hst.pmap", "hst_0001.pmap", "hst_0002.pmap", DEFAULT, "hst_0004.pmap", EDIT)
INFO = ServerInfo(
    observatory="hst",
    default_context=DEFAULT,
    edit_context=EDIT,
    mappings=tuple(sorted([*PMAPS, "hst_acs_0001.imap", "hst_acs_darkfile_0001.rmap"])),
    bad_files=frozenset(),
    history=(),
    mapping_url="http://localhost/mappings/",
    reference_url="http://localhost/references/",
    metadata={"hst_0009.pmap": {}},
    raw={},
)


def test_nothing_wanted_means_the_default() -> None:
    assert select(INFO, Wanted()) == Selection((DEFAULT,), takes_default=True)


def test_explicit_names_are_sorted_and_do_not_bring_the_default() -> None:
    wanted = Wanted(contexts=("hst_0002.pmap", "hst.pmap", "hst_0002.pmap"))

    assert select(INFO, wanted) == Selection(("hst.pmap", "hst_0002.pmap"), takes_default=False)


@pytest.mark.parametrize(
    ("symbolic", "context"),
    [
        ("hst-operational", DEFAULT),
        ("hst-latest", DEFAULT),
        ("hst-edit", EDIT),
        ("operational", DEFAULT),
        ("latest", DEFAULT),
        ("edit", EDIT),
    ],
)
def test_symbolic_name_is_resolved(symbolic: str, context: str) -> None:
    assert select(INFO, Wanted(contexts=(symbolic,))) == Selection((context,), context == DEFAULT)


@pytest.mark.parametrize(
    "name", ["jwst-latest", "hst-hst-latest", "hst-2020-01-01", "", "hst_0001", "x.fits", "LATEST"]
)
def test_other_symbolic_names_are_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        select(INFO, Wanted(contexts=(name,)))

    assert str(caught.value) == (
        f"contexts: {name!r} is no name of a mapping and none of hst-operational, hst-latest, hst-edit"
    )


@pytest.mark.parametrize("name", ["../x.pmap", "data/hst.pmap", "-x.pmap", "x\n.pmap"])
def test_S07_unsafe_name_asked_for_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="is refused as a file name"):
        select(INFO, Wanted(contexts=(name,)))


def test_name_that_the_server_does_not_list_is_a_problem_and_the_others_go_on() -> None:
    selection = select(INFO, Wanted(contexts=("hst_0008.pmap", "hst_0001.pmap")))

    problem = Problem("hst_0008.pmap", "the server does not list it")
    assert selection == Selection(("hst_0001.pmap",), takes_default=False, problems=(problem,))


def test_name_that_only_the_catalogue_has_is_listed() -> None:
    assert select(INFO, Wanted(contexts=("hst_0009.pmap",))) == Selection(
        ("hst_0009.pmap",), takes_default=False
    )


def test_imaps_and_rmaps_may_be_asked_for_by_name() -> None:
    names = ("hst_acs_0001.imap", "hst_acs_darkfile_0001.rmap")

    assert select(INFO, Wanted(contexts=names)) == Selection(names, takes_default=False)


def test_all_contexts_are_the_listed_pmaps() -> None:
    assert select(INFO, Wanted(all_contexts=True)) == Selection(PMAPS, takes_default=True)


@pytest.mark.parametrize(
    ("last_n", "contexts"),
    [(1, (DEFAULT, EDIT)), (3, PMAPS[-3:]), (4, PMAPS[-4:]), (6, PMAPS), (100, PMAPS)],
)
def test_last_contexts_always_include_the_default(last_n: int, contexts: tuple[str, ...]) -> None:
    assert select(INFO, Wanted(last_n=last_n)) == Selection(contexts, takes_default=True)


def test_explicit_names_are_added_to_the_last_ones() -> None:
    wanted = Wanted(contexts=("hst.pmap",), last_n=1)

    assert select(INFO, wanted) == Selection(("hst.pmap", DEFAULT, EDIT), takes_default=True)


def test_negative_count_is_refused() -> None:
    with pytest.raises(SettingsError, match="last_n is -1"):
        select(INFO, Wanted(last_n=-1))
