"""Rows S of the fault matrix: answers, rules and saved configurations that make no sense."""

import json
import os
import re
import sys
from collections.abc import Callable

import pytest

from crdscache.contexts.serverinfo import unwrap, wrap
from demo import faults, rpcfaults
from demo.faultplan import Fault
from demo.observatory import render
from demo.server import Server
from tests.caches import CHECKOUT, FORMER, LATEST, Cache, finish, listing, proper, start
from tests.invariants import check_invariants

NO_ANSWERS: list[tuple[str, Fault, str]] = [
    ("S01", faults.body(""), "not JSON"),
    ("S01", faults.body("fine, thanks"), "not JSON"),
    ("S01", faults.body("[1, 2]"), "no JSON object"),
    ("S01", faults.body("\ufeff{}"), "not JSON"),
    ("S01", faults.body('{"result": "\udcff"}'), "not JSON"),
    ("S01", rpcfaults.wrong_id(), "another call"),
    ("S02", rpcfaults.rpc_error("out of order"), "out of order"),
    ("S02", rpcfaults.rpc_error({"message": "no such table"}), "no such table"),
    (
        "S02",
        rpcfaults.escaped_error("<b>no</b> & \x1b[31mnever" + "." * 2000),
        r"<b>no</b> & \[31mnever\.{100}",
    ),
    ("S02", rpcfaults.without("error"), "'error'"),
    ("S02", rpcfaults.without("result"), "'result'"),
]
NO_KEYS = [
    ("S03", rpcfaults.result_without(key), f"'{key}'")
    for key in ("observatory", "operational_context", "mappings", "mapping_url", "reference_url")
]
NO_KEYS += [
    ("S03", rpcfaults.result_with(key, None), f"'{key}'")
    for key in ("operational_context", "mappings", "mapping_url")
]


@pytest.mark.parametrize(("row", "fault", "reason"), NO_ANSWERS + NO_KEYS)
def test_S01_S02_S03_a_description_of_the_server_that_makes_no_sense_ends_the_run(
    row: str, fault: Fault, reason: str, whole_cache: Cache, server: Server
) -> None:
    server.faults.add("get_server_info", fault)
    before = proper(whole_cache)

    done = whole_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.out, proper(whole_cache)) == (3, "", before), row
    assert re.search(f"get_server_info.*{reason}", done.err)
    told, where = done.err.splitlines()
    assert (len(told) < 1300, told.isprintable(), where.startswith("hst: the log is ")) == (True, True, True)


@pytest.mark.parametrize(("row", "fault", "reason"), NO_ANSWERS)
def test_S01_S02_another_answer_that_makes_no_sense_ends_the_run_too(
    row: str, fault: Fault, reason: str, rules_cache: Cache, server: Server
) -> None:
    """The states of new files are asked for before they are fetched; a dry run does so as well."""
    server.faults.add("get_file_info_map", fault)

    done = rules_cache.run("cron_sync", "--fetch-references", "--dry-run")

    assert (done.status, done.out) == (3, ""), row
    assert re.search(f"get_file_info_map.*{reason}", done.err)
    assert (len(done.err.splitlines()), len(done.err) < 1300, done.err[:-1].isprintable()) == (1, True, True)


def test_S02_the_reason_for_which_a_job_stopped_is_told_by_the_command(
    rules_cache: Cache, server: Server
) -> None:
    server.faults.add("get_file_info_map", rpcfaults.rpc_error("out of order"))
    before = proper(rules_cache)

    done = rules_cache.run("cron_sync", "--fetch-references")

    assert (done.status, done.out, proper(rules_cache)) == (3, "", before)
    assert re.fullmatch(r"hst: get_file_info_map at \S+: out of order\nhst: the log is \S+\n", done.err)


def test_S03_a_server_without_catalogue_in_its_description_is_asked_for_it(
    rules_cache: Cache, server: Server
) -> None:
    expected = rules_cache.run("cron_sync", "--fetch-references", "--dry-run", "--json")
    server.requests.clear()
    server.faults.add("get_server_info", rpcfaults.result_without("download_metadata"))

    done = rules_cache.run("cron_sync", "--fetch-references", "--dry-run", "--json")

    assert (done.status, done.err, done.data) == (0, "", expected.data)
    assert server.requests == {"RPC get_server_info": 1, "RPC get_file_info_map": 2}


