"""Files that a site has already, taken over by link or copy: nothing is ever written to an original."""

import errno
import fcntl
import logging
import os
import stat
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from crdscache.cache import hashes, layout, publish, sums, verdicts, verify
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.cache.trees import Forest, Found
from crdscache.contexts import names
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import (
    Action,
    Adoption,
    AdoptMode,
    Outcome,
    PlanRow,
    Receipt,
    Sighting,
    SightingRow,
)

logger = logging.getLogger(__name__)

Put = Callable[[PlanRow, Path], None]

# What is missing, or to be replaced, whatever the reason.
_WANTED = frozenset({Action.FETCH, Action.MISSING, Action.PENDING})
_FICLONE = 0x40049409
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# No hard link or reflink can be made of this file to this place; a copy can.
_NO_LINK = frozenset(
    {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY}
)
_ODD_PATH = "the tables of a run cannot hold its path"
# It is an operator's decision, not the network's turn, if a right file cannot be taken over as asked.
_NOT_OF_THE_BYTES = frozenset({Sighting.NO_LINK, Sighting.NOT_REPLACED})


def foresee(
    forest: Forest, rows: Sequence[PlanRow], catalogue: Catalogue
) -> tuple[list[PlanRow], list[SightingRow]]:
    """Plan to adopt what is wanted and lies in the trees.

    Parameters
    ----------
    rows
        The plan without trees.

    Returns
    -------
    tuple
        The rows, in the same order, and what becomes of each file of the trees, in order of path.
    """
    plan = {row.file.name: row for row in rows}
    spelling = _Spelling(catalogue)
    seen: defaultdict[str, list[Found]] = defaultdict(list)
    sightings = list(forest.unreadable())
    for one in forest.files():
        name = spelling.of(one.name)
        if name is None:
            sightings.append(SightingRow(one.path, one.name, Sighting.FOREIGN))
        elif not one.path.isprintable():
            sightings.append(SightingRow(one.path, name, Sighting.UNREADABLE, _ODD_PATH))
        else:
            seen[name].append(one)
    chosen = {}
    for name, files in seen.items():
        files.sort(key=lambda one: (one.tree, one.name != spelling.of(one.name), one.path))
        row = plan.get(name)
        right = [one for one in files if row is not None and one.size_bytes == row.file.size_bytes]
        if right and row is not None and row.action in _WANTED:
            chosen[name] = right[0]
    halves = {name for name in chosen if not _has_other_half(name, plan, chosen)}
    for name, files in seen.items():
        sightings += _tell(name, files, plan.get(name), chosen.get(name), is_half=name in halves)
    sightings.sort(key=lambda row: row.path)
    whole = {name: one for name, one in chosen.items() if name not in halves}
    return [_adopting(row, whole.get(row.file.name)) for row in rows], sightings


class _Spelling:
    """Finds names of the catalogue whatever the case of their letters; of two alike only the exact one."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._exact = catalogue.records.keys()
        self._lowered: dict[str, str | None] = {}
        for name in self._exact:
            lowered = name.lower()
            self._lowered[lowered] = None if lowered in self._lowered else name

    def of(self, name: str) -> str | None:
        """Tell the catalogue's spelling of a name, None where it has none."""
        return name if name in self._exact else self._lowered.get(name.lower())


def _has_other_half(name: str, plan: Mapping[str, PlanRow], chosen: Mapping[str, Found]) -> bool:
    """Tell whether the other half of a GEIS pair is here, or to be adopted too; True where there is none."""
    others = [names.geis_data(name), names.geis_header(name)]
    return all(
        other in chosen or plan[other].action is Action.KEEP
        for other in others
        if other is not None and other in plan
    )


def _tell(
    name: str, files: Sequence[Found], row: PlanRow | None, chosen: Found | None, *, is_half: bool
) -> Iterator[SightingRow]:
    for one in files:
        if row is None:
            yield SightingRow(one.path, name, Sighting.NOT_WANTED)
        elif one.size_bytes != row.file.size_bytes:
            reason = f"it has {one.size_bytes} bytes, the catalogue says {row.file.size_bytes}"
            yield SightingRow(one.path, name, Sighting.WRONG_SIZE, reason)
        elif row.action is Action.KEEP:
            yield SightingRow(one.path, name, Sighting.HERE)
        elif chosen is None:
            yield SightingRow(one.path, name, Sighting.NOT_REPLACED, f"{row.reason}; --repair-files does")
        elif is_half:
            reason = "its other half is neither in the trees nor in the cache"
            yield SightingRow(one.path, name, Sighting.HALF, reason)
        elif one is chosen:
            yield SightingRow(one.path, name, Sighting.ADOPTED)
        else:
            yield SightingRow(one.path, name, Sighting.DUPLICATE, f"{chosen.path} comes first")


