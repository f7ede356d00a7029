"""The work on single data sets: look up, compare, explain, and write what is right into the file."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from crdscache import __version__
from crdscache.assignment import comparison, keywords
from crdscache.assignment.assign import Assigner, Assignment
from crdscache.assignment.comparison import Change
from crdscache.assignment.session import Session
from crdscache.bestrefs import answers, explain, parameters
from crdscache.bestrefs.answers import Json
from crdscache.bestrefs.explain import Explanation
from crdscache.bestrefs.parameters import Header
from crdscache.cache.stock import Lack
from crdscache.contexts.records import Problem
from crdscache.datasets import files, headerupdate, opening
from crdscache.errors import BestrefsError, CacheError, ChangedError, DatasetError

SOFTWARE = f"crdscache {__version__}"

# They concern one data set; any other error concerns all.
OF_ONE = (BestrefsError, DatasetError)

_MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done with each data set."""

    context: str | None = None  # None: the default
    old_context: str | None = None
    compares_source: bool = False  # with what the header names
    updates: bool = False
    all_or_nothing: bool = False
    explains: str | None = None  # a type

    @property
    def compares(self) -> bool:
        """Whether there is something to compare with."""
        return self.compares_source or self.old_context is not None


@dataclass(frozen=True, slots=True)
class Edit:
    """One keyword of a header that should have another value."""

    keyword: str
    old: str | None  # None: the header does not have it
    new: str


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one data set."""

    id: str
    context: str | None = None
    instrument: str = ""
    bestrefs: Mapping[str, Json] | None = None  # None: nothing could be looked up
    error: str = ""  # why: the class of the error and its text
    references: Mapping[str, str] | None = None
    changes: tuple[Change, ...] = ()
    failures: tuple[Problem, ...] = ()  # by type; "" for the data set as a whole
    warnings: tuple[Problem, ...] = ()  # by type
    lacks: tuple[Lack, ...] = ()
    edits: tuple[Edit, ...] = ()  # what the header had, and should have
    is_changed: bool = False  # the file is another now
    explanation: Explanation | None = None

    def line(self) -> dict[str, object]:
        """Give the answer in the form that `--json` writes."""
        told: dict[str, object] = {"id": self.id, "context": self.context, "bestrefs": self.bestrefs}
        if self.bestrefs is None:
            told["error"] = self.error
        if self.explanation is not None:
            told["explanation"] = self.explanation.to_json()
        return told


class Worker:
    """Does a task for any number of data sets."""

    def __init__(self, session: Session, task: Task) -> None:
        self.session, self.task = session, task

    def of_file(self, path: str) -> Done:
        """Do it for a file; what is wrong with this file alone is told in the answer.

        A file that changes meanwhile is looked at anew: another process of ours may be at it by another name.

        Raises
        ------
        ContextError, MappingError, MissingMappingError
            A context is not usable.
        """
        for _ in range(_MOST_TRIES - 1):
            try:
                return self._of_file(path, passes=(ChangedError,))
            except ChangedError:
                continue
        return self._of_file(path)

    def _of_file(self, path: str, passes: tuple[type[DatasetError], ...] = ()) -> Done:
        """Do it once; the errors of `passes` are raised."""
        assigner = self.session.assigner(self.task.context)
        try:
            with opening.naming(Path(path)):
                seen = Path(path).stat()
            header = parameters.identified(files.read_header(Path(path)))
            done = self.done(path, assigner, header, assigner.assign(header))
        except passes:
            raise
        except OF_ONE as error:
            return failed(path, assigner.chooser.context, error)
        return self._write(done, header, seen, passes) if done.references else done

    def done(self, name: str, assigner: Assigner, header: Header, assignment: Assignment) -> Done:
        """Tell what came of a data set, before anything is written."""
        explained = self.task.explains
        return Done(
            name,
            assignment.context,
            assignment.instrument,
            answers.to_json(assignment.bestrefs),
            references=assignment.references,
            changes=self._compare(assigner, header, assignment),
            failures=assignment.failures,
            warnings=assignment.warnings,
            lacks=assignment.lacks,
            explanation=None if explained is None else explain.explain(assigner.chooser, header, explained),
        )

    def _compare(self, assigner: Assigner, header: Header, new: Assignment) -> tuple[Change, ...]:
        if self.task.old_context is not None:
            former = self.session.assigner(self.task.old_context)
            old = comparison.chosen(former.chooser.choose(header, former.reftypes))
        elif self.task.compares_source:
            old = comparison.recorded(header, new, assigner.chooser.observatory)
        else:
            return ()
        return comparison.changes(old, comparison.outcomes(new))

    def _write(
        self, done: Done, header: Header, seen: os.stat_result, passes: tuple[type[DatasetError], ...]
    ) -> Done:
        values = self._values(done)
        if not values or (done.failures and self.task.all_or_nothing):
            return done
        done = replace(done, edits=tuple(_edits(header, values)))
        if not self.task.updates:
            return done
        try:
            return replace(done, is_changed=headerupdate.update(Path(done.id), values, seen))
        except passes:
            raise
        except DatasetError as error:
            return replace(done, edits=(), failures=(*done.failures, Problem("", _reason(done.id, error))))

    def _values(self, done: Done) -> dict[str, str]:
        references = done.references or {}
        written = {change.reftype for change in done.changes} if self.task.compares else references.keys()
        observatory = self.session.held.info.observatory
        values = {
            keywords.keyword(observatory, reftype): keywords.value(observatory, done.instrument, reference)
            for reftype, reference in sorted(references.items())
            if reftype in written
        }
        return {"CRDS_CTX": done.context or "", "CRDS_VER": SOFTWARE, **values} if values else {}


def _edits(header: Header, values: Mapping[str, str]) -> Iterator[Edit]:
    for key, new in values.items():
        old = header.get(key)
        if old != new:
            yield Edit(key, None if old is None else str(old), new)


def failed(name: str, context: str | None, error: CacheError) -> Done:
    """Tell that nothing of a data set could be looked up."""
    kind = error.client_class if isinstance(error, BestrefsError) else type(error).__name__
    return Done(name, context, error=f"{kind}: {error}", failures=(Problem("", _reason(name, error)),))


def _reason(name: str, error: CacheError) -> str:
    return error.reason_for(opening.shown(Path(name))) if isinstance(error, DatasetError) else str(error)
