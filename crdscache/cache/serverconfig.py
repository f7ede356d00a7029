"""The saved answer of the server, by which the missions' clients work without one.

Source: docs/protocol.md, "The configuration files".
"""

import ast
import os
import pprint
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from crdscache.cache import publish
from crdscache.contexts import catalogue, serverinfo, times
from crdscache.contexts.records import FileRecord
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import NotACacheError, ServerError, UnreadableConfigError

CONFIG_FILE = "server_config"
BAD_FILES_FILE = "bad_files.txt"

_LIMIT_BYTES = 64 * 2**20
# They differ in each answer of the server, and say nothing about the files.
_TIME_STAMPS = ("last_refreshed", "last_synced", "updated")
_DEFAULTS = ("operational_context", "latest_context")
_CATALOGUE = "download_metadata"
# Without it the missions' client cannot use the configuration.
_NEEDED = "last_synced"


def read(config: Path) -> dict[str, object] | None:
    """Read the saved configuration; None where there is none.

    Raises
    ------
    UnreadableConfigError
        It is not a dictionary of literals. Nothing in it is ever executed.
    """
    path = config / CONFIG_FILE
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT_BYTES:
            message = f"{path}: expected a regular file of at most {_LIMIT_BYTES} bytes"
            raise UnreadableConfigError(message)
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        message = f"{path}: expected text in UTF-8, found other bytes"
        raise UnreadableConfigError(message) from error
    return _literal(path, text)


def _literal(path: Path, text: str) -> dict[str, object]:
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        message = f"{path}: expected one dictionary of literals, found: {error}"
        raise UnreadableConfigError(message) from error
    if not isinstance(value, dict):
        message = f"{path}: expected a dictionary, found {type(value).__name__}"
        raise UnreadableConfigError(message)
    return value


def read_checked(config: Path, observatory: str) -> dict[str, object] | None:
    """Read the saved configuration, and make sure that it has all that a reader needs.

    Raises
    ------
    UnreadableConfigError
        As `read`, or something that a reader needs is not in it, or it is of another observatory.
    """
    saved = read(config)
    if saved is not None:
        # Without the catalogue: it is large, and the server's own is at hand.
        _parse(config, saved | {_CATALOGUE: None}, observatory)
    return saved


def read_info(config: Path, observatory: str, *, with_catalogue: bool = True) -> ServerInfo | None:
    """Read the saved configuration as the server's answer that it was; raises as `read_checked`.

    Parameters
    ----------
    with_catalogue
        Unpack the catalogue too, which takes most of the time; else `record` finds single files in it.
    """
    saved = read(config)
    if saved is None or with_catalogue:
        return None if saved is None else _parse(config, saved, observatory)
    return replace(_parse(config, saved | {_CATALOGUE: None}, observatory), raw=saved)


def records(info: ServerInfo) -> Callable[[str], FileRecord | None]:
    """Give what finds single files in a catalogue that is not unpacked yet.

    Raises
    ------
    UnreadableConfigError
        It cannot be unpacked.
    """

    @cache
    def metadata() -> Mapping[str, object]:
        try:
            found = serverinfo.unwrap(info.raw.get(_CATALOGUE) or {})
        except ServerError as error:
            raise UnreadableConfigError(f"{CONFIG_FILE}: {error}") from error
        return found if isinstance(found, dict) else {}

    def record(name: str) -> FileRecord | None:
        entry = metadata().get(name)
        known = catalogue.from_metadata({name: entry} if entry else {}, info.bad_files)
        return known.records.get(name)

    return record


def _parse(config: Path, saved: dict[str, object], observatory: str) -> ServerInfo:
    try:
        info = serverinfo.parse_server_info(saved, observatory)
    except (ServerError, NotACacheError) as error:
        message = f"{config / CONFIG_FILE}: {error}"
        raise UnreadableConfigError(message) from error
    if _NEEDED not in saved:
        message = f"{config / CONFIG_FILE}: key {_NEEDED!r} is missing"
        raise UnreadableConfigError(message)
    return info


