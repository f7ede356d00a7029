import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdscache.cache import identity, layout
from crdscache.cache.identity import ALL, NONE, Holdings, Identity
from crdscache.cache.layout import Layout
from crdscache.contexts import names
from crdscache.contexts.records import Parts
from crdscache.errors import NewerStateError, NotACacheError
from tests import written
from tests.caches import listing

URL = "https://hst-crds.stsci.edu"
STAMP = Identity("hst", URL, "ops", Holdings(("acs", "wfc3/darkfile")))


@pytest.fixture
def bare(tmp_path: Path) -> Layout:
    """Name a cache in a directory where nothing is."""
    (tmp_path / "root").mkdir()
    return layout.default_layout(tmp_path / "root", "hst")


def configure(cache: Layout, text: str) -> None:
    written.write(cache.config, {"server_config": text.encode()})


parts = st.lists(st.sampled_from(["all", "acs", "acs/darkfile", "wfc3"]), max_size=3)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("none", NONE),
        ("all", ALL),
        ([], NONE),
        (["none"], NONE),
        ("ACS", Holdings(("acs",))),
        (["wfc3/DARKFILE", "acs"], Holdings(("acs", "wfc3/darkfile"))),
        (["acs", "all"], ALL),
    ],
)
def test_setting_of_holdings_is_one_word_or_a_list(words: str | list[str], expected: Holdings) -> None:
    assert identity.parse_holdings(words) == expected


@pytest.mark.parametrize(
    ("holdings", "covered"),
    [
        (NONE, []),
        (ALL, ["acs/biasfile", "acs/darkfile", "wfc3/darkfile"]),
        (Holdings(("acs",)), ["acs/biasfile", "acs/darkfile"]),
        (Holdings(("acs/darkfile",)), ["acs/darkfile"]),
        (Holdings(("darkfile",)), []),
    ],
)
def test_holdings_cover_instruments_and_types_of_instruments(holdings: Holdings, covered: list[str]) -> None:
    places = [("acs", "biasfile"), ("acs", "darkfile"), ("wfc3", "darkfile")]

    assert ["/".join(place) for place in places if holdings.cover(*place)] == covered


@given(parts, parts, st.sampled_from(["acs", "wfc3", "cos"]), st.sampled_from(["darkfile", "biasfile"]))
def test_both_holdings_together_cover_what_either_covers(
    one: list[str], two: list[str], instrument: str, reftype: str
) -> None:
    first, second = Holdings(tuple(one)), Holdings(tuple(two))

    covered = (first | second).cover(instrument, reftype)

    assert covered is (first.cover(instrument, reftype) or second.cover(instrument, reftype))


@pytest.mark.parametrize(
    ("setting", "fetched", "expected"),
    [
        (None, NONE, STAMP.holdings),
        (None, ALL, ALL),
        (None, Holdings(("cos",)), STAMP.holdings | Holdings(("cos",))),
        (NONE, ALL, NONE),
        (ALL, NONE, ALL),
    ],
)
def test_setting_says_what_is_promised_and_else_all_that_is_fetched(
    setting: Holdings | None, fetched: Holdings, expected: Holdings
) -> None:
    assert identity.promised(STAMP.holdings, setting, fetched) == expected


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (Parts(), ALL),
        (Parts(("wfc3", "acs")), Holdings(("acs", "wfc3"))),
        (Parts(("acs",), ("darkfile", "biasfile")), Holdings(("acs/biasfile", "acs/darkfile"))),
        (Parts((), ("wavecorr",)), Holdings(("wfi/wavecorr",))),
    ],
)
def test_run_that_is_limited_promises_what_it_fetches(parts: Parts, expected: Holdings) -> None:
    observatory = "hst" if parts.instruments or not parts.types else "roman"

    promised = identity.holdings_of(parts, observatory)

    assert promised == expected
    for instrument, reftype in (("acs", "darkfile"), ("wfc3", "biasfile"), ("wfi", "wavecorr")):
        if instrument in names.INSTRUMENTS[observatory]:
            assert promised.cover(instrument, reftype) is parts.cover(instrument, reftype)


def test_stamp_is_read_as_it_was_written(bare: Layout) -> None:
    before = identity.load(bare)
    identity.save(bare, STAMP)

    assert (before, identity.load(bare)) == (None, STAMP)


def test_stamp_that_is_there_is_not_written_again(bare: Layout) -> None:
    identity.stamp(bare, STAMP)
    before = listing(bare.root)
    identity.stamp(bare, STAMP)

    assert listing(bare.root) == before


DAMAGED = ["", "{", "[]", "{}", '{"version": "new"}', "\x00", json.dumps({"holdings": {"parts": 3}})]


@pytest.mark.parametrize("text", DAMAGED)
def test_damaged_stamp_is_refused_with_its_cure(bare: Layout, text: str) -> None:
    written.write(bare.state, {"identity.json": text.encode()})

    with pytest.raises(NotACacheError, match=r"identity\.json: .* damaged: .* --rebind"):
        identity.admit(bare, URL, "ops")


@pytest.mark.parametrize("text", DAMAGED)
def test_rebind_is_the_cure_of_a_damaged_stamp(bare: Layout, text: str) -> None:
    written.write(bare.state, {"identity.json": text.encode()})
    configure(bare, f"{{'observatory': 'hst', 'server': {URL!r}}}")

    identity.stamp(bare, identity.rebound(bare, URL, "ops"))

    assert identity.admit(bare, URL, "ops") == replace(STAMP, holdings=NONE)


