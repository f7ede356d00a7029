"""What `safe_bestrefs` does and tells, option by option."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits  # type: ignore[import-untyped]

from crdscache.commands import arguments, safe_bestrefs
from demo.observatory import CONTEXTS
from tests.caches import listing
from tests.readers import KEYWORDS, LATEST, REJECTED, SafeBestrefs, copy_of, expected, updates

SECOND, THIRD = CONTEXTS[1:3]
DRY = f"{LATEST}: dry run, nothing is written: {{}} files would change; --update-bestrefs writes\n"
FAILED = f"{{}}: darkfile: {REJECTED} is rejected\n"


def answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def answer(name: str) -> dict[str, str]:
    """Give the answers for a data set as programs around the missions' client know them."""
    return {
        keyword.lower(): "NOT FOUND n/a" if value == "N/A" else value.partition("$")[2]
        for keyword, value in KEYWORDS[name].items()
    }


def change(path: Path, **values: object) -> None:
    with fits.open(path, mode="update") as hdus:
        hdus[0].header.update({keyword.replace("_", "-"): value for keyword, value in values.items()})


@pytest.fixture
def observed(data_sets: Path) -> Path:
    """Give one data set, for which a context of old names a reference that is rejected by now."""
    return data_sets / "jdem01a2q_raw.fits"


@pytest.fixture
def headers(demo_root: Path, tmp_path: Path) -> Path:
    """Write the headers of all data sets, in the order of KEYWORDS."""
    told = json.loads((demo_root / "datasets.json").read_text())
    lines = {
        name.partition(":")[2].lower(): json.dumps({"id": name, "header": header})
        for name, header in told.items()
    }
    path = tmp_path / "headers.jsonl"
    path.write_text("".join(f"{lines[name]}\n" for name in KEYWORDS))
    return path


def test_references_context_and_program_are_written_and_a_second_run_touches_no_file(
    data_sets: Path, demo_root: Path, bestrefs: SafeBestrefs
) -> None:
    files = sorted(data_sets.iterdir())

    first = bestrefs("--files", *files, "--update-bestrefs")
    after_first = listing(data_sets)
    second = bestrefs("--files", *files, "--update-bestrefs")

    written = {path.stem[:9]: updates(path, demo_root / "datasets" / path.name) for path in files}
    assert (first.status, first.out, first.err) == (0, "", f"{LATEST}: 7 of 7 files updated\n")
    assert written == {name: expected(name) for name in KEYWORDS}
    assert (second.status, second.out, second.err) == (0, "", f"{LATEST}: 0 of 7 files updated\n")
    assert listing(data_sets) == after_first