def compose(info: ServerInfo, server_url: str, default_context: str) -> dict[str, object]:
    """Make what is saved of the server's answer, with `default_context` as its default."""
    saved = dict(info.raw)
    saved["mapping_url"] = {info.observatory: info.mapping_url}
    saved["reference_url"] = {info.observatory: info.reference_url}
    saved = with_default(saved, default_context)
    for key in ("config_url", "pickle_url"):
        bases = saved.get(key)
        if isinstance(bases, dict) and isinstance(bases.get("unchecked"), dict):
            saved[key] = bases["unchecked"]
    saved.setdefault(_NEEDED, times.now())
    saved.update(server=server_url, status="server", connected=True)
    return saved


def with_default(saved: Mapping[str, object], default_context: str) -> dict[str, object]:
    """Make the same configuration with another default."""
    return {**saved, **{key: default_context for key in _DEFAULTS if key in saved}}


def is_same(saved: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Compare two configurations but for the times at which the server was asked."""

    def timeless(config: Mapping[str, object]) -> dict[str, object]:
        return {key: value for key, value in config.items() if key not in (*_TIME_STAMPS, _CATALOGUE)}

    return timeless(saved) == timeless(other) and _is_same_catalogue(
        saved.get(_CATALOGUE), other.get(_CATALOGUE)
    )


def vanished(saved: Mapping[str, object], said: Mapping[str, object]) -> list[str]:
    """Name the files that a saved answer of the server lists, and another one does not."""
    lost = _mappings(saved) - _mappings(said)
    if not _is_same_catalogue(saved.get(_CATALOGUE), said.get(_CATALOGUE)):
        lost |= _catalogued(saved) - _catalogued(said)
    return sorted(lost)


def _mappings(answer: Mapping[str, object]) -> set[str]:
    listed = answer.get("mappings")
    return {name for name in listed if isinstance(name, str)} if isinstance(listed, list | tuple) else set()


def _catalogued(answer: Mapping[str, object]) -> set[str]:
    try:
        known = serverinfo.unwrap(answer.get(_CATALOGUE) or {})
    except ServerError:
        return set()
    return {name for name in known if isinstance(name, str)} if isinstance(known, dict) else set()


def _is_same_catalogue(saved: object, other: object) -> bool:
    if saved == other:
        return True
    try:
        # Packed again, the same catalogue can be other text: gzip has a time stamp too.
        return serverinfo.unwrap(saved) == serverinfo.unwrap(other)
    except ServerError:
        return False


def exists(config: Path) -> bool:
    """Tell whether a cache has a configuration already."""
    return (config / CONFIG_FILE).exists()


def is_frozen(config: Path) -> bool:
    """Tell whether an operator has made the configuration read-only, which holds the default where it is."""
    try:
        mode = (config / CONFIG_FILE).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not stat.S_IMODE(mode) & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)


@contextmanager
def staged(config: Path, saved: Mapping[str, object]) -> Iterator[Path]:
    """Yield the configuration, written aside and durable; one rename makes it current, else it is gone.

    The text is what the missions' client writes: `pprint` with its defaults, no newline at the end.
    """
    config.mkdir(parents=True, exist_ok=True)
    aside = publish.aside(config / CONFIG_FILE)
    try:
        with publish.naming(config / CONFIG_FILE):
            aside.write_text(pprint.pformat(dict(saved)), encoding="utf-8", newline="")
            publish.flush_to_disk(aside)
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def write_bad_files(config: Path, bad_files: Sequence[str]) -> None:
    """Write the list of rejected files, for people: no client reads it."""
    publish.write_text(config / BAD_FILES_FILE, "\n".join(bad_files))


def bad_files_are(config: Path, bad_files: Sequence[str]) -> bool:
    """Tell whether the saved list is this one."""
    try:
        return (config / BAD_FILES_FILE).read_bytes() == os.fsencode("\n".join(bad_files))
    except OSError:
        return False
