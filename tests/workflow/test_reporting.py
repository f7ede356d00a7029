from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from crdscache.errors import SettingsError
from crdscache.workflow import reporting, settings
from crdscache.workflow.variables import Setting


def values(tmp_path: Path, **changes: object) -> dict[str, Any]:
    environ = {"CRDS_PATH": str(tmp_path), "CRDS_OBSERVATORY": "hst"}
    told = {key: Setting(value, "test") for key, value in changes.items()}
    return {key: setting.value for key, setting in settings.resolve(told, environ).items()}


def secret(path: Path, mode: int) -> Path:
    path.write_text("of the file\nsecond line\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, "of the file"), ({"CRDSCACHE_CATALOG_PASSWORD": "of the variable"}, "of the variable")],
)
def test_a_password_comes_from_the_environment_or_a_file(
    tmp_path: Path, environ: Mapping[str, str], expected: str
) -> None:
    file = secret(tmp_path / "password", 0o600)
    of_site = values(tmp_path, catalog="postgresql://a@b/c", catalog_password_file=str(file))

    archive = reporting.archive(of_site, tmp_path, environ)

    assert (archive.source, archive.password) == ("postgresql://a@b/c", expected)
    assert expected not in repr(archive)


def test_a_file_that_others_can_read_is_no_secret(tmp_path: Path) -> None:
    file = secret(tmp_path / "password", 0o640)

    with pytest.raises(SettingsError, match=r"catalog_password_file: .* can be read by others: chmod 600"):
        reporting.archive(values(tmp_path, catalog_password_file=str(file)), tmp_path, {})


def test_a_password_in_an_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the address holds a password") as told:
        reporting.archive(values(tmp_path, catalog="postgresql://a:hush@b/c"), tmp_path, {})

    assert "hush" not in str(told.value)


def test_without_a_source_the_catalogue_is_our_own(tmp_path: Path) -> None:
    archive = reporting.archive(values(tmp_path), tmp_path / "readers", {})

    assert archive.source == f"sqlite:///{tmp_path}/readers/catalogue.sqlite"


def test_a_map_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("a: [")

    with pytest.raises(SettingsError, match=f"catalog_map: {file}"):
        reporting.archive(values(tmp_path, catalog_map=str(file)), tmp_path, {})


@pytest.mark.parametrize(("security", "port"), [("none", 25), ("starttls", 587), ("tls", 465)])
def test_mail_has_the_usual_ports(tmp_path: Path, security: str, port: int) -> None:
    told = values(
        tmp_path, mail_server="mail.example.org", mail_security=security, mail_sender="crds@example.org"
    )

    route = reporting.mail_route(told, {"CRDSCACHE_MAIL_PASSWORD": "hush"})

    assert route is not None
    assert (route.host, route.port, route.password) == ("mail.example.org", port, "hush")
    assert "hush" not in repr(route)


def test_mail_needs_a_server_and_a_sender(tmp_path: Path) -> None:
    assert reporting.mail_route(values(tmp_path), {}) is None
    with pytest.raises(SettingsError, match="mail_sender is not set"):
        reporting.mail_route(values(tmp_path, mail_server="mail.example.org:2525"), {})


def test_recipients_are_those_of_observatory_and_use_case(tmp_path: Path) -> None:
    lists = {"hst-ops": ["a@example.org"], "hst-test": ["b@example.org"], "jwst-ops": ["c@example.org"]}

    of_ops = reporting.recipients(values(tmp_path, mail_recipients=lists))
    of_test = reporting.recipients(values(tmp_path, mail_recipients=lists, use_case="test"))

    assert (of_ops, of_test) == (("a@example.org",), ("b@example.org",))
    assert reporting.recipients(values(tmp_path)) == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mail_sender", "a@example.org\r\nBcc: x@example.org"),
        ("mail_recipients", {"hst-ops": ["no address"]}),
        ("mail_recipients", {"everybody": []}),
        ("mail_server", "mail.example.org\n"),
        ("datasets_since", "yesterday"),
    ],
)
def test_E03_what_makes_no_sense_is_refused_with_its_key(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(SettingsError, match=key):
        values(tmp_path, **{key: value})


def test_what_counts_and_how_large_a_mail_may_be(tmp_path: Path) -> None:
    told = values(
        tmp_path, optimize_tables=True, datasets_since="auto", mail_max_mb=7.2, mail_oversize="link"
    )

    comparison = reporting.comparison(told)

    assert (comparison.optimize_tables, comparison.exposure_types, comparison.since) == (True, False, "auto")
    assert reporting.mail_limits(told) == (7_200_000, False)
