"""From the result of a comparison to mail on its way: written, spooled, sent, and receipted."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from crdscache.affected import letter, post, story
from crdscache.affected.letter import Letter, Limits
from crdscache.affected.results import Disposition, Summary
from crdscache.affected.spool import Delivery, Spool
from crdscache.cache import publish
from crdscache.contexts.records import MailRoute

MAIL, RECEIPT = "mail.eml", "mail.json"

_NOBODY = "nobody@localhost.invalid"  # of mail that is only written to a file


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who a mail is from, for whom, and how it goes; without a route it is only written."""

    sender: str | None
    recipients: tuple[str, ...]
    limits: Limits
    route: MailRoute | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of the mail of one report: the content of mail.json."""

    run_id: str
    keys: tuple[str, ...]
    deliveries: tuple[Delivery, ...]


def key_of(summary: Summary) -> str:
    """Give what tells the mail of a report from all others, in every run; a failure has a mail of its own."""
    steps = summary.steps
    parts = ("affected", summary.observatory, summary.use_case, steps[0].old, steps[-1].new, summary.when)
    failed = ("failed",) if summary.disposition is Disposition.FAILED else ()
    return ".".join(re.sub(r"[^A-Za-z0-9_-]+", "", part.removesuffix(".pmap")) for part in (*parts, *failed))


def post_report(place: Path, summary: Summary, run_id: str, envelope: Envelope, spool: Spool) -> Receipt:
    """Write the mail of a report beside it; send it too, where there is a way, or leave it to wait."""
    told = Letter(
        summary.observatory,
        summary.use_case,
        summary.steps[0].old,
        summary.steps[-1].new,
        summary.when,
        summary.disposition,
        summary.n_affected,
        story.body(summary),
        place / "log.txt",
        place / "ids.txt",
        key_of(summary),
    )
    sender, recipients = envelope.sender or _NOBODY, envelope.recipients or (_NOBODY,)
    messages = [bytes(mail) for mail in letter.compose(told, sender, recipients, envelope.limits)]
    keys = tuple(told.key if len(messages) == 1 else f"{told.key}.{n}" for n in range(1, len(messages) + 1))
    for number, message in enumerate(messages, start=1):
        name = MAIL if number == 1 else f"mail_{number}.eml"
        with publish.publish(place / name) as temporary:
            temporary.write_bytes(message)
    deliveries: tuple[Delivery, ...] = ()
    if envelope.route is not None:
        for key, message in zip(keys, messages, strict=True):
            spool.put(key, sender, recipients, message)
        deliveries = tuple(deliver(spool, envelope.route))
    receipt = Receipt(run_id, keys, deliveries)
    publish.write_text(place / RECEIPT, json.dumps(asdict(receipt), indent=2) + "\n")
    return receipt


def deliver(spool: Spool, route: MailRoute) -> Iterator[Delivery]:
    """Send all that waits; what cannot be sent now goes on waiting."""
    yield from spool.deliver(partial(post.send, route))


def load(place: Path) -> Receipt | None:
    """Read the receipt of a report; None where there is none."""
    try:
        data = json.loads((place / RECEIPT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    deliveries = tuple(
        Delivery(each["key"], tuple(each["sent"]), each["refused"], tuple(each["waiting"]), each["reason"])
        for each in data["deliveries"]
    )
    return Receipt(data["run_id"], tuple(data["keys"]), deliveries)
