import ast
import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crdscache.contexts import names, serverinfo
from crdscache.contexts.records import Problem
from crdscache.contexts.serverinfo import Era, ServerInfo, parse_history, parse_server_info, unwrap
from crdscache.errors import NotACacheError, ServerError

START = datetime(2020, 1, 2, tzinfo=UTC)
CATALOGUE = {"hst_0002.pmap": {"size": "1", "sha1sum": ""}}


def wrapped(text: bytes) -> dict[str, object]:
    return {"crds_encoded": "1.0", "crds_payload": base64.b64encode(gzip.compress(text)).decode()}


def answer(**changes: object) -> dict[str, object]:
    base: dict[str, object] = {
        "observatory": "hst",
        "operational_context": "hst_0002.pmap",
        "edit_context": "hst_0003.pmap",
        "mappings": ["hst_0002.pmap", "hst_0001.pmap", "hst_acs_0001.imap"],
        "bad_files_list": ["x1234567j_drk.fits"],
        "context_history": [["2020-01-02 00:00:00", "hst_0002.pmap", "why"]],
        "mapping_url": {"hst": "http://localhost/mappings/"},
        "reference_url": {"unchecked": {"hst": "https://localhost:8000/references"}, "checked": {}},
        "download_metadata": wrapped(json.dumps(CATALOGUE).encode()),
    }
    return base | changes


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in answer().items() if name != key}


def test_the_answer_is_checked_and_kept_as_it_came() -> None:
    raw = answer()

    info = parse_server_info(raw, "hst")

    assert info == ServerInfo(
        observatory="hst",
        default_context="hst_0002.pmap",
        edit_context="hst_0003.pmap",
        mappings=("hst_0001.pmap", "hst_0002.pmap", "hst_acs_0001.imap"),
        bad_files=frozenset({"x1234567j_drk.fits"}),
        history=(Era(START, "hst_0002.pmap", "why"),),
        mapping_url="http://localhost/mappings/",
        reference_url="https://localhost:8000/references/",
        metadata=CATALOGUE,
        raw=raw,
    )
    assert info.raw is raw
    assert raw == answer()


@pytest.mark.parametrize("value", [None, "absent"])
@pytest.mark.parametrize(
    "key", ["observatory", "operational_context", "mappings", "mapping_url", "reference_url"]
)
def test_S03_missing_key_is_named(key: str, value: str | None) -> None:
    raw = without(key) if value else answer(**{key: None})

    with pytest.raises(ServerError) as caught:
        parse_server_info(raw, "hst")

    assert str(caught.value) == f"get_server_info: key {key!r} is missing"


@pytest.mark.parametrize("key", ["edit_context", "bad_files_list", "context_history", "download_metadata"])
def test_S03_keys_that_older_servers_lack_may_be_missing(key: str) -> None:
    instead: dict[str, object] = {
        "edit_context": "hst_0002.pmap",
        "bad_files_list": frozenset(),
        "context_history": (),
        "download_metadata": None,
    }

    for raw in (without(key), answer(**{key: None})):
        info = parse_server_info(raw, "hst")

        found: dict[str, object] = {
            "edit_context": info.edit_context,
            "bad_files_list": info.bad_files,
            "context_history": info.history,
            "download_metadata": info.metadata,
        }
        assert found[key] == instead[key]
        assert info.problems == ()


def test_newer_name_of_the_default_context_is_preferred() -> None:
    assert parse_server_info(answer(latest_context="hst_0001.pmap"), "hst").default_context == "hst_0001.pmap"
    assert parse_server_info(answer(latest_context=""), "hst").default_context == "hst_0002.pmap"


