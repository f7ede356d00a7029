"""Rows B of the fault matrix, and D, P and S for `safe_bestrefs`: bad files, rules, disks, neighbours."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha1
from pathlib import Path

import pytest

from crdscache.commands import bestrefs as _loaded  # noqa: F401 (another user could not load it)
from crdscache.contexts import names
from demo import faults
from demo.deliveries import DATASETS
from demo.observatory import CONTEXTS
from demo.server import Server
from tests.caches import FORMER, LATEST, Cache, finish, listing, start, wait_until
from tests.datasets import made
from tests.mounts import immutable, mounted, read_only
from tests.readers import (
    KEYWORDS,
    PROGRAM,
    REJECTED,
    SafeBestrefs,
    configure,
    copy_of,
    environ_of,
    expected,
    updates,
    without,
)

SECOND = CONTEXTS[1]
SOMEONE = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, mount and chattr")
READ_ONLY = "it is read-only: no permission, a read-only file system, or immutable"


@pytest.fixture
def root(demo_root: Path, tmp_path: Path) -> Path:
    """Give a cache that the test may change, but not write to its files."""
    return copy_of(demo_root, tmp_path / "cache")


@pytest.fixture
def observed(data_sets: Path) -> Path:
    return data_sets / "jdem01a2q_raw.fits"


def rewrite(path: Path, text: str) -> None:
    """Give a file other content and leave the one that it is a link to."""
    path.unlink()
    path.write_text(text)


def spoil(root: Path, name: str, old: str, new: str, *, sums: bool = True) -> None:
    """Change a mapping of a cache, and its sum to match."""
    path = root / "mappings" / "hst" / name
    text = path.read_text()
    assert old in text
    changed = text.replace(old, new)
    if sums:
        lines = changed.splitlines(keepends=True)
        (line,) = [line for line in lines if "'sha1sum'" in line]
        right = sha1("".join(each for each in lines if each != line).encode()).hexdigest()
        changed = changed.replace(line, f"    'sha1sum' : '{right}',\n")
    rewrite(path, changed)


def test_B01_B02_a_file_that_is_no_whole_fits_file_is_named_and_left_alone_and_the_others_are_done(
    data_sets: Path, demo_root: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    good = sorted(data_sets.iterdir())
    whole = good[0].read_bytes()
    not_fits, no_end = (
        "a FITS file was expected, found ",
        "truncated or damaged: the header at byte 0 has no END card",
    )
    wrong = {
        "empty": (b"", f"{not_fits}an empty file"),
        "html": (b"<html>", f"{not_fits}'<html>'"),
        "random": (bytes(range(256)), f"{not_fits}{bytes(range(30))!r}".replace("found b", "found ")),
        "gzip": (gzip.compress(whole), f"{not_fits}gzip-compressed data"),
        "cut": (whole[:1000], no_end),
        "endless": (whole.replace(b"END     ", b"ENDE    "), no_end),
        "no_data": (whole + made.extension()[:3000], "truncated: 8640 bytes were expected, found 5880"),
    }
    for name, (data, _) in wrong.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    reasons = {name: reason for name, (_, reason) in wrong.items()} | {
        "dangling": "No such file or directory",
        "fifo": "a file was expected, found a FIFO",
        "data": "a file was expected, found a directory",
        "missing": "No such file or directory",
    }
    bad = [tmp_path / name for name in reasons]

    done = bestrefs("--files", *bad[:6], *good[:4], *bad[6:], *good[4:], "--update-bestrefs", "--jobs", "2")

    assert done.err.splitlines() == [
        *(f"{tmp_path}/{name}: {reason}" for name, reason in reasons.items()),
        f"{LATEST}: 7 of 18 files updated, 11 failed at least partly",
    ]
    assert {name: (tmp_path / name).read_bytes() for name in wrong} == {
        name: data for name, (data, _) in wrong.items()
    }
    assert (done.status, done.out) == (1, "")
    assert {path.stem[:9]: updates(path, demo_root / "datasets" / path.name) for path in good} == {
        name: expected(name) for name in KEYWORDS
    }


@contextmanager
def read_only_mode(path: Path) -> Iterator[None]:
    path.chmod(0o444)
    yield


@contextmanager
def read_only_mount(path: Path) -> Iterator[None]:
    with mounted(path, "--bind", str(path)):
        subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)
        yield


@as_root
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (immutable, READ_ONLY),
        (read_only_mode, "it is read-only, its mode is 0444"),
        (read_only_mount, READ_ONLY),
    ],
)
def test_B05_a_file_that_cannot_be_written_is_named_and_the_others_are(
    kind: object, reason: str, observed: Path, data_sets: Path, bestrefs: SafeBestrefs
) -> None:
    other = data_sets / "udem0101t_raw.fits"
    before = observed.read_bytes()

    with ExitStack() as end:
        end.enter_context(kind(observed))  # type: ignore[operator]
        looked_up = bestrefs("--files", observed, other)
        done = bestrefs("--files", observed, other, "--update-bestrefs")

    assert looked_up.status == 0
    assert (done.status, done.err.splitlines()) == (
        1,
        [f"{observed}: {reason}", f"{LATEST}: 1 of 2 files updated, 1 failed at least partly"],
    )
    assert observed.read_bytes() == before


@pytest.fixture
def public(demo_root: Path, data_sets: Path) -> Iterator[Path]:
    """Copy cache and data sets to where other users can get."""
    with tempfile.TemporaryDirectory(prefix="crdscache-test-") as place:
        Path(place).chmod(0o755)
        copy_of(demo_root, Path(place) / "cache")
        shutil.copytree(data_sets, Path(place) / "data")
        yield Path(place)


@as_root
def test_B05_P18_another_user_reads_a_cache_and_writes_own_files_but_no_foreign_ones(
    public: Path, bestrefs: SafeBestrefs
) -> None:
    for path in (public / "data", public / "data" / "udem0101t_raw.fits"):
        os.chown(path, SOMEONE, SOMEONE)
    foreign, own = (public / "data" / f"{name}_raw.fits" for name in ("jdem01a2q", "udem0101t"))
    (public / "cache" / "crds.config.lock").touch(mode=0o600)
    before = listing(public / "cache"), foreign.read_bytes()

    os.setegid(SOMEONE)
    os.seteuid(SOMEONE)
    try:
        done = bestrefs("--files", foreign, own, "--update-bestrefs", root=public / "cache")
    finally:
        os.seteuid(0)
        os.setegid(0)

    reason = "it belongs to user root (0) in group root (0), and a new file cannot be given to them"
    assert (done.status, done.err.splitlines()) == (
        1,
        [f"{foreign}: {reason}", f"{LATEST}: 1 of 2 files updated, 1 failed at least partly"],
    )
    assert (listing(public / "cache"), foreign.read_bytes()) == before
    assert own.stat().st_uid == SOMEONE


def test_B06_a_file_that_others_replace_meanwhile_is_always_a_whole_one(
    observed: Path, data_sets: Path, bestrefs: SafeBestrefs
) -> None:
    versions = [(data_sets / f"{name}_raw.fits").read_bytes() for name in ("jdem01a2q", "idem01c1q")]
    updated = []
    for version in versions:
        observed.write_bytes(version)
        bestrefs("--files", observed, "--update-bestrefs")
        updated.append(observed.read_bytes())

    with replaced_all_the_time(observed, versions):
        ends = [bestrefs("--files", observed, "--update-bestrefs") for _ in range(20)]
        seen = [observed.read_bytes() for _ in range(20)]

    assert {done.status for done in ends} <= {0, 1}
    assert all("meanwhile" in done.err or "No such file" in done.err for done in ends if done.status == 1)
    assert set(seen) <= {*versions, *updated}
    assert sorted(path.name for path in data_sets.iterdir() if path.suffix != ".fits") == []


@contextmanager
def replaced_all_the_time(path: Path, versions: list[bytes]) -> Iterator[None]:
    """Replace a file by one of some versions as often as can be, from another process, until the end."""
    child = os.fork()
    if child == 0:
        number = 0
        while os.getppid() != 1:
            number += 1
            aside = path.parent.parent / "aside"
            aside.write_bytes(versions[number % len(versions)])
            aside.replace(path)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("mode", ["flat", "instrument"])
def test_B08_a_reference_that_is_not_in_the_cache_is_written_all_the_same_with_a_warning(
    mode: str, data_sets: Path, root: Path, demo_root: Path, bestrefs: SafeBestrefs
) -> None:
    """It is the right answer. Both halves of a GEIS pair are looked for."""
    lost = ["68v08000j_drk.fits", "e6o0938au.r3d", "e3a1100au.r4h"]
    without(root, *lost)
    if mode == "instrument":
        rewrite(root / "config/hst/ref_cache_subdir_mode", mode)
        references = root / "references/hst"
        for path in list(references.iterdir()):
            folder = references / (names.instrument_of(path.name, "hst") or "")
            folder.mkdir(exist_ok=True)
            path.rename(folder / path.name)
    files = [data_sets / f"{name}_raw.fits" for name in ("jdem01a2q", "udem0101t")]
    sizes = {name: (demo_root / "references/hst" / name).stat().st_size for name in lost}

    done = bestrefs("--files", *files, "--update-bestrefs", root=root)

    listed = ", ".join(f"{name} ({sizes[name]} bytes)" for name in sorted(lost))
    assert (done.status, done.err.splitlines()) == (
        0,
        [
            f"warning: not in the cache: 3 files, {sum(sizes.values())} bytes: {listed}",
            f"{LATEST}: 2 of 2 files updated",
        ],
    )
    for path, name in zip(files, ("jdem01a2q", "udem0101t"), strict=True):
        assert updates(path, demo_root / "datasets" / path.name) == expected(name)


@pytest.mark.parametrize("name", ["68v08000j_drk.fits", REJECTED])
def test_B08_D32_a_reference_that_fails_its_check_or_is_rejected_is_not_written_but_the_other_types_are(
    name: str, observed: Path, root: Path, demo_root: Path, bestrefs: SafeBestrefs
) -> None:
    context, reason = SECOND, f"{REJECTED} is rejected"
    if name != REJECTED:
        rewrite(root / "references" / "hst" / name, "another tool was here")
        size_bytes = (demo_root / "references/hst" / name).stat().st_size
        context, reason = LATEST, f"{name} has 21 bytes in the cache, the catalogue says {size_bytes}"

    done = bestrefs("--files", observed, "--update-bestrefs", "--new-context", context, root=root)

    written = updates(observed, demo_root / "datasets" / observed.name)
    assert (done.status, done.err.splitlines()) == (
        1,
        [
            f"{observed}: darkfile: {reason}",
            f"{context}: 1 of 1 files updated, 1 failed at least partly",
        ],
    )
    assert (written["CRDS_CTX"], written["CCDTAB"], "DARKFILE" in written) == (
        context,
        "jref$m5c1200cj_ccd.fits",
        False,
    )


@pytest.mark.parametrize("lost", ["hst_0003.pmap", "hst_acs_0003.imap", "hst_acs_ccdtab_0001.rmap"])
@pytest.mark.parametrize(
    "words",
    [
        ["--update-bestrefs", "--new-context", "hst_0003.pmap", "--files"],
        ["--update-bestrefs", "--old-context", "hst_0003.pmap", "--files"],
        ["--new-context", "hst_0003.pmap", "--headers"],
        ["--old-context", "hst_0003.pmap", "--headers"],
    ],
)
def test_B09_D32_a_context_that_is_not_whole_stops_the_run_with_the_name_of_what_is_missing(
    words: list[str], lost: str, observed: Path, root: Path, bestrefs: SafeBestrefs
) -> None:
    without(root, lost)
    before = observed.read_bytes()
    headers = observed.with_suffix(".jsonl")
    headers.write_text(json.dumps({"header": DATASETS["JDEM01010:JDEM01A2Q"]}))

    done = bestrefs(*words, headers if "--headers" in words else observed, root=root)

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert f"safe_bestrefs: {lost} is not in {root}/mappings/hst: cron_sync " in done.err
    assert observed.read_bytes() == before


@pytest.mark.parametrize("n_files", [1, 30])
def test_B09_rules_that_fail_in_another_process_stop_the_run_with_their_own_error(
    n_files: int, data_sets: Path, root: Path, bestrefs: SafeBestrefs
) -> None:
    without(root, "hst_wfc3_darkfile_0002.rmap")
    acs = [data_sets / f"acs{number}.fits" for number in range(n_files)]
    for path in acs:
        path.symlink_to("jdem01a1q_raw.fits")

    done = bestrefs("--files", *acs, data_sets / "idem01c1q_raw.fits", "--jobs", "2", root=root)

    assert (done.status, done.out) == (3, "")
    assert done.err.splitlines()[-1] == (
        f"safe_bestrefs: hst_wfc3_darkfile_0002.rmap is not in {root}/mappings/hst: "
        "cron_sync brings what a context needs"
    )


@pytest.mark.parametrize("lost", ["config/hst/server_config", "config", "."])
def test_B09_without_a_configuration_there_is_nothing_to_go_by(
    lost: str, observed: Path, root: Path, bestrefs: SafeBestrefs
) -> None:
    place = root / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()

    done = bestrefs("--files", observed, "--update-bestrefs", root=root)

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert str(root) in done.err
    assert not (root / "config/hst/server_config").exists()


@pytest.mark.parametrize(
    "text", ["", "{'a': 1", "\0\1\2", "__import__('os').mkdir({canary!r})", "{'operational_context': 'x'}"]
)
def test_S19_a_damaged_configuration_is_named_and_never_executed(
    text: str, observed: Path, root: Path, bestrefs: SafeBestrefs
) -> None:
    canary = root.parent / "canary"
    (root / "config/hst/server_config").write_text(text.replace("{canary!r}", repr(str(canary))))

    done = bestrefs("--files", observed, "--update-bestrefs", root=root)

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert f"{root}/config/hst/server_config" in done.err
    assert not canary.exists()


def test_S19_a_configuration_of_another_observatory_is_refused(
    observed: Path, root: Path, bestrefs: SafeBestrefs
) -> None:
    configure(root, observatory="jwst")

    done = bestrefs("--files", observed, root=root)

    assert (done.status, len(done.err.splitlines()), "jwst" in done.err) == (3, 1, True)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("'WFC'", "__import__('os').mkdir('/tmp/crdscache-canary')", True),
        ("'m5c1200cj_ccd.fits'", "[x for x in 'abc']", True),
        ("Match({", "Match({**{},", True),
        ("selector = ", "selector = " + "-" * 100_000, False),
    ],
)  # fmt: skip
def test_S11_S12_a_mapping_that_is_more_than_data_is_told_and_nothing_in_it_is_run(
    old: str, new: str, observed: Path, root: Path, bestrefs: SafeBestrefs, *, line: bool
) -> None:
    spoil(root, "hst_acs_ccdtab_0001.rmap", old, new)

    done = bestrefs("--files", observed, "--update-bestrefs", root=root)

    assert (done.status, done.out, len(done.err.splitlines())) == (3, "", 1)
    assert done.err.startswith(
        "safe_bestrefs: hst_acs_ccdtab_0001.rmap, line " if line else "safe_bestrefs: hst_acs"
    )
    assert not Path("/tmp/crdscache-canary").exists()


@pytest.mark.parametrize(("words", "environ"), [
    (["--config", "ignore_mapping_checksum=true"], {}), ([], {"CRDS_IGNORE_MAPPING_CHECKSUM": "1"})
])  # fmt: skip
def test_S15_a_mapping_with_a_wrong_sum_is_not_followed_unless_that_is_allowed(
    words: list[str], environ: dict[str, str], observed: Path, root: Path, bestrefs: SafeBestrefs
) -> None:
    spoil(root, "hst_acs_ccdtab_0001.rmap", "m5c1200cj_ccd.fits", "m5c1200bj_ccd.fits", sums=False)
    words = [*words, "--print-new-references", "--types", "ccdtab"]

    refused = bestrefs("--files", observed, root=root)
    allowed = bestrefs("--files", observed, *words, root=root, **environ)

    assert (refused.status, refused.out, len(refused.err.splitlines())) == (3, "", 1)
    assert refused.err.startswith("safe_bestrefs: hst_acs_ccdtab_0001.rmap: the sum in its header is ")
    assert (allowed.status, allowed.out) == (0, f"{observed} acs ccdtab none m5c1200bj_ccd.fits\n".lower())


@as_root
def test_D06_I7_I10_a_reader_needs_no_server_no_right_to_write_and_nothing_of_the_cache_changes(
    data_sets: Path, demo_root: Path, root: Path
) -> None:
    """The network is cut off, and the whole cache on a read-only disk."""
    files = sorted(data_sets.iterdir())
    before = listing(root)

    with read_only(root):
        line = ["unshare", "--net", PROGRAM, "--files", *files, "--update-bestrefs"]
        done = finish(start(line, dict(environ_of(root, CRDS_SERVER_URL="http://localhost:1"))))

    assert (done.status, done.out, done.err) == (0, "", f"{LATEST}: 7 of 7 files updated\n")
    assert listing(root) == before
    assert {path.stem[:9]: updates(path, demo_root / "datasets" / path.name) for path in files} == {
        name: expected(name) for name in KEYWORDS
    }


def test_D31_a_data_set_of_any_time_is_done_once(observed: Path, bestrefs: SafeBestrefs) -> None:
    told = []
    for time_s in (-86_400, 2**33):
        os.utime(observed, (time_s, time_s))
        told.append(bestrefs("--files", observed, "--update-bestrefs").err)

    assert told == [f"{LATEST}: {n} of 1 files updated\n" for n in (1, 0)]


def test_B09_P09_while_the_default_moves_each_run_is_of_one_context(
    observed: Path, data_sets: Path, root: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    for number in range(40):
        (data_sets / f"{number}.fits").symlink_to(observed.name)
    files = sorted(path for path in data_sets.iterdir() if path.is_symlink())
    answers = {}
    for context in (FORMER, LATEST):
        bestrefs("--files", observed, "--new-context", context, "--json", tmp_path / "one", root=root)
        answers[context] = json.loads((tmp_path / "one").read_text())["bestrefs"]
    path = root / "config" / "hst" / "server_config"
    text = path.read_text()
    versions = [text.replace(LATEST, context).encode() for context in answers]

    runs = []
    with replaced_all_the_time(path, versions):
        for jobs in "1212121212":
            done = bestrefs("--files", *files, "--jobs", jobs, "--json", tmp_path / "out", root=root)
            lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
            runs.append(
                (done.status, {line["context"] for line in lines}, [line["bestrefs"] for line in lines])
            )

    assert {status for status, _, _ in runs} == {0}
    for _, contexts, found in runs:
        (context,) = contexts
        assert found == [answers[context]] * 40


def test_a_process_that_is_killed_ends_the_run_and_every_file_is_whole(
    data_sets: Path, demo_root: Path
) -> None:
    many = [data_sets / f"{number:05}.fits" for number in range(3000)]
    for path in many:
        path.symlink_to("jdem01a1q_raw.fits")
    (data_sets / "list").write_text("".join(f"{path}\n" for path in many))
    running = start([PROGRAM, "--files", f"@{data_sets}/list", "--jobs", "2"], dict(environ_of(demo_root)))
    tasks = Path(f"/proc/{running.pid}/task")

    def children() -> list[int]:
        return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]

    wait_until(lambda: running.poll() is not None or len(children()) == 2)
    os.kill(children()[0], signal.SIGKILL)
    done = finish(running)

    assert (done.status, done.out) == (3, "")
    assert done.err == (
        "safe_bestrefs: a process of ours was killed; the files that it had are whole, old or new\n"
    )


def test_I10_P09_beside_a_sync_that_never_ends_data_sets_are_done(
    data_sets: Path, demo_root: Path, rules_cache: Cache, server: Server, bestrefs: SafeBestrefs
) -> None:
    """The context that it brings is there in part, and none of its references."""
    server.set_default(LATEST)
    server.faults.add("8221321au.r3d", faults.stall())
    files = sorted(data_sets.iterdir())

    sync = rules_cache.start("cron_sync", "--fetch-references", "--config", "read_timeout_s=60")
    wait_until(lambda: server.requests["GET 8221321au.r3d"] > 0)
    done = bestrefs("--files", *files, "--update-bestrefs", root=rules_cache.root)
    is_running = sync.poll() is None
    sync.send_signal(signal.SIGTERM)
    finish(sync)

    assert is_running
    assert (done.status, done.err.splitlines()[-1]) == (0, f"{FORMER}: 7 of 7 files updated")
    written = updates(files[-1], demo_root / "datasets" / files[-1].name)
    assert written == expected("udem0102t", FORMER)
