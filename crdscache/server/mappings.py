"""Bring the rules that contexts need: found from the root down, put in place from the leaves up.

A mapping gets its name only when all that it names is there, so a context that a reader can open is whole.
"""

from collections.abc import Iterable
from pathlib import Path

from crdscache.cache import publish
from crdscache.contexts import closure
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.closure import Links, Load
from crdscache.contexts.mapping import Level
from crdscache.contexts.records import FileRecord, Outcome, Receipt
from crdscache.errors import MappingError, MissingMappingError
from crdscache.server.fetch import Downloader, Order


class Shelf:
    """Verified copies of mappings that have no place in the cache yet.

    Parameters
    ----------
    here, aside
        Where the mappings of the cache lie; where copies go: the same directory, or a temporary one in a dry
        run.
    """

    def __init__(self, here: Path, aside: Path, catalogue: Catalogue) -> None:
        self._here, self._aside, self._records = here, aside, catalogue.records
        self._copies: dict[str, Path] = {}

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
        self, wanted: Iterable[str], base_url: str, downloader: Downloader, load: Load
    ) -> list[Receipt]:
        """Bring the closures of `wanted`, level by level, as copies.

        Parameters
        ----------
        load
            Reads a mapping that is here, or a copy.

        Returns
        -------
        list
            One receipt per mapping of the closures, in order of name.
        """
        receipts: dict[str, Receipt] = {}
        level = sorted(set(wanted))
        while level:
            missing = [name for name in level if name in self._records and not (self._here / name).exists()]
            orders = [Order(self._records[name], base_url + name, self._aside / name) for name in missing]
            for receipt in downloader.bring_all(orders, publish=False):
                receipts[receipt.name] = receipt
                if receipt.outcome is Outcome.FETCHED:
                    copy = publish.part_name(receipt.name, self._records[receipt.name].file_sha1)
                    self._copies[receipt.name] = self._aside / copy
            below = {child for name in level for child in _children(name, load, receipts)}
            level = sorted(below - receipts.keys())
        return [receipts[name] for name in sorted(receipts)]

    def put(self, receipts: Iterable[Receipt], load: Load) -> list[Receipt]:
        """Give the copies their names, leaves first.

        A copy whose own leaves are not here stays aside, to be taken up by the next run without another
        request.

        Returns
        -------
        list
            The receipts of `bring`, where what stays aside has failed, or is pending if all it waits for is.
        """
        receipts = list(receipts)
        waiting, n_before = list(reversed(self._copies)), -1
        while len(waiting) != n_before:
            n_before = len(waiting)
            waiting = [name for name in waiting if not self._put_one(name, load)]
        if self._copies:
            publish.sync_directory(self._here)
        pending = {receipt.name for receipt in receipts if receipt.outcome is Outcome.PENDING}
        return [
            _waits(r.name, load, pending) if r.outcome is Outcome.FETCHED and r.name in waiting else r
            for r in receipts
        ]

    def _put_one(self, name: str, load: Load) -> bool:
        below = closure.walk(name, load)
        is_put = below.is_whole and all((self._here / one).exists() for one in below.mappings if one != name)
        if is_put:
            publish.rename_into_place(self._copies[name], self._here / name)
        return is_put


def _children(name: str, load: Load, receipts: dict[str, Receipt]) -> tuple[str, ...]:
    try:
        links = load(name)
    except (MappingError, MissingMappingError) as error:
        if name not in receipts or receipts[name].outcome is Outcome.FETCHED:
            receipts[name] = Receipt(name, Outcome.FAILED, reason=str(error))
        return ()
    receipts.setdefault(name, Receipt(name, Outcome.KEPT))
    return _mappings(links)


def _waits(name: str, load: Load, pending: set[str]) -> Receipt:
    problems = closure.walk(name, load).problems
    outcome = Outcome.PENDING if pending.issuperset(one.name for one in problems) else Outcome.FAILED
    lacks = "; ".join(f"{one.name}: {one.reason}" for one in problems[:1])
    return Receipt(name, outcome, reason=f"not put in place, as it is not whole: {lacks}")


def _mappings(links: Links) -> tuple[str, ...]:
    return () if links.level is Level.RMAP else links.names
