"""What a context assigns to a data set, vetted: what to write, what failed, what the cache lacks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crdscache.bestrefs.answers import Answer, Compound, Failure, NoFile
from crdscache.bestrefs.choose import Chooser, Instrument
from crdscache.bestrefs.conditioning import NOT_APPLICABLE
from crdscache.bestrefs.matching import NO_MATCH
from crdscache.bestrefs.parameters import Header
from crdscache.cache.stock import Lack, Stock
from crdscache.contexts.records import Problem

NO_NAMES = frozenset({"UNDEFINED", "NONE", "", "*"})  # the missions' client takes them for N/A


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a context assigns to one data set."""

    context: str
    instrument: str
    bestrefs: Mapping[str, Answer]  # as the engine has them, by type
    references: Mapping[str, str]  # by type: names, or N/A; neither failed nor rejected ones
    failures: tuple[Problem, ...]  # by type
    warnings: tuple[Problem, ...]
    lacks: tuple[Lack, ...]


@dataclass(frozen=True, slots=True)
class Vetting:
    """What is checked of an answer before it may be written."""

    stock: Stock
    bad_files: frozenset[str]
    allow_bad_rules: bool = False
    allow_bad_references: bool = False


class Assigner:
    """Assigns the references of one context."""

    def __init__(self, chooser: Chooser, vetting: Vetting, reftypes: Sequence[str] = ()) -> None:
        self.chooser, self.reftypes, self._vetting = chooser, reftypes, vetting

    def assign(self, header: Header) -> Assignment:
        """Assign references to one data set; raises as `Chooser.choose`."""
        return self.vet(header, self.chooser.choose(header, self.reftypes))

    def vet(self, header: Header, bestrefs: Mapping[str, Answer]) -> Assignment:
        """Check what was chosen for a data set."""
        rules = self.chooser.rules_for(header)
        types = {reftype: self._vet_one(rules, reftype, answer) for reftype, answer in bestrefs.items()}
        return Assignment(
            self.chooser.context,
            rules.name,
            bestrefs,
            {reftype: one.reference for reftype, one in types.items() if one.reference and not one.failure},
            tuple(Problem(reftype, one.failure) for reftype, one in types.items() if one.failure),
            tuple(Problem(reftype, one.warning) for reftype, one in types.items() if one.warning),
            tuple(lack for one in types.values() for lack in one.lacks),
        )

    def _vet_one(self, rules: Instrument, reftype: str, answer: Answer) -> "_Vetted":
        vetted = self._vet_answer(answer, rules.name)
        decided_by = (self.chooser.context, *rules.mappings(reftype))
        rejected = [f"{name} is rejected" for name in decided_by if name in self._vetting.bad_files]
        if not rejected:
            return vetted
        if not self._vetting.allow_bad_rules:
            return replace(vetted, failure=rejected[0])
        return replace(vetted, warning="; ".join(filter(None, (*rejected, vetted.warning))))

    def _vet_answer(self, answer: Answer, instrument: str) -> "_Vetted":
        match answer:
            case Failure() if answer == NO_MATCH:
                return _Vetted(NOT_APPLICABLE, warning="is required, but no rule fits: N/A")
            case Failure(reason=reason):
                return _Vetted(failure=reason.strip())
            case Compound():
                return _Vetted(failure="rules of equal weight name several files")
            case NoFile():
                return _Vetted(NOT_APPLICABLE)
        if answer.upper() in NO_NAMES:
            return _Vetted(NOT_APPLICABLE)
        return self._vet_reference(answer, instrument)

    def _vet_reference(self, name: str, instrument: str) -> "_Vetted":
        flaws = self._vetting.stock.flaws(name, instrument)
        lacks = tuple(flaw for flaw in flaws if isinstance(flaw, Lack))
        rejected = f"{name} is rejected" if name in self._vetting.bad_files else ""
        if rejected and not self._vetting.allow_bad_references:
            return _Vetted(name, failure=rejected, lacks=lacks)
        wrong = "; ".join(str(flaw) for flaw in flaws if not isinstance(flaw, Lack))
        return _Vetted(name, wrong, rejected, lacks)


@dataclass(frozen=True, slots=True)
class _Vetted:
    reference: str = ""
    failure: str = ""
    warning: str = ""
    lacks: tuple[Lack, ...] = ()