def _adopting(row: PlanRow, chosen: Found | None) -> PlanRow:
    if chosen is None:
        return row
    return replace(row, action=Action.ADOPT, source=chosen.path, reason=row.reason if row.is_repair else "")


def duplicates(sightings: Iterable[SightingRow]) -> list[SightingRow]:
    """List the files to fall back on, from the plan's sightings."""
    return [row for row in sightings if row.sighting is Sighting.DUPLICATE]


def settle(planned: Sequence[SightingRow], corrections: Iterable[SightingRow]) -> list[SightingRow]:
    """Bring what the plan took files for together with what they proved to be."""
    found = {row.path: row for row in corrections}
    return [found.get(row.path, row) for row in planned]


@dataclass(slots=True)
class Taken:
    """What came of the work on some rows."""

    receipts: list[Receipt] = field(default_factory=list)
    left_over: list[PlanRow] = field(default_factory=list)  # no tree has a right one
    sightings: list[SightingRow] = field(default_factory=list)  # where files were not what the plan says
    known: dict[str, Hashed | None] = field(default_factory=dict)  # by name; None: changed as it was summed


class _RefusedError(Exception):
    """A file of a tree is not what it was taken for."""

    def __init__(self, sighting: Sighting, reason: str) -> None:
        super().__init__(reason)
        self.sighting, self.reason = sighting, reason


class Adopter:
    """Takes files over.

    Parameters
    ----------
    fall_back_on
        Other files of the same name and length, in order.
    """

    def __init__(self, cache: Layout, how: Adoption, fall_back_on: Iterable[SightingRow]) -> None:
        self._cache, self._how = cache, how
        self._others: defaultdict[str, list[str]] = defaultdict(list)
        for row in fall_back_on:
            self._others[row.name].append(row.path)

    def take_all(
        self, rows: Sequence[PlanRow], put: Put, progress: Callable[[Receipt], None] | None = None
    ) -> Taken:
        """Take files over, and make their names durable.

        Parameters
        ----------
        put
            Gives a verified temporary its name.
        progress
            Called with each receipt.

        Raises
        ------
        DiskError
            The disk refuses. Files that were put before stay.
        """
        taken = Taken()
        try:
            for row in rows:
                receipt = self._take(row, put, taken)
                if receipt is None:
                    taken.left_over.append(row)
                    continue
                taken.receipts.append(receipt)
                if progress is not None:
                    progress(receipt)
        finally:
            done = {row.name for row in taken.receipts if row.outcome is not Outcome.FAILED}
            targets = (self._cache.absolute(row.file.path) for row in rows if row.file.name in done)
            for directory in {target.parent for target in targets}:
                publish.sync_directory(directory)
        adopted = [one for one in taken.receipts if one.outcome is not Outcome.FAILED]
        n_unsummed = sum(one.file_sha1 is None for one in adopted)
        logger.info("adopted files=%d by_length_only=%d", len(adopted), n_unsummed)
        return taken

    def _take(self, row: PlanRow, put: Put, taken: Taken) -> Receipt | None:
        """Take one file over; None where no tree has a right one."""
        name = row.file.name
        paths = [row.source, *self._others.get(name, ())]
        with_sum = self._how.sums or len(paths) > 1 or row.is_repair
        started = time.monotonic()
        failed = None
        for path in paths:
            try:
                file_sha1, status = self._adopt(row, path, put, with_sum=with_sum)
            except _RefusedError as error:
                logger.warning("not adopted path=%s reason=%s", path, error)
                taken.sightings.append(SightingRow(path, name, error.sighting, error.reason))
                if error.sighting in _NOT_OF_THE_BYTES:
                    reason = "; ".join(filter(None, [row.reason, f"{path} {error}"]))
                    failed = failed or Receipt(name, Outcome.FAILED, reason=reason)
                continue
            if path != row.source:
                taken.sightings.append(SightingRow(path, name, Sighting.ADOPTED))
            if file_sha1 is not None:
                taken.known[name] = self._note(row, file_sha1, status)
            outcome = Outcome.REPAIRED if row.is_repair else Outcome.ADOPTED
            size_bytes, seconds = row.file.size_bytes or 0, time.monotonic() - started
            return Receipt(name, outcome, size_bytes, file_sha1, path, seconds, row.reason)
        return failed

    def _note(self, row: PlanRow, file_sha1: str, before: os.stat_result) -> Hashed | None:
        """Note at once what was summed: an original may be edited at any time."""
        status = layout.status(self._cache.absolute(row.file.path))
        if status is None or _content_state(status) != _content_state(before):
            return None
        return hashes.hashed(status, file_sha1, row.file.file_sha1)

    def _adopt(
        self, row: PlanRow, source: str, put: Put, *, with_sum: bool
    ) -> tuple[str | None, os.stat_result]:
        target = self._cache.absolute(row.file.path)
        try:
            return verify.again_once(lambda: self._put(row, source, put, with_sum=with_sum))
        except OSError as error:
            refused = publish.refused(error, target, row.file.size_bytes)
            raise refused or _refusal(error, target, row) from error

    def _put(
        self, row: PlanRow, source: str, put: Put, *, with_sum: bool
    ) -> tuple[str | None, os.stat_result]:
        temporary = publish.aside(self._cache.absolute(row.file.path))
        try:
            file_sha1 = self._make(row, source, temporary)
            status = temporary.stat()
            file_sha1 = _check(row, temporary, status, file_sha1, with_sum=with_sum)
            put(row, temporary)
        finally:
            # Renamed over another link of the same file it is still there.
            temporary.unlink(missing_ok=True)
        return file_sha1, status

    def _make(self, row: PlanRow, source: str, temporary: Path) -> str | None:
        """Make the link or copy; gives the sum where that is known by then."""
        makers = {AdoptMode.HARDLINK: _link, AdoptMode.REFLINK: _reflink}
        mode = self._how.mode
        if mode is AdoptMode.SYMLINK:
            temporary.symlink_to(source)
            return None
        if mode in makers:
            try:
                makers[mode](source, temporary)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                if not self._how.falls_back:
                    reason = f"cannot be taken over by {mode.value}: {verdicts.cause(error)}"
                    raise _RefusedError(Sighting.NO_LINK, reason) from error
                logger.info("copied, as there is no %s path=%s reason=%s", mode.value, source, error.strerror)
            else:
                return None
        return _copy(row, source, temporary)


