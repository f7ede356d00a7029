"""Which contexts a run is about."""

from dataclasses import dataclass

from crdscache.contexts import names
from crdscache.contexts.records import Problem
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import SettingsError, UnsafeNameError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; nothing at all means the server's default."""

    contexts: tuple[str, ...] = ()  # names of mappings, or symbolic ones such as hst-latest
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
        A name is neither that of a mapping nor a symbolic one that we know.
    """
    if wanted.last_n < 0:
        raise SettingsError(f"last_n is {wanted.last_n}, must not be negative")
    chosen: set[str] = set()
    problems: list[Problem] = []
    for name in (_resolve(info, context) for context in wanted.contexts):
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


def _resolve(info: ServerInfo, context: str) -> str:
    if names.is_mapping(context):
        try:
            return names.require_safe(context)
        except UnsafeNameError as error:
            raise SettingsError(f"contexts: {error}") from error
    symbolic = {
        "operational": info.default_context,
        "latest": info.default_context,
        "edit": info.edit_context,
    }
    word = context.removeprefix(f"{info.observatory}-")
    if word not in symbolic:
        forms = ", ".join(f"{info.observatory}-{each}" for each in symbolic)
        raise SettingsError(f"contexts: {context!r:.80} is no name of a mapping and none of {forms}")
    return symbolic[word]