def test_start_of_an_era_may_have_microseconds() -> None:
    """In roman they have, in the others not."""
    rows = [["2020-11-06 16:42:44.900518", "hst_0002.pmap", ""], ["2020-11-06 16:42:44", "hst_0001.pmap", ""]]

    starts = [era.start for era in parse_server_info(answer(context_history=rows), "hst").history]

    assert starts == [
        datetime(2020, 11, 6, 16, 42, 44, 900518, tzinfo=UTC),
        datetime(2020, 11, 6, 16, 42, 44, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("value", "expected"), [("hst_0001.pmap", "hst_0001.pmap"), ("", None), (None, None)]
)
def test_context_for_versions_may_be_none(value: object, expected: str | None) -> None:
    info = parse_server_info(answer(versions_context=value), "hst")

    assert (info.versions_context, info.problems) == (expected, ())


@pytest.mark.parametrize(
    "value", ["../x.pmap", "hst_acs_0001.imap", "hst-latest", "N/A", 7, ["hst_0001.pmap"]]
)
@pytest.mark.parametrize("key", ["operational_context", "latest_context"])
def test_S07_default_that_is_no_context_is_refused(key: str, value: object) -> None:
    with pytest.raises(ServerError) as caught:
        parse_server_info(answer(**{key: value}), "hst")

    assert str(caught.value) == f"get_server_info: key {key!r} is {names.printable(value)}"


def test_N27_default_that_is_not_among_the_mappings_is_a_problem() -> None:
    info = parse_server_info(answer(operational_context="hst_0009.pmap"), "hst")

    reason = "the server's default context is not among the mappings that it lists"
    assert info.problems == (Problem("hst_0009.pmap", reason),)
    assert info.default_context == "hst_0009.pmap"


def test_N30_answer_for_another_observatory_is_refused_with_both_names() -> None:
    with pytest.raises(NotACacheError, match=r"^the server is for jwst, this cache for hst$"):
        parse_server_info(answer(observatory="jwst"), "hst")


def test_S07_names_that_make_no_sense_are_left_out_and_told() -> None:
    raw = answer(
        mappings=["hst_0002.pmap", "data/hst.pmap", 7, "x.fits", "hst_0002.pmap"],
        bad_files_list=["a.fits", "../b.fits"],
        edit_context="/hst.pmap",
        versions_context="hst-versions",
        context_history=[
            ["2020-01-02", "hst_0001.pmap", "ok"],
            ["2020-01-02", "x y", "no"],
            ["once", "hst_0001.pmap", "no"],
            "text",
            ["2020-01-02"],
        ],
    )

    info = parse_server_info(raw, "hst")

    assert info.mappings == ("hst_0002.pmap",)
    assert info.bad_files == {"a.fits"}
    assert info.edit_context == "hst_0002.pmap"
    assert info.versions_context is None
    assert info.history == (Era(START, "hst_0001.pmap", "ok"),)
    assert [problem.name for problem in info.problems] == [
        "'data/hst.pmap'",
        "7",
        "x.fits",
        "'/hst.pmap'",
        "'../b.fits'",
        "context_history",
        "context_history",
        "context_history",
        "context_history",
        "hst-versions",
    ]


def test_S04_rejected_files_may_be_one_text() -> None:
    assert parse_server_info(answer(bad_files_list="a.fits b.fits\n"), "hst").bad_files == {
        "a.fits",
        "b.fits",
    }


@pytest.mark.parametrize("key", ["mappings", "bad_files_list", "context_history"])
def test_S04_table_in_place_of_a_list_is_refused(key: str) -> None:
    with pytest.raises(ServerError, match=f"key '{key}' is "):
        parse_server_info(answer(**{key: {"hst_0001.pmap": 1}}), "hst")


@pytest.mark.parametrize("raw", [None, [], "x", 7])
def test_S04_answer_that_is_no_table_is_refused(raw: object) -> None:
    with pytest.raises(ServerError, match="the answer is no table"):
        parse_server_info(raw, "hst")


def test_S22_reasons_in_the_history_are_made_printable_and_cut() -> None:
    rows = [
        ["2020-01-02", "hst_0001.pmap", "a\r\nSubject: b\x1b[31m\0"],
        ["2020-01-02", "hst_0002.pmap", "x" * 10**6],
    ]

    info = parse_server_info(answer(context_history=rows), "hst")

    assert info.history == (
        Era(START, "hst_0001.pmap", "a Subject: b[31m"),
        Era(START, "hst_0002.pmap", "x" * 1000),
    )


def test_rows_of_a_history_that_are_no_eras_are_left_out() -> None:
    rows = [["2020-01-02", "hst_0002.pmap", "a\x1b\nb"], ["2020-01-01", "../x.pmap", "c"], ["once"], 7]

    assert parse_history(rows) == (Era(START, "hst_0002.pmap", "a b"),)
    assert parse_history(None) == ()


@pytest.mark.parametrize(
    "bases",
    [
        "http://localhost/",
        {},
        {"jwst": "http://localhost/"},
        {"hst": None},
        {"hst": ""},
        {"hst": "file:///etc/"},
        {"hst": "ftp://me:secret@localhost/"},
        {"hst": "secret.example/x"},
        {"hst": "http:///secret"},
        {"hst": "http://[secret/"},
        {"hst": "http://localhost/a b/"},
        {"hst": "http://localhost/\r\nsecret: x/"},
        {"unchecked": {"jwst": "http://localhost/"}},
        {"unchecked": None},
    ],
)
def test_S21_address_that_is_none_is_refused_and_never_shown(bases: object) -> None:
    with pytest.raises(ServerError, match="get_server_info: key 'mapping_url' ") as caught:
        parse_server_info(answer(mapping_url=bases), "hst")

    assert "secret" not in str(caught.value)


def test_a_table_that_is_not_wrapped_is_returned_as_it_is() -> None:
    for value in ({"crds_encoded": "1.0"}, {"crds_encoded": 1, "crds_payload": "", "x": 1}, [1], None, "x"):
        assert unwrap(value) is value


def test_a_wrapped_answer_is_unwrapped() -> None:
    assert unwrap(wrapped(b'{"x": [1, null, "\\u00e9"]}')) == {"x": [1, None, "\u00e9"]}


PACKED = gzip.compress(b"[1]")
DAMAGED = {
    "no text": 7,
    "no base64": "!!!!",
    "cut base64": base64.b64encode(PACKED).decode()[:-1],
    "no gzip": base64.b64encode(b"[1]").decode(),
    "cut gzip": base64.b64encode(PACKED[:-4]).decode(),
    "wrong check sum": base64.b64encode(PACKED[:-8] + bytes(8)).decode(),
    "trailing data": base64.b64encode(PACKED + b"x").decode(),
    "empty": "",
    "no JSON": wrapped(b"{'x': 1}")["crds_payload"],
    "not UTF-8": wrapped(b'"\xff"')["crds_payload"],
    "nested": wrapped(b"[" * 100_000)["crds_payload"],
    "long number": wrapped(b"9" * 5000)["crds_payload"],
    "wrapped twice": wrapped(json.dumps(wrapped(b"[1]")).encode())["crds_payload"],
}


@pytest.mark.parametrize("payload", DAMAGED.values(), ids=DAMAGED)
def test_S06_damaged_wrapping_is_refused(payload: object) -> None:
    with pytest.raises(ServerError, match="cannot unpack the answer"):
        unwrap({"crds_encoded": "1.0", "crds_payload": payload})


def test_N22_wrapping_that_grows_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serverinfo, "MAX_UNWRAPPED_BYTES", 1000)

    assert unwrap(wrapped(b" " * 999 + b"1")) == 1
    with pytest.raises(ServerError, match="more than 1000 bytes"):
        unwrap(wrapped(b" " * 1000 + b"1"))


@pytest.mark.parametrize("observatory", ["hst", "jwst", "roman"])
def test_saved_configurations_of_the_missions_are_read_without_a_problem(
    shared_data: Path, observatory: str
) -> None:
    raw = ast.literal_eval((shared_data / "config" / observatory / "server_config").read_text())

    info = parse_server_info(raw, observatory)

    assert info.problems == ()
    counts = (info.default_context, len(info.mappings), len(info.bad_files), len(info.history))
    assert (
        counts
        == {
            "hst": ("hst_0729.pmap", 750, 97, 398),
            "jwst": ("jwst_0541.pmap", 988, 41, 150),
            "roman": ("roman_0004.pmap", 19, 0, 3),
        }[observatory]
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2019-09-11 15:43:08.994291", "2019-09-11 15:43:08"),
        ("2026-01-01T00:00:00", "2026-01-01 00:00:00"),
        ("long ago", None),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_N33_time_of_the_answer_is_told_if_it_can_be_read(told: object, expected: str | None) -> None:
    assert parse_server_info(answer(last_refreshed=told), "hst").refreshed == expected