def serve(server: Server, name: str, selector: str, **header: str) -> None:
    """Serve one more mapping, with a right header."""
    kind = {"pmap": "PIPELINE", "imap": "INSTRUMENT", "rmap": "REFERENCE"}[name[-4:]]
    general = {"mapping": kind, "name": name, "observatory": "HST", "derived_from": "nothing"}
    parkeys: dict[str, dict[str, object]] = {
        "pmap": {"parkey": ("INSTRUME",)},
        "imap": {"parkey": ("REFTYPE",), "instrument": "ACS"},
        "rmap": {
            "parkey": (("DETECTOR",),),
            "instrument": "ACS",
            "filekind": "DARKFILE",
            "classes": ("Match",),
        },
    }
    server.add_file(name, render({**general, **parkeys[name[-4:]], **header}, selector))


def serve_context(server: Server, number: int, rows: str) -> str:
    """Serve one more context, whose only rmap has these rows."""
    context, imap, rmap = (f"hst_{number}.pmap", f"hst_acs_{number}.imap", f"hst_acs_darkfile_{number}.rmap")
    serve(server, context, f"{{'ACS': {imap!r}}}")
    serve(server, imap, f"{{'darkfile': {rmap!r}}}")
    serve(server, rmap, f"Match({{{rows}}})")
    return context


def test_S07_names_that_must_not_become_paths_are_refused_wherever_they_stand(
    rules_cache: Cache, server: Server
) -> None:
    """In the list of mappings, in the catalogue, in rules: no file is made but those that are wanted."""
    hostile = (
        *rpcfaults.HOSTILE_NAMES,
        "a\0b.fits",
        "%2e%2e/x.fits",
        "..\\x.fits",
        "\x1b[2Jx.fits",
        "..",
        "x.part",
    )
    rows = ", ".join(f"('D{number}',): {name!r}" for number, name in enumerate(hostile) if "\0" not in name)
    context = serve_context(server, 1001, f"{rows}, ('OK',): 't6k1016aj_drk.fits'")

    def spoil(answer: object) -> object:
        assert isinstance(answer, dict)
        catalogue = unwrap(answer["download_metadata"])
        assert isinstance(catalogue, dict)
        entry = {"size": "5", "sha1sum": "0" * 40}
        spoilt = wrap(catalogue | dict.fromkeys(hostile, entry))
        return answer | {"mappings": [*answer["mappings"], *hostile], "download_metadata": spoilt}

    server.override("get_server_info", spoil)
    aside = {
        rules_cache.mappings / f".{name}.{(record.file_sha1 or '')[:12]}.part"
        for name, record in server.archive.records.items()
        if name.endswith(("_1001.pmap", "_1001.imap", "_1001.rmap"))
    }
    before = set(listing(rules_cache.home))

    done = rules_cache.run("cron_sync", "--contexts", context, "--fetch-references", "--json")

    state = str(rules_cache.state)
    made = {path for path in set(listing(rules_cache.home)) - before if not path.startswith(state)}
    told = {failure["name"] for failure in done.data["failures"]}
    assert done.status == 1
    assert {name if name == "x.part" else f"{name!r:.140}" for name in hostile} <= told
    assert made == {str(path) for path in aside}  # a context with such names in it never is whole
    assert all(line.isprintable() for line in done.err.splitlines())
    check_invariants(rules_cache.root, "hst", server)


