import email
import gzip
import hashlib
import tracemalloc
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from crdscache.affected import letter
from crdscache.affected.letter import Letter, Limits
from crdscache.affected.results import Disposition

SENDER, RECIPIENTS = "crds@example.org", ("a@example.org", "b@example.org")
MB = 10**6
TITLE = "CRDS hst ops datasets affected hst_0211.pmap --> hst_0212.pmap on 2014-04-23-15:20:27.00"


@pytest.fixture
def told(tmp_path: Path) -> Letter:
    (tmp_path / "log.txt").write_text("CRDS - INFO -  Affected products = 2\n")
    (tmp_path / "ids.txt").write_text("ibeo59030\nibeo66rpq\n")
    return Letter(
        "hst",
        "ops",
        "hst_0211.pmap",
        "hst_0212.pmap",
        "2014-04-23 15:20:27",
        Disposition.OK,
        2,
        "Two products.\n",
        tmp_path / "log.txt",
        tmp_path / "ids.txt",
        "affected.hst.ops.1",
    )


def compose(told: Letter, max_bytes: int = 10 * MB, *, splits: bool = True) -> list[EmailMessage]:
    """Write mails and read them back, as they come over the wire."""
    mails = [bytes(mail) for mail in letter.compose(told, SENDER, RECIPIENTS, Limits(max_bytes, splits))]
    assert all(len(line) <= 998 for mail in mails for line in mail.split(b"\r\n"))
    assert all(len(mail) <= max_bytes for mail in mails)
    return [email.message_from_bytes(mail, policy=default) for mail in mails]  # type: ignore[misc]


def parts(mail: EmailMessage) -> dict[str, bytes]:
    return {
        str(part.get_filename()): part.get_payload(decode=True)  # type: ignore[misc]
        for part in mail.iter_attachments()
    }


def log_of(mail: EmailMessage) -> list[str]:
    return parts(mail)["bestrefs.log"].decode().splitlines()


def test_it_has_the_subject_and_the_attachments_that_operators_know(told: Letter) -> None:
    [mail] = compose(told)

    assert mail["Subject"] == f"OK: {TITLE} : 2 affected"
    assert (mail["From"], mail["To"]) == (SENDER, "a@example.org, b@example.org")
    assert mail["Message-ID"] == "<affected.hst.ops.1@example.org>"
    assert mail["Date"] == "Wed, 23 Apr 2014 15:20:27 +0000"
    assert mail.get_body().get_content().splitlines() == ["Two products."]  # type: ignore[union-attr]
    assert [*parts(mail)] == ["bestrefs.log", "affected_ids.txt.gz"]
    assert gzip.decompress(parts(mail)["affected_ids.txt.gz"]) == b"ibeo59030\nibeo66rpq\n"
    rule = "-" * 110
    subject = f"OK: {TITLE} : 2 affected"
    assert log_of(mail) == [rule, TITLE, rule, "CRDS - INFO -  Affected products = 2", rule, subject, rule]


@pytest.mark.parametrize("disposition", Disposition)
def test_E07_the_disposition_comes_first(told: Letter, disposition: Disposition) -> None:
    [mail] = compose(replace(told, disposition=disposition))

    assert mail["Subject"] == f"{disposition.value}: {TITLE} : 2 affected"


def test_what_failed_has_no_list(told: Letter) -> None:
    [mail] = compose(replace(told, disposition=Disposition.FAILED, n_affected=0))

    assert [*parts(mail)] == ["bestrefs.log"]
    assert mail["Subject"].endswith(" : 0 affected")


def test_the_same_letter_is_the_same_bytes(told: Letter) -> None:
    first, second = (
        [bytes(mail) for mail in letter.compose(told, SENDER, RECIPIENTS, Limits(10 * MB, splits=True))]
        for _ in range(2)
    )

    assert first == second


def test_E03_nothing_begins_another_header(told: Letter) -> None:
    evil = replace(told, new="hst_0212.pmap\r\nBcc: x@example.org\r\n\r\nText", use_case="ops\nX: y")

    [mail] = compose(evil)

    headers = [
        "Subject",
        "From",
        "To",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
    ]
    assert mail.keys() == headers
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        letter.compose(told, SENDER, ("a@example.org\r\nBcc: x@example.org",), Limits(10 * MB, splits=True))


def test_E03_ids_that_look_like_headers_stay_in_the_list(told: Letter) -> None:
    evil = b"j1\r\nBcc: x@example.org\r\n\r\n--=\r\n.\r\nj2\n"
    told.ids.write_bytes(evil)
    told.log.write_bytes(evil)

    [mail] = letter.compose(told, SENDER, RECIPIENTS, Limits(10 * MB, splits=True))

    head, _, rest = bytes(mail).partition(b"\r\n\r\n")
    assert b"Bcc" not in head
    assert rest.count(b"Bcc: x@example.org") == 1  # as text of the log
    [read] = compose(told)
    assert gzip.decompress(parts(read)["affected_ids.txt.gz"]) == evil
    assert log_of(read)[3:-3] == ["j1", "Bcc: x@example.org", "", "--=", ".", "j2"]


