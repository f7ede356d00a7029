"""The settings of a run, from their layers; the one place that reads the environment.

Layers, lowest first: config.yaml, the site's file, CRDS_* variables, the command line.
Source: docs/protocol.md, "Environment".
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crdscache.cache import identity, layout
from crdscache.cache.identity import Holdings
from crdscache.cache.layout import Access, Layout, Mode
from crdscache.contexts import names, selection
from crdscache.contexts.records import (
    Adoption,
    AdoptMode,
    Keeping,
    Parts,
    Patience,
    Policy,
    Purging,
    Telling,
    Transfers,
)
from crdscache.contexts.selection import Wanted
from crdscache.errors import SettingsError
from crdscache.workflow import variables
from crdscache.workflow.variables import Resolved, Setting

CHECKOUT = Path(__file__).resolve().parents[2]
SITE_FILE = "site.yaml"

_SELECTIONS = ("contexts", "last_n_contexts", "context_range", "up_to_context", "after_context")
_GB, _MB, _HOUR_S = 10**9, 10**6, 3600


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run as typed values; config.yaml tells what each means."""

    cache: Layout
    server_url: str
    use_case: str
    readonly_cache: bool
    readers: Path  # where workflows run that only read the cache
    wanted: Wanted
    parts: Parts
    fetch_references: bool
    dataset_files: tuple[str, ...]
    dataset_ids: tuple[str, ...]
    check_files: bool
    check_sha1sum: bool
    policy: Policy
    trees: tuple[Path, ...]
    adoption: Adoption
    verify_max_age_days: float
    verify_budget_bytes: int | None  # None: no bound
    purging: Purging
    keeping: Keeping
    context_list: Path | None
    holdings: Holdings | None  # None: what was fetched for the default so far
    tolerate_missing: frozenset[str]
    new_mode: Mode
    shards: int
    connections: int
    patience: Patience
    transfers: Transfers
    allow_bad_rules: bool
    allow_bad_references: bool
    ignore_mapping_checksum: bool
    telling: Telling


def environment() -> dict[str, str]:
    """Give the environment of this process: everything else takes it as an argument."""
    return dict(os.environ)


def resolve(
    overrides: Mapping[str, Setting], environ: Mapping[str, str], site: Path | None = None
) -> Resolved:
    """Put the layers together.

    Parameters
    ----------
    overrides
        What the command line says; it comes last.
    site
        The site's file, where the command line names one.

    Raises
    ------
    SettingsError
        An unknown key or a wrong value; the message names the layer, the key and what is allowed.
    """
    settings = _read_yaml(CHECKOUT / "config.yaml", "default")
    named = site or (Path(environ["CRDSCACHE_SITE"]) if environ.get("CRDSCACHE_SITE") else None)
    from_variables = variables.read(environ)
    if named is not None:
        settings |= _read_site(named, str(named) if site else f"CRDSCACHE_SITE={named}")
    settings |= _told(settings | from_variables | dict(overrides), environ)
    if named is None:
        settings |= _site_of_cache(settings | from_variables | dict(overrides))
    settings |= from_variables
    settings |= overrides
    _check(settings)
    return settings


def _site_of_cache(settings: Resolved) -> Resolved:
    root, observatory = settings["cache_root"].value, settings["observatory"].value
    if not isinstance(root, str) or not isinstance(observatory, str):
        return {}
    path = layout.default_layout(Path(root), observatory).state / SITE_FILE
    return _read_site(path, str(path)) if path.exists() else {}


def _told(settings: Resolved, environ: Mapping[str, str]) -> Resolved:
    """Find what the environment and the cache itself tell of observatory, server and branches."""
    told: Resolved = {}
    root, url = settings["cache_root"].value, settings["server_url"].value
    observatory = settings["observatory"].value
    if root is None and environ.get("CRDS_DEFAULT_CACHE"):
        root = variables.directory("CRDS_DEFAULT_CACHE", environ["CRDS_DEFAULT_CACHE"])
        told["cache_root"] = Setting(root, "CRDS_DEFAULT_CACHE")
    if observatory is None:
        observatory, origin = _observatory(root, url)
        if observatory is not None:
            told["observatory"] = Setting(observatory, origin)
    if not isinstance(observatory, str):
        return told
    told |= variables.branches(environ, observatory)
    if url is None:
        told["server_url"] = _server_url(root, observatory)
    return told


