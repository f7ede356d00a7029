import ast
import os
from dataclasses import replace
from pathlib import Path
from pprint import pformat

import pytest

from crdscache.cache import publish, serverconfig
from crdscache.cache.layout import Layout
from crdscache.contexts import serverinfo
from crdscache.errors import UnreadableConfigError
from tests import written
from tests.caches import FORMER, LATEST

SERVER = "https://hst-crds.stsci.edu"


def write(config: Path, text: bytes) -> None:
    config.mkdir(exist_ok=True)
    (config / "server_config").unlink(missing_ok=True)
    (config / "server_config").write_bytes(text)


def test_configuration_that_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for config in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        assert serverconfig.read(config) is None
        assert serverconfig.read_checked(config, "hst") is None
        assert serverconfig.read_info(config, "hst") is None
        assert not serverconfig.exists(config)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "expected one dictionary of literals"),
        (b"{'observatory': 'hst', 'mapp", "expected one dictionary of literals"),
        (b"{'observatory': 'hst'} {}", "expected one dictionary of literals"),
        (b"{[]: 1}", "expected one dictionary of literals"),
        (b"{'a': 1\x00}", "expected one dictionary of literals"),
        (b"(" * 10**5, "expected one dictionary of literals"),
        (b"-" * 10**5 + b"1", "expected one dictionary of literals"),
        (b"{'a': __import__('os').system('true')}", "expected one dictionary of literals"),
        (b"['hst']", "expected a dictionary, found list"),
        (b"\xff\xfe\x00binary", "expected text in UTF-8"),
    ],
)
def test_S19_text_that_is_no_dictionary_of_literals_is_refused(tmp_path: Path, text: bytes, why: str) -> None:
    write(tmp_path, text)

    with pytest.raises(UnreadableConfigError, match=f"{tmp_path}/server_config: {why}"):
        serverconfig.read(tmp_path)


def test_S19_code_in_a_configuration_is_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    write(tmp_path, b"{'observatory': __import__('pathlib').Path(%r).touch()}" % str(canary))

    with pytest.raises(UnreadableConfigError):
        serverconfig.read(tmp_path)
    assert not canary.exists()


def test_D13_what_is_no_regular_file_is_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "server_config")

    with pytest.raises(UnreadableConfigError, match="expected a regular file"):
        serverconfig.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"observatory": "jwst"}, "the server is for jwst, this cache for hst"),
        ({"operational_context": None}, "key 'operational_context' is missing"),
        ({"mapping_url": {"jwst": "http://localhost/"}}, "key 'mapping_url' has no address for hst"),
        ({"last_synced": None}, "key 'last_synced' is missing"),
    ],
)
def test_S19_configuration_that_no_reader_could_use_is_refused(
    demo_root: Path, tmp_path: Path, change: dict[str, object], why: str
) -> None:
    changed = written.raw_answer(demo_root, FORMER) | change
    write(tmp_path, pformat({key: value for key, value in changed.items() if value is not None}).encode())

    for read in (serverconfig.read_checked, serverconfig.read_info):
        with pytest.raises(UnreadableConfigError, match=f"{tmp_path}/server_config: .*{why}"):
            read(tmp_path, "hst")


def test_saved_configuration_is_read_as_the_answer_that_it_was(cache: Layout, demo_root: Path) -> None:
    saved = ast.literal_eval((cache.config / "server_config").read_text())

    assert serverconfig.read(cache.config) == serverconfig.read_checked(cache.config, "hst") == saved
    whole = serverconfig.read_info(cache.config, "hst")
    quick = serverconfig.read_info(cache.config, "hst", with_catalogue=False)
    assert whole is not None
    assert (whole, quick) == (
        written.told(demo_root, FORMER),
        replace(whole, metadata=None),
    )


def test_composed_configuration_is_the_answer_with_what_clients_expect_of_a_saved_one(
    demo_root: Path,
) -> None:
    bases = {"unchecked": {"hst": "http://localhost/u/"}, "checked": {"hst": "http://localhost/c/"}}
    raw = written.raw_answer(
        demo_root,
        LATEST,
        mapping_url=bases,
        reference_url=bases,
        config_url=bases,
        pickle_url={"hst": "x"},
        odd=1,
    )
    for key in ("server", "status", "connected"):
        del raw[key]

    composed = serverconfig.compose(serverinfo.parse_server_info(raw, "hst"), SERVER, FORMER)

    flat = {"hst": "http://localhost/u/"}
    assert composed == raw | {
        "operational_context": FORMER,
        "latest_context": FORMER,
        "mapping_url": flat,
        "reference_url": flat,
        "config_url": flat,
        "server": SERVER,
        "status": "server",
        "connected": True,
    }


def test_old_servers_key_alone_is_composed_alone(demo_root: Path) -> None:
    raw = written.raw_answer(demo_root, LATEST)
    del raw["latest_context"]

    composed = serverconfig.compose(serverinfo.parse_server_info(raw, "hst"), SERVER, FORMER)

    assert (composed["operational_context"], composed.get("latest_context")) == (FORMER, None)


