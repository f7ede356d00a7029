"""The remote methods of a CRDS server: each public method of `Methods` is one, under the protocol's name."""

import inspect
import json
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import cast

from crdscache.contexts import closure, mapping, names
from crdscache.contexts.records import FileRecord
from crdscache.contexts.serverinfo import wrap
from crdscache.errors import CacheError, MissingMappingError
from demo.content import Archive, Content

# context, header, types (None: all) to {type: answer}
BestRefs = Callable[[str, Mapping[str, str], list[str] | None], Mapping[str, object]]

_SPEC = re.compile(
    r"(?:(?P<observatory>hst|jwst|roman|tobs)-)?(?:(?P<instrument>[a-z0-9]+)-)?(?:(?P<reftype>[a-z0-9_-]+?)-)?"
    r"(?P<tag>edit|operational|latest|build|versions|\d{4}-\d\d-\d\d(?:[T ][\d:.]+)?)"
)
_NO_RESULTS = "No precomputed affected datasets results exist for {old} to {new}"
# What our catalogue does not know is told as the real one tells an unset field.
_UNSET = {
    "activation_date": "2020-01-01 00:00:00",
    "aperture": "none",
    "change_level": "severe",
    "comment": "none",
    "creator_name": "demo",
    "deliverer_user": "demo",
    "delivery_date": "2020-01-01 00:00:00",
    "derived_from": "none",
    "description": "none",
    "history": "none",
    "pedigree": "",
    "reference_file_type": "",
    "replaced_by_filename": "",
    "useafter_date": "2050-01-01 00:00:00",
}


class RpcError(Exception):
    """What the server answers instead of a result."""


