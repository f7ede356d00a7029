"""The settings of reports on data sets: where their parameters are, what counts, the way of the mail."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from crdscache.contexts.records import Archive, Comparison, MailRoute
from crdscache.errors import SettingsError

CATALOGUE = "catalogue.sqlite"  # in the readers' directory: the one that `--load` fills

_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_MB = 10**6
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def archive(values: Mapping[str, Any], directory: Path, environ: Mapping[str, str]) -> Archive:
    """Say where the parameters of data sets are.

    Parameters
    ----------
    directory
        The readers' one, where our own catalogue lies.

    Raises
    ------
    SettingsError
        The address holds a password, or a file that is named cannot be read, or by too many.
    """
    source = values["catalog"] or f"sqlite:///{directory / CATALOGUE}"
    if _password_of(source):
        message = (
            "catalog: the address holds a password, which would show in logs; "
            "put it into CRDSCACHE_CATALOG_PASSWORD, catalog_password_file or ~/.pgpass"
        )
        raise SettingsError(message)
    password = _secret("catalog_password_file", values, "CRDSCACHE_CATALOG_PASSWORD", environ)
    return Archive(
        source, values["catalog_map"], _yaml(values["catalog_map"]), password, values["catalog_deadline_s"]
    )


def comparison(values: Mapping[str, Any]) -> Comparison:
    """Say what counts when contexts are compared."""
    return Comparison(values["optimize_tables"], values["exposure_types"], values["datasets_since"])


def recipients(values: Mapping[str, Any]) -> tuple[str, ...]:
    """List who gets the mail of this observatory and use case."""
    return tuple(values["mail_recipients"].get(f"{values['observatory']}-{values['use_case']}", ()))


def mail_route(values: Mapping[str, Any], environ: Mapping[str, str]) -> MailRoute | None:
    """Say how mail leaves here; None where it does not.

    Raises
    ------
    SettingsError
        A server is named, but no sender; or as `archive`.
    """
    if values["mail_server"] is None:
        return None
    if values["mail_sender"] is None:
        message = "mail_sender is not set: who does the mail come from?"
        raise SettingsError(message)
    host, _, port = values["mail_server"].partition(":")
    security = values["mail_security"]
    return MailRoute(
        host,
        int(port or _PORTS[security]),
        security,
        values["mail_user"],
        _secret("mail_password_file", values, "CRDSCACHE_MAIL_PASSWORD", environ),
        Path(values["mail_ca_file"]) if values["mail_ca_file"] else None,
        values["mail_timeout_s"],
        values["mail_tries"],
    )


def mail_limits(values: Mapping[str, Any]) -> tuple[int, bool]:
    """Tell the largest mail, in bytes, and whether the list of a larger one is split over several."""
    return int(values["mail_max_mb"] * _MB), values["mail_oversize"] == "split"


def _password_of(source: str) -> str | None:
    try:
        return urlsplit(source).password
    except ValueError as error:
        message = f"catalog: {error}"
        raise SettingsError(message) from error


def _secret(key: str, values: Mapping[str, Any], variable: str, environ: Mapping[str, str]) -> str | None:
    if environ.get(variable):
        return environ[variable]
    if values[key] is None:
        return None
    path = Path(values[key])
    try:
        with path.open(encoding="utf-8") as stream:
            if os.fstat(stream.fileno()).st_mode & _OTHERS:
                message = f"{key}: {path} can be read by others: chmod 600"
                raise SettingsError(message)
            return stream.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{key}: {path} cannot be read: {error}"
        raise SettingsError(message) from error


def _yaml(path: str | None) -> object:
    if path is None:
        return None
    try:
        data: object = yaml.load(Path(path).read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"catalog_map: {path}: {error}"
        raise SettingsError(message) from error
    return data