def test_a_dry_run_writes_nothing_at_all_and_tells_how_many_files_would_change(
    data_sets: Path, demo_root: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    files = sorted(data_sets.iterdir())
    bestrefs("--files", files[0], files[1], "--update-bestrefs")
    before = listing(tmp_path, demo_root)

    done = bestrefs("--files", *files, "--print-affected", "--print-new-references", "--verbose")

    assert (done.status, done.err) == (0, DRY.format("5 of 7"))
    assert listing(tmp_path, demo_root) == before


def test_verbose_tells_each_keyword_with_its_former_value(observed: Path, bestrefs: SafeBestrefs) -> None:
    bestrefs("--files", observed, "--update-bestrefs", "--new-context", SECOND)

    done = bestrefs("--files", observed, "--verbose")

    assert done.out.splitlines() == [
        f"{observed}: CRDS_CTX {SECOND} -> {LATEST}",
        f"{observed}: BIASFILE jref$t6k1015aj_bia.fits -> jref$61i15450j_bia.fits",
        f"{observed}: DARKFILE none -> jref$68v08000j_drk.fits",
        f"{observed}: MDRIZTAB none -> jref$82213200j_mdz.fits",
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            [],
            [
                "biasfile none 61i15450j_bia.fits",
                "ccdtab none m5c1200cj_ccd.fits",
                "d2imfile none n/a",
                "darkfile none 68v08000j_drk.fits",
                "flshfile none n9d1445bj_fls.fits",
                "mdriztab none 82213200j_mdz.fits",
            ],
        ),
        (
            ["--types", "DARKFILE", "ccdtab"],
            ["ccdtab none m5c1200cj_ccd.fits", "darkfile none 68v08000j_drk.fits"],
        ),
        (
            ["--old-context", SECOND],
            [
                "biasfile t6k1015aj_bia.fits 61i15450j_bia.fits",
                f"darkfile {REJECTED} 68v08000j_drk.fits",  # rejected, and replaced for that
                "mdriztab n/a 82213200j_mdz.fits",
            ],
        ),
        (["--old-context", LATEST], []),
        (
            ["--compare-source-bestrefs"],
            [
                "darkfile n/a 68v08000j_drk.fits",
                "flshfile old_fls.fits n9d1445bj_fls.fits",
                "mdriztab n/a 82213200j_mdz.fits",
            ],
        ),
    ],
)  # fmt: skip
def test_new_references_are_told_with_those_that_they_replace(
    words: list[str], lines: list[str], observed: Path, bestrefs: SafeBestrefs
) -> None:
    """A type of which the old context cannot tell hides no other one."""
    change(
        observed,
        BIASFILE="jref$61i15450j_bia.fits",
        CCDTAB="JREF$M5C1200CJ_CCD.FITS",
        FLSHFILE="old_fls.fits",
    )

    done = bestrefs("--files", observed, "--print-new-references", *words)

    assert done.out.splitlines() == [f"{observed} acs {line}".lower() for line in lines]
    assert done.status == 0


def test_only_what_differs_is_written_where_something_is_compared(
    observed: Path, data_sets: Path, demo_root: Path, bestrefs: SafeBestrefs
) -> None:
    unchanged = data_sets / "udem0101t_raw.fits"
    before = unchanged.read_bytes()

    done = bestrefs("--files", observed, unchanged, "--old-context", CONTEXTS[2], "--update-bestrefs")

    written = updates(observed, demo_root / "datasets" / observed.name)
    everything = expected("jdem01a2q")
    assert written == {
        keyword: everything[keyword] for keyword in ("CRDS_CTX", "CRDS_VER", "DARKFILE", "MDRIZTAB")
    }
    assert (done.status, done.err) == (0, f"{LATEST}: 1 of 2 files updated\n")
    assert unchanged.read_bytes() == before


def test_affected_data_sets_are_those_for_which_something_changes(
    data_sets: Path, headers: Path, bestrefs: SafeBestrefs
) -> None:
    files = sorted(data_sets.iterdir())
    words = ["--old-context", CONTEXTS[4], "--print-affected"]

    of_files = bestrefs("--files", *files, *words)
    of_headers = bestrefs("--headers", headers, *words)

    acs = [str(path) for path in files if path.name.startswith("jdem")]
    assert (of_files.status, of_files.out.splitlines()) == (0, [path.lower() for path in acs])
    assert (of_headers.status, of_headers.out.splitlines()) == (0, ["jdem01010", "jdem02b1q"])


def test_affected_data_sets_without_an_old_context_are_those_whose_headers_are_old(
    data_sets: Path, bestrefs: SafeBestrefs
) -> None:
    updated, other = sorted(data_sets.iterdir())[:2]
    bestrefs("--files", updated, "--update-bestrefs")

    done = bestrefs("--files", updated, other, "--print-affected")

    assert (done.status, done.out) == (0, f"{other}\n".lower())


