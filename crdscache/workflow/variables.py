"""What the CRDS_* variables say. Source: docs/protocol.md, "Environment"."""

from collections.abc import Mapping
from dataclasses import dataclass

from crdscache.errors import SettingsError

# Variables that set one key each; the rest are the path variables below.
_VARIABLES = {
    "CRDS_OBSERVATORY": "observatory",
    "CRDS_SERVER_URL": "server_url",
    "CRDS_CONTEXT": "contexts",
    "CRDS_READONLY_CACHE": "readonly_cache",
    "CRDS_CLIENT_RETRY_COUNT": "tries",
    "CRDS_CLIENT_RETRY_DELAY_SECONDS": "backoff_s",
    "CRDS_CLIENT_TIMEOUT_SECONDS": "read_timeout_s",
    "CRDS_LOCKS": "lock_dir",
    "CRDS_ALLOW_BAD_RULES": "allow_bad_rules",
    "CRDS_ALLOW_BAD_REFERENCES": "allow_bad_references",
    "CRDS_IGNORE_MAPPING_CHECKSUM": "ignore_mapping_checksum",
}
_BRANCHES = {"MAP": "mappings", "REF": "references", "CFG": "config"}
_TRUTHS = {"readonly_cache", "allow_bad_rules", "allow_bad_references", "ignore_mapping_checksum"}
_BOOLEANS = {"0": False, "f": False, "false": False, "1": True, "t": True, "true": True}


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, and which layer it comes from."""

    value: object
    origin: str


Resolved = dict[str, Setting]


def read(environ: Mapping[str, str]) -> Resolved:
    """Read the variables that set one key each, and the root."""
    settings: Resolved = {}
    for variable, key in _VARIABLES.items():
        if variable in environ:
            settings[key] = Setting(_convert(variable, key, environ[variable]), variable)
    for variable in ("CRDS_PATH", "CRDS_PATH_SINGLE"):
        if variable in environ:
            settings["cache_root"] = Setting(directory(variable, environ[variable]), variable)
    return settings


def branches(environ: Mapping[str, str], observatory: str) -> Resolved:
    """Read where the branches of a cache lie."""
    settings: Resolved = {}
    for short, branch in _BRANCHES.items():
        places = (
            (f"CRDS_{short}PATH_SINGLE", ""),
            (f"CRDS_{short}PATH", f"/{observatory}"),
            ("CRDS_PATH_SINGLE", f"/{branch}"),
        )
        for variable, below in places:
            if variable in environ:
                place = directory(variable, environ[variable]) + below
                settings[f"{branch}_dir"] = Setting(place, variable)
                break
    return settings


def directory(variable: str, text: str) -> str:
    """Check an absolute path that a variable gives."""
    place = text.rstrip("/")
    # Blanks and control characters break the old tools' scripts, which share the cache.
    if not place.startswith("/") or not place.isascii() or not place.isprintable() or " " in place:
        message = (
            f"{variable}: expected an absolute path, not /, of printable ASCII without blanks; found {text!r}"
        )
        raise SettingsError(message)
    return place


def _convert(variable: str, key: str, text: str) -> object:
    if key == "lock_dir":
        return directory(variable, text)
    if key in _TRUTHS:
        if text.lower() not in _BOOLEANS:
            message = f"{variable}: expected one of {', '.join(_BOOLEANS)}; found {text!r}"
            raise SettingsError(message)
        return _BOOLEANS[text.lower()]
    if key in {"tries", "backoff_s", "read_timeout_s"}:
        try:
            return int(text) if key == "tries" else float(text)
        except ValueError as error:
            message = f"{variable}: expected a number; found {text!r}"
            raise SettingsError(message) from error
    if key == "contexts":
        return [text]
    return text.lower() if key == "observatory" else text