def _link(source: str, temporary: Path) -> None:
    # Of a link, a second name for the link would be made.
    os.link(os.path.realpath(source), temporary)


def _reflink(source: str, temporary: Path) -> None:
    with _opened(source) as original:
        descriptor = os.open(temporary, _NEW, 0o666)
        try:
            fcntl.ioctl(descriptor, _FICLONE, original)
            os.fsync(descriptor)
        except OSError:
            temporary.unlink()
            raise
        finally:
            os.close(descriptor)


def _copy(row: PlanRow, source: str, temporary: Path) -> str:
    with _opened(source) as original, publish.naming(temporary):
        _require_size(row, os.fstat(original))
        descriptor = os.open(temporary, _NEW, 0o666)
        try:
            file_sha1 = sums.copy(original, descriptor, limit_bytes=row.file.size_bytes or 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return file_sha1


@contextmanager
def _opened(source: str) -> Iterator[int]:
    with sums.opened(source) as descriptor:
        if descriptor is None:
            raise _RefusedError(Sighting.UNREADABLE, "it is no file any more")
        yield descriptor


def _check(
    row: PlanRow, temporary: Path, status: os.stat_result, file_sha1: str | None, *, with_sum: bool
) -> str | None:
    """Compare what was made with the catalogue: not the source, which may have changed meanwhile."""
    if not stat.S_ISREG(status.st_mode):
        raise _RefusedError(Sighting.UNREADABLE, "it is no file any more")
    _require_size(row, status)
    if not os.access(temporary, os.R_OK):  # a link to what may not be read can be made all the same
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if with_sum and file_sha1 is None:
        file_sha1 = _sum_of(temporary, status.st_size)
    if file_sha1 is not None and row.file.file_sha1 not in {None, file_sha1}:
        reason = f"its SHA-1 is {file_sha1}, the catalogue says {row.file.file_sha1}"
        raise _RefusedError(Sighting.WRONG_SUM, reason)
    return file_sha1


def _require_size(row: PlanRow, status: os.stat_result) -> None:
    if status.st_size != row.file.size_bytes:
        reason = f"it has {status.st_size} bytes, the catalogue says {row.file.size_bytes}"
        raise _RefusedError(Sighting.WRONG_SIZE, reason)


def _sum_of(temporary: Path, size_bytes: int) -> str:
    with _opened(str(temporary)) as descriptor:
        return sums.file_sha1(descriptor, limit_bytes=size_bytes)[0]  # the original may grow meanwhile


def _content_state(status: os.stat_result) -> tuple[int, ...]:
    # A link or a rename, as ours, changes the rest.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _refusal(error: OSError, target: Path, row: PlanRow) -> _RefusedError:
    cause = verdicts.cause(error)
    if str(target) in {error.filename, error.filename2}:  # what stands there may not be replaced
        return _RefusedError(Sighting.NOT_REPLACED, f"cannot be put at {row.file.path}: {cause}")
    return _RefusedError(Sighting.UNREADABLE, cause)
