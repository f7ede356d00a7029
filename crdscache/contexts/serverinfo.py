"""What the server says of itself: its contexts, its catalogue, and where its files are.

The same checks serve for its answer and for a saved configuration.
Source: docs/protocol.md, "get_server_info".
"""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from crdscache.contexts import names, times
from crdscache.contexts.records import Problem
from crdscache.errors import NotACacheError, ServerError, UnsafeNameError

MAX_UNWRAPPED_BYTES = 512 * 1024**2
_WRAPPED_KEYS = {"crds_encoded", "crds_payload"}
_GZIP = 16 + zlib.MAX_WBITS
_MAX_TEXT = 1000
_HEADERS_PER_RPC = 500  # where the server does not say


@dataclass(frozen=True, slots=True)
class Era:
    """A time in which one context was the server's default."""

    start: datetime  # UTC
    context: str
    reason: str  # cut, and free of control characters


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """The server's description of itself, checked."""

    observatory: str
    default_context: str
    edit_context: str
    mappings: tuple[str, ...]  # all that the server distributes, sorted
    bad_files: frozenset[str]
    history: tuple[Era, ...]  # newest first, as the server has it
    mapping_url: str  # ends in a slash: add a name
    reference_url: str
    metadata: object | None = field(
        repr=False
    )  # the catalogue, not wrapped, not checked; None where it must be asked for
    raw: dict[str, object] = field(repr=False)  # as it came, to be saved
    versions_context: str | None = None  # the one by which versions of calibration software are looked up
    problems: tuple[Problem, ...] = ()

    @property
    def max_headers_per_rpc(self) -> int:
        """How many data sets may be asked for at a time."""
        limit = self.raw.get("max_headers_per_rpc")
        return limit if isinstance(limit, int) and limit > 0 else _HEADERS_PER_RPC

    @property
    def refreshed(self) -> str | None:
        """When the server made this answer, to the second; None where it does not say."""
        then = times.parse(str(self.raw.get("last_refreshed")))
        return None if then is None else then.strftime(times.FORM)

    def lists(self, name: str) -> bool:
        """Tell whether the server knows a mapping."""
        return name in self.mappings or (isinstance(self.metadata, dict) and name in self.metadata)


def unwrap(value: object) -> object:
    """Take an answer out of its wrapping (base64 of gzip of JSON), if it is in one.

    Raises
    ------
    ServerError
        The wrapping is damaged, or what it holds is larger than allowed.
    """
    if not isinstance(value, dict) or value.keys() != _WRAPPED_KEYS:
        return value
    payload = value["crds_payload"]
    if not isinstance(payload, str):
        raise ServerError("cannot unpack the answer: the payload is no text")
    try:
        unpacker = zlib.decompressobj(_GZIP)
        text = unpacker.decompress(base64.b64decode(payload, validate=True), MAX_UNWRAPPED_BYTES + 1)
        if len(text) > MAX_UNWRAPPED_BYTES:
            raise ServerError(f"cannot unpack the answer: more than {MAX_UNWRAPPED_BYTES} bytes")
        if not unpacker.eof or unpacker.unused_data:
            raise ServerError("cannot unpack the answer: it is cut, or something follows")
        answer: object = json.loads(text)
    except (ValueError, zlib.error, RecursionError) as error:
        raise ServerError(f"cannot unpack the answer: {error!s:.200}") from error
    if isinstance(answer, dict) and answer.keys() == _WRAPPED_KEYS:
        raise ServerError("cannot unpack the answer: it is wrapped twice")
    return answer


def wrap(answer: object) -> dict[str, str]:
    """Wrap an answer as the server does; the same answer is the same text each time."""
    # The least effort: most of a catalogue is sums, which do not compress.
    text = gzip.compress(json.dumps(answer, sort_keys=True).encode(), compresslevel=1, mtime=0)
    return {"crds_encoded": "1.0", "crds_payload": base64.b64encode(text).decode()}


