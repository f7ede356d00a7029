"""What `safe_bestrefs` does: data sets in; answers, headers and lines out, in the order of the data sets."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from crdscache.assignment.session import Allowed, Session
from crdscache.assignment.work import Done, Task, Worker
from crdscache.cache import lease, publish
from crdscache.cache.stock import Lack
from crdscache.commands import arguments, pool
from crdscache.contexts import names
from crdscache.errors import SettingsError, disk_error
from crdscache.workflow.settings import Settings
from crdscache.workflow.status import Status

_STANDARD_OUTPUT = Path("/dev/stdout")
_MOST_WARNINGS = 20
_MOST_NAMES = 5


def run(config: Settings, options: argparse.Namespace) -> int:
    """Run `safe_bestrefs`, and give its exit status."""
    task = Task(
        context=options.new_context,
        old_context=options.old_context,
        compares_source=options.compare_source_bestrefs
        or (options.print_affected and options.old_context is None),
        updates=options.update_bestrefs,
        all_or_nothing=options.all_or_nothing,
        explains=options.explain,
    )
    allowed = Allowed(
        config.allow_bad_rules or options.allow_bad_rules,
        config.allow_bad_references or options.allow_bad_references,
        config.ignore_mapping_checksum,
    )
    # The contexts of the run are read once; those that single lines name come later.
    asked = (task.context,) if task.old_context is None else (task.context, task.old_context)
    with lease.take(config.cache, *asked) as held, ExitStack() as end:
        context = held.hold(task.context)
        worker = Worker(Session(config.cache, config.new_mode, held, allowed, options.types), task)
        told = _Told(options, context, task)
        write = end.enter_context(_json_lines(options.json))
        for done in _each(worker, options):
            write(done)
            told.tell(done)
        return told.end()


def _each(worker: Worker, options: argparse.Namespace) -> Iterator[Done]:
    if options.headers is not None:
        if options.update_bestrefs:
            raise SettingsError("--update-bestrefs writes into files: give them with --files")
        from crdscache.assignment import headers  # brings numpy, and files do without

        yield from headers.of_file(worker, options.headers)
        return
    paths = arguments.listed(options.files)
    yield from pool.ordered(worker.of_file, paths, options.jobs or len(os.sched_getaffinity(0)))


@contextmanager
def _json_lines(path: Path | None) -> Iterator[Callable[[Done], None]]:
    """Yield what writes an answer; the file has its name when all are there."""
    if path is None:
        yield lambda _done: None
        return
    with ExitStack() as end:
        if path == _STANDARD_OUTPUT:
            stream = sys.stdout  # opened anew it would begin at the start of a file that it is sent to
        else:
            # A device or a pipe is written to; a link stays one. What the link of a pipe tells is no path.
            is_special = path.exists() and not path.is_file()
            target = path if is_special else Path(os.path.realpath(path))
            try:
                place = target if is_special else end.enter_context(publish.publish(target))
                stream = end.enter_context(place.open("w", encoding="utf-8"))
            except OSError as error:
                raise disk_error(error, path) from error
        yield lambda done: print(json.dumps(done.line()), file=stream)


class _Told:
    """What people are told: results on standard output, what is wrong and a summary on standard error."""

    def __init__(self, options: argparse.Namespace, context: str, task: Task) -> None:
        self._options, self._context, self._task = options, context, task
        self._counts: Counter[str] = Counter()
        self._warnings: list[str] = []
        self._lacks: dict[str, Lack] = {}
        self._affected: set[str] = set()

    def tell(self, done: Done) -> None:
        """Tell of one data set, and remember what the summary needs."""
        name = names.printable(done.id) if not done.id.isprintable() else done.id
        self._counts.update(all=1, changed=int(self._is_changed(done)), failed=int(bool(done.failures)))
        self._lacks |= {lack.name: lack for lack in done.lacks}
        self._warnings += [f"{name}: {problem.name} {problem.reason}" for problem in done.warnings]
        for problem in done.failures:
            about = f"{name}: {problem.name}" if problem.name else name
            sys.stderr.write(f"{about}: {problem.reason}\n")
        if done.changes:
            is_file = self._options.headers is None  # an id is PRODUCT:EXPOSURE
            self._affected.add((name if is_file else name.partition(":")[0]).lower())
        for line in self._results(done, name):
            sys.stdout.write(f"{line}\n")

    def _is_changed(self, done: Done) -> bool:
        return done.is_changed if self._task.updates else bool(done.edits)

    def _results(self, done: Done, name: str) -> Iterator[str]:
        if self._options.print_new_references:
            yield from (f"{name} {done.instrument} {line}".lower() for line in self._references(done))
        if self._options.verbose:
            yield from (f"{name}: {edit.keyword} {edit.old or 'none'} -> {edit.new}" for edit in done.edits)
        if done.explanation is not None and self._options.json is None:
            yield f"{name}:"
            yield from done.explanation.lines()

    def _references(self, done: Done) -> Iterator[str]:
        if self._task.compares:
            yield from (f"{change.reftype} {change.old} {change.new}" for change in done.changes)
        else:
            references = sorted((done.references or {}).items())
            yield from (f"{reftype} none {reference}" for reftype, reference in references)

    def end(self) -> int:
        """Tell the rest, and give the exit status."""
        if self._options.print_affected:
            sys.stdout.write("".join(f"{product}\n" for product in sorted(self._affected)))
        most = len(self._warnings) if self._options.verbose else _MOST_WARNINGS
        lines = [f"warning: {warning}" for warning in self._warnings[:most]]
        if len(self._warnings) > most:
            lines.append(f"and {len(self._warnings) - most} more warnings: --verbose has all")
        lines += self._about_lacks()
        lines.append(f"{self._context}: {self._summary()}")
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        return Status.ERR if self._counts["failed"] else Status.OK

    def _about_lacks(self) -> Iterator[str]:
        if not self._lacks:
            return
        lacks = sorted(self._lacks.values(), key=lambda lack: lack.name)
        size_bytes = sum(lack.size_bytes or 0 for lack in lacks)
        shown = lacks if self._options.verbose else lacks[:_MOST_NAMES]
        listed = ", ".join(f"{lack.name} ({_size(lack)})" for lack in shown)
        more = f" and {len(lacks) - len(shown)} more" if len(shown) < len(lacks) else ""
        yield f"warning: not in the cache: {len(lacks)} files, {size_bytes} bytes: {listed}{more}"

    def _summary(self) -> str:
        counts = self._counts
        failed = f", {counts['failed']} failed at least partly" if counts["failed"] else ""
        if self._options.headers is not None:
            return f"{counts['all']} data sets looked up{failed}"
        if self._task.updates:
            return f"{counts['changed']} of {counts['all']} files updated{failed}"
        told = f"dry run, nothing is written: {counts['changed']} of {counts['all']} files would change"
        return f"{told}{failed}; --update-bestrefs writes"


def _size(lack: Lack) -> str:
    return "not in the catalogue" if lack.size_bytes is None else f"{lack.size_bytes} bytes"
