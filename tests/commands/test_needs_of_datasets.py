"""`cron_sync --dataset-files` and `--dataset-ids`: a cache for a few data sets."""

import json
from pathlib import Path

import pytest

from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, Done, proper
from tests.invariants import check_invariants

ACS = {"61i15450j_bia.fits", "m5c1200cj_ccd.fits", "68v08000j_drk.fits", "n9d1445bj_fls.fits"}
GEIS = {f"{name}{half}" for name in ("e6o0938au.r3", "e3a1100au.r4", "e2b1215au.r0") for half in "hd"}
OLD_BIAS = (ACS - {"61i15450j_bia.fits", "68v08000j_drk.fits"}) | {"t6k1015aj_bia.fits", "56615301j_drk.fits"}


@pytest.fixture
def files(data_sets: Path) -> list[str]:
    return [str(data_sets / f"{name}_raw.fits") for name in ("jdem01a2q", "udem0101t")]


def references(cache: Cache) -> set[str]:
    return {path.name for path in cache.references.iterdir()} if cache.references.exists() else set()


def holdings(cache: Cache) -> object:
    return json.loads((cache.state / "identity.json").read_text())["holdings"]


def size_bytes(server: Server, names: set[str]) -> int:
    return sum(server.archive.records[name].size_bytes for name in names)


@pytest.mark.parametrize(
    ("option", "given", "wanted"),
    [
        ("--dataset-files", ["{files[0]}", "@{list}"], ACS | GEIS),
        ("-dataset-ids", ["JDEM01A2Q", "udem0101t:udem0101t"], ACS | GEIS),
    ],
)
def test_just_what_the_data_sets_need_is_fetched_once_and_promised_to_nobody(
    option: str, given: list[str], wanted: set[str], files: list[str], rules_cache: Cache
) -> None:
    server = rules_cache.server
    (rules_cache.home / "list").write_text(f"{files[1]}\n")
    words = [option, *(word.format(files=files, list=rules_cache.home / "list") for word in given)]
    promised, before = holdings(rules_cache), proper(rules_cache)

    told = rules_cache.run("cron_sync", *words, "--dry-run", "--json")
    after_dry_run = proper(rules_cache)
    done = rules_cache.run("cron_sync", *words)
    asked = dict(server.requests)
    again = rules_cache.run("cron_sync", *words)

    numbers = told.data["fetch_references"], told.data["fetch_references_bytes"], told.data["fetch_mappings"]
    assert (told.status, numbers) == (0, (len(wanted), size_bytes(server, wanted), 0))
    assert after_dry_run == before
    assert (done.status, done.err, references(rules_cache)) == (0, "", wanted)
    assert again == Done(0, "", "")
    assert {name for name in dict(server.requests) if server.requests[name] > asked.get(name, 0)} == {
        "RPC get_server_info", *(["RPC get_dataset_headers_by_id"] if "ids" in option else [])
    }  # fmt: skip
    assert (holdings(rules_cache), rules_cache.default()) == (promised, FORMER)
    check_invariants(rules_cache.root, "hst", server, is_clean=True)


def test_another_context_has_other_references_for_them(files: list[str], rules_cache: Cache) -> None:
    """Its rules come in the same run; the references that the default has are not fetched."""
    words = ["--contexts", "hst_0002.pmap", "--dataset-files", files[0]]

    told = rules_cache.run("cron_sync", *words, "--dry-run", "--json")
    done = rules_cache.run("cron_sync", *words)

    assert told.data["fetch_references"] == len(OLD_BIAS)
    assert (done.status, references(rules_cache), rules_cache.default()) == (0, OLD_BIAS, FORMER)
    check_invariants(rules_cache.root, "hst", rules_cache.server, is_clean=True)


def test_B01_a_data_set_that_cannot_be_looked_up_is_named_and_the_others_are_served(
    files: list[str], rules_cache: Cache
) -> None:
    missing = f"{files[0]}.missing"
    words = ["--dataset-files", missing, files[0], "--dataset-ids", "NOBODY", "udem0101t"]

    dry = rules_cache.run("cron_sync", *words, "--dry-run")
    done = rules_cache.run("cron_sync", *words)

    failed = [
        f"failed: {missing}: No such file or directory",
        "failed: NOBODY: NOT FOUND NOBODY is not in the archive",
    ]
    assert (dry.status, dry.err.splitlines()[-2:]) == (1, failed)
    assert (done.status, done.err.splitlines()[:2]) == (1, failed)
    assert references(rules_cache) == ACS | GEIS
    check_invariants(rules_cache.root, "hst", rules_cache.server, is_clean=True)


def test_what_the_cache_promises_already_is_kept_up_beside_them(files: list[str], whole_cache: Cache) -> None:
    """Else the default could not move any more."""
    whole_cache.server.set_default(LATEST)
    lost = whole_cache.references / "t7h1622ai_drk.fits"
    lost.unlink()

    done = whole_cache.run("cron_sync", "--dataset-files", *files)

    assert (done.status, done.err, whole_cache.default(), lost.exists()) == (0, "", LATEST, True)
    check_invariants(whole_cache.root, "hst", whole_cache.server, is_clean=True)
