"""A purge carried out: what its estimate named goes to the trash, and nothing else."""

import errno
import logging
import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from crdscache.cache import keep, lease, publish, trash
from crdscache.cache.layout import Layout
from crdscache.cache.purge import Estimate, PurgeRow
from crdscache.cache.trash import Gone, Trash, Why
from crdscache.contexts import times
from crdscache.contexts.records import Kind, Problem
from crdscache.errors import ContextError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deed:
    """What a purge did: the content of purged.json."""

    run_id: str  # also the name of what it left in the trash
    plan: str  # the id of the estimate that was asked for
    n_mappings: int = 0
    n_references: int = 0
    size_bytes: int = 0
    frees_bytes: int = 0  # what the disk gets back once the trash is empty
    n_vanished: int = 0  # names that somebody else took away meanwhile
    failures: tuple[Problem, ...] = ()  # why nothing went, or what could not go

    @property
    def n_files(self) -> int:
        """Count all that went."""
        return self.n_mappings + self.n_references


def carry_out(cache: Layout, estimate: Estimate, run_id: str, *, ignores_leases: bool) -> Deed:
    """Move what goes to the trash. The caller holds the writer's lock, and has just made the estimate.

    No reader can take a lease on a context that is not kept as long as this lasts.
    """
    try:
        with _no_new_readers(cache, estimate, ignores_leases=ignores_leases):
            return _move(cache, estimate, run_id)
    except ContextError as error:
        return Deed(run_id, estimate.plan, failures=(Problem(error.name, f"{error}: nothing was purged"),))


@contextmanager
def _no_new_readers(cache: Layout, estimate: Estimate, *, ignores_leases: bool) -> Iterator[None]:
    with ExitStack() as end:
        if not ignores_leases:
            _allow_descriptors()
            for name in keep.local_contexts(cache):
                if name not in estimate.kept.why and (cache.mappings / name).is_file():
                    end.enter_context(lease.without_readers(cache.mappings / name))
        yield


def _allow_descriptors() -> None:
    """Allow one for each context: hst has hundreds."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _move(cache: Layout, estimate: Estimate, run_id: str) -> Deed:
    own = Trash(cache, run_id)
    places = {where: own.directory(cache.absolute(where) / "x") for where in _directories(estimate.rows)}
    kept_as = _names(estimate.rows)
    now = times.now()
    # Told before it is done: what lies there without a line would be a riddle.
    for place in dict.fromkeys(places.values()):
        of_place = [row for row in estimate.rows if places[_directory(row)] == place]
        told = [Gone(now, kept_as[row.path], row.path, Why(row.why)) for row in of_place]
        trash.write_table(place, told)
    mover = _Mover()
    for where, rows in groupby(estimate.rows, key=_directory):
        mover.move(cache.absolute(where), places[where], list(rows), kept_as)
    for directory in (*map(cache.absolute, places), *places.values()):
        publish.sync_directory(directory)
    return mover.deed(run_id, estimate.plan)


def _directory(row: PurgeRow) -> str:
    return row.path.rpartition("/")[0]


def _directories(rows: Sequence[PurgeRow]) -> list[str]:
    return list(dict.fromkeys(map(_directory, rows)))


def _names(rows: Sequence[PurgeRow]) -> dict[str, str]:
    """Name each file in the trash: as it is called, but for a second one of the same name."""
    taken: dict[str, int] = {}
    found = {}
    for row in rows:
        taken[row.name] = taken.get(row.name, 0) + 1
        found[row.path] = row.name if taken[row.name] == 1 else f"{row.name}~{taken[row.name]}"
    return found


class _Mover:
    """Moves files, and counts."""

    def __init__(self) -> None:
        self._moved: list[tuple[PurgeRow, int]] = []  # with what each frees
        self._n_vanished = 0
        self._failures: list[Problem] = []

    def move(self, source: Path, place: Path, rows: Sequence[PurgeRow], kept_as: dict[str, str]) -> None:
        """Move the files of one directory, by its descriptor: it cannot become a link meanwhile."""
        with ExitStack() as end:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptors = [os.open(directory, flags) for directory in (source, place)]
            for descriptor in descriptors:
                end.callback(os.close, descriptor)
            for row in rows:
                self._move_one(row, kept_as[row.path], *descriptors)

    def _move_one(self, row: PurgeRow, kept: str, source: int, place: int) -> None:
        try:
            status = os.stat(row.name, dir_fd=source, follow_symlinks=False)
            if not row.is_of(status):
                self._failures.append(Problem(row.path, "it was replaced meanwhile, and stays"))
                return
            os.rename(row.name, kept, src_dir_fd=source, dst_dir_fd=place)
        except FileNotFoundError:
            logger.warning("vanished path=%s", row.path)
            self._n_vanished += 1
            return
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "")
            self._failures.append(
                Problem(row.path, f"cannot be moved to the trash: {error.strerror} ({name})")
            )
            return
        is_linked = status.st_nlink > row.n_links  # elsewhere, meanwhile
        self._moved.append((row, 0 if is_linked else row.frees_bytes))

    def deed(self, run_id: str, plan: str) -> Deed:
        """Add up."""
        n_mappings = sum(row.kind is Kind.MAPPING for row, _ in self._moved)
        return Deed(
            run_id,
            plan,
            n_mappings,
            len(self._moved) - n_mappings,
            sum(row.size_bytes for row, _ in self._moved),
            sum(frees for _, frees in self._moved),
            self._n_vanished,
            tuple(self._failures),
        )