@pytest.mark.parametrize("text", ['{"version": 2}', '{"version": 2, "holdings": {"parts": [], "more": 1}}'])
@pytest.mark.parametrize("look", [identity.admit, identity.rebound])
def test_stamp_of_a_newer_version_is_refused_whatever_else_it_says(
    bare: Layout, look: Callable[[Layout, str, str], object], text: str
) -> None:
    """Nor may --rebind, which mends a damaged one, replace it."""
    written.write(bare.state, {"identity.json": text.encode()})

    with pytest.raises(NewerStateError, match="version 2, this software knows 1: upgrade it"):
        look(bare, URL, "ops")


@pytest.mark.parametrize("url", [URL, URL + "/"])
def test_stamped_cache_is_admitted_whatever_its_configuration_says(bare: Layout, url: str) -> None:
    identity.save(bare, STAMP)
    configure(bare, "{'observatory': 'jwst'}")

    assert identity.admit(bare, url, "ops") == STAMP


def test_D26_root_without_stamp_and_configuration_is_no_cache_and_nothing_is_written(bare: Layout) -> None:
    """An unmounted disk must not be filled."""
    for folder in (bare.mappings, bare.references, bare.config):
        folder.mkdir(parents=True)
    before = listing(bare.root)

    with pytest.raises(NotACacheError, match=f"{bare.root} is not a cache: .* is its disk mounted"):
        identity.admit(bare, URL, "ops")
    assert listing(bare.root) == before


def test_D26_root_that_is_not_there_is_no_cache_and_is_not_made(bare: Layout) -> None:
    bare.root.rmdir()

    with pytest.raises(NotACacheError, match="is not a cache"):
        identity.admit(bare, URL, "ops")
    assert not bare.root.exists()


@pytest.mark.parametrize(
    "names", [(), ("mappings", "references", "config", "lost+found", ".snapshot", "crds.sync.lock")]
)
def test_empty_root_is_admitted_to_be_set_up(bare: Layout, names: tuple[str, ...]) -> None:
    for name in names:
        (bare.root / name).mkdir()

    assert identity.admit(bare, URL, "ops", set_up=True) == replace(STAMP, holdings=NONE)
    assert not bare.state.exists()


def test_root_that_is_not_there_is_admitted_to_be_set_up(bare: Layout) -> None:
    bare.root.rmdir()

    assert identity.admit(bare, URL, "ops", set_up=True) == replace(STAMP, holdings=NONE)


def test_directory_with_other_files_is_not_set_up(bare: Layout) -> None:
    written.write(bare.root, {"thesis.tex": b"", "a": b""})

    with pytest.raises(NotACacheError, match=f"{bare.root} is not empty: a, thesis.tex;"):
        identity.admit(bare, URL, "ops", set_up=True)


@pytest.mark.parametrize("set_up", [False, True])
def test_cache_that_another_tool_wrote_is_admitted_by_its_configuration(
    bare: Layout, *, set_up: bool
) -> None:
    configure(bare, f"{{'observatory': 'hst', 'server': {URL!r}}}")

    assert identity.admit(bare, URL, "ops", set_up=set_up) == replace(STAMP, holdings=NONE)


@pytest.mark.parametrize("text", ["", "{'observatory'", "[]"])
def test_S19_damaged_configuration_still_says_that_here_is_a_cache(bare: Layout, text: str) -> None:
    configure(bare, text)

    assert identity.admit(bare, URL, "ops") == replace(STAMP, holdings=NONE)


TEST_URL = "https://hst-crds-test.stsci.edu"


@pytest.mark.parametrize(
    ("observatory", "url"), [("hst", TEST_URL), ("jwst", URL), ("jwst", "https://jwst-crds.stsci.edu")]
)
@pytest.mark.parametrize("is_stamped", [True, False])
def test_N30_cache_of_another_server_or_observatory_is_refused_with_both_names(
    bare: Layout,
    observatory: str,
    url: str,
    *,
    is_stamped: bool,
) -> None:
    if is_stamped:
        identity.save(bare, replace(STAMP, observatory=observatory, server_url=url))
    else:
        configure(bare, f"{{'observatory': {observatory!r}, 'server': {url!r}}}")
    before = listing(bare.root)

    for set_up in (False, True):
        with pytest.raises(
            NotACacheError,
            match=f"is a cache of {observatory} from {url}, but the settings say hst from {URL};",
        ):
            identity.admit(bare, URL, "ops", set_up=set_up)
    assert listing(bare.root) == before


def test_rebind_follows_a_server_that_was_renamed(bare: Layout) -> None:
    identity.save(bare, STAMP)

    identity.stamp(bare, identity.rebound(bare, TEST_URL + "/", "ops"))

    assert identity.load(bare) == replace(STAMP, server_url=TEST_URL)


@pytest.mark.parametrize("pinned", [None, "hst_0001.pmap"])
def test_pin_is_read_as_it_was_written_and_stays_when_the_server_is_renamed(
    bare: Layout, pinned: str | None
) -> None:
    stamp = replace(STAMP, pinned=pinned, pinned_by="rollback")
    identity.save(bare, stamp)

    assert identity.load(bare) == stamp
    assert identity.rebound(bare, TEST_URL, "ops") == replace(stamp, server_url=TEST_URL)


def test_stamp_of_an_earlier_version_has_no_pin(bare: Layout) -> None:
    identity.save(bare, STAMP)
    path = bare.state / "identity.json"
    data = json.loads(path.read_text())
    del data["pinned"], data["pinned_by"]
    path.write_text(json.dumps(data))

    assert identity.load(bare) == STAMP


@pytest.mark.parametrize("pinned", ["../hst_0001.pmap", 5, ""])
def test_pin_that_is_no_name_of_a_file_is_damage(bare: Layout, pinned: object) -> None:
    identity.save(bare, STAMP)
    path = bare.state / "identity.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pinned": pinned}))

    with pytest.raises(NotACacheError, match="damaged"):
        identity.load(bare)
