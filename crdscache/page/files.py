"""The files of a cache, as its saved configuration knows it: what is here, read when, and what is wrong."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crdscache.cache import check, hashes, layout
from crdscache.cache.hashes import Hashed
from crdscache.contexts import times
from crdscache.contexts.records import Kind, ManifestRow, Verdict, VerdictRow
from crdscache.errors import CacheError
from crdscache.page.html import Table
from crdscache.workflow import steps, verifying
from crdscache.workflow.settings import Settings

RULES = "(rules)"
NEVER = "never"
# How long ago, in days, a file was read: up to so many.
_AGES_DAYS = (1, 7, 30, 90, 365)
_OLDER = f"over {_AGES_DAYS[-1]} days"
AGES = (*(f"up to {days} day{'s' if days > 1 else ''}" for days in _AGES_DAYS), _OLDER, NEVER)


@dataclass(slots=True)
class Share:
    """Files of one kind, and how much of them is here."""

    n_wanted: int = 0
    n_files: int = 0
    size_bytes: int = 0

    def add(self, status: os.stat_result | None) -> None:
        """Count one file; None: it is not here."""
        self.n_wanted += 1
        if status is not None:
            self.n_files += 1
            self.size_bytes += status.st_size


@dataclass(frozen=True, slots=True)
class Survey:
    """One look at a cache."""

    parts: Mapping[tuple[str, str], Share]  # by instrument and type
    ages: Mapping[str, Share]  # by how long ago they were read, in the words of AGES
    verdicts: Sequence[VerdictRow] = ()
    problem: str = ""  # why nobody could look

    def of(self, *verdicts: Verdict) -> list[VerdictRow]:
        """List the files of some verdicts."""
        return [row for row in self.verdicts if row.verdict in verdicts]

    @property
    def bad(self) -> list[VerdictRow]:
        """The files that are not what they should be."""
        return [row for row in self.verdicts if row.verdict.is_bad]


def look(config: Settings, at: str) -> Survey:
    """Look at a cache; without a configuration that can be read there is nothing to see.

    Parameters
    ----------
    at
        When it is now, UTC.
    """
    try:
        known = hashes.load(*verifying.memory(config.cache, config.readers))
        here, drawn = steps.saved_plan(config, known)
        verdicts = check.of_plan(drawn, here, reads_mappings=False)
    except CacheError as error:
        return Survey({}, {age: Share() for age in AGES}, problem=str(error))
    rules = (row.path for row in drawn.manifest if row.kind is Kind.MAPPING)
    statuses = {**drawn.found, **layout.statuses(config.cache.root, rules)}
    parts: dict[tuple[str, str], Share] = {}
    ages = {age: Share() for age in AGES}
    for row in drawn.manifest:
        status = statuses.get(row.path)
        parts.setdefault(_part(row), Share()).add(status)
        if status is not None:
            ages[_age(status, known.get(row.name), at)].add(status)
    return Survey(dict(sorted(parts.items())), ages, verdicts)


def _part(row: ManifestRow) -> tuple[str, str]:
    return (RULES, "") if row.kind is Kind.MAPPING else (row.instrument, row.reftype)


def _age(status: os.stat_result, known: Hashed | None, at: str) -> str:
    """Tell how long ago a file was read; one that changed since was not."""
    if known is None or not known.file_sha1 or not known.is_of(status):
        return NEVER
    age_days = times.age_s(known.when, at) / 86400
    return next((AGES[number] for number, days in enumerate(_AGES_DAYS) if age_days <= days), _OLDER)


def tables(survey: Survey, everything: Path) -> dict[str, Table]:
    """Make the tables of a look at the files, by the names of their results.

    Parameters
    ----------
    everything
        The file that has all verdicts.
    """
    unseen = survey.problem or "none"
    part_rows = [(*part, *_numbers(share)) for part, share in survey.parts.items()]
    age_rows = [(age, share.n_files, share.size_bytes) for age, share in survey.ages.items()]
    columns = ("instrument", "type", "wanted", "here", "bytes here")
    made = {
        "files": Table("Files by instrument and type", columns, part_rows, unseen),
        "coverage": Table("When files were read last", ("how long ago", "files", "bytes"), age_rows, unseen),
    }
    lists = {
        "bad": ("Bad files", survey.bad),
        "dark": ("Dark files", survey.of(Verdict.DARK)),
        "rejected": ("Rejected files", survey.of(Verdict.REJECTED)),
    }
    for name, (title, rows) in lists.items():
        cells = [(row.name, row.verdict.value, row.expected, row.found, row.reason) for row in rows]
        columns = ("name", "verdict", "expected", "found", "reason")
        made[name] = Table(title, columns, cells, unseen, str(everything))
    return made


def _numbers(share: Share) -> tuple[int, int, int]:
    return share.n_wanted, share.n_files, share.size_bytes
