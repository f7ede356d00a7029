"""One shard of the plan, done: what is in a tree is adopted, the rest fetched, wrong files replaced."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from crdscache.cache import hashes, plan, publish, verdicts
from crdscache.cache.adopt import Adopter
from crdscache.cache.hashes import Hashed
from crdscache.cache.layout import Layout
from crdscache.cache.repair import Mender
from crdscache.contexts.records import Action, ManifestRow, Outcome, PlanRow, Receipt, SightingRow


class Bring(Protocol):
    """Fetches files; see `fetch.Downloader.bring_rows`."""

    def __call__(self, rows: Sequence[PlanRow], *, publish: bool) -> list[Receipt]:
        """Fetch, and give the files their names if so told; else they stay verified beside them."""


@dataclass(frozen=True, slots=True)
class Supplied:
    """What was done."""

    receipts: list[Receipt]  # one for each row
    sightings: list[SightingRow]  # of files of trees that are not what the plan took them for
    known: Mapping[str, Hashed | None] = field(default_factory=dict)  # of what was adopted, as it was then


class Supplier:
    """Does shards of the plan.

    Parameters
    ----------
    source
        Gives the base address for what no tree has after all; None where it is not to be fetched.
    """

    def __init__(
        self,
        cache: Layout,
        adopter: Adopter,
        mender: Mender,
        bring: Bring,
        source: Callable[[PlanRow], str | None],
    ) -> None:
        self._cache, self._adopter, self._mender = cache, adopter, mender
        self._bring, self._source = bring, source

    def do_shard(
        self, rows: Sequence[PlanRow], progress: Callable[[Receipt], None] | None = None
    ) -> Supplied:
        """Do what the plan says.

        Parameters
        ----------
        progress
            Called with the receipt of each file that is adopted; `bring` tells of the others.

        Raises
        ------
        DiskError
            The disk refuses. Files that were put before stay.
        """
        taken = self._adopter.take_all(
            [row for row in rows if row.action is Action.ADOPT], self._put, progress
        )
        to_fetch = [row for row in rows if row.action is Action.FETCH]
        receipts = [plan.receipt_of(row) for row in rows if row.action not in {Action.ADOPT, Action.FETCH}]
        receipts += taken.receipts
        for row in taken.left_over:
            if (source := self._source(row)) is None:
                receipts.append(Receipt(row.file.name, Outcome.FAILED, reason=_why_not(row, taken.sightings)))
            else:
                to_fetch.append(replace(row, action=Action.FETCH, source=source))
        receipts += self._bring([row for row in to_fetch if not row.is_repair], publish=True)
        receipts += self._repair([row for row in to_fetch if row.is_repair])
        return Supplied(receipts, taken.sightings, taken.known)

    def _repair(self, rows: Sequence[PlanRow]) -> list[Receipt]:
        brought = self._bring(rows, publish=False)
        return [self._replace(row, receipt) for row, receipt in zip(rows, brought, strict=True)]

    def _replace(self, row: PlanRow, receipt: Receipt) -> Receipt:
        if receipt.outcome is not Outcome.FETCHED:
            reason = f"{row.reason}; it stays, as no good copy could be had: {receipt.reason}"
            return replace(receipt, outcome=Outcome.FAILED, reason=reason)
        target = self._cache.absolute(row.file.path)
        copy = target.with_name(publish.part_name(target.name, row.file.file_sha1))
        try:
            self._put(row, copy)
        except OSError as error:
            refused = publish.refused(error, target, row.file.size_bytes)
            if refused is not None:
                raise refused from error
            reason = f"{row.reason}; it stays, as it cannot be replaced: {verdicts.cause(error)}"
            return replace(receipt, outcome=Outcome.FAILED, reason=reason)
        publish.sync_directory(target.parent)
        return replace(receipt, outcome=Outcome.REPAIRED, reason=row.reason)

    def _put(self, row: PlanRow, temporary: Path) -> None:
        if row.is_repair:
            self._mender.put(row.file, temporary, row.reason)
        else:
            publish.rename_into_place(temporary, self._cache.absolute(row.file.path))


def _why_not(row: PlanRow, sightings: Iterable[SightingRow]) -> str:
    seen = [f"{one.path}: {one.reason}" for one in sightings if one.name == row.file.name]
    return "; ".join(filter(None, [row.reason, "no tree has a right one", *seen]))


def remember(
    cache: Layout,
    path: Path,
    rows: Iterable[ManifestRow],
    receipts: Iterable[Receipt],
    adopted: Mapping[str, Hashed | None] | None = None,
) -> None:
    """Write down the sums of files that were just brought: they need not be hashed again soon.

    Parameters
    ----------
    adopted
        What such files were when they were summed: since then their originals may have been edited.
    """
    wanted = {row.name: row for row in rows}
    known = dict(adopted or {})
    for receipt in receipts:
        is_brought = receipt.outcome.is_brought and receipt.file_sha1 is not None
        if is_brought and receipt.name not in known:
            row = wanted[receipt.name]
            with suppress(OSError):  # gone already: then there is nothing to remember
                status = cache.absolute(row.path).stat()
                known[row.name] = hashes.hashed(status, receipt.file_sha1 or "", row.file_sha1)
    notes = [(name, one) for name, one in known.items() if one is not None]
    if notes:
        hashes.append(path, notes)