@pytest.mark.parametrize(
    ("asked", "context"),
    [
        (SECOND, SECOND),
        ("hst-operational", LATEST),
        ("hst-latest", LATEST),
        ("hst-edit", "hst_0007.pmap"),
        ("2021-12-31", SECOND),
        ("hst-2022-02-01T00:00:00", THIRD),
    ],
)
def test_a_context_is_a_name_a_symbol_or_a_date(
    asked: str, context: str, observed: Path, bestrefs: SafeBestrefs, tmp_path: Path
) -> None:
    done = bestrefs("--files", observed, "--new-context", asked, "--json", tmp_path / "out")

    assert [line["context"] for line in answers(tmp_path / "out")] == [context]
    assert done.err.splitlines()[-1].startswith(f"{context}: dry run")


@pytest.mark.parametrize("asked", ["hst-newest", "hst_acs_0001.imap", "2019-01-01", "hst_0001.fits"])
@pytest.mark.parametrize("option", ["--new-context", "--old-context"])
def test_what_is_no_context_is_usage(option: str, asked: str, observed: Path, bestrefs: SafeBestrefs) -> None:
    done = bestrefs("--files", observed, option, asked)

    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert asked in done.err


@pytest.mark.parametrize(("word", "is_known"), [("darkfile", True), ("snkcfile", False)])
def test_a_type_that_there_is_not_is_an_error_of_each_file_and_the_others_are_written(
    word: str, observed: Path, demo_root: Path, bestrefs: SafeBestrefs, *, is_known: bool
) -> None:
    done = bestrefs("--files", observed, "--types", word, "CCDTAB", "--update-bestrefs")

    asked = ("CRDS_CTX", "CRDS_VER", "CCDTAB", *(["DARKFILE"] if is_known else []))
    written = updates(observed, demo_root / "datasets" / observed.name)
    assert written == {keyword: value for keyword, value in expected("jdem01a2q").items() if keyword in asked}
    assert done.status == (0 if is_known else 1)
    assert is_known or f"{observed}: snkcfile: Unknown reference type 'snkcfile'\n" in done.err


@pytest.mark.parametrize("is_all_or_nothing", [False, True])
def test_all_or_nothing_leaves_a_file_as_it_is_if_one_of_its_types_failed(
    observed: Path, data_sets: Path, demo_root: Path, bestrefs: SafeBestrefs, *, is_all_or_nothing: bool
) -> None:
    good = data_sets / "udem0101t_raw.fits"
    before = listing(observed.parent)[str(observed)]
    words = ["--all-or-nothing"] if is_all_or_nothing else []

    done = bestrefs("--files", observed, good, "--new-context", SECOND, "--update-bestrefs", *words)

    n_written = 1 if is_all_or_nothing else 2
    told = f"{SECOND}: {n_written} of 2 files updated, 1 failed at least partly\n"
    assert (done.status, done.out, done.err) == (1, "", FAILED.format(observed) + told)
    assert updates(good, demo_root / "datasets" / good.name)["CRDS_CTX"] == SECOND
    assert (listing(observed.parent)[str(observed)] == before) is is_all_or_nothing
    if not is_all_or_nothing:
        written = updates(observed, demo_root / "datasets" / observed.name)
        assert ("DARKFILE" in written, written["CRDS_CTX"]) == (False, SECOND)


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--allow-bad-references"], {}),
        ([], {"CRDS_ALLOW_BAD_REFERENCES": "1"}),
        (["--config", "allow_bad_references=true"], {}),
    ],
)
def test_S20_a_rejected_reference_is_written_with_a_warning_where_that_is_allowed(
    words: list[str], environ: dict[str, str], observed: Path, demo_root: Path, bestrefs: SafeBestrefs
) -> None:
    done = bestrefs("--files", observed, "--new-context", SECOND, "--update-bestrefs", *words, **environ)

    written = updates(observed, demo_root / "datasets" / observed.name)
    assert (done.status, done.out) == (0, "")
    assert done.err.splitlines() == [
        f"warning: {observed}: darkfile {REJECTED} is rejected",
        f"{SECOND}: 1 of 1 files updated",
    ]
    assert written["DARKFILE"] == f"jref${REJECTED}"


