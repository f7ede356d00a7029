"""Bring the rules that contexts need: found from the root down, put in place from the leaves up.

A mapping gets its name only when all that it names is there, so a context that a reader can open is whole.
"""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from crdscache.cache import publish
from crdscache.contexts import closure
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.closure import Links, Load
from crdscache.contexts.mapping import Level
from crdscache.contexts.records import FileRecord, Outcome, Patience, Receipt
from crdscache.errors import ContextError, MappingError, MissingMappingError
from crdscache.server.fetch import Downloader, Order
from crdscache.server.sources import Sources


class Mend(Protocol):
    """Replaces wrong mappings; see `cache.repair.Mender`."""

    def flaw_of(self, record: FileRecord) -> str | None:
        """Tell what is wrong with a mapping that is here, if it is to be replaced."""

    def replace(self, record: FileRecord, copy: Path, reason: str) -> None:
        """Put a verified copy in the place of a wrong one."""


@contextmanager
def lookout(
    here: Path, base_url: str, patience: Patience, places: Sources
) -> Iterator[Callable[[FileRecord], Path | None]]:
    """Give what brings single mappings that are not `here`, or wrong there; they are looked at, not kept."""
    with ExitStack() as opened:

        @cache
        def means() -> tuple[Path, Downloader]:
            scratch = opened.enter_context(TemporaryDirectory(prefix="crdscache-"))
            return Path(scratch), opened.enter_context(Downloader(patience, 1, places))

        @cache
        def bring(record: FileRecord) -> Path | None:
            if _is_right(here / record.name, record.file_sha1):
                return None
            scratch, downloader = means()
            order = Order(record, base_url + record.name, scratch / record.name)
            (receipt,) = downloader.bring_all([order])
            if receipt.outcome is not Outcome.FETCHED:
                raise MappingError(record.name, receipt.reason)
            return order.target

        yield bring


def _is_right(path: Path, file_sha1: str | None) -> bool:
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return file_sha1 in {None, hashlib.sha1(data, usedforsecurity=False).hexdigest()}


