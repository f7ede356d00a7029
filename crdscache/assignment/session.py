"""The contexts that a run works with, leased, each with its rules read once."""

from collections.abc import Sequence
from dataclasses import dataclass

from crdscache.assignment.assign import Assigner, Vetting
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import layout, rules, serverconfig
from crdscache.cache.layout import Layout, Mode
from crdscache.cache.lease import Lease
from crdscache.cache.stock import Stock


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a run accepts though the server or a sum says no."""

    bad_rules: bool = False
    bad_references: bool = False
    wrong_sums: bool = False  # of mappings


class Session:
    """Gives the assigner of any context that the cache has.

    Parameters
    ----------
    held
        Holds the contexts that are used, and knows the default.
    """

    def __init__(
        self, cache: Layout, new_mode: Mode, held: Lease, allowed: Allowed, reftypes: Sequence[str] = ()
    ) -> None:
        self.held = held
        self._load = rules.loader(held.read, ignore_sums=allowed.wrong_sums)
        self._reftypes = tuple(reftypes)
        self._vetting = Vetting(
            Stock(cache, layout.find_mode(cache, new_mode), serverconfig.records(held.info)),
            held.info.bad_files,
            allow_bad_rules=allowed.bad_rules,
            allow_bad_references=allowed.bad_references,
        )
        self._assigners: dict[str, Assigner] = {}

    def assigner(self, asked: str | None) -> Assigner:
        """Hold a context as `Lease.hold` does, and read its root.

        Raises
        ------
        MappingError
            It is not usable; else as `Lease.hold`.
        """
        context = self.held.hold(asked)
        if context not in self._assigners:
            self._assigners[context] = Assigner(Chooser(context, self._load), self._vetting, self._reftypes)
        return self._assigners[context]
