from dataclasses import replace
from datetime import datetime

import pytest

from crdscache.contexts.mapping import Level, Mapping, Table
from crdscache.contexts.records import Problem
from crdscache.contexts.selection import Selection, Wanted, parse_serials, resolve, select
from crdscache.contexts.serverinfo import Era, ServerInfo
from crdscache.errors import MissingMappingError, SettingsError

DEFAULT, EDIT = "hst_0003.pmap", "hst_0005.pmap"
PMAPS = ("hst.pmap", "hst_0001.pmap", "hst_0002.pmap", DEFAULT, "hst_0004.pmap", EDIT)
HISTORY = (
    ("2020-11-06 16:42:44.900518", DEFAULT),
    ("2020-11-06 15:44:30", "hst_0001.pmap"),
    ("2020-10-28 16:31:53.824737", "hst_0002.pmap"),
    ("2019-01-01 00:00:00", "hst_0001.pmap"),
)
INFO = ServerInfo(
    observatory="hst",
    default_context=DEFAULT,
    edit_context=EDIT,
    mappings=tuple(sorted([*PMAPS, "hst_acs_0001.imap", "hst_acs_darkfile_0001.rmap"])),
    bad_files=frozenset(),
    history=tuple(Era(datetime.fromisoformat(f"{start}+00:00"), context, "") for start, context in HISTORY),
    mapping_url="http://localhost/mappings/",
    reference_url="http://localhost/references/",
    metadata={"hst_0009.pmap": {}},
    raw={},
    versions_context="hst_0004.pmap",
)


def test_nothing_wanted_means_the_default() -> None:
    assert select(INFO, Wanted()) == Selection((DEFAULT,), takes_default=True)


def test_range_has_both_its_ends_and_none_without_a_serial() -> None:
    assert select(INFO, Wanted(serials=(1, 2))).contexts == ("hst_0001.pmap", "hst_0002.pmap", DEFAULT)
    assert select(INFO, Wanted(serials=(4, 99))).contexts == (DEFAULT, "hst_0004.pmap", EDIT)
    assert select(INFO, Wanted(serials=(0, 0))) == Selection((DEFAULT,), takes_default=True)


@pytest.mark.parametrize(("text", "serials"), [("1:2", (1, 2)), ("0001:0010", (1, 10)), ("7:7", (7, 7))])
def test_range_is_read(text: str, serials: tuple[int, int]) -> None:
    assert parse_serials(text) == serials


@pytest.mark.parametrize("text", ["2:1", "1", "1:", ":2", "1-2", "a:b", "1:2:3", "-1:2", "1:9999999999", ""])
def test_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected A:B"):
        parse_serials(text)


def test_up_to_and_after_include_their_context_and_bring_the_default() -> None:
    assert select(INFO, Wanted(up_to="hst_0001.pmap")).contexts == ("hst.pmap", "hst_0001.pmap", DEFAULT)
    assert select(INFO, Wanted(after="hst_0004.pmap")).contexts == (DEFAULT, "hst_0004.pmap", EDIT)
    assert select(INFO, Wanted(up_to="hst-operational")).contexts == PMAPS[:4]
    assert select(INFO, Wanted(after="2020-10-29", up_to="hst.pmap")).contexts == (
        "hst.pmap",
        "hst_0002.pmap",
        DEFAULT,
        "hst_0004.pmap",
        EDIT,
    )


@pytest.mark.parametrize("wanted", [Wanted(up_to="hst_0009.pmap"), Wanted(after="hst_0000.pmap")])
def test_end_that_the_server_does_not_list_is_refused(wanted: Wanted) -> None:
    with pytest.raises(SettingsError, match="the server does not list it"):
        select(INFO, wanted)


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
        ("hst-versions", "hst_0004.pmap"),
        ("2020-11-06", "hst_0002.pmap"),
        ("hst-2020-12-01T00:00:00", DEFAULT),
    ],
)
def test_symbolic_name_is_resolved(symbolic: str, context: str) -> None:
    assert select(INFO, Wanted(contexts=(symbolic,))) == Selection((context,), context == DEFAULT)