class Shelf:
    """Verified copies of mappings that have no place in the cache yet.

    Parameters
    ----------
    here, aside
        Where the mappings of the cache lie; where copies go: the same directory, or a temporary one in a dry
        run.
    mend
        Replaces wrong mappings; None: they stay.
    """

    def __init__(self, here: Path, aside: Path, catalogue: Catalogue, mend: Mend | None = None) -> None:
        self._here, self._aside, self._records, self._mend = here, aside, catalogue.records, mend
        self._copies: dict[str, Path] = {}
        self._alone: frozenset[str] = frozenset()
        self._flaws: dict[str, str] = {}

    def find(self, record: FileRecord) -> Path | None:
        """Tell where the copy of a mapping lies; see `rules.Rules`."""
        return self._copies.get(record.name)

    def read(self, name: str) -> bytes:
        """Read a mapping that is here, or a copy.

        Raises
        ------
        MissingMappingError
            There is neither.
        """
        try:
            return (self._copies.get(name) or self._here / name).read_bytes()
        except FileNotFoundError as error:
            raise MissingMappingError(name) from error

    def bring(
        self,
        wanted: Iterable[str],
        base_url: str,
        downloader: Downloader,
        load: Load,
        alone: Iterable[str] = (),
    ) -> list[Receipt]:
        """Bring the closures of `wanted`, level by level, as copies.

        Parameters
        ----------
        alone
            Mappings to be brought without what they name.
        load
            Reads a mapping that is here, or a copy.

        Returns
        -------
        list
            One receipt per mapping, in order of name.
        """
        receipts: dict[str, Receipt] = {}

        def bring_level(level: set[str]) -> set[str]:
            orders = [
                Order(self._records[name], base_url + name, self._aside / name)
                for name in sorted(level)
                if name in self._records and self._is_to_come(name)
            ]
            for receipt in downloader.bring_all(orders, publish=False):
                receipts[receipt.name] = self._brought(receipt)
            return {child for name in sorted(level) for child in _children(name, load, receipts)}

        level = set(wanted)
        while level:
            level = bring_level(level) - receipts.keys()
        self._alone = frozenset(set(alone) - receipts.keys())
        bring_level(set(self._alone))
        return [receipts[name] for name in sorted(receipts)]

    def _is_to_come(self, name: str) -> bool:
        if not (self._here / name).exists():
            return True
        flaw = self._mend.flaw_of(self._records[name]) if self._mend is not None else None
        if flaw is not None:
            self._flaws[name] = flaw
        return flaw is not None

    def _brought(self, receipt: Receipt) -> Receipt:
        name = receipt.name
        if receipt.outcome is Outcome.FETCHED:
            self._copies[name] = self._aside / publish.part_name(name, self._records[name].file_sha1)
            return receipt
        if name not in self._flaws:
            return receipt
        reason = f"{self._flaws[name]}; it stays, as no good copy could be had: {receipt.reason}"
        return replace(receipt, outcome=Outcome.FAILED, reason=reason)

    def put(self, receipts: Iterable[Receipt], load: Load) -> list[Receipt]:
        """Give the copies their names, leaves first.

        A copy whose own leaves are not here stays aside, to be taken up by the next run without another
        request; so does one that is to replace a context which a reader holds.

        Returns
        -------
        list
            The receipts of `bring`, where what stays aside has failed, or is pending if all it waits for is.
        """
        receipts = list(receipts)
        waiting, n_before = dict.fromkeys(reversed(self._copies)), -1
        refused: dict[str, Receipt] = {}
        while len(waiting) != n_before:
            n_before = len(waiting)
            for name in list(waiting):
                if not self._is_ready(name, waiting, load):
                    continue
                try:
                    self._put_one(name)
                except ContextError as error:
                    refused[name] = Receipt(name, Outcome.FAILED, reason=f"{error}: a later run replaces it")
                del waiting[name]
        if self._copies:
            publish.sync_directory(self._here)
        pending = {receipt.name for receipt in receipts if receipt.outcome is Outcome.PENDING}
        ends = {name: self._waits(name, load, pending) for name in waiting} | refused
        return [
            ends.get(receipt.name) or self._put_receipt(receipt)
            if receipt.outcome is Outcome.FETCHED
            else receipt
            for receipt in receipts
        ]

    def _put_receipt(self, receipt: Receipt) -> Receipt:
        flaw = self._flaws.get(receipt.name)
        return receipt if flaw is None else replace(receipt, outcome=Outcome.REPAIRED, reason=flaw)

    def _is_ready(self, name: str, waiting: Container[str], load: Load) -> bool:
        below = closure.walk(name, load)
        others = (one for one in below.mappings if one != name)
        return below.is_whole and all(one not in waiting and (self._here / one).exists() for one in others)

    def _waits(self, name: str, load: Load, pending: set[str]) -> Receipt:
        if name in self._alone:
            cure = f"not put in place, as not all that it names is here: --contexts {name} brings that too"
            return Receipt(name, Outcome.FAILED, reason=cure)
        problems = closure.walk(name, load).problems
        outcome = Outcome.PENDING if pending.issuperset(one.name for one in problems) else Outcome.FAILED
        lacks = "; ".join(f"{one.name}: {one.reason}" for one in problems[:1])
        return Receipt(name, outcome, reason=f"not put in place, as it is not whole: {lacks}")

    def _put_one(self, name: str) -> None:
        if self._mend is not None and name in self._flaws:
            self._mend.replace(self._records[name], self._copies[name], self._flaws[name])
        else:
            publish.rename_into_place(self._copies[name], self._here / name)


def _children(name: str, load: Load, receipts: dict[str, Receipt]) -> tuple[str, ...]:
    try:
        links = load(name)
    except (MappingError, MissingMappingError) as error:
        if name not in receipts or receipts[name].outcome is Outcome.FETCHED:
            receipts[name] = Receipt(name, Outcome.FAILED, reason=str(error))
        return ()
    receipts.setdefault(name, Receipt(name, Outcome.KEPT))
    return _mappings(links)


def _mappings(links: Links) -> tuple[str, ...]:
    return () if links.level is Level.RMAP else links.names
