"""Row P18 of the fault matrix: accounts of one group write one cache, and others read it."""

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.server import Server
from tests.accounts import Machine, machine
from tests.caches import FORMER, LATEST, QUICK, Cache, listing
from tests.invariants import check_invariants

BIAS = "61i15450j_bia.fits"
# Its notes are the group's alone; by hand its log is opened before the Snakefile can set the umask.
OF_SNAKEMAKE = {"metadata": 0o660, "log": 0o600}


@pytest.fixture(scope="module")
def site() -> Iterator[Machine]:
    """Two operators in a group, one of them by their own group's side; a pipeline that is in none."""
    with machine() as made:
        made.as_root("groupadd", "crds")
        home = made.place / "home"  # what snakemake needs by hand, and cron does not
        made.as_root("useradd", "--no-log-init", "-m", "-d", home, "-U", "-G", "crds", "crdsops")
        made.as_root("useradd", "--no-log-init", "-M", "-N", "-g", "crds", "crdsops2")
        made.as_root("useradd", "--no-log-init", "-M", "-U", "pipeline")
        yield made


@pytest.fixture
def root(site: Machine) -> Iterator[Path]:
    """Make the root of a cache, as the guide says."""
    made = site.place / "cache"
    site.as_root("install", "-d", "-o", "crdsops", "-g", "crds", "-m", "2775", made)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def empty(site: Machine, root: Path, server: Server) -> Cache:
    (site.place / "quick.yaml").write_text(QUICK)
    return Cache(site.place, server, root)


@pytest.fixture
def shared(site: Machine, root: Path, whole: Cache, server: Server) -> Cache:
    """Give a whole cache to the operators; its stamp does not tell of them yet."""
    root.rmdir()
    (site.place / "quick.yaml").write_text(QUICK)
    cache = whole.copy_to(root, server)
    stamp = json.loads((cache.state / "identity.json").read_text())
    del stamp["writers"]
    (cache.state / "identity.json").write_text(json.dumps(stamp))
    give(site, root)
    return cache


def give(site: Machine, tree: Path) -> None:
    """Let the operators have a tree, with the modes of a shared cache."""
    site.as_root("chown", "-R", "crdsops:crds", tree)
    site.as_root("chmod", "-R", "u=rwX,g=rwXs,o=rX", tree)


def numbers(site: Machine) -> dict[str, int]:
    """Look up the operators and their group, as the administrator would."""
    return {
        "crdsops": int(site.as_root("id", "-u", "crdsops")),
        "crdsops2": int(site.as_root("id", "-u", "crdsops2")),
        "crds": int(site.as_root("id", "-g", "crdsops2")),
    }


def closed(root: Path, group: int) -> list[str]:
    """List what the writers of the group could not replace, or others could not read."""
    found = []
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        wanted = 0o2775 if stat.S_ISDIR(status.st_mode) else 0o664
        wanted = OF_SNAKEMAKE.get(path.parent.name, wanted)
        if status.st_gid != group or status.st_mode & wanted != wanted:
            found.append(f"{path} {status.st_gid} {status.st_mode:o}")
    return found


def test_P18_operators_of_a_group_write_one_cache_by_turns_whatever_their_umask(
    site: Machine, empty: Cache, server: Server
) -> None:
    known = numbers(site)

    first = site.run("crdsops", empty, "remote_cache_init", "--contexts", FORMER, umask="077")
    stamp = json.loads((empty.state / "identity.json").read_text())
    second = site.run("crdsops2", empty, "cron_sync", "--fetch-references")
    server.set_default(LATEST)
    by_hand = ("../.venv/bin/snakemake", "--config", "fetch_references=True")
    third = site.run("crdsops", empty, *by_hand, umask="077")

    assert (first.status, first.err, second.status, second.err) == (0, "", 0, "")
    assert (third.status, empty.default()) == (0, LATEST), third.err
    assert stamp["writers"] == {"owner": known["crdsops"], "group": known["crds"]}
    assert closed(empty.root, known["crds"]) == []
    owners = {path.lstat().st_uid for path in empty.root.rglob("*")}
    assert owners == {known["crdsops"], known["crdsops2"]}
    check_invariants(empty.root, "hst", server, is_clean=True)


def test_P18_the_second_operator_repairs_and_purges_what_the_first_has_brought(
    site: Machine, shared: Cache, server: Server
) -> None:
    (shared.references / BIAS).write_bytes(b"")
    words = ("--repair-files", "--purge-mappings", "--purge-references", "--max-purge", "100")

    done = site.run("crdsops2", shared, "cron_sync", *words)
    runs = sorted((shared.state / "trash").iterdir())
    emptied = site.run("crdsops", shared, "cron_sync", "--empty-trash")

    assert (done.status, done.err, emptied.status, emptied.err) == (0, "", 0, "")
    assert runs != [] == sorted((shared.state / "trash").iterdir())
    check_invariants(shared.root, "hst", server, is_clean=True)


