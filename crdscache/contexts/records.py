"""Records that pass between the steps of a run: facts that were checked once, where they came in."""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a file of the cache is."""

    MAPPING = "mapping"
    REFERENCE = "reference"


class Action(Enum):
    """What the plan wants done with a file."""

    KEEP = "keep"  # here, and right as far as the plan looks
    FETCH = "fetch"
    PENDING = "pending"  # catalogued, but not archived yet
    WRONG = "wrong"  # here, but not what the catalogue says; replaced only by repair
    MISSING = "missing"  # not here, and only a check was asked for
    UNKNOWN = "unknown"  # named by a mapping, but the catalogue has no entry to verify it by


class Outcome(Enum):
    """How the work on one file ended."""

    KEPT = "kept"
    FETCHED = "fetched"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that went wrong and is told at the end; `name` is printable."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file as the server's catalogue describes it."""

    name: str  # checked by names.require_safe: may become part of a path
    size_bytes: int
    file_sha1: str | None  # lower-case hex; None where the server does not know it
    state: str = ""  # the archive's word, asked for new names only
    is_rejected: bool = False


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What is to be done with one file of the manifest."""

    file: ManifestRow
    action: Action
    reason: str = ""
    source: str = ""


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


@dataclass(frozen=True, slots=True)
class Needs:
    """What some data sets need."""

    references: frozenset[str] | None  # also the data halves of GEIS pairs; None: all that there are
    problems: tuple[Problem, ...]  # data sets whose references cannot be told
