"""What to do with each file of the manifest, decided from one reading of the directories."""

import json
import logging
import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from crdscache.cache import adopt, contextlist, layout, manifest, publish, shards, twins, verdicts
from crdscache.cache.identity import Holdings
from crdscache.cache.manifest import Disk
from crdscache.cache.trees import Forest
from crdscache.contexts import closure, names, times
from crdscache.contexts.closure import Closure
from crdscache.contexts.records import (
    ALL_PARTS,
    REPLACE_NOTHING,
    Action,
    ManifestRow,
    Outcome,
    Parts,
    PlanRow,
    Policy,
    Problem,
    Receipt,
    Sighting,
    SightingRow,
)

logger = logging.getLogger(__name__)

# The work of one file that does not depend on its length: a request, an fsync and a rename take as long as
# this many bytes.
_FILE_COST_BYTES = 2**18

_WORK = frozenset({Action.ADOPT, Action.FETCH})

# Where the steps up to the fetch write in the state: at rest while a plan is made.
_STATE = ("", "links", "plan", "verdicts", "fetched", "adopted", "purge")


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the selected contexts need, and what is to be done for it."""

    manifest: tuple[ManifestRow, ...]
    rows: tuple[PlanRow, ...]  # references only: mappings are brought before there can be a plan
    problems: tuple[Problem, ...]  # of the rules, and of data sets that the plan is made for
    sightings: tuple[SightingRow, ...] = ()  # the files of the trees, if it was worth looking there
    found: Mapping[str, os.stat_result] = field(default_factory=dict)  # references that are here, by path
    is_of_files: bool = False  # of files that were named: what else the cache has is not looked at


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks after."""

    contexts: tuple[str, ...]
    default_context: str
    fetch: bool  # references that are missing
    check: bool  # name references that are missing
    source: str  # base address of what is to be fetched
    tolerated: frozenset[str] = frozenset()  # references that may be absent
    chosen: frozenset[str] | None = None  # only these, and what the default must have; None: all
    policy: Policy = REPLACE_NOTHING  # which wrong files are replaced
    forest: Forest | None = None  # trees to adopt from
    parts: Parts = ALL_PARTS  # references of these only, and what the default must have
    listed: frozenset[str] | None = None  # what a context list says that the context has
    leaves_rejected: bool = False  # what the server has rejected, but what the default must have
    files: tuple[str, ...] = ()  # beside those of the contexts, these; `chosen` limits references to them

    @property
    def has_references(self) -> bool:
        """Whether references are looked at at all."""
        return self.fetch or self.check or self.policy.repairs or self.forest is not None

    def covers(self, row: ManifestRow) -> bool:
        """Tell whether a reference of the contexts is looked after."""
        is_chosen = self.chosen is None or row.name in self.chosen
        return row.is_held or (is_chosen and self.parts.cover(row.instrument, row.reftype))


def draw_up(disk: Disk, scope: Scope, holdings: Holdings, problems: Iterable[Problem] = ()) -> Plan:
    """Decide what is to be done, from the rules on disk and one reading of the directories.

    Parameters
    ----------
    problems
        That came up before; they are added to those of the rules.
    """
    closures = [closure.walk(context, disk.load) for context in scope.contexts]
    default = closure.walk(scope.default_context, disk.load)
    files = manifest.mapping_rows(closures, default, disk, filter(names.is_mapping, scope.files))
    references = []
    if scope.has_references:
        references = manifest.reference_rows(closures, default, disk, holdings, scope.files)
    of_rules = _problems_of_rules(closures, [*files, *references], scope, disk)
    references = list(filter(scope.covers, references))
    found = layout.statuses(disk.cache.root, (row.path for row in references))
    if scope.leaves_rejected:
        rejects = disk.catalogue.rejects
        references = [row for row in references if row.is_held or row.path in found or not rejects(row.name)]
    rows = [_decide(row, found.get(row.path), disk, scope) for row in references]
    sightings: Iterable[SightingRow] = ()
    if any(row.action is not Action.KEEP for row in rows):
        if scope.forest is not None:
            rows, sightings = adopt.foresee(scope.forest, rows, disk.catalogue)
        rows = twins.refuse(rows, disk.cache.root, twins.ignores_case)
    if not (scope.fetch or scope.check):
        rows = [row for row in rows if row.action is not Action.MISSING]
    return Plan(
        (*files, *references),
        tuple(rows),
        (*problems, *of_rules),
        tuple(sightings),
        found,
        is_of_files=bool(scope.files),
    )


