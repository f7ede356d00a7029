"""The mappings on disk: which are whole and right, and what they name, each read once.

What a mapping names is remembered in the state by the SHA-1 of its bytes, so that a run with nothing to do
parses nothing.
"""

import errno
import hashlib
import stat
from collections.abc import Callable
from pathlib import Path

from crdscache.cache import publish
from crdscache.contexts import mapping
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.closure import Links, links_of
from crdscache.contexts.records import FileRecord, Problem
from crdscache.errors import MappingError, MissingMappingError

_FIRST_LINE = "# crdscache links 2"
# There is no file under a name where a link dangles or leads round in a circle.
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}

Bring = Callable[[FileRecord], Path | None]


def loader(
    source: Path | Callable[[str], bytes], *, ignore_sums: bool = False
) -> Callable[[str], mapping.Mapping]:
    """Make what reads mappings whole, for `bestrefs.choose`.

    Parameters
    ----------
    source
        The directory where they lie, or what gives the bytes of one by its name.
    ignore_sums
        Also read those whose header has a wrong sum; the missions' client does so where it is told to.
    """

    def load(name: str) -> mapping.Mapping:
        if callable(source):
            data = source(name)
        else:
            try:
                data = (source / name).read_bytes()
            except FileNotFoundError as error:
                raise MissingMappingError(name) from error
        return mapping.parse_mapping(name, data) if ignore_sums else _vouched(name, data)

    return load


def _vouched(name: str, data: bytes) -> mapping.Mapping:
    """Read a mapping for which the sum in its own header vouches."""
    read = mapping.parse_mapping(name, data)
    if not read.has_right_sum:
        raise MappingError(name, f"the sum in its header is {read.header_sha1}, should be {read.text_sha1}")
    return read


class Rules:
    """Loads the links of mappings by name, for `closure.walk`.

    Parameters
    ----------
    directory
        Where the mappings lie.
    catalogue
        Says what the bytes of each must be; a mapping that it does not know is believed.
    memory
        Directory that remembers links by SHA-1; None to remember nothing.
    bring
        Tells where a verified copy of a mapping lies that has no place there yet; None if there is none.
    is_strict
        Of a mapping that the catalogue does not know, the sum in its header must be right.
    """

    def __init__(
        self,
        directory: Path,
        catalogue: Catalogue,
        memory: Path | None,
        bring: Bring | None = None,
        *,
        is_strict: bool = False,
    ) -> None:
        self._directory, self._catalogue, self._memory, self._bring = directory, catalogue, memory, bring
        self._is_strict = is_strict
        self._links: dict[str, Links | MappingError | MissingMappingError] = {}

    def load(self, name: str) -> Links:
        """Tell what a mapping names.

        Raises
        ------
        MissingMappingError
            It is neither here nor to be had.
        MappingError
            Its bytes are not what the catalogue says, or cannot be parsed.
        """
        if name not in self._links:
            try:
                self._links[name] = self._read(name)
            except (MappingError, MissingMappingError) as error:
                self._links[name] = error
        found = self._links[name]
        if isinstance(found, Links):
            return found
        raise found

    def whole(self, name: str) -> mapping.Mapping:
        """Read a mapping whole; it is not remembered. Raises as `load`."""
        return mapping.parse_mapping(name, self._verified(name)[0])

    def _read(self, name: str) -> Links:
        data, file_sha1 = self._verified(name)
        record = self._catalogue.records.get(name)
        if self._is_strict and (record is None or record.file_sha1 is None):
            return links_of(_vouched(name, data))
        # The same bytes under a name of another kind are another mapping, or none.
        key = f"{file_sha1}{Path(name).suffix}"
        return self._recall(key) or self._remember(key, links_of(mapping.parse_mapping(name, data)))

    def _verified(self, name: str) -> tuple[bytes, str]:
        """Give the bytes of a mapping, and their SHA-1, which is that of the catalogue."""
        record = self._catalogue.records.get(name)
        copy = self._bring(record) if self._bring and record else None
        data = self._bytes(name) if copy is None else copy.read_bytes()
        if data is None:
            raise MissingMappingError(name)
        file_sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        if record is not None and record.file_sha1 not in (None, file_sha1):
            raise MappingError(name, f"SHA-1 is {file_sha1}, the catalogue says {record.file_sha1}")
        return data, file_sha1

    def _bytes(self, name: str) -> bytes | None:
        path = self._directory / name
        try:
            if stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for a writer
                return path.read_bytes()
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise MappingError(name, f"unreadable: {error.strerror}") from error
        raise MappingError(name, "it is not a regular file")

    def _recall(self, key: str) -> Links | None:
        if self._memory is None:
            return None
        try:
            first, told, text = (self._memory / key).read_text(encoding="utf-8").split("\n", 2)
            counts, kind, *rest = text.split("\n")
            n_names, n_refused = map(int, counts.split("\t"))
            level, observatory, instrument, reftype = kind.split("\t")
        except (OSError, ValueError):
            return None
        # A power cut can leave half of it: it is not flushed to disk, as it can be made again. And what is
        # not remembered rightly would be purged.
        if first != _FIRST_LINE or told != _sum(text) or len(rest) != n_names + n_refused:
            return None
        refused = tuple(Problem(*line.split("\t", 1)) for line in rest[n_names:])
        return Links(mapping.Level(level), observatory, instrument, reftype, tuple(rest[:n_names]), refused)

    def _remember(self, key: str, links: Links) -> Links:
        if self._memory is not None:
            self._memory.mkdir(parents=True, exist_ok=True)
            kind = (links.level.value, links.observatory, links.instrument, links.reftype)
            refused = [f"{problem.name}\t{problem.reason}" for problem in links.refused]
            counts = f"{len(links.names)}\t{len(refused)}"
            text = "\n".join((counts, "\t".join(kind), *links.names, *refused))
            aside = publish.aside(self._memory / key)
            aside.write_text(f"{_FIRST_LINE}\n{_sum(text)}\n{text}", encoding="utf-8")
            aside.replace(self._memory / key)
        return links


def _sum(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