def _observatory(root: object, url: object) -> tuple[str | None, str]:
    for observatory in names.OBSERVATORIES:
        if isinstance(url, str) and observatory in _host(url):
            return observatory, "the server's name"
    if isinstance(root, str):
        stamps = [
            one for one in names.OBSERVATORIES if (Path(root) / ".crdscache" / one / "identity.json").exists()
        ]
        if len(stamps) == 1:
            return stamps[0], "the cache"
    return None, ""


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _server_url(root: object, observatory: str) -> Setting:
    stamp = identity.load(layout.default_layout(Path(root), observatory)) if isinstance(root, str) else None
    if stamp is not None:
        return Setting(stamp.server_url, "the cache")
    return Setting(f"https://{observatory}-crds.stsci.edu", "the mission's server")


def _read_yaml(path: Path, origin: str) -> Resolved:
    import yaml  # noqa: PLC0415 -- docs/decisions/0029

    try:
        data = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{origin}: cannot be read: {error}"
        raise SettingsError(message) from error
    except yaml.YAMLError as error:
        message = f"{origin}: not YAML: {error}"
        raise SettingsError(message) from error
    if not isinstance(data, dict | None):
        message = f"{origin}: expected 'key: value' lines, found {type(data).__name__}"
        raise SettingsError(message)
    return {str(key): Setting(value, origin) for key, value in (data or {}).items()}


def _read_site(path: Path, origin: str) -> Resolved:
    settings = _read_yaml(path, origin)
    _check(settings)  # now: what lies over it would hide what is wrong
    return settings


def _check(settings: Resolved) -> None:
    import jsonschema  # noqa: PLC0415 -- docs/decisions/0029

    schema = _schema()
    values = {key: setting.value for key, setting in settings.items()}
    for key in values.keys() - schema["properties"].keys():
        message = f"{settings[key].origin}: there is no setting {key!r}; config.yaml has all that there are"
        raise SettingsError(message)
    for error in jsonschema.Draft202012Validator(schema).iter_errors(values):
        key = str(error.path[0]) if error.path else ""
        where = f"{settings[key].origin}: {key}" if key else "settings"
        raise SettingsError(f"{where}: {error.message}")


@cache
def _schema() -> dict[str, Any]:
    """Read what is allowed, once: each layer is checked."""
    import yaml  # noqa: PLC0415 -- docs/decisions/0029

    text = (CHECKOUT / "schemas" / "config.schema.yaml").read_text(encoding="utf-8")
    schema: dict[str, Any] = yaml.load(text, yaml.CSafeLoader)
    return schema


def for_set_up(values: Mapping[str, Any]) -> dict[str, Any]:
    """Change settings to those of a first set-up: all rules unless contexts are named, and no references."""
    named = any(values[key] for key in _SELECTIONS)
    no_references = {"fetch_references": False, "check_files": False, "check_sha1sum": False}
    no_references |= {"purge_mappings": False, "purge_references": False, "purge_rejected": False}
    nothing_of: dict[str, list[str]] = {"adopt": [], "files": [], "dataset_files": [], "dataset_ids": []}
    one_job = {"shards": 1}  # each costs the start of a process, and there is nothing for it to do
    return {
        **values,
        "all_contexts": not named,
        **no_references,
        **nothing_of,
        "context_list": None,
        **one_job,
    }


def typed(values: Mapping[str, Any]) -> Settings:
    """Give checked values their types; raises SettingsError where root or observatory are not set."""
    _require_place(values)
    return Settings(
        cache=_layout(values),
        server_url=identity.normal_url(values["server_url"]),
        use_case=values["use_case"],
        readonly_cache=values["readonly_cache"],
        readers=Path(values["readers_dir"] or _layout(values).state / "readers"),
        wanted=_wanted(values),
        parts=_parts(values),
        fetch_references=values["fetch_references"],
        dataset_files=tuple(values["dataset_files"]),
        dataset_ids=tuple(values["dataset_ids"]),
        check_files=values["check_files"],
        check_sha1sum=values["check_sha1sum"],
        policy=Policy(values["repair_files"], values["on_changed_content"] == "replace"),
        trees=tuple(map(Path, values["adopt"])),
        adoption=_adoption(values),
        verify_max_age_days=values["verify_max_age_days"],
        verify_budget_bytes=int(values["verify_budget_gb"] * _GB) or None,
        purging=_purging(values),
        keeping=_keeping(values),
        context_list=Path(values["context_list"]) if values["context_list"] else None,
        holdings=_holdings(values),
        tolerate_missing=frozenset(values["tolerate_missing"]),
        new_mode=Mode(values["layout"]),
        shards=values["shards"],
        connections=values["connections"],
        patience=_patience(values),
        transfers=_transfers(values),
        allow_bad_rules=values["allow_bad_rules"],
        allow_bad_references=values["allow_bad_references"],
        ignore_mapping_checksum=values["ignore_mapping_checksum"],
        telling=_telling(values),
    )


