"""A dry run: what a run would do and find, told in counts and bytes; nothing is written, nor locked."""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict

from crdscache.cache import check, plan, purgereport
from crdscache.cache.identity import Identity
from crdscache.commands import preview, verification
from crdscache.commands.preview import Preview
from crdscache.contexts.records import Problem, Sighting, SightingRow, VerdictRow, each_once
from crdscache.workflow import purging, report, steps
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status

# What an operator need not look into.
_AS_EXPECTED = frozenset({Sighting.ADOPTED, Sighting.HERE, Sighting.FOREIGN, Sighting.NOT_WANTED})


def tell(config: Settings, stamp: Identity, options: argparse.Namespace) -> int:
    """Tell what a run would do, and give the exit status: 1 where something is wrong."""
    seen = preview.foresee(config, stamp)
    n_threads = options.cores or len(os.sched_getaffinity(0))
    found = verification.rehearse(config, n_threads) if config.check_sha1sum else []
    lack = steps.lack_of_space(config, seen.drawn)
    no_room = () if lack is None else (Problem("references", lack),)
    problems = each_once((*seen.problems(), *check.failures(found), *no_room))
    purge = _purge(config, seen)
    if options.json:
        told = {**asdict(seen.numbers), "verdicts": check.counts(found)}
        told["purge"] = None if purge is None else asdict(purge)
        told["failures"] = [asdict(problem) for problem in problems]
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        details = _details(seen) if options.verbose else []
        lines = [f"{config.cache.observatory}: dry run: {line}" for line in _summary(seen, found)]
        estimate = "" if seen.purge is None or purge is None else purgereport.text(seen.purge, purge)
        sys.stdout.write("".join(f"{line}\n" for line in (*details, *lines)) + estimate)
    sys.stderr.write("".join(f"{line}\n" for line in report.failures(problems, report.MOST_LINES)))
    return Status.ERR if problems else Status.OK


def _purge(config: Settings, seen: Preview) -> purgereport.Totals | None:
    """Keep the estimate of a purge as a plan, where the state can be written; the cache is not changed."""
    if seen.purge is None:
        return None
    if os.access(config.cache.state, os.W_OK):
        purging.save(config, seen.purge)
    return purging.totals(config, seen.purge)


def _summary(seen: Preview, found: list[VerdictRow]) -> list[str]:
    trees = [report.trees(seen.numbers.seen)] if seen.numbers.seen else []
    verdicts = [report.verdicts(check.counts(found))] if found else []
    return [*trees, *verdicts, str(seen.numbers)]


def _details(seen: Preview) -> list[str]:
    return [*plan.estimate(seen.drawn.rows).splitlines(), *_sightings(seen.drawn.sightings)]


def _sightings(rows: Iterable[SightingRow]) -> list[str]:
    """Name the files of the trees that would not be adopted though they are wanted, and why."""
    return [
        f"{row.sighting.value}: {row.path}" + (f": {row.reason}" if row.reason else "")
        for row in rows
        if row.sighting not in _AS_EXPECTED
    ]
