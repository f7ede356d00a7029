"""`cache_config --tree-hash`, `--compare-lists`: whether caches are the same, and how contexts differ."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from crdscache.cache import contextlist, treehash
from crdscache.cache.contextlist import Change
from crdscache.workflow import report
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status


def tree_hash(config: Settings, options: argparse.Namespace) -> int:
    """Read a whole cache and tell its sum; status 1 where something cannot be read."""
    read = treehash.read(config.cache, len(os.sched_getaffinity(0)))
    if options.json:
        sys.stdout.write(json.dumps(asdict(read), indent=2) + "\n")
    elif read.tree_hash is not None:
        sys.stdout.write(f"tree hash {read.tree_hash}: {read.n_files} files, {read.size_bytes} bytes\n")
    problems = report.failures(read.problems, report.MOST_LINES)
    sys.stderr.write("".join(f"{line}\n" for line in problems))
    return Status.ERR if read.problems else Status.OK


def compare_lists(options: argparse.Namespace) -> int:
    """Tell what changed from one context list to another; no cache is looked at.

    Raises
    ------
    SettingsError
        One of them is no list, or they are of two observatories.
    """
    old, new = (contextlist.read(Path(name)) for name in options.compare_lists)
    changes = contextlist.compare(old, new)
    if options.json:
        ends = {"old": old.context, "new": new.context}
        page = {**ends, "types": _by_type(changes), "files": [asdict(change) for change in changes]}
        sys.stdout.write(json.dumps(page, indent=2) + "\n")
    else:
        sys.stdout.write(f"{old.context} -> {new.context}\n{contextlist.changes_text(changes)}")
    return Status.OK


def _by_type(changes: Iterable[Change]) -> dict[str, dict[str, int]]:
    counts = Counter((change.part, change.kind) for change in changes)
    parts = sorted({part for part, _ in counts})
    return {part: {kind: counts[part, kind] for kind in contextlist.KINDS} for part in parts}
