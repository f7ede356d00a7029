"""Where the files of a cache lie. Source: docs/protocol.md, "The cache on disk"."""

import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from crdscache.cache import publish
from crdscache.contexts import names
from crdscache.errors import SettingsError

MODE_FILE = "ref_cache_subdir_mode"
CONFIG_LOCK = "crds.config.lock"
# Calibration programs know the directories of hst's instruments by these names.
_HST_LINKS = {"wfc3": "iref", "acs": "jref", "cos": "lref", "nicmos": "nref", "stis": "oref", "wfpc2": "uref"}


class Mode(Enum):
    """How the references of an observatory are laid out; the word is that of the mode file."""

    FLAT = "flat"
    INSTRUMENT = "instrument"


class Access(Enum):
    """Who may read and write what we make in a cache; all may read, where it is not said otherwise."""

    AUTO = "auto"  # as the root says
    GROUP_WRITES = "group-writes"
    OWNER_WRITES = "owner-writes"
    GROUP_ONLY = "group-only"  # its members read and write, nobody else does
    GROUP_READS = "group-reads"  # the owner writes, the group reads
    OWNER_ONLY = "owner-only"


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of one observatory's cache; `root` holds the locks and the state too."""

    root: Path
    observatory: str
    mappings: Path
    references: Path
    config: Path
    locks: Path
    access: Access = Access.AUTO

    @property
    def state(self) -> Path:
        """The working directory of Snakemake, and all that we record about this cache."""
        return self.root / ".crdscache" / self.observatory

    def relative(self, path: Path) -> str:
        """Say where a file lies, from the root where it is below it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def absolute(self, path: str) -> Path:
        """Undo `relative`."""
        return self.root / path

    def reference_directory(self, mode: Mode, instrument: str) -> Path:
        """Find the directory of an instrument's references."""
        return self.references if mode is Mode.FLAT else self.references / instrument


def default_layout(root: Path, observatory: str) -> Layout:
    """Lay a cache out as the missions' client does when only the root is set."""
    return Layout(
        root=root,
        observatory=observatory,
        mappings=root / "mappings" / observatory,
        references=root / "references" / observatory,
        config=root / "config" / observatory,
        locks=root,
    )


def find_mode(cache: Layout, default: Mode) -> Mode:
    """Tell how references are laid out: the mode file decides, else what lies there, else `default`.

    Raises
    ------
    SettingsError
        The mode file has a word that we do not know.
    """
    path = cache.config / MODE_FILE
    try:
        word = path.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return _mode_by_content(cache, default)
    try:
        return Mode(word)
    except ValueError as error:
        known = ", ".join(mode.value for mode in Mode)
        message = f"{path}: the layout of references is {word!r:.40}; expected one of: {known}"
        raise SettingsError(message) from error


def _mode_by_content(cache: Layout, default: Mode) -> Mode:
    instruments = names.INSTRUMENTS[cache.observatory]
    try:
        with os.scandir(cache.references) as entries:
            # A directory may also stand where a file should.
            kinds = {entry.name in instruments for entry in entries if not entry.name.startswith(".")}
    except (FileNotFoundError, NotADirectoryError):
        return default
    if True in kinds:
        return Mode.INSTRUMENT
    return Mode.FLAT if kinds else default


def settle_mode(cache: Layout, mode: Mode, instruments: Iterable[str]) -> None:
    """Make what the first references need: the mode file, and the directories of the instruments.

    In hst's instrument layout each directory gets its `?ref` link, relative, so that a cache can be moved.
    """
    cache.config.mkdir(parents=True, exist_ok=True)
    path = cache.config / MODE_FILE
    if not path.exists():
        publish.write_text(path, mode.value)
    for instrument in sorted(set(instruments)):
        directory = cache.reference_directory(mode, instrument)
        directory.mkdir(parents=True, exist_ok=True)
        if mode is Mode.INSTRUMENT and cache.observatory == "hst" and instrument in _HST_LINKS:
            with suppress(FileExistsError):  # it may be there, or another job makes it at this moment
                (cache.references / _HST_LINKS[instrument]).symlink_to(instrument, target_is_directory=True)


def reference_directories(cache: Layout, mode: Mode) -> list[Path]:
    """List the directories that hold references, links to them left out."""
    if not cache.references.is_dir():
        return []
    if mode is Mode.FLAT:
        return [cache.references]
    return sorted(path for path in cache.references.iterdir() if path.is_dir() and not path.is_symlink())


def statuses(root: Path, paths: Iterable[str]) -> dict[str, os.stat_result]:
    """Look up the status of each file that is there, by one reading of each directory.

    Parameters
    ----------
    paths : relative to `root` or absolute, as in the manifest

    Returns
    -------
    dict
        Of what links lead to; absent for what is missing, dangling links included.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        directory, _, name = path.rpartition("/")
        wanted[directory].add(name)
    found = {}
    for directory, asked in wanted.items():
        try:
            entries = os.scandir(root / directory)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with entries:
            for entry in entries:
                if entry.name in asked:
                    with suppress(OSError):  # a dangling link, or a loop of links: no file under this name
                        found[f"{directory}/{entry.name}"] = entry.stat()
    return found


def status(path: Path) -> os.stat_result | None:
    """Look up the status of one file; None where `statuses` has none."""
    try:
        return path.stat()
    except OSError:
        return None