@pytest.mark.parametrize(
    "name",
    [
        "jwst-latest",
        "hst-hst-latest",
        "hst-acs-darkfile-edit",
        "hst-build",
        "",
        "hst_0001",
        "x.fits",
        "LATEST",
        "2020",
        "2020-02-30",
        "2020-01-01T12:00",
        "2020-01-01T12:00:00Z",
        "jwst-2020-01-01",
        "hst_2020-01-01",
    ],
)
def test_what_is_no_name_no_symbolic_name_and_no_date_is_refused_with_what_is_allowed(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        select(INFO, Wanted(contexts=(name,)))

    assert str(caught.value) == (
        f"context {name!r}: expected the name of a mapping, one of hst-operational, hst-latest, hst-edit, "
        "hst-versions, or a date YYYY-MM-DD[THH:MM:SS[.f]]"
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


@pytest.mark.parametrize(
    ("date", "context"),
    [
        ("2030-01-01", DEFAULT),
        ("hst-2030-01-01", DEFAULT),
        ("2020-11-06T16:42:44.900518", DEFAULT),
        ("2020-11-06 16:42:44.900518", DEFAULT),
        ("2020-11-06T16:42:45", DEFAULT),
        ("2020-11-06T16:42:44.900517", "hst_0001.pmap"),
        ("2020-11-06T16:42:44.9", "hst_0001.pmap"),
        ("2020-11-06T16:42:44", "hst_0001.pmap"),
        ("2020-11-06T15:44:30.000000", "hst_0001.pmap"),
        ("hst-2020-11-06 15:44:29.999999", "hst_0002.pmap"),
        ("2020-11-06", "hst_0002.pmap"),
        ("2019-01-01", "hst_0001.pmap"),
    ],
)
@pytest.mark.parametrize("history", [INFO.history, INFO.history[::-1]])
def test_date_is_the_default_context_of_that_time(date: str, context: str, history: tuple[Era, ...]) -> None:
    """As text a start with microseconds is no measure for one without."""
    assert resolve(replace(INFO, history=history), date) == context


def test_of_two_eras_with_one_start_the_first_in_the_history_counts() -> None:
    start = INFO.history[0].start
    both = replace(INFO, history=(Era(start, "hst_0002.pmap", ""), Era(start, "hst_0001.pmap", "")))

    assert resolve(both, "2030-01-01") == "hst_0002.pmap"


@pytest.mark.parametrize("date", ["2018-12-31T23:59:59.999999", "hst-2013-01-01"])
def test_date_before_the_history_is_refused_with_its_begin(date: str) -> None:
    with pytest.raises(
        SettingsError, match="the server's history begins at 2019-01-01 00:00:00 with hst_0001"
    ):
        resolve(INFO, date)


def test_date_without_a_history_is_refused() -> None:
    with pytest.raises(SettingsError, match="context of 2020-01-01 00:00:00: the server's history is empty"):
        resolve(replace(INFO, history=()), "2020-01-01")


def test_symbolic_name_for_which_the_server_has_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="context 'hst-versions': the server names none"):
        resolve(replace(INFO, versions_context=None), "hst-versions")


def test_reader_may_name_what_the_server_does_not_list() -> None:
    """An old context may still be cached."""
    assert resolve(INFO, "hst_0100.pmap") == "hst_0100.pmap"


RULES = {
    EDIT: Table((("ACS", "hst_acs_0001.imap"), ("COS", "N/A"), ("WFC3", "hst_wfc3_0009.imap"))),
    "hst_acs_0001.imap": Table((("darkfile", "hst_acs_darkfile_0001.rmap"), ("mlintab", "N/A"))),
}


def read(name: str) -> Mapping:
    if name not in RULES:
        raise MissingMappingError(name)
    return Mapping(name, Level.IMAP, "hst", "acs", "", {}, RULES[name], "", None, "")


def test_rules_of_an_instrument_or_a_type_are_chosen_by_symbolic_names_and_are_no_default() -> None:
    asked = ("hst-acs-edit", "hst-acs-darkfile-edit", "hst-cos-edit", "hst-acs-mlintab-edit")

    rules = ("hst_acs_0001.imap", "hst_acs_darkfile_0001.rmap")  # what is N/A drops out
    assert select(INFO, Wanted(contexts=asked), read) == Selection(rules, takes_default=False)


def test_N27_rules_that_lead_to_what_the_server_does_not_list_are_a_problem() -> None:
    asked = ("hst-wfc3-edit", "hst-wfc3-darkfile-edit", "hst-acs-edit")

    problems = (
        Problem("hst_wfc3_0009.imap", "the server does not list it"),
        Problem("hst-wfc3-darkfile-edit", "hst_wfc3_0009.imap: neither here nor on the server"),
    )
    selection = Selection(("hst_acs_0001.imap",), takes_default=False, problems=problems)
    assert select(INFO, Wanted(contexts=asked), read) == selection


def test_files_stand_in_place_of_contexts_and_the_default_is_meant() -> None:
    asked = ("crds://b.fits", "a.r3h", "hst_0001.pmap", "b.fits", "hst-acs-darkfile-edit", "hst_0008.pmap")

    assert select(INFO, Wanted(contexts=(EDIT,), last_n=3, files=asked), read) == Selection(
        (),
        takes_default=True,
        problems=(Problem("hst_0008.pmap", "the server does not list it"),),
        files=("a.r3d", "a.r3h", "b.fits", "hst_0001.pmap", "hst_acs_darkfile_0001.rmap"),
    )


@pytest.mark.parametrize(
    "text", ["../x.fits", "references/x.fits", "x.txt", "crds://", ".x.fits", "x.fits\n"]
)
def test_S07_file_that_has_no_name_of_one_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^files: context .*: expected .*, or the name of a reference$"):
        select(INFO, Wanted(files=("a.fits", text)))


def test_names_of_which_nothing_is_left_are_refused() -> None:
    with pytest.raises(
        SettingsError, match="say N/A for hst-cos-edit, hst-acs-mlintab-edit: nothing is left"
    ):
        select(INFO, Wanted(contexts=("hst-cos-edit", "hst-acs-mlintab-edit")), read)