def test_S11_S13_S14_S17_a_context_with_bad_rules_fails_alone_and_nothing_in_it_is_executed(
    rules_cache: Cache, server: Server
) -> None:
    canary = rules_cache.home / "canary"
    call = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    contexts = {
        "call": serve_context(server, 1101, f"('D',): {call}"),
        "f-string": serve_context(server, 1102, f"('D',): f'{{{call}}}'"),
        "good": serve_context(
            server,
            1103,
            ", ".join(
                f"('D{number}',): {word!r}"
                for number, word in enumerate(
                    ("N/A", "n/a", "Omit", "TEMP_N/A", "temp_omit", "t6k1016aj_drk.fits")
                )
            ),
        ),
        "cycle": "hst_1104.pmap",
        "self": "hst_1105.pmap",
        "lack": "hst_1106.pmap",
        "diamond": "hst_1107.pmap",
    }
    serve(server, "hst_1104.pmap", "{'ACS': 'hst_acs_1104.imap'}")
    serve(server, "hst_acs_1104.imap", "{'darkfile': 'hst_acs_1105.imap'}")
    serve(server, "hst_acs_1105.imap", "{'darkfile': 'hst_acs_1104.imap'}")
    serve(server, "hst_1105.pmap", "{'ACS': 'hst_1105.pmap'}")
    serve(server, "hst_1106.pmap", "{'ACS': 'hst_acs_9999.imap', 'WFC3': 'hst_acs_1103.imap'}")
    serve(server, "hst_1107.pmap", "{'ACS': 'hst_acs_1103.imap', 'COS': 'hst_acs_1103.imap'}")

    done = rules_cache.run("cron_sync", "--contexts", *contexts.values(), "--fetch-references", "--json")

    reasons = {told["name"]: told["reason"] for told in done.data["failures"]}
    assert done.status == 1
    assert not canary.exists()
    for number in (1101, 1102):
        assert re.search(rf"hst_acs_darkfile_{number}\.rmap, line \d+: ", reasons[f"hst_{number}.pmap"])
    told = "\n".join(f"{name}: {reason}" for name, reason in reasons.items())
    assert re.search(r"hst_acs_1104\.imap.*hst_acs_1105\.imap.*hst_acs_1104\.imap", told)
    assert re.search(r"hst_1105\.pmap.*hst_1105\.pmap.*hst_1105\.pmap", told)
    assert re.search(r"hst_acs_9999\.imap: .*hst_1106\.pmap|hst_1106\.pmap.*hst_acs_9999\.imap", told)
    assert not [name for name in reasons if re.search(r"110[37]|N/A|OMIT", name.upper())]
    assert {path.name for path in rules_cache.mappings.glob("*110*.pmap")} == {
        "hst_1103.pmap",
        "hst_1107.pmap",
    }
    assert [path.name for path in rules_cache.references.iterdir()] == ["t6k1016aj_drk.fits"]
    assert rules_cache.default() == FORMER


@pytest.mark.parametrize(
    "rows",
    [
        "('D',): " + "[" * 100_000 + "]" * 100_000,
        "('D',): " + "-" * 100_000 + "1",
        "('D',): 'x'" + "+1" * 100_000,
        "('D',): " + "{'a': " * 99 + "'x'" + "}" * 99,
        "('D',): " + "9" * 5_000,
        "('D',): '" + "x" * (2 << 20) + "'",
    ],
    ids=["brackets", "minuses", "sums", "tables", "digits", "long line"],
)
def test_S12_rules_that_are_hard_to_read_are_refused_in_little_time_and_memory(
    rows: str, rules_cache: Cache, server: Server
) -> None:
    context = serve_context(server, 1201, rows)
    line = rules_cache.line("cron_sync", "--dry-run", "--contexts", context)
    # From a process of its own: the memory of a child counts from that of its parent.
    timed = [sys.executable, "-I", CHECKOUT / "benchmarks" / "time_command.py", *line]

    done = finish(start(timed, rules_cache.environ))

    status, wall_s, _, largest_mb, _ = json.loads(done.out)
    assert status == 1
    assert done.err.startswith("failed: hst_acs_darkfile_1201.rmap: ")
    assert (largest_mb < 512, wall_s < 10) == (True, True)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda text: text[: len(text) // 2],
    "empty": lambda _: b"",
    "binary": lambda _: bytes(range(256)),
    "executable": lambda _: b"__import__('pathlib').Path('/tmp/crdscache-canary').touch()",
    "other observatory": lambda text: text.replace(b"'observatory': 'hst'", b"'observatory': 'jwst'"),
    "never synced": lambda text: re.sub(rb" 'last_synced': '[^']*',\n", b"", text),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_S19_a_damaged_configuration_is_written_anew_from_the_server(
    damage: str, whole_cache: Cache, server: Server
) -> None:
    path = whole_cache.config / "server_config"
    good = path.read_bytes()
    path.write_bytes(DAMAGES[damage](good).replace(b"/tmp/", os.fsencode(whole_cache.home) + b"/"))
    assert path.read_bytes() != good
    server.set_default(LATEST)

    checked = whole_cache.run("cache_config", "--check")
    done = whole_cache.run("cron_sync", "--fetch-references")

    assert checked.status == 2
    assert (done.status, done.err, whole_cache.default()) == (0, "", LATEST)
    assert not (whole_cache.home / "crdscache-canary").exists()
    check_invariants(whole_cache.root, "hst", server, is_clean=True)


def test_S19_a_damaged_configuration_is_named_where_no_server_can_mend_it(whole_cache: Cache) -> None:
    path = whole_cache.config / "server_config"
    path.write_text("{")
    whole_cache.server.close()

    done = whole_cache.run("cron_sync")
    checked = whole_cache.run("cache_config", "--check")

    assert (done.status, path.read_text()) == (3, "{")
    assert (whole_cache.server.url in done.err, str(path) in done.err) == (True, True)
    assert (checked.status, str(path) in checked.out) == (2, True)
