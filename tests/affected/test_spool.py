import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from crdscache.affected import mailing
from crdscache.affected.spool import _SENT, Delivery, Refusal, Spool
from crdscache.cache import tables
from crdscache.errors import CacheError, SettingsError, TransferError, UnreachableError
from tests import smtp
from tests.caches import CHECKOUT

SENDER, A, B = "crds@example.org", "a@example.org", "b@example.org"
MESSAGE = b"Message-ID: <k@example.org>\r\nSubject: OK\r\n\r\nText.\r\n"


class Office:
    """Takes mail, or answers as it is told."""

    def __init__(self, **refuses: tuple[str, bool]) -> None:
        self.refuses = {name: Refusal(*refusal) for name, refusal in refuses.items()}
        self.got = list[tuple[str, tuple[str, ...], bytes]]()

    def send(self, sender: str, recipients: Sequence[str], message: bytes) -> Mapping[str, Refusal]:
        self.got.append((sender, tuple(recipients), message))
        return {each: self.refuses[each[0]] for each in recipients if each[0] in self.refuses}


def unreachable(*_: object) -> Mapping[str, Refusal]:
    raise UnreachableError("no mail server")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "mail")


def test_a_mail_is_sent_once_to_each(spool: Spool) -> None:
    office = Office()
    spool.put("k", SENDER, (A, B), MESSAGE)

    first, second = list(spool.deliver(office.send)), list(spool.deliver(office.send))
    spool.put("k", SENDER, (A, B), MESSAGE)
    third = list(spool.deliver(office.send))

    assert (first, second, third) == ([Delivery("k", sent=(A, B))], [], [])
    assert office.got == [(SENDER, (A, B), MESSAGE)]
    assert spool.pending() == []


def test_E01_what_cannot_be_sent_waits_for_the_next_run(spool: Spool) -> None:
    office = Office()
    spool.put("k", SENDER, (A,), MESSAGE)

    first = list(spool.deliver(unreachable))
    waiting = spool.pending()
    second = list(spool.deliver(office.send))

    assert first == [Delivery("k", waiting=(A,), reason="no mail server")]
    assert (waiting, second) == (["k"], [Delivery("k", sent=(A,))])


@pytest.mark.parametrize(
    ("error", "n_tried"), [(UnreachableError, 1), (SettingsError, 1), (TransferError, 3)]
)
def test_E01_what_stops_every_mail_is_found_out_once(
    spool: Spool, error: type[CacheError], n_tried: int
) -> None:
    tried = []

    def fail(*mail: object) -> Mapping[str, Refusal]:
        tried.append(mail)
        raise error("no way")

    for key in "xyz":
        spool.put(key, SENDER, (A,), MESSAGE)

    found = {each.key: each for each in spool.deliver(fail)}

    assert found == {key: Delivery(key, waiting=(A,), reason="no way") for key in "xyz"}
    assert (len(tried), sorted(spool.pending())) == (n_tried, ["x", "y", "z"])


def test_E01_who_was_not_asked_about_when_the_server_broke_off_gets_it_from_the_next_run(
    spool: Spool,
) -> None:
    everybody = (A, B, "c@example.org")
    spool.put("k", SENDER, everybody, MESSAGE)
    with smtp.serving() as sink:
        sink.refuses = {B: "421 too busy"}
        [first] = mailing.deliver(spool, sink.route())
        sink.refuses = {}
        [second] = mailing.deliver(spool, sink.route())

    assert (first.sent, first.waiting, second) == ((), everybody, Delivery("k", sent=everybody))
    assert sink.mails == [(SENDER, everybody, MESSAGE)]


def test_E02_who_is_refused_for_now_gets_it_later_and_who_is_refused_for_good_does_not(spool: Spool) -> None:
    spool.put("k", SENDER, (A, B, "c@example.org"), MESSAGE)

    first = list(spool.deliver(Office(b=("450 later", False), c=("550 nobody", True)).send))
    office = Office()
    second = list(spool.deliver(office.send))
    spool.put("k", SENDER, (A, B, "c@example.org"), MESSAGE)

    assert first == [Delivery("k", (A,), {"c@example.org": "550 nobody"}, (B,), "450 later")]
    assert second == [Delivery("k", sent=(B,))]
    assert [recipients for _, recipients, _ in office.got] == [(B,)]
    assert spool.pending() == []


