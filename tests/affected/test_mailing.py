import gzip
from email import message_from_bytes
from pathlib import Path

import pytest

from crdscache.affected import gather, mailing
from crdscache.affected.gather import Parts, Report
from crdscache.affected.letter import Limits
from crdscache.affected.mailing import Envelope
from crdscache.affected.results import Step, Summary, Tally
from crdscache.affected.spool import Spool
from tests import smtp

LIMITS = Limits(10**6, splits=True)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    (tmp_path / "report").mkdir()
    return Report(tmp_path / "report")


def summary(**changes: object) -> Summary:
    tally = Tally("acs", n_datasets=1, **changes)  # type: ignore[arg-type]
    step = Step("hst_0001.pmap", "hst_0002.pmap", "2026-01-02 03:04:05", "server", (tally,))
    return Summary("hst", "ops", "2026-01-02 03:04:05", 0, (step,))


def test_without_a_way_the_mail_is_a_file(report: Report, tmp_path: Path) -> None:
    told = gather.gather(report, Parts((), (), ()), summary())

    receipt = mailing.post_report(
        report.directory, told, "run", Envelope(None, (), LIMITS, None), Spool(tmp_path / "mail")
    )

    assert receipt.deliveries == ()
    assert mailing.load(report.directory) == receipt
    mail = message_from_bytes((report.directory / "mail.eml").read_bytes())
    assert str(mail["Subject"]).startswith("OK: CRDS hst ops datasets affected hst_0001.pmap --> ")
    assert not (tmp_path / "mail").exists()


def test_with_one_it_is_sent_and_not_again_by_the_next_run(report: Report, tmp_path: Path) -> None:
    told = gather.gather(report, Parts((), (), ()), summary())
    spool = Spool(tmp_path / "mail")
    with smtp.serving() as sink:
        envelope = Envelope("crds@example.org", ("a@example.org",), LIMITS, sink.route())

        first = mailing.post_report(report.directory, told, "run", envelope, spool)
        second = mailing.post_report(report.directory, told, "run", envelope, spool)

    assert [delivery.sent for delivery in first.deliveries] == [("a@example.org",)]
    assert second.deliveries == ()
    [(sender, recipients, content)] = sink.mails
    assert (sender, recipients) == ("crds@example.org", ("a@example.org",))
    [_, _, attached] = [part for part in message_from_bytes(content).walk() if not part.is_multipart()]
    assert gzip.decompress(attached.get_payload(decode=True)) == b""  # type: ignore[arg-type]


def test_E01_if_the_server_is_away_it_waits_and_the_next_run_sends_the_same(
    report: Report, tmp_path: Path
) -> None:
    told = gather.gather(report, Parts((), (), ()), summary())
    spool = Spool(tmp_path / "mail")
    away = smtp.Sink(smtp.free_port()).route()

    receipt = mailing.post_report(
        report.directory, told, "run", Envelope("c@example.org", ("a@example.org",), LIMITS, away), spool
    )
    with smtp.serving() as sink:
        [delivery] = mailing.deliver(spool, sink.route())

    [waits] = receipt.deliveries
    assert (waits.waiting, delivery.sent) == (("a@example.org",), ("a@example.org",))
    assert sink.mails[0][2] == (report.directory / "mail.eml").read_bytes()


def test_a_failure_has_a_mail_of_its_own_and_each_change_another_key() -> None:
    keys = [mailing.key_of(each) for each in (summary(), summary(unread="no database"))]

    assert keys == [
        "affected.hst.ops.hst_0001.hst_0002.2026-01-02030405",
        "affected.hst.ops.hst_0001.hst_0002.2026-01-02030405.failed",
    ]
