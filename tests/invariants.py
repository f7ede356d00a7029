"""What holds for a cache whatever happened to it; found out without the code that has to keep it so."""

import ast
import hashlib
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from demo.server import Server

_OURS = re.compile(r"\..+\.([0-9a-f]{12}\.part|[0-9a-f]{8}\.crdstmp)")
_NO_FILE = {"N/A", "TEMP_N/A", "OMIT", "TEMP_OMIT", "UNDEFINED"}
_ROOT = {"mappings", "references", "config", ".crdscache", "crds.sync.lock", "crds.config.lock"}
_CONFIG = {"server_config", "bad_files.txt", "ref_cache_subdir_mode"}


def check_invariants(
    root: Path,
    observatory: str,
    server: Server | None = None,
    *,
    is_clean: bool = False,
    apart_from: Collection[str] = (),
) -> None:
    """Assert I1, I2, I5 and I8 of the fault matrix, as far as the root shows them.

    Parameters
    ----------
    server : whose catalogue says what each file must be; None: sizes and sums are not looked at
    is_clean : the last run ended by itself: there are no leftovers
    apart_from : names that the test itself has put there, or damaged
    """
    found = [*_foreign_names(root, observatory, server), *_lacks_of_the_default(root, observatory)]
    if server is not None:
        found += _wrong_bytes(root, observatory, server)
    if is_clean:
        found += [f"I8: {path.relative_to(root)} is left over" for path in root.rglob(".*") if _is_ours(path)]
    wrong = [text for text in found if not any(name in text for name in apart_from)]
    assert wrong == [], wrong  # said twice, for programs that pytest does not run


def references_of(root: Path, observatory: str, context: str) -> dict[str, tuple[str, str]]:
    """Map each reference of a context that is here to its instrument and type."""
    return dict(_references(root / "mappings" / observatory, context))


def closure(mappings: Path, context: str) -> set[str]:
    """Name all mappings that a context reaches, itself included, as far as they are here."""
    names: set[str] = set()
    new = {context}
    while new:
        names |= new
        children = {child for name in new for child in _named(mappings / name)}
        new = {child for child in children if child.endswith(("imap", "rmap"))} - names
    return names


def _is_ours(path: Path) -> bool:
    return _OURS.fullmatch(path.name) is not None


def _files(root: Path, observatory: str, folder: str) -> Iterator[Path]:
    return (
        path for path in (root / folder / observatory).rglob("*") if not path.is_dir() or path.is_symlink()
    )


def _wrong_bytes(root: Path, observatory: str, server: Server) -> Iterator[str]:
    """I1: what has a final name is what the catalogue says."""
    for path in [*_files(root, observatory, "mappings"), *_files(root, observatory, "references")]:
        record = server.archive.records.get(path.name)
        if record is None or not path.is_file():
            continue
        data = path.read_bytes()
        if len(data) != record.size_bytes:
            yield f"I1: {path.name} has {len(data)} bytes, the catalogue says {record.size_bytes}"
        elif record.file_sha1 not in (None, hashlib.sha1(data).hexdigest()):
            yield f"I1: {path.name} has the wrong sum"


def _foreign_names(root: Path, observatory: str, server: Server | None) -> Iterator[str]:
    """I5: nothing has a name but what a cache consists of, and our temporaries."""
    for place, expected in ((root, _ROOT), (root / "config" / observatory, _CONFIG)):
        for path in place.iterdir() if place.is_dir() else ():
            if path.name not in expected and not _is_ours(path):
                yield f"I5: {path.relative_to(root)} does not belong here"
    if server is None:
        return
    for folder in ("mappings", "references"):
        for path in _files(root, observatory, folder):
            is_link_of_instrument = path.is_symlink() and path.name.endswith("ref")
            if path.name not in server.archive.records and not _is_ours(path) and not is_link_of_instrument:
                yield f"I5: {path.relative_to(root)} is not in the catalogue"


def _lacks_of_the_default(root: Path, observatory: str) -> Iterator[str]:
    """I2: the default context has all its rules, and its references within the holdings."""
    path = root / "config" / observatory / "server_config"
    if not path.exists():
        return
    saved = ast.literal_eval(path.read_text())
    context = saved.get("latest_context") or saved["operational_context"]
    mappings = root / "mappings" / observatory
    missing = {name for name in closure(mappings, context) if not (mappings / name).exists()}
    yield from (f"I2: {context} lacks the mapping {name}" for name in sorted(missing))
    stamp = root / ".crdscache" / observatory / "identity.json"
    if missing or not stamp.exists():
        return
    promised = set(json.loads(stamp.read_text())["holdings"]["parts"])
    here = {path.name for path in _files(root, observatory, "references") if path.is_file()}
    for name, (instrument, reftype) in _references(mappings, context):
        if promised & {"all", instrument, f"{instrument}/{reftype}"} and name not in here:
            yield f"I2: {context} lacks the reference {name}"


def _references(mappings: Path, context: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for rmap in sorted(name for name in closure(mappings, context) if name.endswith(".rmap")):
        header = ast.literal_eval(_assigned(mappings / rmap, "header"))
        part = header["instrument"].lower(), header["filekind"].lower()
        for name in _named(mappings / rmap):
            yield name, part
            if re.search(r"\.r\dh$", name):
                yield f"{name[:-1]}d", part


def _assigned(path: Path, name: str) -> ast.expr:
    tree = ast.parse(path.read_text())
    return next(
        statement.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name
    )


def _named(path: Path) -> Iterator[str]:
    """Give the files that the selector of a mapping assigns, wherever they stand in it."""
    tables = ast.walk(_assigned(path, "selector")) if path.exists() else ()
    values = [value for table in tables if isinstance(table, ast.Dict) for value in table.values]
    for value in values:
        for leaf in value.elts if isinstance(value, ast.Tuple) else (value,):
            match leaf:
                case ast.Constant(value=str(name)) if name.upper() not in _NO_FILE:
                    yield name