class Methods:
    """Answers remote calls from an archive; parameters are those of the protocol, in its order."""

    def __init__(self, archive: Archive, url: str, bestrefs: BestRefs | None) -> None:
        self._archive = archive
        self._url = url
        self._bestrefs = bestrefs
        self._remote_contexts: dict[str, str] = {}

    # What a sync asks.

    def get_server_info(self) -> dict[str, object]:
        """Tell everything about the server and its files."""
        return self._archive.server_info(self._url)

    def get_default_context(self, observatory: str | None = None, state: str | None = None) -> str:
        """Name the default context, or the edit context."""
        self._require_ours(observatory)
        return self._archive.edit if state == "edit" else self._archive.default

    def get_build_context(self, observatory: str, _cal_version: str) -> str:
        """Name the context for a version of the calibration software: here all versions share the default."""
        return self.get_default_context(observatory)

    def get_context_by_date(self, spec: str, observatory: str | None = None) -> str:
        """Name the mapping that a symbolic name or a date means."""
        self._require_ours(observatory)
        match = _SPEC.fullmatch(spec)
        if match is None:
            raise RpcError(f"{spec} is no symbolic context")
        self._require_ours(match["observatory"])
        name = self._context_for(match["tag"])
        for key in (match["instrument"], match["reftype"]):
            if key is not None and name != "N/A":
                name = self._entry(name, key)
        return name

    def get_mapping_names(self, context: str | list[str]) -> list[str]:
        """List all mappings that contexts reach, themselves included."""
        contexts = [context] if isinstance(context, str) else context
        return sorted({name for each in contexts for name in self._closure(each).mappings})

    def get_reference_names(self, context: str) -> list[str]:
        """List all references that a context names; of GEIS pairs the header alone."""
        rmaps = self._closure(context).rmaps
        return sorted({name for rmap in rmaps for name in self._links(rmap).names})

    def list_mappings(self, observatory: str | None = None, glob: str = "*") -> list[str]:
        """List the mappings whose names fit a pattern."""
        self._require_ours(observatory)
        return [name for name in self._archive.mappings if fnmatchcase(name, glob)]

    def list_references(self, observatory: str | None = None, glob: str = "*") -> list[str]:
        """List the catalogued references whose names fit a pattern."""
        self._require_ours(observatory)
        catalogued = self._archive.records
        return sorted(name for name in catalogued if fnmatchcase(name, glob) and not names.is_mapping(name))

    def get_file_info(self, context: str, name: str) -> dict[str, str]:
        """Tell all fields of one file; an unknown one is an error."""
        self._require_ours(names.observatory_of(context) if names.is_mapping(context) else context)
        if name not in self._archive.records:
            raise RpcError(f"{name} is not in the catalogue")
        return self._fields(self._archive.records[name])

    def get_file_info_map(
        self, observatory: str, wanted: list[str] | None = None, fields: list[str] | None = None
    ) -> dict[str, str] | dict[str, dict[str, str] | str]:
        """Tell some fields (None: all) of some files (None: all); large answers come wrapped."""
        self._require_ours(observatory)
        records = self._archive.records
        answer: dict[str, dict[str, str] | str] = {}
        for name in records if wanted is None else wanted:
            record = records.get(name)
            answer[name] = "NOT FOUND" if record is None else self._fields(record, fields)
        return wrap(answer) if wanted is None else answer

    def push_remote_context(self, observatory: str, _kind: str, key: str, context: str) -> None:
        """Remember the default context of somebody's cache."""
        self._require_ours(observatory)
        self._remote_contexts[key] = context

    def get_remote_context(self, observatory: str, key: str) -> str:
        """Tell the default context that was pushed last."""
        self._require_ours(observatory)
        if key not in self._remote_contexts:
            raise RpcError(f"{key} never pushed a context")
        return self._remote_contexts[key]

    # What best references and reprocessing ask.

    def get_best_references(
        self, context: str, header: dict[str, str], types: list[str] | None = None
    ) -> Mapping[str, object]:
        """Choose references for a header, with the engine that the server was given."""
        if self._bestrefs is None:
            raise RpcError("this demo server has no selection engine")
        return self._bestrefs(context, header, types or None)

    def get_required_parkeys(self, context: str) -> dict[str, list[str]] | list[str]:
        """List the parameters that a pmap's instruments, or one mapping, choose by."""
        links = self._links(context)
        if links.level is mapping.Level.RMAP:
            return sorted(self._own_parkeys(context))
        if links.level is mapping.Level.IMAP:
            return sorted({key for name in links.names for key in self._own_parkeys(name)})
        own = self._own_parkeys(context)
        found = {self._links(name).instrument: self.get_required_parkeys(name) for name in links.names}
        return {instrument: [*sorted(own), *keys] for instrument, keys in found.items()}

    def get_context_history(self, observatory: str) -> list[list[str]]:
        """List the eras: start, context, reason; newest first."""
        self._require_ours(observatory)
        return self._archive.history()

    def get_dataset_ids(self, _context: str, instrument: str, since: str | None = None) -> list[str]:
        """List the data sets of an instrument, taken at `since` or later."""
        return sorted(
            name
            for name, header in self._datasets().items()
            if header["INSTRUME"].lower() == instrument.lower()
            and (since is None or f"{header.get('DATE-OBS')} {header.get('TIME-OBS')}" >= since)
        )

    def get_dataset_headers_by_id(
        self, _context: str, ids: list[str], _since: str | None = None
    ) -> dict[str, dict[str, str] | str]:
        """Tell the headers of data sets; a one-part id means all that contain it."""
        datasets = self._datasets()
        answer: dict[str, dict[str, str] | str] = {}
        for asked in (each.upper() for each in ids):
            answer |= {name: header for name, header in datasets.items() if asked in {name, *name.split(":")}}
            if not any(asked in name for name in answer):
                answer[asked] = f"NOT FOUND {asked} is not in the archive"
        return answer

    def get_affected_datasets(
        self, observatory: str, old: str | None = None, new: str | None = None
    ) -> object:
        """Tell what was computed for a change of context: a file in `affected/` of the served directory."""
        self._require_ours(observatory)
        eras = self._archive.history()
        new = new or eras[0][1]
        old = old or eras[min(1, len(eras) - 1)][1]
        return self._read_json(f"affected/{old}--{new}.json", _NO_RESULTS.format(old=old, new=new))

    # Beneath.

    def _require_ours(self, observatory: str | None) -> None:
        if observatory not in {None, self._archive.observatory}:
            raise RpcError(f"this is the server of {self._archive.observatory}, not of {observatory}")

    def _mapping(self, name: str) -> mapping.Mapping:
        if name not in self._archive.contents:
            raise MissingMappingError(name)
        return _parse(self._archive.contents[name])

    def _links(self, name: str) -> closure.Links:
        return closure.links_of(self._mapping(name))

    def _closure(self, context: str) -> closure.Closure:
        found = closure.walk(context, self._links)
        if found.problems:
            raise RpcError(found.problems[0].reason)
        return found

    def _context_for(self, tag: str) -> str:
        if not tag[0].isdigit():
            return self.get_default_context(None, tag)
        date = tag.replace("T", " ")
        for start, context, _ in sorted(self._archive.history(), reverse=True):
            if start <= date:
                return context
        raise RpcError(f"{tag} is before the first context")

    def _entry(self, name: str, key: str) -> str:
        for its_key, value in self._mapping(name).selector.items:
            if isinstance(its_key, str) and its_key.lower() == key:
                return "N/A" if not isinstance(value, str) or names.is_special(value) else value
        raise RpcError(f"{name} knows no {key}")

    def _own_parkeys(self, name: str) -> set[str]:
        parkey = self._mapping(name).header["parkey"]
        levels = parkey if isinstance(parkey, tuple) else ()
        flat = [key for level in levels for key in (level if isinstance(level, tuple) else (level,))]
        return {key for key in flat if isinstance(key, str)}

    def _fields(self, record: FileRecord, wanted: list[str] | None = None) -> dict[str, str]:
        name = record.name
        tell: dict[str, Callable[[], str]] = {
            "name": lambda: name,
            "uploaded_as": lambda: name,
            "type": lambda: "mapping" if names.is_mapping(name) else "reference",
            "observatory": lambda: self._archive.observatory,
            "instrument": lambda: _place(name, self._archive.observatory)[0],
            "filekind": lambda: _place(name, self._archive.observatory)[1],
            "state": lambda: record.state,
            "rejected": lambda: _flag(is_set=record.is_rejected),
            "blacklisted": lambda: _flag(is_set=record.is_rejected or self._reaches_rejected(name)),
            "size": lambda: str(record.size_bytes),
            "sha1sum": lambda: record.file_sha1 or "none",
        }
        asked = [*tell, *_UNSET] if wanted is None else wanted
        return {field: tell[field]() if field in tell else _UNSET.get(field, "") for field in asked}

    def _reaches_rejected(self, name: str) -> bool:
        if not names.is_mapping(name):
            return False
        found = closure.walk(name, self._links)
        reached = set(found.mappings).union(*(self._links(rmap).names for rmap in found.rmaps))
        return any(
            each in self._archive.records and self._archive.records[each].is_rejected for each in reached
        )

    def _datasets(self) -> dict[str, dict[str, str]]:
        return cast(
            "dict[str, dict[str, str]]", self._read_json("datasets.json", "this server has no data sets")
        )

    def _read_json(self, path: str, without: str) -> object:
        if self._archive.root is None or not (self._archive.root / path).is_file():
            raise RpcError(without)
        return json.loads((self._archive.root / path).read_bytes())