def test_time_without_which_a_client_cannot_read_is_added(demo_root: Path) -> None:
    raw = written.raw_answer(demo_root, LATEST)
    del raw["last_synced"]

    composed = serverconfig.compose(serverinfo.parse_server_info(raw, "hst"), SERVER, LATEST)

    assert composed.keys() - raw.keys() == {"last_synced"}


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"last_synced": "x", "last_refreshed": "y", "updated": "z"}, True),
        ({"bad_files_list": ["x.fits"]}, False),
        ({"operational_context": LATEST}, False),
        ({"more": None}, False),
        ({"download_metadata": None}, False),
        ({"download_metadata": {"crds_encoded": "1.0", "crds_payload": "!"}}, False),
        ({"download_metadata": {}}, False),
    ],
)
def test_configurations_are_the_same_if_only_times_differ(
    demo_root: Path,
    changes: dict[str, object],
    *,
    is_same: bool,
) -> None:
    saved = written.raw_answer(demo_root, FORMER)

    assert serverconfig.is_same(saved, saved | changes) is is_same
    assert serverconfig.is_same(saved | changes, saved) is is_same


def test_catalogue_that_was_packed_at_another_time_is_the_same(demo_root: Path) -> None:
    saved = written.raw_answer(demo_root, FORMER)
    packed = saved["download_metadata"]
    assert isinstance(packed, dict)
    again = written.packed(serverinfo.unwrap(packed), at=12345)

    assert again != packed
    assert serverconfig.is_same(saved, saved | {"download_metadata": again})


def test_staged_text_is_that_of_pprint_without_a_newline_and_appears_by_one_rename(tmp_path: Path) -> None:
    saved = {"b": ["x" * 50, "y" * 50], "a": {"°": 1.5}, "c": None}
    config = tmp_path / "config" / "hst"

    with serverconfig.staged(config, saved) as aside:
        assert publish.is_temporary(aside.name)
        assert [path.name for path in config.iterdir()] == [aside.name]
        publish.rename_into_place(aside, config / "server_config")

    assert [path.name for path in config.iterdir()] == ["server_config"]
    assert (config / "server_config").read_bytes() == pformat(saved).encode()


def test_staged_text_is_gone_if_it_was_not_put(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), serverconfig.staged(tmp_path, {}):
        tmp_path.read_text()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("mode", "is_frozen"), [(0o644, False), (0o444, True), (0o464, False), (0o446, False), (0o400, True)]
)
def test_configuration_that_nobody_may_write_is_frozen_for_root_too(
    cache: Layout,
    mode: int,
    *,
    is_frozen: bool,
) -> None:
    (cache.config / "server_config").chmod(mode)

    assert serverconfig.is_frozen(cache.config) is is_frozen


def test_configuration_that_is_not_there_is_not_frozen(tmp_path: Path) -> None:
    assert not serverconfig.is_frozen(tmp_path / "nowhere")


@pytest.mark.parametrize(("names", "text"), [([], b""), (["a.fits"], b"a.fits"), (["a", "b"], b"a\nb")])
def test_bad_files_are_listed_one_a_line_without_a_last_newline(
    tmp_path: Path, names: list[str], text: bytes
) -> None:
    before = serverconfig.bad_files_are(tmp_path, names)
    serverconfig.write_bad_files(tmp_path, names)

    assert (tmp_path / "bad_files.txt").read_bytes() == text
    assert (before, serverconfig.bad_files_are(tmp_path, names)) == (False, True)
    assert not serverconfig.bad_files_are(tmp_path, [*names, "c"])


def test_single_files_are_found_in_a_catalogue_that_is_not_unpacked_before(
    cache: Layout, demo_root: Path
) -> None:
    info = serverconfig.read_info(cache.config, "hst", with_catalogue=False)
    assert info is not None
    record = serverconfig.records(info)

    name = "e6o0938au.r3d"
    data = (demo_root / "references" / "hst" / name).read_bytes()
    assert info.metadata is None
    assert record(name) == written.record(name, data)
    assert record("unheard.fits") is None
    rejected = record("56615301j_drk.fits")
    assert rejected is not None
    assert rejected.is_rejected


@pytest.mark.parametrize("metadata", [None, {}, []])
def test_without_a_catalogue_no_file_is_known(metadata: object, cache: Layout) -> None:
    info = serverconfig.read_info(cache.config, "hst", with_catalogue=False)
    assert info is not None

    record = serverconfig.records(replace(info, raw={**info.raw, "download_metadata": metadata}))

    assert record("e6o0938au.r3d") is None


def test_S19_a_catalogue_that_cannot_be_unpacked_is_told_when_a_file_is_asked_for(cache: Layout) -> None:
    info = serverconfig.read_info(cache.config, "hst", with_catalogue=False)
    assert info is not None
    damaged = {"crds_encoded": "1.0", "crds_payload": "x"}
    record = serverconfig.records(replace(info, raw={**info.raw, "download_metadata": damaged}))

    with pytest.raises(UnreadableConfigError, match=r"^server_config: "):
        record("e6o0938au.r3d")


def test_another_default_replaces_both_names_of_it_and_nothing_else() -> None:
    old = {"operational_context": "a.pmap", "latest_context": "a.pmap", "edit_context": "a.pmap"}

    assert serverconfig.with_default(old, "b.pmap") == {
        "operational_context": "b.pmap",
        "latest_context": "b.pmap",
        "edit_context": "a.pmap",
    }
    assert serverconfig.with_default({"operational_context": "a.pmap"}, "b.pmap") == {
        "operational_context": "b.pmap"
    }
