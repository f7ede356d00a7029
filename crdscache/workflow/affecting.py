"""The comparison of contexts as a workflow: which jobs it has is settled before Snakemake starts."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crdscache.cache import lease, rules
from crdscache.cache.layout import Layout
from crdscache.cache.lease import Lease
from crdscache.contexts import changes, times
from crdscache.contexts.changes import Transition

LOCK = "affected.lock"
DIRECTORY = "affected"  # of the readers' directory
MAIL = "mail"  # the same


@dataclass(frozen=True, slots=True)
class Step(Transition):
    """One change of context, to be compared."""

    instruments: tuple[str, ...] = ()  # whose rules may differ


@dataclass(frozen=True, slots=True)
class Report:
    """What one mail tells of: a change of context, or a digest of many."""

    name: str
    when: str  # UTC
    run_id: str  # results of another one are not taken over; the same while an interrupted one goes on
    sends: bool  # else the mail is just written to a file
    steps: tuple[Step, ...]


def step(held: Lease, change: Transition) -> Step:
    """Settle what is to be compared; both contexts are held.

    Raises
    ------
    ContextError, MappingError
        The root of one of them is not usable.
    """
    load = rules.loader(held.read, ignore_sums=True)
    instruments = changes.instruments(load(change.old), load(change.new))
    return Step(change.old, change.new, change.when, change.why, instruments)


def report(steps: Sequence[Step], run_id: str, *, sends: bool) -> Report:
    """Settle what one mail is to tell of; a change that comes twice is computed once."""
    once = {each.name: each for each in steps}
    name = Transition(steps[0].old, steps[-1].new).name + (".digest" if len(once) > 1 else "")
    return Report(name, steps[-1].when or times.now(), run_id, sends, tuple(once.values()))


def to_config(told: Report | None) -> dict[str, Any] | None:
    """Give a report in the form that the settings of a run have."""
    return None if told is None else asdict(told)


def of_config(config: Mapping[str, Any]) -> Report | None:
    """Read what `to_config` gave."""
    data = config["affected_report"]
    if data is None:
        return None
    steps: Iterable[Mapping[str, Any]] = data["steps"]
    made = tuple(Step(**{**each, "instruments": tuple(each["instruments"])}) for each in steps)
    return Report(**{**data, "steps": made})


def prune(directory: Path, keep: int) -> None:
    """Remove the results of all but the last comparisons."""
    places = [path for path in directory.iterdir() if path.is_dir() and not path.is_symlink()]
    for path in sorted(places, key=lambda path: path.stat().st_mtime_ns)[:-keep]:
        shutil.rmtree(path)


def by_hand(cache: Layout, values: Mapping[str, Any]) -> Report | None:
    """Settle what the target `affected` compares where snakemake was started by hand."""
    if not (values["affected_old"] and values["affected_new"]):
        return None
    asked = values["affected_old"], values["affected_new"]
    with lease.take(cache, *asked) as held:
        old, new = map(held.hold, asked)
        return report([step(held, Transition(old, new))], "by hand", sends=False)
