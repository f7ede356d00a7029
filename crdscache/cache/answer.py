"""The server's answer as the steps of a run hand it on: what there is, and which contexts are meant."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from crdscache.cache import identity, publish, serverconfig, tables
from crdscache.cache.contextlist import ContextList
from crdscache.cache.layout import Layout
from crdscache.cache.rules import Bring, Rules
from crdscache.contexts import catalogue, names, selection, serverinfo
from crdscache.contexts.catalogue import Catalogue
from crdscache.contexts.records import Problem
from crdscache.contexts.selection import Wanted
from crdscache.contexts.serverinfo import ServerInfo
from crdscache.errors import UnreadableConfigError


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which contexts a run looks after: the content of contexts.json."""

    contexts: tuple[str, ...]  # sorted
    takes_default: bool  # the server's default is among them: it may become ours
    mappings: tuple[str, ...]  # to bring, with all below: the contexts, and orphans where all was asked for
    problems: tuple[Problem, ...]  # of the server's answer, its catalogue, and the selection
    is_doubted: bool = (
        False  # the server contradicts itself, or lists less than before: nothing is saved of it
    )
    doubts: tuple[Problem, ...] = ()  # of the problems those for which nothing may be purged
    listed: tuple[str, ...] = ()  # all files of the context, where a context list says so
    files: tuple[str, ...] = ()  # just these were asked for, by name; the contexts are not looked after

    @property
    def lone_mappings(self) -> tuple[str, ...]:
        """The mappings to bring without what they name."""
        return tuple(filter(names.is_mapping, self.files))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, once, at the begin of a run; the run finishes what it began with."""

    info: ServerInfo
    catalogue: Catalogue
    chosen: Chosen


def settle(
    info: ServerInfo,
    wanted: Wanted,
    mappings: Path | None = None,
    bring: Bring | None = None,
    *,
    is_first: bool,
    pinned: str | None = None,
) -> Answer:
    """Settle which contexts a run looks after.

    Parameters
    ----------
    mappings, bring
        Where mappings lie, and what gives one that is not there; None: symbolic names mean contexts only.
    is_first
        The cache has no configuration yet: it needs the server's default, whatever else is wanted.
    pinned
        The context at which the default of the cache is held: who looks after the default means it too.
    """
    known = catalogue.from_metadata(info.metadata, info.bad_files)
    read = None if mappings is None else Rules(mappings, known, None, bring).whole
    selected = selection.select(info, wanted, read)
    takes_default = is_first or selected.takes_default
    more = {info.default_context} if is_first else set()
    if takes_default and pinned is not None and info.lists(pinned) and not wanted.files:
        more.add(pinned)
    contexts = tuple(sorted({*selected.contexts, *more}))
    chosen = Chosen(
        contexts,
        takes_default,
        tuple(sorted({*contexts, *info.mappings})) if wanted.all_contexts else contexts,
        (*info.problems, *known.problems, *selected.problems, *_strangers(selected.files, known)),
        is_doubted=bool(_contradictions(info)),
        doubts=(*_contradictions(info), *selected.problems),
        files=tuple(name for name in selected.files if name in known.records),
    )
    return Answer(info, known, chosen)


def _contradictions(info: ServerInfo) -> tuple[Problem, ...]:
    return () if info.default_context in info.mappings else info.problems


def _strangers(files: Iterable[str], known: Catalogue) -> Iterator[Problem]:
    unknown = (name for name in files if name not in known.records)
    return (Problem(name, "the server's catalogue has no entry for it") for name in unknown)


def doubted(said: Answer, cache: Layout) -> Answer:
    """Compare what the server lists with what it listed before; where names have vanished, tell so.

    A mission's server never forgets a file: one that does is being restored, or is another one.
    """
    try:
        saved = serverconfig.read(cache.config)
    except UnreadableConfigError:
        return said
    lost = [] if saved is None else serverconfig.vanished(saved, said.info.raw)
    if not lost:
        return said
    told = f"{len(lost)} names that were in it have vanished, {names.printable(lost[0])} first"
    reason = (
        f"{told}; the saved configuration stays, and nothing is purged. "
        "on_changed_content: replace takes the new list as it is"
    )
    problem = Problem("the server's list of files", reason)
    chosen = replace(
        said.chosen,
        problems=(*said.chosen.problems, problem),
        is_doubted=True,
        doubts=(*said.chosen.doubts, problem),
    )
    return replace(said, chosen=chosen)


def by_list(info: ServerInfo, listing: ContextList, *, takes_default: bool) -> Answer:
    """Settle that a run makes what a list of a context has; sizes and sums are those of the list.

    Parameters
    ----------
    takes_default
        The listed context is, or becomes, the default of the cache.
    """
    known = catalogue.from_metadata(info.metadata, info.bad_files)
    records = known.records | listing.records(info.bad_files)
    context = (listing.context,)
    problems = (*info.problems, *known.problems)
    chosen = Chosen(context, takes_default, context, problems, listed=tuple(sorted(listing.names)))
    return Answer(info, replace(known, records=records), chosen)


def save(answer: Answer, state: Path) -> None:
    """Write the answer where the next steps look for it."""
    publish.write_text(state / "server_info.json", json.dumps(answer.info.raw))
    publish.write_text(state / "contexts.json", json.dumps(asdict(answer.chosen), indent=2) + "\n")
    tables.write_catalogue(state / "catalogue.tsv", answer.catalogue)


def load(state: Path, observatory: str) -> Answer:
    """Read the answer of this run."""
    raw = json.loads((state / "server_info.json").read_text(encoding="utf-8"))
    chosen = json.loads((state / "contexts.json").read_text(encoding="utf-8"))
    problems = {key: tuple(Problem(**each) for each in chosen[key]) for key in ("problems", "doubts")}
    lists = {key: tuple(chosen[key]) for key in ("contexts", "mappings", "listed", "files")}
    return Answer(
        serverinfo.parse_server_info(raw, observatory),
        tables.read_catalogue(state / "catalogue.tsv"),
        Chosen(**{**chosen, **lists, **problems}),
    )


def reference_url(state: Path, observatory: str) -> str:
    """Read where references are fetched from in this run."""
    raw = json.loads((state / "server_info.json").read_text(encoding="utf-8"))
    return serverinfo.parse_server_info({**raw, "download_metadata": {}}, observatory).reference_url


def saved(cache: Layout, wanted: Wanted) -> Answer:
    """Give what the server said last, from the saved configuration; its default is that of this cache.

    Raises
    ------
    NotACacheError
        There is no configuration yet.
    UnreadableConfigError
        It is damaged.
    """
    info = serverconfig.read_info(cache.config, cache.observatory)
    if info is None:
        raise identity.no_cache(cache)
    return settle(info, wanted, cache.mappings, is_first=False)
