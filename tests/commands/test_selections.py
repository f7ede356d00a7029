"""Which contexts, and which references of them, a sync looks after."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from crdscache.cache import answer, layout
from crdscache.contexts.records import Patience
from crdscache.contexts.selection import Wanted
from crdscache.errors import ServerError, SettingsError
from crdscache.server import mappings
from crdscache.server.rpc import RpcClient
from crdscache.server.sources import Sources
from demo.observatory import CONTEXTS, EDIT_CONTEXT
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache
from tests.invariants import check_invariants, closure, references_of

QUICK = Patience(connect_timeout_s=5, read_timeout_s=5, tries=1, backoff_s=0, backoff_max_s=0)
FIRST = CONTEXTS[0]
TAGS = ("latest", "operational", "edit", "2021-07-01", "2022-09-05T08:00:00", "2024-02-02 13:20:00.5")
PARTS = ("acs", "acs-darkfile", "acs-d2imfile", "cos", "wfc3-drkcfile", "wfpc2-offtab", "wfpc2-maskfile")
NARROW = [f"hst-{part}-{tag}" for part in PARTS for tag in TAGS]


def here(cache: Cache) -> set[str]:
    """Name the references of a cache."""
    return {path.name for path in cache.references.iterdir()}


def contexts(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.mappings.glob("*.pmap"))


def holdings(cache: Cache) -> list[str]:
    stamp = json.loads((cache.state / "identity.json").read_text())
    return list(stamp["holdings"]["parts"])


def test_contexts_by_serial_number_and_by_their_ends(rules_cache: Cache) -> None:
    first, second, third, *_ = CONTEXTS

    assert rules_cache.run("cron_sync", "--range", "1:2").status == 0
    assert contexts(rules_cache) == [first, second, FORMER]
    assert rules_cache.run("cron_sync", "-up-to-context", third).status == 0
    assert contexts(rules_cache) == [first, second, third, FORMER]
    assert rules_cache.run("cron_sync", "-after-context", LATEST).status == 0
    assert contexts(rules_cache) == [first, second, third, FORMER, LATEST, EDIT_CONTEXT]


def test_ends_that_make_no_sense_are_usage_and_nothing_is_touched(rules_cache: Cache) -> None:
    before = contexts(rules_cache)

    ends = [("--range", "2:1"), ("--range", "x"), ("--up-to-context", "hst_0666.pmap")]
    statuses = [rules_cache.run("cron_sync", *words).status for words in ends]

    assert statuses == [2, 2, 2]
    assert contexts(rules_cache) == before


def test_only_references_of_some_instruments_and_types_and_the_promise_grows_with_them(
    rules_cache: Cache, server: Server
) -> None:
    needed = references_of(rules_cache.root, "hst", FORMER)
    of_wfc3 = {name for name, (instrument, _) in needed.items() if instrument == "wfc3"}
    darks = {name for name, part in needed.items() if part == ("acs", "darkfile")}

    first = rules_cache.run("cron_sync", "--fetch-references", "--instruments", "WFC3")
    assert (first.status, here(rules_cache), holdings(rules_cache)) == (0, of_wfc3, ["wfc3"])

    line = ("--fetch-references", "--instruments", "acs", "--types", "darkfile")
    second = rules_cache.run("cron_sync", *line)
    assert (second.status, here(rules_cache)) == (0, of_wfc3 | darks)
    assert holdings(rules_cache) == ["acs/darkfile", "wfc3"]
    assert rules_cache.run("cron_sync", *line).out == ""

    server.set_default(LATEST)
    assert rules_cache.run("cron_sync", *line).status == 0
    assert rules_cache.default() == LATEST
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_unknown_instrument_is_usage(rules_cache: Cache) -> None:
    done = rules_cache.run("cron_sync", "--fetch-references", "--instruments", "miri")

    assert done.status == 2
    assert "instruments: expected some of acs, cos, nicmos, " in done.err
    assert "; found 'miri'" in done.err


def test_N27_names_of_instruments_and_types_mean_the_same_here_on_the_server_and_to_the_server(
    rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    """Offline the saved rules tell, else those that are brought for it; what they say N/A for is none."""
    server.set_default(LATEST)  # as the saved configuration has it
    saved, nowhere = layout.default_layout(demo_root, "hst"), rules_cache.home / "nowhere"
    base = server.url_of("x.pmap").removesuffix("x.pmap")

    with RpcClient(server.url, QUICK) as rpc, mappings.lookout(nowhere, base, QUICK, Sources()) as bring:
        info = rpc.server_info("hst")
        ways: list[Callable[[str], object]] = [
            lambda text: answer.saved(saved, Wanted((text,))).chosen.contexts,
            lambda text: answer.settle(info, Wanted((text,)), nowhere, bring, is_first=False).chosen.contexts,
            lambda text: tuple({rpc.call("get_context_by_date", text, "hst")} - {"N/A"}),
        ]
        here, brought, asked = ([_told(way, text) for text in NARROW] for way in ways)

    assert here == brought == asked
    assert (len(set(here)), here.count(())) == (9, 20)
    assert server.requests["GET hst_acs_0006.imap"] == 1  # each once, to be looked at
    assert not nowhere.exists()


def _told(way: Callable[[str], object], text: str) -> object:
    try:
        return way(text)
    except (SettingsError, ServerError):  # there is no such type, or it is N/A
        return ()


def test_rules_of_a_type_come_with_their_references_and_leave_the_default_alone(
    rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    server.set_default(LATEST)
    words = ("--contexts", "hst-all-darkfile-latest", "hst-wfc3-edit", "--fetch-references")
    before = {path.name for path in rules_cache.mappings.iterdir()}

    told = rules_cache.run("cron_sync", *words, "--dry-run", "--json")
    done = rules_cache.run("cron_sync", *words)

    rules = {"hst_acs_darkfile_0003.rmap", "hst_wfc3_0003.imap", "hst_wfpc2_darkfile_0002.rmap"}
    needed = {name for each in rules for name in references_of(demo_root, "hst", each)}
    assert (told.status, told.data["fetch_references"]) == (0, len(needed))
    assert (done.status, done.err, here(rules_cache), holdings(rules_cache)) == (0, "", needed, [])
    everything = {name for each in rules for name in closure(demo_root / "mappings" / "hst", each)}
    assert {path.name for path in rules_cache.mappings.iterdir()} == before | everything
    assert rules_cache.default() == FORMER
    assert rules_cache.run("cron_sync", *words).out == ""
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_name_that_the_rules_do_not_have_is_usage(rules_cache: Cache) -> None:
    done = rules_cache.run("cron_sync", "--contexts", "hst-stis-edit")

    assert done.status == 2
    assert "context 'hst-stis-edit': hst_0007.pmap has no 'stis', only acs, cos, wfc3, wfpc2" in done.err


def test_files_come_by_name_and_nothing_else_does(
    rules_cache: Cache, server: Server, demo_root: Path
) -> None:
    """Whatever the settings say of contexts; the cache promises no more for it."""
    server.set_default(LATEST)
    site = rules_cache.home / "quick.yaml"
    site.write_text(site.read_text() + "last_n_contexts: 2\ninstruments: [wfc3]\n")
    before = {path.name for path in rules_cache.mappings.iterdir()}
    rule = "hst_acs_darkfile_0003.rmap"
    names = ("crds://e6o0938au.r3h", "68v08000j_drk.fits", rule, "nobody.fits", FIRST)

    told = rules_cache.run("cron_sync", "--files", *names, "--dry-run", "--json")
    done = rules_cache.run("cron_sync", "--files", *names)

    wanted = {"e6o0938au.r3h", "e6o0938au.r3d", "68v08000j_drk.fits"}
    size = {name: (demo_root / "references" / "hst" / name).stat().st_size for name in wanted}
    assert (told.status, told.data["fetch_by_type"]) == (
        1,
        {
            "acs/darkfile": {"files": 1, "bytes": size["68v08000j_drk.fits"]},
            "wfpc2/darkfile": {"files": 2, "bytes": size["e6o0938au.r3h"] + size["e6o0938au.r3d"]},
        },
    )
    assert (done.status, here(rules_cache), holdings(rules_cache)) == (1, wanted, [])
    assert {path.name for path in rules_cache.mappings.glob("[!.]*")} == before | {rule}
    failures = [
        "nobody.fits: the server's catalogue has no entry for it",
        f"{FIRST}: not put in place, as not all that it names is here: --contexts {FIRST} brings that too",
    ]
    assert sorted(line for line in done.err.splitlines() if line.startswith("failed")) == sorted(
        f"failed: {failure}" for failure in failures
    )
    assert rules_cache.default() == FORMER
    check_invariants(rules_cache.root, "hst", server)


def test_files_that_the_default_waits_for_let_it_move(
    whole_cache: Cache, server: Server, demo_root: Path
) -> None:
    """What there is decides, whoever brought it."""
    needed = references_of(whole_cache.root, "hst", FORMER)
    new = references_of(demo_root, "hst", LATEST).keys() - needed.keys()
    for name in closure(demo_root / "mappings" / "hst", LATEST):
        shutil.copy(demo_root / "mappings" / "hst" / name, whole_cache.mappings)
    server.set_default(LATEST)
    listed = whole_cache.home / "list"
    listed.write_text("# what is new\n" + "\n".join(sorted(new)))
    words = ("--files", f"@{listed}", "--check-files")

    done = whole_cache.run("cron_sync", *words, "--json")
    again = whole_cache.run("cron_sync", *words)

    assert (done.status, done.data["verdicts"]) == (0, {"ok": len(new)})
    assert (whole_cache.default(), again.status, again.out, again.err) == (LATEST, 0, "", "")
    assert holdings(whole_cache) == ["all"]
    check_invariants(whole_cache.root, "hst", server, is_clean=True)