@pytest.mark.parametrize("words", [(), ("--pin", FORMER), ("--empty-trash",), ("--purge-mappings",)])
def test_P18_root_or_a_stranger_is_refused_by_name_before_any_harm(
    words: tuple[str, ...], site: Machine, shared: Cache
) -> None:
    known = numbers(site)
    before = listing(shared.root)

    stranger = site.run("pipeline", shared, "cron_sync", *words)
    root = site.run("root", shared, "cron_sync", *words)

    owners = f"user crdsops ({known['crdsops']}) or in group crds ({known['crds']})"
    expected = f"cron_sync: {shared.root} is written by {owners}; this is user "
    assert (stranger.status, root.status) == (3, 3)
    assert stranger.err.startswith(f"{expected}pipeline (")
    assert root.err.startswith(f"{expected}root (0) in group root (0), whose files they could not replace")
    assert listing(shared.root) == before


def test_P18_a_pipeline_reads_writes_its_own_headers_and_is_told_who_writes(
    site: Machine, shared: Cache, data_sets: Path
) -> None:
    known = numbers(site)
    data = Path(shutil.copytree(data_sets, site.place / "data"))
    site.as_root("chown", "-R", "pipeline:", data)
    foreign, own = data / "idem01c1q_raw.fits", data / "jdem01a1q_raw.fits"
    site.as_root("chown", "crdsops:crds", foreign)
    foreign.chmod(0o666)
    before = listing(shared.root)

    written = site.run("pipeline", shared, "safe_bestrefs", "--files", own, foreign, "--update-bestrefs")
    leased = site.run("pipeline", shared, "cache_lease", "--", "id", "-un")
    told = site.run("pipeline", shared, "cache_config")

    reason = f"it belongs to user crdsops ({known['crdsops']}) in group crds ({known['crds']})"
    assert written.status == 1
    assert written.err.splitlines()[0].startswith(f"{foreign}: {reason}")
    assert "1 of 2 files updated" in written.err.splitlines()[-1]
    assert (leased.status, leased.out) == (0, "pipeline\n")
    owners = f"user crdsops ({known['crdsops']}) or in group crds ({known['crds']})"
    assert (told.status, f"{'written by':20} {owners}\n" in told.out) == (0, True)
    assert listing(shared.root) == before


def test_P18_what_is_for_the_group_alone_is_closed_to_a_stranger_who_is_told_so(
    site: Machine, empty: Cache
) -> None:
    words = ("--contexts", FORMER, "--config", "access=group-only")
    made = site.run("crdsops", empty, "remote_cache_init", *words, umask="022")

    member = site.run("crdsops2", empty, "cache_lease", "--", "true")
    stranger = site.run("pipeline", empty, "cache_lease", "--", "true")
    looks = site.run("pipeline", empty, "cache_config", "--check")

    assert (made.status, member.status, stranger.status, looks.status) == (0, 0, 3, 3)
    assert stranger.err == f"cache_lease: {empty.config / 'server_config'}: Permission denied\n"
    assert looks.err == f"cache_config: {empty.state / 'identity.json'}: Permission denied\n"
    assert {path.name for path in empty.root.rglob("*") if path.lstat().st_mode & 0o007} == set()


def test_P18_results_of_affected_data_sets_are_replaced_by_the_other_operator(
    site: Machine, shared: Cache, demo_root: Path
) -> None:
    known = numbers(site)
    catalog = Path(shutil.copytree(demo_root / "datasets", site.place / "archive"))
    words = ("--old-context", "hst_0004.pmap", "--new-context", FORMER, "--catalog", catalog)
    shutil.copytree(demo_root / "mappings" / "hst", shared.mappings, dirs_exist_ok=True)
    give(site, shared.mappings)

    ends = [
        site.run(account, shared, "affected_datasets", *words, umask="077")
        for account in ("crdsops", "crdsops2")
    ]

    assert [(done.status, done.err) for done in ends] == [(0, "")] * 2
    assert closed(shared.root, known["crds"]) == []


def test_P18_another_owner_writes_as_soon_as_that_is_recorded(site: Machine, shared: Cache) -> None:
    """A cache that one account alone writes is handed over."""
    known = numbers(site)
    site.as_root("chmod", "-R", "g-ws", shared.root)
    alone = site.run("crdsops", shared, "cron_sync")

    site.as_root("chown", "-R", "crdsops2:", shared.root)
    early = site.run("crdsops2", shared, "cron_sync")
    handed = site.run("crdsops2", shared, "remote_cache_init", "--rebind", shared.server.url)
    now = site.run("crdsops2", shared, "cron_sync")
    former = site.run("crdsops", shared, "cron_sync")

    assert (alone.status, early.status, handed.status, now.status, former.status) == (0, 3, 0, 0, 3)
    assert f"is written by user crdsops ({known['crdsops']}); this is user crdsops2 (" in early.err
    assert f"is written by user crdsops2 ({known['crdsops2']}); this is user crdsops (" in former.err


def test_P24_state_of_a_newer_version_stops_an_older_one_before_any_harm(
    site: Machine, shared: Cache
) -> None:
    path = shared.state / "identity.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    before = listing(shared.root)

    done = site.run("crdsops", shared, "cron_sync")

    reason = f"{path}: the state has version 2, this software knows 1: upgrade it"
    assert (done.status, done.err) == (3, f"cron_sync: {reason}\n")
    assert listing(shared.root) == before