def _unknown_types(closures: Iterable[Closure], scope: Scope, disk: Disk) -> Iterator[Problem]:
    """Tell which types no rules have: a slip of the pen would fetch nothing, and promise nothing."""
    if scope.parts.types:
        known = {disk.load(rmap).reftype for one in closures for rmap in one.rmaps}
        for reftype in scope.parts.types:
            if reftype not in known:
                yield Problem(f"type {reftype}", "the contexts have no rules for such a type")


def _problems_of_rules(
    closures: Sequence[Closure], rows: Sequence[ManifestRow], scope: Scope, disk: Disk
) -> list[Problem]:
    found = [problem for one in closures for problem in one.problems]
    found += _unknown_types(closures, scope, disk)
    found += manifest.problems_of_named(scope.files, rows, disk)
    if scope.listed is not None and not found:  # where rules are missing, so is all that they name
        found += contextlist.departures(scope.listed, (row.name for row in rows))
    return found


def _decide(row: ManifestRow, status: os.stat_result | None, disk: Disk, scope: Scope) -> PlanRow:
    if status is None:
        return _decide_missing(row, disk, scope)
    known = disk.known.get(row.name)
    if not verdicts.decide(row, status, known).is_bad:  # nearly all, of tens of thousands
        return PlanRow(row, Action.KEEP)
    flaw = verdicts.flaw(row, status, known) or ""
    is_replaced = row.size_bytes is not None and verdicts.is_replaced(scope.policy, row, status, known)
    return PlanRow(row, Action.FETCH, flaw, scope.source) if is_replaced else PlanRow(row, Action.WRONG, flaw)


def _decide_missing(row: ManifestRow, disk: Disk, scope: Scope) -> PlanRow:
    is_known = row.size_bytes is not None
    # Repair brings back what was lost, but does not fill a cache that never had its references.
    is_wanted = scope.fetch or (scope.policy.repairs and row.is_held)
    if is_wanted and is_known:
        return PlanRow(row, Action.FETCH, source=scope.source)
    if row.name in scope.tolerated:
        return PlanRow(row, Action.PENDING, "it may be absent, by tolerate_missing")
    if is_wanted:
        return PlanRow(row, Action.UNKNOWN, "the server's catalogue has no entry for it")
    seen = verdicts.judge(row, disk.cache.absolute(row.path), None, None)
    return PlanRow(row, Action.MISSING, seen.reason or f"{row.path} is missing")  # it may come meanwhile


def hold_back(rows: Iterable[PlanRow], states: Mapping[str, str], delivered: Container[str]) -> list[PlanRow]:
    """Leave for a later run what is catalogued, but not archived yet.

    Parameters
    ----------
    states
        Of the archive, by name; no state says nothing. Source: docs/protocol.md, "States".
    delivered
        Those in which it hands a file out.
    """

    def one(row: PlanRow) -> PlanRow:
        state = states.get(row.file.name, "")
        if row.action is not Action.FETCH or not state or state in delivered:
            return row
        return replace(row, action=Action.PENDING, reason=f"its state is {state!r}")

    return [one(row) for row in rows]


def shard(rows: Sequence[PlanRow], n_shards: int) -> list[list[PlanRow]]:
    """Cut the work into shards of equal bytes; in each, what the default needs comes first, then small.

    What needs no work is left out.
    """
    work = [row for row in rows if row.action is not Action.KEEP]
    cut = shards.balance(work, _cost, n_shards)
    for rows_of_shard in cut:
        rows_of_shard.sort(key=lambda row: (not row.file.is_held, _cost(row), row.file.name))
    return cut


def _cost(row: PlanRow) -> int:
    return _FILE_COST_BYTES + (row.file.size_bytes or 0) if row.action in _WORK else 0


def receipt_of(row: PlanRow) -> Receipt:
    """Tell how a file ends that nothing is done for."""
    outcomes = {Action.KEEP: Outcome.KEPT, Action.PENDING: Outcome.PENDING}
    return Receipt(row.file.name, outcomes.get(row.action, Outcome.FAILED), reason=row.reason)


@dataclass(frozen=True, slots=True)
class Totals:
    """A plan in a few numbers, for people; kept beside it with the time at which it was made."""

    made: str  # UTC
    n_fetch: int
    fetch_bytes: int
    n_adopt: int
    adopt_bytes: int
    n_keep: int
    n_pending: int
    n_wrong: int  # wrong, missing or unknown: what only an operator can mend
    n_repair: int  # of those to fetch and adopt: in the place of a wrong one
    n_seen: Mapping[str, int]  # files of the trees to adopt from, by what becomes of them
    problems: tuple[Problem, ...]
    keep_bytes: int = 0

    def __str__(self) -> str:
        adopt = f"{self.n_adopt} ({self.adopt_bytes} bytes) to adopt, " if self.n_adopt else ""
        return (
            f"{self.n_fetch} references ({self.fetch_bytes} bytes) to fetch, {adopt}{self.n_keep} here, "
            f"{self.n_pending} pending, {self.n_wrong} wrong, by the plan of {self.made} UTC"
        )


