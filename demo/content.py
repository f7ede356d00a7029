"""What the server hands out: contents from memory, disk or made from the name, and the catalogue to them."""

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha1, shake_128
from pathlib import Path

from crdscache.contexts import names
from crdscache.contexts.records import FileRecord
from crdscache.contexts.serverinfo import unwrap, wrap

CHUNK_BYTES = 1 << 18
# Without a cap, too, the sums of made contents must be known at the start; of more than this it is slow.
UNCAPPED_LIMIT_BYTES = 1 << 28
# Keys that clients add to their saved copy, or that would lead them away from this server.
NOT_SERVED = ("server", "status", "connected", "config_url", "pickle_url", "latest_context")


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one file; without a source they are made from the name, alike in every run."""

    name: str
    size_bytes: int
    source: bytes | Path | None = None

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` to `stop`, never holding more than a chunk of them."""
        stop = self.size_bytes if stop is None else min(stop, self.size_bytes)
        while start < stop:
            # Up to the next multiple of the chunk, for made contents depend on the chunk's number.
            end = min(stop, start - start % CHUNK_BYTES + CHUNK_BYTES)
            yield self._piece(start, end)
            start = end

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Get the bytes from `start` to `stop` in one piece."""
        if self.size_bytes <= CHUNK_BYTES:
            stop = self.size_bytes if stop is None else min(stop, self.size_bytes)
            return self._piece(start, stop) if start < stop else b""
        return b"".join(self.chunks(start, stop))

    def _piece(self, start: int, end: int) -> bytes:
        if isinstance(self.source, bytes):
            return self.source[start:end]
        if self.source is not None:
            with self.source.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        # No period: a client that resumes at the wrong offset must not get the right bytes.
        number, first = divmod(start, CHUNK_BYTES)
        return shake_128(f"{number} {self.name}".encode()).digest(end - number * CHUNK_BYTES)[first:]


def in_memory(name: str, data: bytes) -> Content:
    """Hold `data` as the content of `name`."""
    return Content(name, len(data), data)


def record_of(content: Content, state: str = "operational") -> FileRecord:
    """Describe a content as it is."""
    total = sha1(usedforsecurity=False)
    for chunk in content.chunks():
        total.update(chunk)
    return FileRecord(content.name, content.size_bytes, total.hexdigest(), state)


@dataclass(slots=True)
class Archive:
    """All that one observatory's server knows; `contents` and `records` may be made to disagree."""

    observatory: str
    root: Path | None = None
    config: dict[str, object] = field(default_factory=dict)
    default: str = ""
    edit: str = ""
    mappings: list[str] = field(default_factory=list)
    eras: list[list[str]] = field(default_factory=list)  # newest first
    records: dict[str, FileRecord] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    _wrapped: dict[str, str] | None = None

    def put(self, content: Content, record: FileRecord) -> None:
        """Hand out `content`, and say of it what `record` says."""
        self.contents[content.name] = content
        self.records[content.name] = record
        if names.is_mapping(content.name) and content.name not in self.mappings:
            self.mappings = sorted([*self.mappings, content.name])
        self._wrapped = None

    def change(self, name: str, *, state: str | None = None, is_rejected: bool | None = None) -> None:
        """Change what the catalogue says of a file that it has."""
        old = self.records[name]
        self.records[name] = replace(
            old,
            state=old.state if state is None else state,
            is_rejected=old.is_rejected if is_rejected is None else is_rejected,
        )

    def forget(self, name: str) -> None:
        """Take a file out of catalogue, list and stock."""
        self.records.pop(name, None)
        self.contents.pop(name, None)
        self.mappings = [mapping for mapping in self.mappings if mapping != name]
        self._wrapped = None

    def history(self) -> list[list[str]]:
        """Tell the eras up to the default context, newest first."""
        for number, era in enumerate(self.eras):
            if era[1] == self.default:
                return self.eras[number:]
        if not self.default:
            return self.eras
        return [[f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}", self.default, "moved by hand"], *self.eras]

    def server_info(self, url: str) -> dict[str, object]:
        """Answer get_server_info, with all addresses below `url`."""
        if self._wrapped is None:
            self._wrapped = wrap(
                {
                    r.name: {"sha1sum": r.file_sha1 or "none", "size": str(r.size_bytes)}
                    for r in self.records.values()
                }
            )
        base = f"{url}/unchecked_get"
        return {
            "versions_context": "",
            "crds_version": {"str": "14.0.0", "rev": "demo", "svnurl": "/"},
            "force_remote_mode": 0,
            "max_headers_per_rpc": 1000,
            "max_bestrefs_per_rpc": 1000,
            **self.config,
            "last_refreshed": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
            "observatory": self.observatory,
            "operational_context": self.default,
            "latest_context": self.default,
            "edit_context": self.edit,
            "mappings": self.mappings,
            "bad_files_list": sorted(record.name for record in self.records.values() if record.is_rejected),
            "context_history": self.history(),
            "mapping_url": {"unchecked": {self.observatory: f"{base}/mappings/{self.observatory}/"}},
            "reference_url": {"unchecked": {self.observatory: f"{base}/references/{self.observatory}/"}},
            "download_metadata": self._wrapped,
            "last_synced": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
        }


def load(root: Path, observatory: str, cap_bytes: int | None = None) -> Archive:
    """Read a directory laid out like a cache.

    References that are not there as files are made from their names, at their catalogued size, but no larger
    than `cap_bytes`; the catalogue is changed to match. Listed mappings without an entry get one.
    """
    config = ast.literal_eval((root / "config" / observatory / "server_config").read_text("utf-8"))
    metadata = unwrap(config["download_metadata"])
    if not isinstance(metadata, dict):
        raise ValueError(f"{root}: download_metadata is no table of files")
    on_disk = _files_below(root / "mappings" / observatory) | _files_below(root / "references" / observatory)
    made_bytes = sum(int(entry["size"]) for name, entry in metadata.items() if name not in on_disk)
    if cap_bytes is None and made_bytes > UNCAPPED_LIMIT_BYTES:
        raise ValueError(f"{root}: references of {made_bytes} bytes would have to be made up: give a cap")
    bad_files = frozenset(config["bad_files_list"])
    archive = Archive(
        observatory,
        root,
        default=config["operational_context"],
        edit=config["edit_context"],
        mappings=list(config["mappings"]),
        eras=[list(era) for era in config["context_history"]],
        config={key: value for key, value in config.items() if key not in NOT_SERVED},
    )
    for name, entry in metadata.items():
        size_bytes, path = int(entry["size"]), on_disk.get(name)
        if path is not None:
            content = Content(name, path.stat().st_size, path)
            record = FileRecord(name, size_bytes, entry["sha1sum"], "operational", name in bad_files)
        else:
            content = Content(name, size_bytes if cap_bytes is None else min(size_bytes, cap_bytes))
            record = replace(record_of(content), is_rejected=name in bad_files)
        archive.contents[name], archive.records[name] = content, record
    for name in archive.mappings:
        if name not in archive.records and name in on_disk:
            content = Content(name, on_disk[name].stat().st_size, on_disk[name])
            archive.contents[name], archive.records[name] = content, record_of(content)
    return archive


def _files_below(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for where, _, here in os.walk(folder):
        found |= {name: Path(where, name) for name in here}
    return found
