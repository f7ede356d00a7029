"""Wrong files, replaced: the good copy is here and verified before the bad one goes, to the trash."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from crdscache.cache import layout, lease, sums, trash, verdicts, verify
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.contexts.records import FileRecord, Kind, ManifestRow, Policy, Verdict

_PMAP = ".pmap"


class Mender:
    """Puts verified copies in the place of wrong files, for one run.

    Parameters
    ----------
    known
        What was hashed when, by name.
    """

    def __init__(self, cache: Layout, run_id: str, policy: Policy, known: Mapping[str, Hashed]) -> None:
        self._cache, self._policy, self._known = cache, policy, known
        self._trash = trash.Trash(cache, run_id)

    def flaw_of(self, record: FileRecord) -> str | None:
        """Tell what is wrong with a mapping, if this run is to replace it; None too where none is here."""
        if not (self._policy.repairs or self._policy.follows_changes):
            return None
        row = self.mapping(record)
        path = self._cache.absolute(row.path)
        found, _ = verify.hash_one(row, path)
        if not found.verdict.is_bad or found.verdict is Verdict.MISSING:
            return None
        status = layout.status(path)
        known = self._known.get(row.name)
        is_covered = status is not None and verdicts.is_replaced(self._policy, row, status, known)
        return found.reason if is_covered else None

    def replace(self, record: FileRecord, copy: Path, reason: str) -> None:
        """Put a verified copy in the place of a wrong mapping; as `put`."""
        self.put(self.mapping(record), copy, reason)

    def mapping(self, record: FileRecord) -> ManifestRow:
        """Describe a mapping as the manifest does."""
        path = self._cache.relative(self._cache.mappings / record.name)
        return ManifestRow(
            record.name, Kind.MAPPING, "", "", record.size_bytes, record.file_sha1, path, is_held=False
        )

    def put(self, row: ManifestRow, temporary: Path, reason: str) -> None:
        """Give a verified temporary the name of a wrong file, which goes to the trash.

        Raises
        ------
        ContextError
            It is a context that a reader holds: a later run replaces it.
        """
        target = self._cache.absolute(row.path)
        is_file = target.is_file()
        why = trash.Why(reason, row.file_sha1, self._sum_of(row.name, target) if is_file else None)
        with lease.without_readers(target) if is_file and target.suffix == _PMAP else nullcontext():
            self._trash.replace(temporary, target, why)

    def _sum_of(self, name: str, target: Path) -> str | None:
        try:
            status = target.stat()
            known = self._known.get(name)
            if known is not None and known.is_of(status):
                return known.file_sha1 or None
            if verdicts.is_offline(status):
                return None
            with sums.opened(target) as descriptor:
                return None if descriptor is None else sums.file_sha1(descriptor)[0]
        except OSError:  # that may be why it is replaced
            return None
