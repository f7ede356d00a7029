"""Which contexts a run is about."""

from dataclasses import dataclass
from datetime import datetime

from crdscache.contexts import names, times
from crdscache.contexts.records import Problem
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import SettingsError, UnsafeNameError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; nothing at all means the server's default."""

    contexts: tuple[str, ...] = ()  # names of mappings, symbolic ones such as hst-latest, or dates
    all_contexts: bool = False
    last_n: int = 0  # the last so many by name; 0: not asked for


@dataclass(frozen=True, slots=True)
class Selection:
    """The contexts that are meant."""

    contexts: tuple[str, ...]  # sorted; an imap or rmap only where it was asked for by name
    takes_default: bool
    problems: tuple[Problem, ...] = ()


def select(info: ServerInfo, wanted: Wanted) -> Selection:
    """Find the contexts that are meant among those that the server lists.

    A name that the server does not list is a problem, and left out. All but explicit names bring the
    server's default.

    Raises
    ------
    SettingsError
        As `resolve`.
    """
    if wanted.last_n < 0:
        raise SettingsError(f"last_n is {wanted.last_n}, must not be negative")
    chosen: set[str] = set()
    problems: list[Problem] = []
    for name in (resolve(info, context) for context in wanted.contexts):
        if name == info.default_context or info.lists(name):
            chosen.add(name)
        else:
            problems.append(Problem(name, "the server does not list it"))
    pmaps = [name for name in info.mappings if name.endswith(".pmap")]
    if wanted.all_contexts:
        chosen.update(pmaps)
    if wanted.last_n:
        chosen.update(pmaps[-wanted.last_n :])
    if wanted.all_contexts or wanted.last_n or not wanted.contexts:
        chosen.add(info.default_context)
    return Selection(tuple(sorted(chosen)), info.default_context in chosen, tuple(problems))


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
