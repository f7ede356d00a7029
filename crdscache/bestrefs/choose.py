"""Which references a context assigns to a data set; one data set at a time. What it says is what is right.

    chooser = Chooser("hst_0729.pmap", load)
    chooser.choose({"INSTRUME": "ACS", "DETECTOR": "WFC", ...})["darkfile"]

Source: docs/protocol.md, "Best references".
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass

from crdscache.bestrefs import parameters
from crdscache.bestrefs.answers import Answer, Cause, Compound, Failure, NoFile, special
from crdscache.bestrefs.conditioning import condition
from crdscache.bestrefs.parameters import Header, Wanted
from crdscache.bestrefs.rmaps import Rmap
from crdscache.contexts import mapping, names
from crdscache.contexts.mapping import Level
from crdscache.errors import BestrefsError, CacheError

Load = Callable[[str], mapping.Mapping]


@dataclass(frozen=True, slots=True)
class Instrument:
    """The rules of one instrument."""

    name: str  # in lower case
    imap: str  # "" where an rmap is asked alone
    types: Mapping[str, Rmap | NoFile]  # in the order of the imap
    wanted: Wanted  # of all types: a condition may use what only another type asks for

    def mappings(self, reftype: str) -> tuple[str, ...]:
        """Name the imap and rmap that decide on a type."""
        rules = self.types.get(reftype)
        return (self.imap, rules.name) if isinstance(rules, Rmap) else (self.imap,)

    def choose(self, reftype: str, values: Mapping[str, str]) -> Answer:
        """Give the answer for one type."""
        rules = self.types.get(reftype)
        if rules is None:
            return Failure(Cause.UNKNOWN_TYPE, f"Unknown reference type {reftype!r}")
        return rules.choose(values) if isinstance(rules, Rmap) else rules


class Chooser:
    """The rules of one context, each instrument's loaded when it is first asked for.

    Parameters
    ----------
    context : name of a pmap; also an imap or rmap, which then is asked whatever the instrument
    load
        Reads a mapping by name; what it raises ends the look-up.
    """

    def __init__(self, context: str, load: Load) -> None:
        self.context, self.load = context, load
        self.root = load(context)
        self.observatory = self.root.observatory
        # An rmap without parameters has none; only a pmap is asked for it.
        self.primary = next(iter(parameters.texts(self.root.header["parkey"])), "").upper()
        self._primary = Wanted.of((self.primary,))
        self._instruments: dict[str, Instrument | CacheError] = {}

    def choose(self, header: Header, reftypes: Iterable[str] = ()) -> dict[str, Answer]:
        """Give the reference of each type, or of those asked for, in that order; omitted types are absent.

        Raises
        ------
        BestrefsError
            The header tells no instrument that the context knows.
        MappingError, MissingMappingError
            A mapping of the instrument is not usable; then no type can be looked up.
        """
        return self._choose(header, condition, reftypes)

    def recommend(
        self,
        header: Header,
        reftypes: Iterable[str] = (),
        *,
        is_fast: bool = True,
        rejected: Container[str] = frozenset(),
    ) -> dict[str, Answer]:
        """Do the same as the client's `getrecommendations`: the letter case of the header's keys is ignored.

        Parameters
        ----------
        is_fast
            False: values that are no text, number or truth value do not count, the instrument must stand
            under a key of one letter case, and nothing rejected may be recommended.
        rejected
            Names of rules and references that the server has rejected.

        Raises as `choose`, and `require_good` where it is not fast.
        """
        given = header if is_fast else parameters.simple(header)
        prepared = parameters.recommended(given, self.observatory)
        bestrefs = self._choose(prepared, str, reftypes)
        if not is_fast and not parameters.names_instrument(header):
            raise BestrefsError("KeyError", "No instrument keyword defined in header.")
        if not is_fast:
            require_good(bestrefs, self.prepare(prepared, str)[0], rejected)
        return bestrefs

    def _choose(
        self, header: Header, form: Callable[[object], str], reftypes: Iterable[str]
    ) -> dict[str, Answer]:
        rules, values = self.prepare(header, form)
        bestrefs = {reftype: rules.choose(reftype, values) for reftype in _lowered(reftypes) or rules.types}
        return {reftype: answer for reftype, answer in bestrefs.items() if answer is not NoFile.OMITTED}

    def prepare(
        self, header: Header, form: Callable[[object], str] = condition
    ) -> tuple[Instrument, dict[str, str]]:
        """Find the instrument's rules, and what they look at of a header; raises as `choose`."""
        named = parameters.renamed(header, self.observatory)
        first, second = self.instruments_of(named, form)
        return self.instrument(second), self.instrument(first).wanted.minimum(named, form)

    def instruments_of(self, header: Header, form: Callable[[object], str] = condition) -> tuple[str, str]:
        """Tell the instrument of a header with the names of the rules; raises as `choose`.

        The missions' client looks twice, the second time in what the first one's rules take of the header;
        the values come from the first, the rules from the second.
        """
        if self.root.level is not Level.PMAP:
            return "", ""
        first = parameters.instrument(header, self.primary, self.context)
        self.instrument(first)
        again = {self.primary: self._primary.minimum(header, form)[self.primary]}
        second = parameters.instrument(again, self.primary, self.context)
        self.instrument(second)
        return first, second

    def rules_for(self, header: Header) -> Instrument:
        """Find the rules that a header gets; raises as `choose`."""
        return self.instrument(self.instruments_of(parameters.renamed(header, self.observatory))[1])

    def instrument(self, name: str) -> Instrument:
        """Give the rules of one instrument, by its name in lower case; raises as `choose`."""
        if name not in self._instruments:
            try:
                self._instruments[name] = self._load_instrument(name)
            except CacheError as error:  # remembered: many headers may ask for it
                self._instruments[name] = error
        found = self._instruments[name]
        if isinstance(found, CacheError):
            raise found
        return found

    def _load_instrument(self, name: str) -> Instrument:
        match self.root.level:
            case Level.RMAP:
                rmap = Rmap(self.root)
                return Instrument(self.root.instrument, "", {rmap.reftype: rmap}, Wanted.of(rmap.names))
            case Level.IMAP:
                return self._of_imap(self.root, self.root.instrument, ())
        imaps = {key.lower(): imap for key, imap in _named(self.root)}
        if name not in imaps:
            raise BestrefsError(
                "CrdsUnknownInstrumentError", f"Unknown instrument {name!r} for context {self.context!r}"
            )
        if names.is_special(imaps[name]):
            raise BestrefsError("AttributeError", f"{self.context} has no rules for {name}: {imaps[name]}")
        return self._of_imap(self.load(imaps[name]), name, (self.primary,))

    def _of_imap(self, imap: mapping.Mapping, name: str, more: tuple[str, ...]) -> Instrument:
        types = {reftype.lower(): self._rules(leaf) for reftype, leaf in _named(imap)}
        parkeys = [parkey.upper() for parkey in parameters.texts(imap.header["parkey"])]
        rmaps = [rules for rules in types.values() if isinstance(rules, Rmap)]
        of_types = [parkey for rmap in rmaps for parkey in rmap.names]
        return Instrument(name, imap.name, types, Wanted.of((*more, *parkeys, *of_types)))

    def _rules(self, leaf: str) -> Rmap | NoFile:
        answer = special(leaf)
        return Rmap(self.load(answer)) if isinstance(answer, str) else answer


def require_good(bestrefs: Mapping[str, Answer], rules: Instrument, rejected: Container[str]) -> None:
    """Refuse what the client's `getrecommendations` refuses after the look-up, unless it is to be fast.

    Raises
    ------
    BestrefsError
        Rules of the instrument are rejected, or a reference; or there is an answer of several names, at which
        the client's own test fails.
    """
    bad_rules = [name for reftype in rules.types for name in rules.mappings(reftype) if name in rejected]
    if bad_rules:
        raise BestrefsError("CrdsBadRulesError", f"{bad_rules[0]} is rejected")
    for reftype, answer in bestrefs.items():
        if isinstance(answer, Compound):
            raise BestrefsError("TypeError", f"{reftype}: expected one name, found several")
        if isinstance(answer, str) and answer in rejected:
            raise BestrefsError("CrdsBadReferenceError", f"{reftype}: {answer} is rejected")


def _named(read: mapping.Mapping) -> list[tuple[str, str]]:
    return [
        (key, leaf) for key, leaf in read.selector.items if isinstance(key, str) and isinstance(leaf, str)
    ]


def _lowered(reftypes: Iterable[str]) -> list[str]:
    return [reftype.lower() for reftype in reftypes]