METHODS = frozenset(name for name in vars(Methods) if not name.startswith("_"))


def call(methods: Methods, name: str, params: list[object]) -> object:
    """Call a remote method.

    Raises
    ------
    RpcError
        There is no such method, the parameters do not fit, or the method refuses.
    """
    if name not in METHODS:
        raise RpcError(f"there is no method {name}")
    method = getattr(methods, name)
    try:
        inspect.signature(method).bind(*params)
        return method(*params)
    except (CacheError, TypeError, AttributeError) as error:
        raise RpcError(f"{name}: {error}") from error


# Contexts share most of their rules: each is parsed once, as long as its content stays the same.
@lru_cache(maxsize=4096)
def _parse(content: Content) -> mapping.Mapping:
    return mapping.parse_mapping(content.name, content.read())


def _flag(*, is_set: bool) -> str:
    return "true" if is_set else "false"


def _place(name: str, observatory: str) -> tuple[str, str]:
    """Tell instrument and type as far as the name shows them, as the catalogue would."""
    if not names.is_mapping(name):
        return names.instrument_of(name, observatory) or "unknown", "unknown"
    stem, _, level = name.rpartition(".")
    parts = [*stem.split("_"), "unknown", "unknown"]
    return "" if level == "pmap" else parts[1], parts[2] if level == "rmap" else ""