def totals(plan: Plan) -> Totals:
    """Add a plan up."""
    counts = Counter(row.action for row in plan.rows)
    size_bytes: Counter[Action] = Counter()
    for row in plan.rows:
        size_bytes[row.action] += row.file.size_bytes or 0
    return Totals(
        times.now(),
        counts[Action.FETCH],
        size_bytes[Action.FETCH],
        counts[Action.ADOPT],
        size_bytes[Action.ADOPT],
        counts[Action.KEEP],
        counts[Action.PENDING],
        counts[Action.WRONG] + counts[Action.MISSING] + counts[Action.UNKNOWN],
        sum(row.is_repair for row in plan.rows),
        counted(plan.sightings),
        plan.problems,
        size_bytes[Action.KEEP],
    )


def counted(sightings: Iterable[SightingRow]) -> dict[str, int]:
    """Count what becomes of the files of the trees, in the words of the table."""
    counts = Counter(row.sighting for row in sightings)
    return {sighting.value: counts[sighting] for sighting in Sighting if counts[sighting]}


def save_totals(path: Path, numbers: Totals) -> None:
    """Write a plan's numbers."""
    publish.write_text(path, json.dumps(asdict(numbers), indent=2) + "\n")


def load_totals(path: Path) -> Totals:
    """Read a plan's numbers."""
    data = json.loads(path.read_text(encoding="utf-8"))
    data["problems"] = tuple(Problem(**problem) for problem in data["problems"])
    return Totals(**data)


def estimate(rows: Sequence[PlanRow]) -> str:
    """Tell what is to be brought, a line per instrument and type, with files and bytes."""
    adopt = _estimate(rows, Action.ADOPT, "to adopt")
    return (adopt if adopt.count("\n") > 1 else "") + _estimate(rows, Action.FETCH, "to fetch")


def by_type(rows: Iterable[PlanRow], action: Action) -> dict[str, dict[str, int]]:
    """Add up `files` and `bytes` of what is to be done, by instrument and type: `acs/darkfile`."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        if row.action is action:
            sums = found.setdefault((row.file.instrument, row.file.reftype), {"files": 0, "bytes": 0})
            sums["files"] += 1
            sums["bytes"] += row.file.size_bytes or 0
    return {"/".join(part): found[part] for part in sorted(found)}


def _estimate(rows: Iterable[PlanRow], action: Action, title: str) -> str:
    parts = by_type(rows, action)
    total = {key: sum(sums[key] for sums in parts.values()) for key in ("files", "bytes")}
    lines = (
        f"{part:24} {sums['files']:8} files {sums['bytes']:18} bytes"
        for part, sums in [*parts.items(), (title, total)]
    )
    return "".join(f"{line}\n" for line in lines)


def sweep(disk: Disk, rows: Iterable[PlanRow], scope: Scope) -> None:
    """Remove the leftovers of killed runs. The caller holds the writer's lock."""
    for path in leftovers(disk, rows, scope):
        logger.info("leftover removed path=%s", path)
        path.unlink(missing_ok=True)


def leftovers(disk: Disk, rows: Iterable[PlanRow], scope: Scope) -> list[Path]:
    """Find our own temporaries that no plan wants: what killed runs left.

    A run that does not fetch the references of contexts cannot tell which of their parts are wanted, and
    leaves them.
    """
    cache = disk.cache
    references = layout.reference_directories(cache, disk.mode) if scope.has_references else []
    state = [*(cache.state / name for name in _STATE), *(cache.state / "trash").glob("*/")]
    places = (cache.mappings, cache.config, *references, *state)
    found = [path for place in places if place.is_dir() for path in _temporaries(place)]
    if not scope.fetch or scope.files:
        found = [path for path in found if not (publish.is_part(path.name) and path.parent in references)]
    if not found:
        return []
    wanted = {
        publish.part_name(row.file.name, row.file.file_sha1) for row in rows if row.action is not Action.KEEP
    }
    # A mapping lies aside as long as one below it is not here; then no context that is here names it.
    wanted |= {
        publish.part_name(name, record.file_sha1)
        for name, record in disk.catalogue.records.items()
        if names.is_mapping(name) and not (cache.mappings / name).exists()
    }
    return sorted(path for path in found if path.name not in wanted)


def _temporaries(place: Path) -> list[Path]:
    with os.scandir(place) as entries:
        return [
            Path(entry.path) for entry in entries if entry.name[0] == "." and publish.is_temporary(entry.name)
        ]