@pytest.mark.parametrize("rejected", [LATEST, "hst_acs_0005.imap", "hst_acs_darkfile_0003.rmap"])
@pytest.mark.parametrize("name", ["jdem01a2q", "jdem02b1q"])
def test_S20_rejected_rules_are_not_followed_unless_that_is_allowed(
    name: str, rejected: str, data_sets: Path, demo_root: Path, bestrefs: SafeBestrefs
) -> None:
    """That a type does not apply is what rules say too: the dark of the second file is N/A."""
    root = copy_of(demo_root, data_sets.parent / "cache", bad_files_list=[rejected])
    path, former = (place / f"{name}_raw.fits" for place in (data_sets, demo_root / "datasets"))

    refused = bestrefs("--files", path, "--update-bestrefs", root=root)
    after_refusal = updates(path, former)
    allowed = bestrefs("--files", path, "--update-bestrefs", "--allow-bad-rules", root=root)

    everything = expected(name)
    types = ["DARKFILE"] if rejected.endswith("rmap") else [*KEYWORDS[name]]
    failed = [f"{path}: {each.lower()}: {rejected} is rejected" for each in types]
    told = [f"warning: {path}: {each.lower()} {rejected} is rejected" for each in types]
    left = {keyword: value for keyword, value in everything.items() if keyword not in types}
    assert (refused.status, refused.err.splitlines()[:-1]) == (1, failed)
    assert after_refusal == (left if rejected.endswith("rmap") else {})
    assert (allowed.status, allowed.err.splitlines()[:-1]) == (0, told)
    assert updates(path, former) == everything