def _require_place(values: Mapping[str, Any]) -> None:
    for key, variable in (("cache_root", "CRDS_PATH"), ("observatory", "CRDS_OBSERVATORY")):
        if values[key] is None:
            message = f"{variable} is not set: set it, or {key!r} in the settings"
            raise SettingsError(message)


def _wanted(values: Mapping[str, Any]) -> Wanted:
    serials = values["context_range"]
    return Wanted(
        tuple(values["contexts"]),
        values["all_contexts"],
        values["last_n_contexts"],
        None if serials is None else selection.parse_serials(serials),
        values["up_to_context"],
        values["after_context"],
        tuple(values["files"]),
    )


def _parts(values: Mapping[str, Any]) -> Parts:
    asked = [tuple(word.lower() for word in values[key]) for key in ("instruments", "types")]
    _require_instruments("instruments", asked[0], values["observatory"])
    return Parts(*asked)


def _holdings(values: Mapping[str, Any]) -> Holdings | None:
    if values["holdings"] == "auto":
        return None
    holdings = identity.parse_holdings(values["holdings"])
    words = [part.partition("/")[0] for part in holdings.parts if part != "all"]
    _require_instruments("holdings", words, values["observatory"])
    return holdings


def _require_instruments(key: str, words: Iterable[str], observatory: str) -> None:
    known = names.INSTRUMENTS[observatory]
    for word in words:
        if word not in known:
            message = f"{key}: expected some of {', '.join(known)}; found {word!r}"
            raise SettingsError(message)


def _purging(values: Mapping[str, Any]) -> Purging:
    return Purging(
        values["purge_mappings"], values["purge_references"], values["purge_rejected"], values["purge_plan"]
    )


def _keeping(values: Mapping[str, Any]) -> Keeping:
    return Keeping(
        values["keep_last"],
        tuple(values["pinned"]),
        values["keep_default_days"],
        values["max_purge"],
        values["no_leases"],
        values["trash_days"],
        values["reserve_bytes"],
    )


def _telling(values: Mapping[str, Any]) -> Telling:
    return Telling(
        values["busy_alarm_h"] * _HOUR_S,
        values["pending_alarm_h"] * _HOUR_S,
        values["frozen_alarm_h"] * _HOUR_S or None,
        values["stale_alarm_h"] * _HOUR_S,
        tuple(values["notify_command"]),
        values["notify_timeout_s"],
        values["keep_logs"],
    )


def _patience(values: Mapping[str, Any]) -> Patience:
    return Patience(
        connect_timeout_s=values["connect_timeout_s"],
        read_timeout_s=values["read_timeout_s"],
        tries=values["tries"],
        backoff_s=values["backoff_s"],
        backoff_max_s=values["backoff_max_s"],
        slowest_bytes_s=values["min_rate_bytes_s"],
    )


def _transfers(values: Mapping[str, Any]) -> Transfers:
    return Transfers(
        tuple(values["sources"]),
        frozenset(state.lower() for state in values["delivered_states"]),
        values["max_rate_mb_s"] * _MB or None,
        values["deadline_h"] * _HOUR_S or None,
    )


def _adoption(values: Mapping[str, Any]) -> Adoption:
    sums = values["adopt_sums"] or values["check_sha1sum"]
    return Adoption(AdoptMode(values["adopt_mode"]), values["adopt_copies"], sums)


def _layout(values: Mapping[str, Any]) -> Layout:
    usual = layout.default_layout(Path(values["cache_root"]), values["observatory"])

    def place(key: str, default: Path) -> Path:
        return Path(values[key]) if values[key] else default

    return replace(
        usual,
        mappings=place("mappings_dir", usual.mappings),
        references=place("references_dir", usual.references),
        config=place("config_dir", usual.config),
        locks=place("lock_dir", usual.locks),
        access=Access(values["access"]),
    )