def test_E02_who_is_named_twice_is_asked_about_once(spool: Spool) -> None:
    spool.put("k", SENDER, (A, A), MESSAGE)
    with smtp.serving() as sink:
        sink.refuses = {A: "450 later"}
        [first] = mailing.deliver(spool, sink.route())
        sink.refuses = {}
        [second] = mailing.deliver(spool, sink.route())

    assert (first, second) == (Delivery("k", waiting=(A,), reason="450 later"), Delivery("k", sent=(A,)))
    assert sink.mails == [(SENDER, (A,), MESSAGE)]


def test_mail_goes_in_the_order_in_which_it_came(spool: Spool, tmp_path: Path) -> None:
    for number, key in enumerate(("z", "m", "a")):
        spool.put(key, SENDER, (A,), MESSAGE)
        os.utime(tmp_path / "mail" / f"{key}.json", ns=(number, number))

    assert [each.key for each in spool.deliver(Office().send)] == ["z", "m", "a"]


def test_a_damaged_entry_is_kept_aside_and_the_others_go(spool: Spool, tmp_path: Path) -> None:
    spool.put("bad", SENDER, (A,), MESSAGE)
    spool.put("good", SENDER, (A,), MESSAGE)
    (tmp_path / "mail" / "bad.json").write_text("{")

    found = {each.key: each for each in spool.deliver(Office().send)}

    assert found["bad"] == Delivery("bad", refused={"its entry": "it is damaged, and kept aside"})
    assert found["good"] == Delivery("good", sent=(A,))
    assert (tmp_path / "mail" / "bad.bad").exists()


_MESSAGE_OF_KILLED = b"Message-ID: <k@example.org>\r\n\r\nText.\r\n"
_SENDS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from crdscache.affected.spool import Spool
from crdscache.affected import post
from crdscache.contexts.records import MailRoute
from crdscache.cache import tables

route = MailRoute("127.0.0.1", int(sys.argv[2]), "none", None, None, None, 5.0, 1)
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def send(sender, recipients, message):
    if sys.argv[3] == "before":
        die()
    refused = post.send(route, sender, recipients, message)
    if sys.argv[3] == "after":
        die()
    return {}
spool = Spool(Path(sys.argv[1]))
spool.put("k", "crds@example.org", ("a@example.org",), b"Message-ID: <k@example.org>\\r\\n\\r\\nText.\\r\\n")
if sys.argv[3] == "recorded":
    Path.unlink = lambda path, **_: die() if path.suffix == ".json" else None  # the entry is removed last
list(spool.deliver(send))
"""


@pytest.mark.parametrize(("when", "n_mails"), [("before", 1), ("after", 2), ("recorded", 1)])
def test_E06_killed_around_the_sending_no_mail_is_lost(tmp_path: Path, when: str, n_mails: int) -> None:
    with smtp.serving() as sink:
        command = [sys.executable, "-c", _SENDS_AND_DIES, str(tmp_path / "mail"), str(sink.port), when]
        killed = subprocess.run(command, cwd=CHECKOUT, check=False, timeout=60)
        spool = Spool(tmp_path / "mail")
        spool.put("k", SENDER, (A,), _MESSAGE_OF_KILLED)  # as a run does that makes the report anew
        list(mailing.deliver(spool, sink.route()))

    assert killed.returncode == -signal.SIGKILL
    assert sink.mails == [(SENDER, (A,), _MESSAGE_OF_KILLED)] * n_mails
    rows = [tuple(row[1:]) for row in tables.read(tmp_path / "mail" / "sent.tsv", "mail", _SENT)]
    assert (rows, spool.pending()) == ([("k", A, "sent", "")], [])
