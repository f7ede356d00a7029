"""What a root says of itself: whose cache it is, and what it promises to have of its default context."""

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from crdscache.cache import publish, serverconfig, writers
from crdscache.cache.layout import Layout
from crdscache.cache.writers import Writers
from crdscache.contexts import names
from crdscache.contexts.records import ALL_PARTS, Parts
from crdscache.errors import NewerStateError, NotACacheError, UnreadableConfigError, UnsafeNameError

logger = logging.getLogger(__name__)

VERSION = 1

_FILE = "identity.json"
# What may lie in a root before it becomes a cache: our own and the missions' directories, and a file system's
# own.
_HARMLESS = frozenset({"mappings", "references", "config", "pickles", "lost+found"})


@dataclass(frozen=True, slots=True)
class Holdings:
    """Which references of its default context a cache promises to have; rules always.

    `parts` are instruments (`acs`) and reftypes of an instrument (`acs/darkfile`), lower case, or `all`.
    """

    parts: tuple[str, ...] = ()

    def cover(self, instrument: str, reftype: str) -> bool:
        """Tell whether references of an instrument and type are part of the promise."""
        return not {"all", instrument, f"{instrument}/{reftype}"}.isdisjoint(self.parts)

    def __or__(self, other: "Holdings") -> "Holdings":
        """Promise what either promises."""
        parts = {*self.parts, *other.parts}
        return ALL if "all" in parts else Holdings(tuple(sorted(parts)))


PIN, ROLLBACK, LIST = "pin", "rollback", "list"

NONE = Holdings()
ALL = Holdings(("all",))


def parse_holdings(words: str | Iterable[str]) -> Holdings:
    """Read the setting: `none`, `all`, or a list of instruments and `instrument/reftype`."""
    words = [words] if isinstance(words, str) else list(words)
    return NONE | Holdings(tuple(word.lower() for word in words if word != "none"))


@dataclass(frozen=True, slots=True)
class Identity:
    """The stamp of a cache."""

    observatory: str
    server_url: str
    use_case: str
    holdings: Holdings
    version: int = VERSION
    pinned: str | None = None  # the context at which the default is held
    pinned_by: str = PIN  # what a switch to it is noted as, by whichever run comes to make it
    writers: Writers | None = field(default=None, compare=False)  # None: not recorded yet


def normal_url(server_url: str) -> str:
    """Write a server's address in one way, so that two spellings of it are equal."""
    return server_url.rstrip("/")


def load(cache: Layout) -> Identity | None:
    """Read the stamp; None where there is none.

    Raises
    ------
    NotACacheError
        The stamp is damaged.
    NewerStateError
        Its version is not known yet, nor what else it says.
    """
    path = cache.state / _FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = int(data["version"])
        if version > VERSION:
            message = f"{path}: the state has version {version}, this software knows {VERSION}: upgrade it"
            raise NewerStateError(message)
        holdings = Holdings(tuple(map(str, data["holdings"]["parts"])))
        pinned = data.get("pinned")
        stamp = Identity(
            data["observatory"],
            data["server_url"],
            data["use_case"],
            holdings,
            version,
            None if pinned is None else names.require_safe(pinned),
            str(data.get("pinned_by", PIN)),
            _writers(data.get("writers")),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, UnsafeNameError) as error:
        message = (
            f"{path}: the stamp of this cache is damaged: {error!r}; remote_cache_init --rebind URL mends it"
        )
        raise NotACacheError(message) from error
    return stamp


def save(cache: Layout, identity: Identity) -> None:
    """Write the stamp as a whole, with whose the cache is."""
    cache.state.mkdir(parents=True, exist_ok=True)
    identity = _with_writers(cache, identity)
    publish.write_text(cache.state / _FILE, json.dumps(asdict(identity), indent=2, sort_keys=True) + "\n")


def promised(recorded: Holdings, setting: Holdings | None, fetched: Holdings) -> Holdings:
    """Tell what a context must have to become the default: the setting, else all that is fetched for it."""
    return recorded | fetched if setting is None else setting


def holdings_of(parts: Parts, observatory: str) -> Holdings:
    """Tell what a run promises that fetches references of some instruments and types for the default."""
    if parts == ALL_PARTS:
        return ALL
    instruments = parts.instruments or names.INSTRUMENTS[observatory]
    if not parts.types:
        return Holdings(tuple(sorted(instruments)))
    pairs = (f"{instrument}/{reftype}" for instrument in instruments for reftype in parts.types)
    return Holdings(tuple(sorted(pairs)))


