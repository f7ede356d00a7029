"""Which instruments a change of context can concern: a mapping of the same name is the same."""

from dataclasses import dataclass

from crdscache.contexts import names
from crdscache.contexts.mapping import Mapping

# They have rules, but no data sets.
_WITHOUT_DATASETS = frozenset({"synphot", "system"})


@dataclass(frozen=True, slots=True)
class Transition:
    """A change from one context to another."""

    old: str
    new: str
    when: str = ""  # UTC; "" where somebody named the two
    why: str = ""

    @property
    def name(self) -> str:
        """The name of a directory for it."""
        return f"{self.old.removesuffix('.pmap')}__{self.new.removesuffix('.pmap')}"


def imaps(pmap: Mapping) -> dict[str, str]:
    """Name the imap of each instrument, in lower case, that has one."""
    return {
        key.lower(): leaf
        for key, leaf in pmap.selector.items
        if isinstance(key, str) and isinstance(leaf, str) and not names.is_special(leaf)
    }


def instruments(old: Mapping, new: Mapping) -> tuple[str, ...]:
    """Name the instruments whose imap is another one, or is on one side only, and which have data sets."""
    before, after = imaps(old), imaps(new)
    return tuple(
        sorted(name for name in {*before, *after} - _WITHOUT_DATASETS if before.get(name) != after.get(name))
    )
