"""What came of one instrument, and of a change of context as a whole, as files."""

import json
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from crdscache.cache import publish
from crdscache.contexts.changes import Transition
from crdscache.contexts.records import Problem

AFFECTED = ("id", "instrument", "type", "old", "new", "rmap", "rule")
UNDETERMINED = ("id", "instrument", "type", "old", "error")
FAILED = ("id", "instrument", "reason")


class Disposition(Enum):
    """How a comparison ended, as the subject of the mail says it."""

    OK = "OK"
    ERRORS = "ERRORS"  # some data sets, or the rules of an instrument, could not be compared
    FAILED = "FAILED"  # some data sets were not looked at: there is no list


@dataclass(frozen=True, slots=True)
class Changed:
    """One type whose rules differ."""

    reftype: str
    what: str  # names of both rmaps, and how many rows were added, deleted, replaced
    since: str | None  # a time before which nothing changed
    n_affected: int = 0  # data sets


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of one instrument: the content of `<instrument>.json`."""

    instrument: str
    n_datasets: int = 0  # that were looked at
    n_affected: int = 0
    n_undetermined: int = 0
    n_failed: int = 0
    n_same_rows: int = 0  # left out, as just other rows of tables have changed
    types: tuple[Changed, ...] = ()
    since: str | None = None  # data sets of an earlier day were left out
    unread: str = ""  # why not all data sets were looked at: another attempt may do better
    broken: str = ""  # why the rules cannot be compared: only other rules would help


def save(path: Path, tally: Tally) -> None:
    """Write what came of one instrument."""
    publish.write_text(path, json.dumps(asdict(tally), indent=2) + "\n")


def load(path: Path) -> Tally:
    """Read what `save` wrote."""
    return _tally(json.loads(path.read_text(encoding="utf-8")))


def _tally(data: dict[str, Any]) -> Tally:
    return Tally(**{**data, "types": tuple(Changed(**each) for each in data["types"])})


@dataclass(frozen=True, slots=True)
class Step(Transition):
    """One change of context, and what came of each instrument whose rules differ."""

    tallies: tuple[Tally, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of one change of context, or of several that a digest tells of: `summary.json`."""

    observatory: str
    use_case: str
    when: str  # UTC: of the last change, else when the comparison was asked for
    n_affected: int  # products in the list
    steps: tuple[Step, ...]

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """What came of all instruments, step by step."""
        return tuple(tally for step in self.steps for tally in step.tallies)

    @property
    def disposition(self) -> Disposition:
        """How it ended as a whole."""
        if any(tally.unread for tally in self.tallies):
            return Disposition.FAILED
        is_clean = not any(tally.broken or tally.n_failed or tally.n_undetermined for tally in self.tallies)
        return Disposition.OK if is_clean else Disposition.ERRORS

    def to_json(self) -> dict[str, object]:
        """Give it as data, with what follows from it."""
        return {**asdict(self), "disposition": self.disposition.value}


def save_summary(path: Path, summary: Summary) -> None:
    """Write summary.json."""
    publish.write_text(path, json.dumps(summary.to_json(), indent=2) + "\n")


def load_summary(path: Path) -> Summary:
    """Read summary.json."""
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["disposition"]
    steps = [
        Step(**{**step, "tallies": tuple(_tally(tally) for tally in step["tallies"])})
        for step in data["steps"]
    ]
    return Summary(**{**data, "steps": tuple(steps)})


def problems(summary: Summary) -> tuple[Problem, ...]:
    """List what could not be compared; data sets by their number, as tables name them."""
    found = []
    for tally in summary.tallies:
        found += [Problem(tally.instrument, reason) for reason in (tally.unread, tally.broken) if reason]
        for number, table in ((tally.n_failed, "failed"), (tally.n_undetermined, "undetermined")):
            if number:
                found.append(Problem(tally.instrument, f"{number} data sets {table}: {table}.tsv names them"))
    return tuple(found)
