"""Mail that waits to be sent: written durably before it is sent, and recorded after.

A kill in between repeats a mail, under the same Message-ID; none is lost.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from crdscache.cache import publish, tables
from crdscache.contexts import times
from crdscache.errors import CacheError, SettingsError, UnreachableError

logger = logging.getLogger(__name__)

_SENT = ("when", "key", "recipient", "outcome", "reason")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recipient did not get a mail."""

    reason: str
    is_final: bool  # else another attempt may do better


# Sends a message to recipients, and gives those who were refused.
Send = Callable[[str, Sequence[str], bytes], Mapping[str, Refusal]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one mail."""

    key: str
    sent: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)  # for good: by recipient, why
    waiting: tuple[str, ...] = ()  # for the next run
    reason: str = ""  # why they wait


@dataclass(frozen=True, slots=True)
class _Entry:
    """One mail that waits."""

    key: str
    sender: str
    recipients: tuple[str, ...]  # who did not get it yet


class Spool:
    """A directory of mail that waits, with a table of what was sent.

    Parameters
    ----------
    directory
        Made when the first mail comes.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def pending(self) -> list[str]:
        """List the keys of mail that waits, in the order in which it came."""
        try:
            found = [(path.stat().st_mtime_ns, path.stem) for path in self._directory.glob("*.json")]
        except FileNotFoundError:
            return []
        return [key for _, key in sorted(found)]

    def put(self, key: str, sender: str, recipients: Sequence[str], message: bytes) -> None:
        """Add a mail, durably, for those who neither have it already nor were refused for good."""
        left = self._left(key, recipients)
        if not left:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        with publish.publish(self._message(key)) as temporary:
            temporary.write_bytes(message)
        self._save(_Entry(key, sender, left))

    def deliver(self, send: Send) -> Iterator[Delivery]:
        """Try to send all that waits; what stops every mail is found out once."""
        no_way = ""  # a silent server would take its time-out each time, a wrong password a failed login
        for key in self.pending():
            entry, message = self._load(key)
            if entry is None:
                yield Delivery(key, refused={"its entry": "it is damaged, and kept aside"})
                continue
            left = self._left(key, entry.recipients)  # a kill can have come between record and removal
            reason, refusals = no_way, dict[str, Refusal]()
            if left and not reason:
                try:
                    refusals = dict(send(entry.sender, left, message))
                except (SettingsError, UnreachableError) as error:
                    reason = no_way = str(error)
                except CacheError as error:
                    reason = str(error)
            if left and reason:
                yield Delivery(key, waiting=left, reason=reason)
            else:
                yield self._record(entry, left, refusals)

    def _record(self, entry: _Entry, left: Sequence[str], refusals: Mapping[str, Refusal]) -> Delivery:
        sent = tuple(recipient for recipient in left if recipient not in refusals)
        refused = {recipient: each.reason for recipient, each in refusals.items() if each.is_final}
        waiting = tuple(recipient for recipient in refusals if recipient not in refused)
        for recipient in (*sent, *refused):
            outcome = "refused" if recipient in refused else "sent"
            row = (times.now(), entry.key, recipient, outcome, refused.get(recipient, ""))
            tables.append(self._directory / "sent.tsv", "mail", _SENT, row)
        if waiting:
            self._save(_Entry(entry.key, entry.sender, waiting))
        else:
            self._card(entry.key).unlink()
            self._message(entry.key).unlink(missing_ok=True)
        reasons = {refusals[recipient].reason for recipient in waiting}
        return Delivery(entry.key, sent, refused, waiting, "; ".join(sorted(reasons)))

    def _left(self, key: str, recipients: Sequence[str]) -> tuple[str, ...]:
        """Leave out who has a mail already, or was refused for good."""
        path = self._directory / "sent.tsv"
        rows = tables.read(path, "mail", _SENT) if path.exists() else iter(())
        done = {recipient for _, its_key, recipient, _, _ in rows if its_key == key}
        # smtplib takes one who is named twice, and refused, for some who are not.
        return tuple(recipient for recipient in dict.fromkeys(recipients) if recipient not in done)

    def _load(self, key: str) -> tuple[_Entry | None, bytes]:
        card = self._card(key)
        try:
            data = json.loads(card.read_text(encoding="utf-8"))
            entry = _Entry(key, str(data["sender"]), tuple(map(str, data["recipients"])))
            return entry, self._message(key).read_bytes()
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            logger.error("mail damaged key=%s reason=%s", key, error)
            card.replace(card.with_suffix(".bad"))
            return None, b""

    def _save(self, entry: _Entry) -> None:
        publish.write_text(self._card(entry.key), json.dumps(asdict(entry)) + "\n")

    def _card(self, key: str) -> Path:
        return self._directory / f"{key}.json"

    def _message(self, key: str) -> Path:
        return self._directory / f"{key}.eml"
