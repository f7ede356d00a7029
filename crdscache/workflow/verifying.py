"""The comprehensive check as a workflow: what is to be read, and what came of it. No server is asked."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from crdscache.cache import check, checkreport, hashes, layout, publish, tables, verify
from crdscache.cache.layout import Layout
from crdscache.contexts.records import Kind, ManifestRow, Problem, VerdictRow, each_once
from crdscache.workflow import steps
from crdscache.workflow.settings import Settings

LOCK = "verify.lock"
SUMMARY = "verified.json"
VERDICTS = "verdicts.tsv"
_LISTS = "hashes"
_STEPS = "verify"  # what the jobs hand on to each other


@dataclass(frozen=True, slots=True)
class Begun:
    """What a verify has to do, by one look at the cache."""

    rows: tuple[ManifestRow, ...]  # what is expected to be here
    due: list[ManifestRow]  # what is to be read, the most urgent first
    settled: list[VerdictRow]  # the verdicts on all else, by what is known
    problems: tuple[Problem, ...]  # of the rules and of the selection of contexts
    rejected: frozenset[str]  # of what is due: declared bad by the server


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it: the content of verified.json."""

    run_id: str
    n_read: int
    read_bytes: int
    verdicts: Mapping[str, int]
    failures: tuple[Problem, ...]


def memory(cache: Layout, directory: Path) -> list[Path]:
    """Tell where it stands what was hashed when; the last of the files is ours to write."""
    of_cache = cache.state / hashes.FILE
    return [of_cache] if os.access(cache.state, os.W_OK) else [of_cache, directory / hashes.FILE]


def journal(directory: Path, shard: str) -> Path:
    """Name the file in which one shard notes what it has hashed.

    Each has its own: locks need not reach from node to node of a cluster, nor is appending atomic.
    """
    return directory / _STEPS / f"hashes-{shard}.tsv"


def _journals(directory: Path) -> list[Path]:
    """List what shards have noted that is not in the memory yet, of runs that were killed too."""
    return sorted((directory / _STEPS).glob("hashes-*.tsv"))


def begin(config: Settings, directory: Path) -> Begun:
    """Look at the cache as its saved configuration knows it, and settle what is to be read.

    Parameters
    ----------
    directory
        The working directory of the readers' workflow.
    """
    known = hashes.load(*memory(config.cache, directory), *_journals(directory))
    here, drawn = steps.saved_plan(config, known)
    mappings = (row.path for row in drawn.manifest if row.kind is Kind.MAPPING)
    statuses = {**drawn.found, **layout.statuses(config.cache.root, mappings)}
    due = verify.due(
        drawn.manifest,
        statuses,
        known,
        now=datetime.now(UTC),
        max_age_days=config.verify_max_age_days,
        budget_bytes=config.verify_budget_bytes,
    )
    to_read = {row.name for row in due}
    judged = check.of_plan(drawn, here, reads_mappings=False)
    settled = [row for row in judged if row.name not in to_read]
    rejected = check.rejected(here.catalogue) & to_read
    return Begun(drawn.manifest, due, settled, drawn.problems, rejected)


def save(begun: Begun, directory: Path) -> None:
    """Write what the steps after the first one need, but for the shards to read."""
    tables.write_manifest(directory / "rows.tsv", begun.rows)
    tables.write_manifest(directory / "due.tsv", begun.due)
    tables.write_verdicts(directory / "settled.tsv", begun.settled)
    told = {"problems": list(map(asdict, begun.problems)), "rejected": sorted(begun.rejected)}
    publish.write_text(directory / "begun.json", json.dumps(told) + "\n")


def resume(directory: Path) -> Begun:
    """Read what `save` wrote."""
    told = json.loads((directory / "begun.json").read_text(encoding="utf-8"))
    return Begun(
        tuple(tables.read_manifest(directory / "rows.tsv")),
        tables.read_manifest(directory / "due.tsv"),
        tables.read_verdicts(directory / "settled.tsv"),
        tuple(Problem(**problem) for problem in told["problems"]),
        frozenset(told["rejected"]),
    )


def end(
    config: Settings, run_id: str, directory: Path, begun: Begun, found: Sequence[VerdictRow]
) -> tuple[Summary, str]:
    """Bring the verdicts together, and write them with the lists of sums.

    What is bad is looked at once more: a sync may have been at work meanwhile.

    Returns
    -------
    tuple
        The summary, and a report for people.
    """
    places = memory(config.cache, directory)
    hashes.merge(places[-1], _journals(directory))
    every = [*begun.settled, *check.with_rejections(found, begun.rejected)]
    if any(row.verdict.is_bad for row in every):
        _, drawn = steps.saved_plan(config, hashes.load(*places))
        wanted = {row.name for row in drawn.manifest}
        every = verify.recheck(every, begun.rows, config.cache, places, wanted)
    every.sort(key=lambda row: row.name)
    tables.write_verdicts(directory / VERDICTS, every)
    statuses = layout.statuses(config.cache.root, (row.path for row in begun.rows))
    checkreport.write_lists(directory / _LISTS, begun.rows, statuses, hashes.load(*places))
    n_bytes = sum(statuses[row.path].st_size for row in begun.due if row.path in statuses)
    problems = each_once([*check.failures(every), *begun.problems])
    summary = Summary(run_id, len(begun.due), n_bytes, check.counts(every), problems)
    publish.write_text(directory / SUMMARY, json.dumps(asdict(summary), indent=2) + "\n")
    return summary, checkreport.text(begun.rows, every)


def load(path: Path) -> Summary:
    """Read the summary."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Summary(**{**data, "failures": tuple(Problem(**problem) for problem in data["failures"])})
