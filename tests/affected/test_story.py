from pathlib import Path

from crdscache.affected import results, story
from crdscache.affected.results import Changed, Step, Summary, Tally
from crdscache.cache import tables

TALLY = Tally(
    "acs",
    n_datasets=9,
    n_affected=4,
    n_undetermined=1,
    n_failed=1,
    n_same_rows=2,
    types=(Changed("darkfile", "r1 -> r2: 2 added", None, 4), Changed("biasfile", "r3 -> r4: header", None)),
    since="2010-01-01",
)
STEP = Step(
    "hst_1.pmap", "hst_2.pmap", "2026-01-02 03:04:05", "server", (TALLY, Tally("cos", broken="no cos"))
)
SUMMARY = Summary("hst", "ops", "2026-01-02 03:04:05", 3, (STEP,))


def test_the_log_speaks_as_the_missions_client(tmp_path: Path) -> None:
    failed, undetermined = tmp_path / "f.tsv", tmp_path / "u.tsv"
    tables.write(failed, "failed", results.FAILED, [("J1:J1A", "acs", "no\r\nheader")])
    tables.write(
        undetermined,
        "undetermined",
        results.UNDETERMINED,
        [("J2:J2", "acs", "darkfile", "x", "error: No match")],
    )

    assert list(story.log(SUMMARY, [failed], [undetermined])) == [
        "CRDS - INFO -  Mapping differences from 'hst_1.pmap' --> 'hst_2.pmap' affect:",
        "",
        "{'acs': ['darkfile', 'biasfile']}",
        "CRDS - INFO -  Data sets before these days were left out for 'hst_1.pmap' --> 'hst_2.pmap':",
        "",
        "{'acs': '2010-01-01'}",
        "CRDS - INFO -  acs darkfile: r1 -> r2: 2 added: 4 exposures",
        "CRDS - INFO -  acs biasfile: r3 -> r4: header: 0 exposures",
        "CRDS - INFO -  acs: 9 data sets looked at, 4 affected",
        "CRDS - INFO -  acs: 2 left out, as their rows are the same",
        "CRDS - INFO -  cos: 0 data sets looked at, 0 affected",
        "CRDS - ERROR -  cos: not looked at: no cos",
        "CRDS - ERROR -  instrument='ACS' data='j1:j1a' ::  no  header",
        "CRDS - ERROR -  instrument='ACS' type='DARKFILE' data='j2' ::  New: Bestref FAILED:  No match",
        "CRDS - INFO -  Affected products = 3",
        "CRDS - INFO -  Updated exposure counts:",
        "",
        "{'ACS': {'darkfile': 4}}",
    ]


def test_the_body_says_what_changed_and_what_is_missing() -> None:
    assert story.body(SUMMARY).splitlines() == [
        "hst ops: hst_1.pmap --> hst_2.pmap, on 2026-01-02 03:04:05 UTC (server)",
        "",
        "  acs: 4 of 9 data sets affected",
        "    darkfile: 4  (r1 -> r2: 2 added)",
        "    biasfile: 0  (r3 -> r4: header)",
        "    before 2010-01-01 nothing was looked at",
        "    2 left out, as the rows of their tables are the same",
        "    1 undetermined: they had a reference, and now the look-up fails",
        "    1 failed: their parameters cannot be used",
        "  cos: 0 of 0 data sets affected",
        "    NOT LOOKED AT: no cos",
        "",
        "3 products in the list: associations, and exposures that are in none.",
        "The list is without cos: the rules cannot be used.",
    ]


def test_a_failure_and_a_digest_say_so() -> None:
    failed = Summary("hst", "ops", "", 0, (Step("a", "b", "", "", (Tally("acs", unread="gone"),)),))
    digest = Summary("hst", "ops", "", 0, (Step("a", "b", "", "", ()), Step("b", "a", "", "", ())))

    assert story.body(failed).splitlines()[-1] == (
        "The data sets could not be read to their end, so there is no list."
    )
    assert story.body(digest).startswith(
        "2 changes of the default context.\nA data set is in the list if any of them affects it.\n"
    )
    assert "  No rules changed that data sets depend on." in story.body(digest).splitlines()


def test_E05_what_a_database_says_breaks_no_line() -> None:
    tally = Tally("acs", unread="gone\r\nBcc: x\x1b[31m", broken="a\u2028b")
    summary = Summary("hst", "ops", "", 0, (Step("a", "b", "2026-01-01", "why\n.", (tally,)),))

    lines = [*story.log(summary, [], []), *story.body(summary).split("\n")]

    assert all(line.isprintable() for line in lines)
    assert "CRDS - ERROR -  acs: not looked at: gone  Bcc: x [31m" in lines
    assert "    NOT LOOKED AT: gone  Bcc: x [31m" in lines