@pytest.mark.parametrize(("n_lines", "n_told"), [(0, 0), (400, 400), (401, 401), (100_000, 401)])
def test_E05_of_a_long_log_begin_and_end_are_told(told: Letter, n_lines: int, n_told: int) -> None:
    told.log.write_text("".join(f"line {number}\n" for number in range(n_lines)))

    [mail] = compose(told)

    log = log_of(mail)[3:-3]
    assert len(log) == n_told
    if n_lines > 400:
        assert (log[199], log[201], log[-1]) == ("line 199", f"line {n_lines - 200}", f"line {n_lines - 1}")
        assert log[200] == f"... {n_lines - 400} lines are left out here ..."


def test_E05_lines_of_any_length_and_content_arrive(told: Letter) -> None:
    told.log.write_bytes(b"x" * 10**6 + b"\n.\n\x1b[31mred\x07\n\xff\xed\xa0\x80\nFrom here\n")

    [mail] = compose(told)

    long, dot, red, bad, last = log_of(mail)[3:-3]
    assert long == "x" * 900 + " ... (999100 characters more)"
    assert (dot, red, last) == (".", " [31mred ", "From here")
    assert set(bad) == {"\N{REPLACEMENT CHARACTER}"}


def test_E05_a_log_of_one_endless_line_is_not_in_memory_as_a_whole(told: Letter) -> None:
    told.log.write_text("x" * 50 * MB)
    tracemalloc.start()

    framed = list(letter.framed(told))

    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert framed[3] == "x" * 900 + f" ... ({50 * MB - 900} characters more)"
    assert most_bytes < 10 * MB


def test_S22_the_body_has_no_control_characters_and_no_endless_lines(told: Letter) -> None:
    [mail] = compose(replace(told, body=f"\x1b[31mred\r\n\ud800\n{'x' * 10 * MB}\nLast.\n"))

    lines = mail.get_body().get_content().splitlines()  # type: ignore[union-attr]
    assert lines == [" [31mred ", " ", "x" * 900 + f" ... ({10 * MB - 900} characters more)", "Last."]


@pytest.mark.parametrize("letters", ["x", "\N{LATIN SMALL LETTER E WITH ACUTE}", "\N{SNOWFLAKE}"])
def test_E04_a_wide_log_and_a_long_body_leave_room_for_the_list(told: Letter, letters: str) -> None:
    ids = [hashlib.sha256(str(number).encode()).hexdigest()[:9] for number in range(60_000)]
    told.ids.write_text("".join(f"{each}\n" for each in ids))
    told.log.write_text(f"{letters * 900}\n" * 400)

    mails = compose(replace(told, body="A line of the body.\n" * 3000), max_bytes=800_000)

    lists = [content for mail in mails for name, content in parts(mail).items() if name.endswith(".gz")]
    assert b"".join(map(gzip.decompress, lists)) == told.ids.read_bytes()


def test_E04_814000_ids_fit_into_one_mail(told: Letter) -> None:
    ids = sorted(hashlib.sha256(str(number).encode()).hexdigest()[:9] for number in range(814_000))
    told.ids.write_text("".join(f"{each}\n" for each in ids))

    [mail] = compose(replace(told, n_affected=814_000))

    assert gzip.decompress(parts(mail)["affected_ids.txt.gz"]) == told.ids.read_bytes()
    assert mail["Subject"].endswith(" : 814000 affected")


def test_E04_a_list_that_is_too_long_comes_in_several_mails(told: Letter) -> None:
    ids = [hashlib.sha256(str(number).encode()).hexdigest()[:9] for number in range(60_000)]
    told.ids.write_text("".join(f"{each}\n" for each in ids))

    mails = compose(replace(told, n_affected=60_000), max_bytes=200_000)

    n_mails = len(mails)
    again = compose(replace(told, n_affected=60_000), max_bytes=200_000)
    assert n_mails > 2
    assert [bytes(mail) for mail in again] == [bytes(mail) for mail in mails]
    names = [f"affected_ids_{number}_of_{n_mails}.txt.gz" for number in range(1, n_mails + 1)]
    lists = [gzip.decompress(parts(mail)[name]) for mail, name in zip(mails, names, strict=True)]
    assert b"".join(lists) == told.ids.read_bytes()
    assert [mail["Subject"].partition(" : ")[2] for mail in mails] == [
        f"60000 affected (part {number} of {n_mails})" for number in range(1, n_mails + 1)
    ]
    assert len({mail["Message-ID"] for mail in mails}) == n_mails
    assert ["bestrefs.log" in parts(mail) for mail in mails] == [True] + [False] * (n_mails - 1)


def test_E04_or_it_is_named_with_its_sum(told: Letter) -> None:
    ids = [hashlib.sha256(str(number).encode()).hexdigest()[:9] for number in range(60_000)]
    told.ids.write_text("".join(f"{each}\n" for each in ids))

    [mail] = compose(told, max_bytes=200_000, splits=False)

    assert [*parts(mail)] == ["bestrefs.log"]
    body = mail.get_body().get_content()  # type: ignore[union-attr]
    assert f"It is {told.ids}, SHA-256 {hashlib.sha256(told.ids.read_bytes()).hexdigest()}." in body