def parse_server_info(raw: object, observatory: str) -> ServerInfo:
    """Check what the server says of itself.

    Raises
    ------
    ServerError
        A key is missing or makes no sense; single bad names are problems instead.
    NotACacheError
        The answer is for another observatory.
    """
    if not isinstance(raw, dict):
        raise ServerError(f"get_server_info: the answer is no table but a {type(raw).__name__}")
    theirs = _text(raw, "observatory").lower()
    if theirs != observatory:
        raise NotACacheError(f"the server is for {names.printable(theirs)}, this cache for {observatory}")
    problems: list[Problem] = []
    # Newer servers use the new name, and must still send the old one.
    default = _context(raw, "operational_context")
    if raw.get("latest_context"):
        default = _context(raw, "latest_context")
    mappings = _mappings(_need(raw, "mappings"), problems)
    if default not in mappings:
        problems.append(
            Problem(default, "the server's default context is not among the mappings that it lists")
        )
    return ServerInfo(
        observatory=observatory,
        default_context=default,
        edit_context=_other_context(raw, "edit_context", problems) or default,
        mappings=mappings,
        bad_files=_bad_files(raw.get("bad_files_list"), problems),
        history=_history(raw.get("context_history"), problems),
        mapping_url=_base_url(raw, "mapping_url", observatory),
        reference_url=_base_url(raw, "reference_url", observatory),
        metadata=unwrap(raw.get("download_metadata")),
        raw=raw,
        versions_context=_other_context(raw, "versions_context", problems),
        problems=tuple(problems),
    )


def parse_history(value: object) -> tuple[Era, ...]:
    """Check the history of default contexts, newest first; rows that are no eras are left out.

    Raises
    ------
    ServerError
        It is no list.
    """
    return _history(value, [])


def _need(raw: dict[str, object], key: str) -> object:
    value = raw.get(key)
    if value is None:
        raise ServerError(f"get_server_info: key {key!r} is missing")
    return value


def _nonsense(key: str, value: object) -> ServerError:
    return ServerError(f"get_server_info: key {key!r} is {names.printable(value)}")


def _text(raw: dict[str, object], key: str) -> str:
    value = _need(raw, key)
    if not isinstance(value, str):
        raise _nonsense(key, value)
    return value


def _context(raw: dict[str, object], key: str) -> str:
    value = _text(raw, key)
    if not _is_context(value):
        raise _nonsense(key, value)
    return value


def _is_context(value: str) -> bool:
    try:
        return names.require_safe(value).endswith(".pmap")
    except UnsafeNameError:
        return False


def _other_context(raw: dict[str, object], key: str, problems: list[Problem]) -> str | None:
    value = raw.get(key)
    if not value:
        return None
    if isinstance(value, str) and _is_context(value):
        return value
    problems.append(Problem(names.printable(value), f"it is given as {key}, but is no context"))
    return None


def _safe_names(values: Iterable[object], key: str, problems: list[Problem]) -> list[str]:
    safe = []
    for value in values:
        try:
            safe.append(names.require_safe(value))
        except UnsafeNameError as error:
            problems.append(Problem(names.printable(value), f"{error} (in {key})"))
    return safe


def _mappings(value: object, problems: list[Problem]) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _nonsense("mappings", value)
    safe = sorted(set(_safe_names(value, "mappings", problems)))
    problems += [
        Problem(name, "it is listed in mappings, but is none") for name in safe if not names.is_mapping(name)
    ]
    return tuple([name for name in safe if names.is_mapping(name)])


def _bad_files(value: object, problems: list[Problem]) -> frozenset[str]:
    if value is None:
        return frozenset()
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list | tuple):
        raise _nonsense("bad_files_list", value)
    return frozenset(_safe_names(value, "bad_files_list", problems))


def _history(value: object, problems: list[Problem]) -> tuple[Era, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise _nonsense("context_history", value)
    eras = []
    for number, row in enumerate(value):
        match row:
            case [str(text), str(context), str(reason)] if _is_context(context) and (
                start := times.parse(text)
            ):
                eras.append(Era(start, context, _printable(reason)))
            case _:
                problems.append(Problem("context_history", f"row {number} is no era"))
    return tuple(eras)


def _printable(text: str) -> str:
    cut = " ".join(text[:_MAX_TEXT].split())
    return cut if cut.isprintable() else "".join(character for character in cut if character.isprintable())


def _base_url(raw: dict[str, object], key: str, observatory: str) -> str:
    # No message shows the URL: it may hold a password.
    bases = _need(raw, key)
    if isinstance(bases, dict) and "unchecked" in bases:
        bases = bases["unchecked"]
    base = bases.get(observatory) if isinstance(bases, dict) else None
    if not isinstance(base, str):
        raise ServerError(f"get_server_info: key {key!r} has no address for {observatory}")
    try:
        parts = urlsplit(base)
    except ValueError as error:
        raise ServerError(f"get_server_info: key {key!r} is no address") from error
    if parts.scheme not in ("http", "https"):
        raise ServerError(f"get_server_info: key {key!r} has scheme {parts.scheme!r:.20}, not http or https")
    if not parts.hostname or not base.isprintable() or " " in base:
        raise ServerError(f"get_server_info: key {key!r} is no address")
    return base if base.endswith("/") else f"{base}/"
