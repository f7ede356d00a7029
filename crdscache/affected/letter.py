"""The mail about a change of context, as operators know it: the same bytes whenever it is written.

Source: docs/protocol.md, "Affected data sets".
"""

import gzip
import hashlib
import math
import quopri
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from crdscache.affected.results import Disposition
from crdscache.contexts import times

_RULE = "-" * 110
_ENDS = 200  # lines of the log that are told from its begin, and from its end
_MOST_CHARACTERS = (900, 300, 100)  # of a line; fewer where a log would take more than half of a mail
_PIECE_CHARACTERS = 10**6  # of what is left out of a line: so much of it is in memory at once
_BASE64 = 4 / 3 * 78 / 76  # octets on the wire for one of the list
_LIST_HEAD_BYTES = 1000  # the most for the headers of an attached list


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail tells."""

    project: str
    use_case: str
    old: str
    new: str
    when: str  # UTC, YYYY-MM-DD HH:MM:SS
    disposition: Disposition
    n_affected: int
    body: str
    log: Path
    ids: Path  # one in each line
    key: str  # tells it from all others: letters, digits, . _ -

    @property
    def title(self) -> str:
        """What it is about."""
        about = f"CRDS {self.project} {self.use_case} datasets affected {self.old} --> {self.new}"
        return _one_line(f"{about} on {self.when.replace(' ', '-')}.00")

    @property
    def subject(self) -> str:
        """Disposition, title, and number of products."""
        return f"{self.disposition.value}: {self.title} : {self.n_affected} affected"


@dataclass(frozen=True, slots=True)
class Limits:
    """What becomes of a list that makes a mail too large."""

    max_bytes: int  # of one mail as it is sent
    splits: bool  # into several mails; else it is not attached


def compose(letter: Letter, sender: str, recipients: Sequence[str], limits: Limits) -> list[EmailMessage]:
    """Write the mail; more than one where a long list is split.

    A comparison that failed has no list. The log is in the first one only.
    """
    log = _log(letter, limits)
    body = "".join(f"{_printable(line)}\n" for line in _lines(StringIO(letter.body), _MOST_CHARACTERS[0]))
    bare = _mail(letter, sender, recipients, " (part 999 of 999)")
    _fill(bare, body, log)
    room_bytes = limits.max_bytes - len(bytes(bare)) - _LIST_HEAD_BYTES
    lists = [] if letter.disposition is Disposition.FAILED else _lists(letter, limits, room_bytes)
    n_mails = max(len(lists), 1)
    if letter.disposition is not Disposition.FAILED and not lists:
        body += f"\nThe list is too long for a mail. It is {letter.ids}, SHA-256 {_sha256(letter.ids)}.\n"
    mails = []
    for number in range(1, n_mails + 1):
        part = "" if n_mails == 1 else f" (part {number} of {n_mails})"
        mail = _mail(letter, sender, recipients, part)
        _fill(mail, *((body, log) if number == 1 else (f"{letter.subject}{part}\n", None)))
        if lists:
            name = f"affected_ids{'' if n_mails == 1 else f'_{number}_of_{n_mails}'}.txt.gz"
            mail.add_attachment(lists[number - 1], "application", "gzip", filename=name)
        if mail.is_multipart():
            mail.set_boundary(f"={hashlib.sha256(f'{letter.key}{part}'.encode()).hexdigest()[:32]}=")
        mails.append(mail)
    return mails


def _mail(letter: Letter, sender: str, recipients: Sequence[str], part: str) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = f"{letter.subject}{part}"
    mail["From"], mail["To"] = sender, ", ".join(recipients)
    moment = times.parse(letter.when) or datetime.fromtimestamp(0, UTC)
    mail["Date"] = format_datetime(moment)
    of_part = part.strip(" ()").replace(" ", "-")
    mail["Message-ID"] = f"<{letter.key}{'.' if part else ''}{of_part}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    return mail


def _fill(mail: EmailMessage, body: str, log: str | None) -> None:
    mail.set_content(body, cte="quoted-printable")
    if log is not None:
        mail.add_attachment(log, filename="bestrefs.log", cte="quoted-printable")


def _log(letter: Letter, limits: Limits) -> str:
    for most in _MOST_CHARACTERS:
        log = "".join(f"{line}\n" for line in framed(letter, most))
        if len(quopri.encodestring(log.encode())) <= limits.max_bytes / 2:
            break
    return log


def _lists(letter: Letter, limits: Limits, room_bytes: int) -> list[bytes]:
    """Compress the list, cut into as many parts as it takes; none at all where it would have to be cut."""
    ids = letter.ids.read_bytes()
    n_lines = ids.count(b"\n")
    most = max(room_bytes, limits.max_bytes / 10) / _BASE64
    n_parts = 1
    while True:
        cuts = (ids.rfind(b"\n", 0, len(ids) * number // n_parts) + 1 for number in range(1, n_parts))
        bounds = [0, *cuts, len(ids)]
        parts = [gzip.compress(ids[start:stop], mtime=0) for start, stop in pairwise(bounds)]
        if max(map(len, parts)) <= most or n_parts >= max(n_lines, 1):
            return parts
        if not limits.splits:
            return []
        n_parts = max(n_parts + 1, math.ceil(sum(map(len, parts)) / most))


def framed(letter: Letter, most: int = _MOST_CHARACTERS[0]) -> Iterator[str]:
    """Give the log between its title and its subject; of a long one begin and end.

    Parameters
    ----------
    most
        Characters of a line; what is left out of it is counted.
    """
    with letter.log.open(encoding="utf-8", errors="replace") as stream:
        log = [_printable(line) for line in _ends(_lines(stream, most))]
    yield from (_RULE, letter.title, _RULE, *log, _RULE, letter.subject, _RULE)


def _ends(lines: Iterable[str]) -> Iterator[str]:
    iterator, last = iter(lines), deque[str](maxlen=_ENDS)
    for number, line in enumerate(iterator):
        if number < _ENDS:
            yield line
        else:
            last.append(line)
    n_left_out = max(0, number + 1 - 2 * _ENDS) if last else 0
    if n_left_out:
        yield f"... {n_left_out} lines are left out here ..."
    yield from last


def _lines(stream: TextIO, most: int) -> Iterator[str]:
    while piece := stream.readline(most + 1):
        begin = piece.rstrip("\n")
        n_characters = len(begin)
        while piece and not piece.endswith("\n"):
            piece = stream.readline(_PIECE_CHARACTERS)
            n_characters += len(piece.rstrip("\n"))
        n_more = n_characters - len(begin[:most])
        yield begin[:most] + (f" ... ({n_more} characters more)" if n_more else "")


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line)


def _one_line(text: str) -> str:
    """Leave nothing that could end a header, or begin another one."""
    return "".join(c for c in text if c.isprintable())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
