"""What a context list is made of: the files of a context as they lie, if all are here and right."""

import os
from dataclasses import dataclass

from crdscache.cache import contextlist, layout, manifest, sums, verdicts
from crdscache.cache.contextlist import Listed
from crdscache.cache.identity import NONE
from crdscache.cache.manifest import Disk
from crdscache.contexts import closure
from crdscache.contexts.records import ManifestRow, Problem, each_once


@dataclass(frozen=True, slots=True)
class Survey:
    """The files of a context, and what is wrong with those that are not listed."""

    files: tuple[Listed, ...]  # in order of path
    problems: tuple[Problem, ...]


def survey(disk: Disk, context: str) -> Survey:
    """Look at all files of a context: mappings by SHA-1, references by presence, length, and former sums.

    A file of which the catalogue has no sum is read.
    """
    whole = closure.walk(context, disk.load)
    rows = [
        *manifest.mapping_rows([whole], whole, disk),
        *manifest.reference_rows([whole], whole, disk, NONE),
    ]
    found = layout.statuses(disk.cache.root, (row.path for row in rows))
    at_fault = {problem.name for problem in whole.problems}
    files, problems = [], list(whole.problems)
    for row in rows:
        if row.name in at_fault:
            continue
        looked = _look(row, found.get(row.path), disk)
        if isinstance(looked, Listed):
            files.append(looked)
        else:
            problems.append(Problem(row.name, looked))
    files.sort(key=lambda one: one.path)
    return Survey(tuple(files), each_once(problems))


def _look(row: ManifestRow, status: os.stat_result | None, disk: Disk) -> Listed | str:
    """Describe a file for the list; else say what is wrong with it."""
    known = disk.known.get(row.name)
    if status is None:
        return (
            verdicts.judge(row, disk.cache.absolute(row.path), None, None).reason or f"{row.path} is missing"
        )
    reason = verdicts.flaw(row, status, known)
    if reason is not None:
        return reason
    file_sha1 = row.file_sha1
    if file_sha1 is None:
        try:
            with sums.opened(disk.cache.absolute(row.path)) as descriptor:
                if descriptor is None:
                    return f"{row.path} is not a regular file"
                file_sha1, _ = sums.file_sha1(descriptor)
        except OSError as error:
            return f"{row.path} cannot be read: {verdicts.cause(error)}"
    part = contextlist.part_of(row)
    place = contextlist.path_of(row.name, part, disk.cache.observatory, disk.mode)
    return Listed(place, status.st_size, file_sha1, part)
