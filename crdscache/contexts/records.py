"""Records that pass between the steps of a run: facts that were checked once, where they came in."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


class Kind(Enum):
    """What a file of the cache is."""

    MAPPING = "mapping"
    REFERENCE = "reference"


class Action(Enum):
    """What the plan wants done with a file."""

    KEEP = "keep"  # here, and right as far as the plan looks
    ADOPT = "adopt"  # take it over from a tree that the site has already
    FETCH = "fetch"
    PENDING = "pending"  # catalogued, but not archived yet
    WRONG = "wrong"  # here, but not what the catalogue says; replaced only by repair
    MISSING = "missing"  # not here, and only a check was asked for
    UNKNOWN = "unknown"  # named by a mapping, but the catalogue has no entry to verify it by


class Outcome(Enum):
    """How the work on one file ended."""

    KEPT = "kept"
    ADOPTED = "adopted"
    FETCHED = "fetched"
    REPAIRED = "repaired"  # fetched or adopted, in place of a wrong one
    PENDING = "pending"
    FAILED = "failed"

    @property
    def is_brought(self) -> bool:
        """Whether there is a new file."""
        return self in _BROUGHT


_BROUGHT = frozenset({Outcome.ADOPTED, Outcome.FETCHED, Outcome.REPAIRED})


class Verdict(Enum):
    """What a check says of one file."""

    OK = "ok"
    MISSING = "missing"
    PENDING = "pending"  # missing, and rightly so
    WRONG_SIZE = "wrong-size"
    WRONG_SUM = "wrong-sum"
    UNREADABLE = "unreadable"
    UNEXPECTED_KIND = "unexpected-kind"  # a directory, a pipe or a device stands under its name
    OFFLINE = "offline"  # its blocks are on tape: not read, as that would call them back
    REJECTED = "rejected"  # right, but declared bad by the server
    DARK = "dark"  # in the cache, but wanted by nothing

    @property
    def is_bad(self) -> bool:
        """Whether the file is not what it should be."""
        return self in _BAD


_BAD = frozenset(
    {
        Verdict.MISSING,
        Verdict.WRONG_SIZE,
        Verdict.WRONG_SUM,
        Verdict.UNREADABLE,
        Verdict.UNEXPECTED_KIND,
    }
)


class Sighting(Enum):
    """What becomes of a file that was seen in a tree to adopt from."""

    ADOPTED = "adopted"  # of a plan: will be
    HERE = "right already"
    NOT_REPLACED = "the cache has a wrong one"  # only repair puts this one in its place
    WRONG_SIZE = "wrong size"
    WRONG_SUM = "wrong sum"
    DUPLICATE = "duplicate"  # another of this name comes first
    HALF = "half of a pair"  # of a GEIS pair whose other half is neither in the trees nor in the cache
    NOT_WANTED = "not wanted"  # in the catalogue, but needed by no context of the run
    FOREIGN = "not in the catalogue"
    UNREADABLE = "unreadable"
    NO_LINK = "cannot be linked"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong and is told at the end; `name` is printable."""

    name: str
    reason: str


def each_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Leave of each name the first problem, in the same order."""
    once: dict[str, Problem] = {}
    for problem in problems:
        once.setdefault(problem.name, problem)
    return tuple(once.values())


# Nobody changes one of the next three either; but a run makes 100,000, and to freeze them would take 0.1 s.


@dataclass(slots=True, unsafe_hash=True)
class FileRecord:
    """One file as the server's catalogue describes it."""

    name: str  # checked by names.require_safe: may become part of a path
    size_bytes: int
    file_sha1: str | None  # lower-case hex; None where the server does not know it
    state: str = ""  # the archive's word, asked for new names only
    is_rejected: bool = False


@dataclass(slots=True, unsafe_hash=True)
class ManifestRow:
    """One file that the selected contexts need."""

    name: str
    kind: Kind
    instrument: str  # "" for a pmap
    reftype: str  # "" for a pmap or imap
    size_bytes: int | None  # None where the catalogue does not know the file
    file_sha1: str | None
    path: str  # relative to the root of the cache where it lies below it
    is_held: bool  # the default context needs it, within the holdings


