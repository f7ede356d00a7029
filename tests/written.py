"""Small caches for tests of one module: mappings written by hand, and the demo observatory's answer."""

import ast
import base64
import gzip
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from crdscache.cache import layout, publish, serverconfig
from crdscache.cache.layout import Layout, Mode
from crdscache.cache.manifest import Disk
from crdscache.cache.rules import Rules
from crdscache.contexts import catalogue, serverinfo
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import FileRecord
from crdscache.contexts.serverinfo import ServerInfo
from demo import observatory
from tests.caches import FORMER, OBSERVATORY

SERVER = "http://localhost"
_KINDS = {"pmap": "PIPELINE", "imap": "INSTRUMENT", "rmap": "REFERENCE"}


def mapping(name: str, *named: str, instrument: str = "acs", reftype: str = "darkfile") -> bytes:
    """Write a mapping that names some files, whatever its parkeys."""
    level = name.rpartition(".")[2]
    header: dict[str, object] = {
        "derived_from": "written by hand",
        "filekind": reftype.upper(),
        "instrument": instrument.upper(),
        "mapping": _KINDS[level],
        "name": name,
        "observatory": "HST",
        "parkey": ("DETECTOR",),
    }
    table = "".join(f"    {f'KEY{number}'!r} : {child!r},\n" for number, child in enumerate(named))
    return observatory.render(header, f"Match({{\n{table}}})" if level == "rmap" else f"{{\n{table}}}")


def sha1_of(data: bytes) -> str:
    """Sum up some bytes as the catalogue does."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def record(name: str, data: bytes) -> FileRecord:
    """Describe a file as the catalogue does."""
    return FileRecord(name, len(data), sha1_of(data))


def catalogue_of(texts: Mapping[str, bytes]) -> Catalogue:
    """Make the catalogue of some files."""
    return Catalogue({name: record(name, data) for name, data in texts.items()})


def write(directory: Path, texts: Mapping[str, bytes]) -> None:
    """Write some files."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in texts.items():
        (directory / name).write_bytes(data)


def raw_answer(root: Path, default: str, **changes: object) -> dict[str, object]:
    """Give the answer of the demo observatory's server, with `default` as its default."""
    saved = ast.literal_eval((root / "config" / "hst" / "server_config").read_text())
    return {**saved, "operational_context": default, "latest_context": default, **changes}


def told(root: Path, default: str, **changes: object) -> ServerInfo:
    """Give the checked answer of the demo observatory's server."""
    return serverinfo.parse_server_info(raw_answer(root, default, **changes), "hst")


def disk_of(cache: Layout, info: ServerInfo, mode: Mode = Mode.FLAT) -> Disk:
    """Describe a cache as it lies on disk at this moment."""
    known = catalogue.from_metadata(info.metadata, info.bad_files)
    return Disk(cache, mode, known, Rules(cache.mappings, known, None).load)


def packed(catalogue: object, *, at: int) -> dict[str, str]:
    """Pack a catalogue as a server does that packs it at another time."""
    data = gzip.compress(json.dumps(catalogue).encode(), mtime=at)
    return {"crds_encoded": "1.0", "crds_payload": base64.b64encode(data).decode()}


def cache_of(demo_root: Path, root: Path) -> Layout:
    """Make a cache that has all files of all contexts; its default is the former context."""
    made = layout.default_layout(root, OBSERVATORY)
    for folder in ("mappings", "references"):  # links: a test replaces or removes files, and writes to none
        shutil.copytree(demo_root / folder, made.root / folder)
    shutil.copytree(demo_root / "config", made.root / "config")
    made.state.mkdir(parents=True)
    saved = serverconfig.compose(told(demo_root, FORMER), SERVER, FORMER)
    with serverconfig.staged(made.config, saved) as aside:
        publish.rename_into_place(aside, made.config / "server_config")
    return made