def test_answers_as_data_have_a_line_for_each_data_set_in_the_forms_that_programs_know(
    data_sets: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    files = [data_sets / f"{name}_raw.fits" for name in KEYWORDS]
    missing = data_sets / "missing.fits"

    done = bestrefs("--files", *files[:3], missing, *files[3:], "--json", tmp_path / "out")

    lines = [
        {"id": str(path), "context": LATEST, "bestrefs": answer(name)}
        for path, name in zip(files, KEYWORDS, strict=True)
    ]
    error = f"DatasetError: {missing}: No such file or directory"
    lines.insert(3, {"id": str(missing), "context": LATEST, "bestrefs": None, "error": error})
    assert answers(tmp_path / "out") == lines
    assert (done.status, done.out) == (1, "")
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out"]


def test_what_a_look_up_fails_by_is_its_answer_and_no_row_that_fits_is_n_a_with_a_warning(
    data_sets: Path, demo_root: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    odd = data_sets / "jdem01a1q_raw.fits"
    change(odd, CCDGAIN=3.0, DATE_OBS="1980-01-01")

    done = bestrefs("--files", odd, "--json", tmp_path / "out", "--update-bestrefs", "--verbose")

    (line,) = answers(tmp_path / "out")
    reason = "parameter='CCDGAIN' value='3.0' is not in ['1.0', '2.0', '4.0', '8.0']"
    assert line["bestrefs"] == answer("jdem01a1q") | {
        "biasfile": f"NOT FOUND  {reason}",
        "ccdtab": "NOT FOUND No match found.",
        "darkfile": "NOT FOUND No match found.",
    }
    assert done.status == 1
    assert done.err.splitlines() == [
        f"{odd}: biasfile: {reason}",
        f"warning: {odd}: ccdtab is required, but no rule fits: N/A",
        f"warning: {odd}: darkfile is required, but no rule fits: N/A",
        f"{LATEST}: 1 of 1 files updated, 1 failed at least partly",
    ]
    written = updates(odd, demo_root / "datasets" / odd.name)
    assert (written["CCDTAB"], written["DARKFILE"], "BIASFILE" in written) == ("N/A", "N/A", False)


@pytest.mark.parametrize("is_gzip", [False, True])
def test_headers_get_the_answers_that_files_get(
    headers: Path, tmp_path: Path, bestrefs: SafeBestrefs, *, is_gzip: bool
) -> None:
    if is_gzip:
        headers.write_bytes(gzip.compress(headers.read_bytes()))

    done = bestrefs("--headers", headers, "--json", tmp_path / "out")

    found = {line["id"].partition(":")[2].lower(): line for line in answers(tmp_path / "out")}
    assert (done.status, done.out, done.err) == (0, "", f"{LATEST}: 7 data sets looked up\n")
    assert {name: line["bestrefs"] for name, line in found.items()} == {
        name: answer(name) for name in KEYWORDS
    }
    assert {line["context"] for line in found.values()} == {LATEST}


def test_B10_a_line_may_name_its_own_context_and_what_is_wrong_with_one_is_its_own_problem(
    headers: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    observed = json.loads(headers.read_text().splitlines()[3])["header"]
    wrong = [
        '{"id": "q", "header": {"DETECTOR": 1}}',
        "{bad",
        '{"id": "q", "header": {"INSTRUME": "COS"}}',
        json.dumps({"id": "p", "context": "hst_0099.pmap", "header": observed}),
        json.dumps({"id": "e", "context": "newest", "header": observed}),
        json.dumps({"context": SECOND, "header": observed}),
    ]
    good = json.dumps({"id": "good", "context": THIRD, "header": observed | {"DARKCORR": "OMIT"}})
    headers.write_text("\n".join([*wrong, good]))

    done = bestrefs("--headers", headers, "--json", tmp_path / "out", "--new-context", CONTEXTS[3])

    lines = answers(tmp_path / "out")
    reasons = [line.get("error", "").partition(": ")[::2] for line in lines]
    assert [(line["id"], line["context"], line["bestrefs"] is None) for line in lines] == [
        ("q", CONTEXTS[3], True),
        (f"{headers}, line 2", None, True),
        ("q", CONTEXTS[3], True),
        ("p", "hst_0099.pmap", True),
        ("e", "newest", True),
        ("6", SECOND, False),
        ("good", THIRD, False),
    ]
    assert [kind for kind, _ in reasons] == [
        "CrdsError", "DatasetError", "AttributeError", "ContextError", "SettingsError", "", ""
    ]  # fmt: skip
    about = ["q", f"{headers}, line 2", "q", "p", "e"]
    # An error of a data set itself names it already.
    told = [
        reason if kind == "DatasetError" else f"{name}: {reason}"
        for name, (kind, reason) in zip(about, reasons, strict=False)
    ]
    assert done.err.splitlines() == [
        *told,
        FAILED.format(6).strip(),
        f"{CONTEXTS[3]}: 7 data sets looked up, 6 failed at least partly",
    ]
    assert (done.status, done.out) == (1, "")
    of_third = answer("jdem01a2q") | {"darkfile": "NOT FOUND n/a"}
    del of_third["mdriztab"]  # came later
    assert lines[6]["bestrefs"] == of_third


def test_headers_cannot_be_written(headers: Path, tmp_path: Path, bestrefs: SafeBestrefs) -> None:
    done = bestrefs("--headers", headers, "--update-bestrefs", "--json", tmp_path / "out")

    assert (done.status, done.out) == (2, "")
    assert done.err == "safe_bestrefs: --update-bestrefs writes into files: give them with --files\n"
    assert list(tmp_path.iterdir()) == [headers]


def test_an_explanation_names_the_row_that_decided_and_what_spoke_against_the_next_one(
    observed: Path, bestrefs: SafeBestrefs
) -> None:
    done = bestrefs("--files", observed, "--explain", "DARKFILE")

    assert done.status == 0
    assert (
        done.out
        == f"""\
{observed}:
darkfile: 68v08000j_drk.fits
  rules: hst_acs_darkfile_0003.rmap
  relevant by (DARKCORR != "OMIT")
  decided by a row of weight 3: 68v08000j_drk.fits, in use from 2021-05-01 00:00:00
    DETECTOR  WFC   WFC         fits
    CCDAMP    ABCD  ABCD|AD|BC  fits
    CCDGAIN   2.0   1.0|2.0     fits
  not by the next best, since DETECTOR differs: n2b1431aj_drk.fits, in use from 1992-01-01 00:00:00
    DETECTOR  WFC   HRC  differs
    CCDAMP    ABCD  N/A  does not matter
    CCDGAIN   2.0   N/A  does not matter
"""
    )


def test_an_explanation_is_part_of_the_answers_as_data(
    observed: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    done = bestrefs("--files", observed, "--explain", "ccdtab", "--json", tmp_path / "out")

    (line,) = answers(tmp_path / "out")
    element = {"parkey": "DETECTOR", "rule": "WFC", "value": "WFC", "verdict": "fits"}
    next_best = line["explanation"].pop("next_best")
    assert (done.status, done.out) == (0, "")
    assert next_best["elements"] == [element | {"rule": "HRC", "verdict": "differs"}]
    assert line["explanation"] == {
        "reftype": "ccdtab",
        "rmap": "hst_acs_ccdtab_0001.rmap",
        "answer": "m5c1200cj_ccd.fits",
        "steps": ["rules: hst_acs_ccdtab_0001.rmap"],
        "decided_by": [
            {
                "weight": 1,
                "elements": [element],
                "leads_to": "m5c1200cj_ccd.fits, in use from 1991-01-01 00:00:00",
            }
        ],
    }


@pytest.mark.parametrize("jobs", ["1", "2", "5"])
def test_B10_files_are_told_in_their_order_each_once_whatever_the_number_of_processes(
    jobs: str, data_sets: Path, tmp_path: Path, bestrefs: SafeBestrefs
) -> None:
    good, other = data_sets / "jdem01a1q_raw.fits", data_sets / "idem01c1q_raw.fits"
    names = [f"{number:02} with blanks.fits" for number in range(20)] + [
        "new\nline.fits",
        "-x.fits",
        "a:b.fits",
    ]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes((good if number % 2 else other).read_bytes())
    bad = tmp_path / names[10]
    bad.write_bytes(b"no FITS")
    (tmp_path / "list").write_text(f"# of today\n\n{other}\n{good}\n")
    paths = [str(tmp_path / name) for name in names]

    done = bestrefs(
        *("--files", *paths, good, f"@{tmp_path / 'list'}", paths[0], "--jobs", jobs),
        *("--json", tmp_path / "out", "--update-bestrefs", "--verbose"),
    )

    ids = [*paths, str(good), str(other)]
    lines = answers(tmp_path / "out")
    assert [line["id"] for line in lines] == ids
    found = [answer("jdem01a1q" if number % 2 else "idem01c1q") for number in range(len(names))]
    assert [line["bestrefs"] for line in lines] == [
        *found[:10], None, *found[11:], answer("jdem01a1q"), answer("idem01c1q")
    ]  # fmt: skip
    assert done.status == 1
    assert done.err.splitlines() == [
        f"{bad}: a FITS file was expected, found 'no FITS'",
        f"{LATEST}: 24 of 25 files updated, 1 failed at least partly",
    ]
    told = [line.rpartition(": CRDS_CTX")[0] for line in done.out.splitlines() if "CRDS_CTX" in line]
    shown = [repr(name) if "\n" in name else name for name in ids if name != str(bad)]
    assert told == shown
    assert bad.read_bytes() == b"no FITS"


def test_the_old_spellings_with_one_dash_are_understood() -> None:
    words = ["-files", "a.fits", "-new-context", "C", "-old-context", "D", "-types", "t", "-jobs", "2"]
    words += ["-update-bestrefs", "-print-affected"]

    options = vars(safe_bestrefs.make_parser().parse_args(arguments.two_dashes(words)))

    given = {name: value for name, value in options.items() if value}
    assert given == {
        "files": ["a.fits"],
        "new_context": "C",
        "old_context": "D",
        "update_bestrefs": True,
        "types": ["t"],
        "print_affected": True,
        "jobs": 2,
    }