def admit(cache: Layout, server_url: str, use_case: str, *, set_up: bool = False) -> Identity:
    """Make sure that a root is the cache of this server before anything is written.

    A cache that other tools made has no stamp yet: what its saved configuration says counts.

    Parameters
    ----------
    set_up
        Admit an empty root too.

    Returns
    -------
    Identity
        To be stamped once the server has answered.

    Raises
    ------
    NotACacheError
        The root is no cache (an unmounted disk must not be filled), or that of another server or observatory.
    """
    found = load(cache) or _foreign(cache, server_url, use_case)
    if found is None and set_up:
        _require_empty(cache.root)
        return Identity(cache.observatory, server_url, use_case, NONE)
    if found is None:
        raise no_cache(cache)
    if found.observatory != cache.observatory or normal_url(found.server_url) != normal_url(server_url):
        message = (
            f"{cache.root} is a cache of {found.observatory} from {found.server_url}, but the settings say "
            f"{cache.observatory} from {server_url}; "
            f"if the server was renamed: remote_cache_init --rebind {server_url}"
        )
        raise NotACacheError(message)
    return found


def no_cache(cache: Layout) -> NotACacheError:
    """Say that a root is no cache, and what an operator may do about it."""
    return NotACacheError(
        f"{cache.root} is not a cache: neither its stamp nor {cache.config / serverconfig.CONFIG_FILE} is "
        "there; is its disk mounted? remote_cache_init sets up a new one"
    )


def rebound(cache: Layout, server_url: str, use_case: str) -> Identity:
    """Give the stamp of a cache whose server has another address now; to be written when that answers."""
    try:
        found = load(cache) or _foreign(cache, server_url, use_case)
    except NotACacheError as error:
        logger.warning("stamp made anew reason=%s", error)
        found = None
    return replace(
        found or Identity(cache.observatory, "", use_case, NONE),
        server_url=normal_url(server_url),
        writers=writers.present(cache),
    )


def require_writer(cache: Layout, identity: Identity) -> None:
    """Make sure that this account is one of the writers of a cache.

    Raises
    ------
    StrangerError
        It is not; nothing was written.
    """
    writers.require(cache, writers_of(cache, identity).owner)


def stamp(cache: Layout, identity: Identity) -> None:
    """Write the stamp, unless it is there as it is."""
    identity = _with_writers(cache, identity)
    try:
        there = load(cache)
        is_there = there == identity and there.writers == identity.writers
    except NotACacheError:  # only `rebound` gets this far: it has told, and made another one
        is_there = False
    if not is_there:
        save(cache, identity)


def writers_of(cache: Layout, identity: Identity | None) -> Writers:
    """Tell whose a cache is: by the stamp, or by whose files it has; the group is always that of the disk."""
    found = writers.present(cache, cache.state / _FILE, cache.config / serverconfig.CONFIG_FILE)
    recorded = identity.writers if identity else None
    return found if recorded is None else replace(found, owner=recorded.owner)


def _with_writers(cache: Layout, identity: Identity) -> Identity:
    return replace(identity, writers=writers_of(cache, identity))


def _writers(data: Any) -> Writers | None:  # noqa: ANN401 (it is what JSON is)
    if data is None:
        return None
    return Writers(int(data["owner"]), None if data["group"] is None else int(data["group"]))


def _foreign(cache: Layout, server_url: str, use_case: str) -> Identity | None:
    try:
        saved = serverconfig.read(cache.config)
    except UnreadableConfigError:
        saved = {}  # it was a cache: its configuration will be written anew
    if saved is None:
        return None
    observatory = str(saved.get("observatory", cache.observatory))
    return Identity(observatory, str(saved.get("server", server_url)), use_case, NONE)


def _require_empty(root: Path) -> None:
    if not root.exists():
        return
    strangers = sorted(
        entry.name
        for entry in root.iterdir()
        if entry.name not in _HARMLESS and not entry.name.startswith((".", "crds."))
    )
    if strangers:
        message = f"{root} is not empty: {', '.join(strangers[:5])}; a new cache wants a directory of its own"
        raise NotACacheError(message)
