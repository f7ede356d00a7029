"""Which contexts a run is about."""

import re
from dataclasses import dataclass
from datetime import datetime

from crdscache.contexts import names, symbolic, times
from crdscache.contexts.records import Problem
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.contexts.symbolic import Read
from crdscache.errors import MappingError, MissingMappingError, SettingsError, UnsafeNameError

_RANGE = re.compile(r"(\d{1,9}):(\d{1,9})", re.ASCII)
# The client's way to say that a file lies in the cache.
_IN_THE_CACHE = "crds://"
_SERIAL = re.compile(r"_(\d{1,9})\.pmap\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; nothing at all means the server's default."""

    contexts: tuple[str, ...] = ()  # names of mappings, symbolic ones such as hst-acs-latest, or dates
    all_contexts: bool = False
    last_n: int = 0  # the last so many by name; 0: not asked for
    serials: tuple[int, int] | None = None  # those from one serial number to another, both included
    up_to: str | None = None  # all up to this one, by name, itself included
    after: str | None = None  # all from this one on, by name, itself included
    files: tuple[str, ...] = ()  # just these mappings and references, whatever the rest says

    @property
    def is_by_name(self) -> bool:
        """Whether only explicit names are asked for: these alone do not bring the server's default."""
        others = self.all_contexts or self.last_n or self.serials or self.up_to or self.after
        return bool(self.contexts) and not others


@dataclass(frozen=True, slots=True)
class Selection:
    """The contexts that are meant."""

    contexts: tuple[str, ...]  # sorted; an imap or rmap only where it was asked for by name
    takes_default: bool
    problems: tuple[Problem, ...] = ()
    files: tuple[str, ...] = ()  # sorted; in place of contexts


def select(info: ServerInfo, wanted: Wanted, read: Read | None = None) -> Selection:
    """Find the contexts that are meant among those that the server lists.

    A name that the server does not list is a problem, and left out. All but explicit names bring the
    server's default. Where files are named there are no contexts, but the server's default is meant too.

    Parameters
    ----------
    read
        Reads the mappings that names of an instrument or a type lead through; None: such names are refused.

    Raises
    ------
    SettingsError
        As `resolve`, or nothing is left of the names, as the rules say N/A for each.
    """
    if wanted.last_n < 0:
        raise SettingsError(f"last_n is {wanted.last_n}, must not be negative")
    if wanted.files:
        return _files(info, wanted.files, read)
    chosen, problems = _by_name(info, wanted.contexts, read)
    pmaps = [name for name in info.mappings if name.endswith(".pmap")]
    if wanted.all_contexts:
        chosen.update(pmaps)
    if wanted.last_n:
        chosen.update(pmaps[-wanted.last_n :])
    if wanted.serials is not None:
        first, last = wanted.serials
        chosen.update(name for name in pmaps if first <= _serial(name) <= last)
    if wanted.up_to is not None:
        chosen.update(pmaps[: _place(info, pmaps, wanted.up_to) + 1])
    if wanted.after is not None:
        chosen.update(pmaps[_place(info, pmaps, wanted.after) :])
    if not wanted.is_by_name:
        chosen.add(info.default_context)
    return Selection(tuple(sorted(chosen)), info.default_context in chosen, tuple(problems))


def _files(info: ServerInfo, texts: tuple[str, ...], read: Read | None) -> Selection:
    named, others = set(), []
    for text in texts:
        name = text.removeprefix(_IN_THE_CACHE)
        if names.is_reference(name):
            named |= {name, names.geis_data(name) or name}
        else:
            others.append(name)
    try:
        rules, problems = _by_name(info, tuple(others), read)
    except SettingsError as error:
        raise SettingsError(f"files: {error}, or the name of a reference") from error
    return Selection((), takes_default=True, problems=tuple(problems), files=tuple(sorted(named | rules)))


def _by_name(
    info: ServerInfo, contexts: tuple[str, ...], read: Read | None
) -> tuple[set[str], list[Problem]]:
    chosen: set[str] = set()
    problems: list[Problem] = []
    for text in contexts:
        try:
            found = _meant(info, text, read)
        except (MappingError, MissingMappingError) as error:
            problems.append(Problem(text, str(error)))
            continue
        listed = {name for name in found if name == info.default_context or info.lists(name)}
        chosen |= listed
        problems += [Problem(name, "the server does not list it") for name in found if name not in listed]
    if contexts and not (chosen or problems):
        raise SettingsError(f"contexts: the rules say N/A for {', '.join(contexts)}: nothing is left")
    return chosen, problems


def _meant(info: ServerInfo, text: str, read: Read | None) -> tuple[str, ...]:
    narrow = None if read is None else symbolic.parse(text, info.observatory)
    if narrow is None or read is None:
        return (resolve(info, text),)
    return symbolic.find(narrow, resolve(info, narrow.tag), read)


def parse_serials(text: str) -> tuple[int, int]:
    """Read a range of serial numbers, `A:B`, both included.

    Raises
    ------
    SettingsError
        It is none, or goes backwards.
    """
    found = _RANGE.fullmatch(text)
    if found is None or int(found[1]) > int(found[2]):
        raise SettingsError(
            f"range {text!r:.80}: expected A:B, two serial numbers of contexts, A not above B"
        )
    return int(found[1]), int(found[2])


def _serial(name: str) -> int:
    """Tell the serial number of a context; -1 where it has none, as `hst.pmap`."""
    found = _SERIAL.search(name)
    return -1 if found is None else int(found[1])


def _place(info: ServerInfo, pmaps: list[str], asked: str) -> int:
    name = resolve(info, asked)
    if name not in pmaps:
        raise SettingsError(f"context {name}: the server does not list it")
    return pmaps.index(name)


def resolve(info: ServerInfo, text: str) -> str:
    """Find the mapping that is meant by a name, a symbolic name such as hst-latest, or a date.

    A date means the context that was the server's default then. A name stays as it is, whether the server
    lists it or not: what only an old cache has can be worked with.

    Raises
    ------
    SettingsError
        The text is none of these, or the server tells nothing about it.

    Source: docs/protocol.md, "Selecting contexts".
    """
    if names.is_mapping(text):
        try:
            return names.require_safe(text)
        except UnsafeNameError as error:
            raise SettingsError(f"context: {error}") from error
    symbolic = {
        "operational": info.default_context,
        "latest": info.default_context,
        "edit": info.edit_context,
        "versions": info.versions_context,
    }
    word = text.removeprefix(f"{info.observatory}-")
    moment = times.parse(word)
    if moment is not None:
        return _default_at(info, moment)
    if word not in symbolic:
        forms = ", ".join(f"{info.observatory}-{each}" for each in symbolic)
        raise SettingsError(
            f"context {text!r:.80}: expected the name of a mapping, one of {forms}, "
            "or a date YYYY-MM-DD[THH:MM:SS[.f]]"
        )
    context = symbolic[word]
    if context is None:
        raise SettingsError(f"context {text!r}: the server names none")
    return context


def _default_at(info: ServerInfo, moment: datetime) -> str:
    # Of two eras with one start the first of the list is the newer.
    era = max((era for era in info.history if era.start <= moment), key=lambda era: era.start, default=None)
    if era is not None:
        return era.context
    first = min(info.history, key=lambda era: era.start, default=None)
    known = "is empty" if first is None else f"begins at {first.start:{times.FORM}} with {first.context}"
    raise SettingsError(f"context of {moment:{times.FORM}}: the server's history {known}")