@dataclass(slots=True, unsafe_hash=True)
class PlanRow:
    """What is to be done with one file of the manifest."""

    file: ManifestRow
    action: Action
    reason: str = ""  # of what is fetched or adopted: what is wrong with the one that it replaces
    source: str = ""  # the base address of what is fetched, the path of what is adopted

    @property
    def is_repair(self) -> bool:
        """Whether a wrong file is to be replaced."""
        return self.action in {Action.FETCH, Action.ADOPT} and bool(self.reason)


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What a check found out about one file."""

    name: str
    verdict: Verdict
    expected: str = ""
    found: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SightingRow:
    """What becomes of one file that was seen in a tree."""

    path: str
    name: str  # as the catalogue spells it, where it knows it
    sighting: Sighting
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done with one file."""

    name: str
    outcome: Outcome
    size_bytes: int = 0  # moved over the network for fetched files, else the file's length
    file_sha1: str | None = None
    source: str = ""
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the server, and how often to ask again."""

    connect_timeout_s: float
    read_timeout_s: float  # of silence
    tries: int
    backoff_s: float  # after the first failed try; it doubles, with jitter
    backoff_max_s: float
    slowest_bytes_s: int = 1024  # over read_timeout_s: slower than that is a stall


@dataclass(frozen=True, slots=True)
class Transfers:
    """Where files are had from, and within which limits."""

    sources: tuple[str, ...]  # first of all the one to ask first; see `server.sources`
    delivered: frozenset[str]  # states of the archive in which it hands a file out
    most_bytes_s: float | None  # over all jobs; None: no limit
    deadline_s: float | None  # for the transfers of one run


class AdoptMode(Enum):
    """How a file is taken over from a tree; the word is that of the setting."""

    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    REFLINK = "reflink"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Adoption:
    """How files are taken over."""

    mode: AdoptMode
    falls_back: bool  # a hard link or reflink that cannot be made may become a copy
    sums: bool  # compare sums too where a link would need none


@dataclass(frozen=True, slots=True)
class Policy:
    """Which wrong files a run replaces."""

    repairs: bool = False  # all
    follows_changes: bool = False  # those that were right until their entry in the catalogue changed


REPLACE_NOTHING = Policy()


@dataclass(frozen=True, slots=True)
class Parts:
    """Which references a run is limited to, by instrument and type, lower case; no word: no such limit."""

    instruments: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def cover(self, instrument: str, reftype: str) -> bool:
        """Tell whether references of an instrument and type are looked after."""
        is_instrument = not self.instruments or instrument in self.instruments
        return is_instrument and (not self.types or reftype in self.types)


ALL_PARTS = Parts()


@dataclass(frozen=True, slots=True)
class Purging:
    """What a purge may take away, of what no kept context reaches."""

    mappings: bool = False
    references: bool = False
    rejected: bool = False  # references that the server has rejected, though a context names them
    plan: str | None = None  # id of the estimate that is to be carried out

    def __bool__(self) -> bool:
        """Tell whether there is a purge at all."""
        return self.mappings or self.references or self.rejected


PURGE_NOTHING = Purging()


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a purge leaves alone, beside the contexts of the run, and how much it may take."""

    last_n: int
    pinned: tuple[str, ...]
    default_days: float
    max_percent: float  # of files, and of bytes
    ignores_leases: bool
    trash_days: float  # for which what was taken away can be brought back
    reserve_bytes: int  # where less is free, the oldest of the trash goes before


@dataclass(frozen=True, slots=True)
class Telling:
    """What an operator is told of beside failures, and how."""

    busy_s: float  # no run has come to its end for so long
    pending_s: float  # a file has not been delivered, or the default has waited, for so long
    frozen_s: float | None  # the server's answer is so old; None: whatever its age
    stale_s: float = 5400  # no run has succeeded for so long: a check says so
    command: tuple[str, ...] = ()  # gets each alarm; none: nothing does
    command_timeout_s: float = 30
    keep_logs: int = 100


@dataclass(frozen=True, slots=True)
class Needs:
    """What some data sets need."""

    references: frozenset[str] | None  # also the data halves of GEIS pairs; None: all that there are
    problems: tuple[Problem, ...]  # data sets whose references cannot be told


@dataclass(frozen=True, slots=True)
class Archive:
    """Where the parameters of an archive's data sets are to be had."""

    source: str  # URL of a database, `server`, or an absolute path
    map_file: str | None  # says how its tables and columns are called
    map: object  # the content of that file
    password: str | None = field(repr=False)
    deadline_s: float  # for all data sets of one instrument


@dataclass(frozen=True, slots=True)
class MailRoute:
    """How mail leaves here."""

    host: str
    port: int
    security: str  # none, starttls, tls
    user: str | None
    password: str | None = field(repr=False)
    ca_file: Path | None  # certificates to trust; None: those of the system
    timeout_s: float
    tries: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What counts when two contexts are compared."""

    optimize_tables: bool  # tables whose rows for a data set are the same are the same
    exposure_types: bool  # jwst: only the types that belong to the type of the exposure
    since: str | None  # a day, or auto; None: all data sets
