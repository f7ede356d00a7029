"""The documents: what they name exists, what they show works, and what the code cites is there."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
import yaml

from crdscache.workflow import runs, settings
from crdscache.workflow.status import Status
from demo.server import Server
from tests import purging, shown
from tests.caches import FORMER, LATEST, Cache, Done
from tests.shown import Shell, blocks, crontab, lines

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "operating.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("demo/*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
CODE = sorted(
    path
    for pattern in ("*.yaml", "schemas/*", "Snakefile", "*.smk", "rules/*.smk", "bin/launch", "*/**/*.py")
    for path in ROOT.glob(pattern)
    if path.is_file() and path.parts[len(ROOT.parts)] not in {".venv", ".venv-client"}
)
COMMANDS = (
    "affected_datasets",
    "cache_config",
    "cache_lease",
    "cache_report",
    "cron_sync",
    "remote_cache_init",
    "safe_bestrefs",
)
OF_SNAKEMAKE = {"--forceall", "--list-rules", "--rerun-triggers"}
KEYWORDS = {"CRDS_CTX", "CRDS_VER"}  # of FITS headers, not variables


def block(title: str) -> str:
    """Find the shell block of the README, or of the operator's guide, that begins with a mark."""
    return shown.block(README + GUIDE, title)


def section(title: str) -> str:
    """Find a section of the README."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def headings(document: str) -> list[str]:
    return re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", document, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )


def anchor(heading: str) -> str:
    """Give the name by which a page links to a heading, as code hosts make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text))


def in_code(text: str) -> str:
    """Keep only what a text shows as code, without the old tools' own commands."""
    spans = [*re.findall(r"`([^`\n]+)`", text), *blocks(text, r"\w*")]
    return "\n".join(span for span in spans if not span.startswith(("crds ", "CRDS_READONLY_CACHE=1 crds")))


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Ask each command for its options."""
    help_of = {
        name: subprocess.run(
            [sys.executable, "-m", f"crdscache.commands.{name}", "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in COMMANDS
    }
    return {name: options_in(text) for name, text in help_of.items()}


def test_each_link_leads_to_a_file_and_to_a_heading_in_it() -> None:
    broken = []
    for document in DOCUMENTS:
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text()):
            path, _, fragment = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            is_there = target.exists() and (
                not fragment or fragment in map(anchor, headings(target.read_text()))
            )
            broken += [] if is_there else [f"{document.name}: {link}"]

    assert broken == []


def test_each_heading_that_code_cites_is_in_its_document() -> None:
    cited = {
        (page, heading)
        for path in CODE
        for page, heading in re.findall(
            r'docs/(\w+\.md), "([^"{]+)"', re.sub(r"\s*\n\s*#?\s*", " ", path.read_text())
        )
    }

    assert ("protocol.md", "States") in cited, "the search finds nothing any more"
    assert [
        (page, heading)
        for page, heading in sorted(cited)
        if heading not in headings((ROOT / "docs" / page).read_text())
    ] == []


def test_each_check_of_a_fact_is_a_file() -> None:
    checks = set(re.findall(r"`((?:tests|benchmarks)/[^`]+)`", (ROOT / "docs/protocol.md").read_text()))

    assert checks
    assert sorted(check for check in checks if not (ROOT / check).exists()) == []


def test_each_fact_has_a_source_and_a_check() -> None:
    _, _, tables = (ROOT / "docs/protocol.md").read_text().partition("\nContents:")
    rows = re.findall(r"^\| .+ \|$", tables, re.MULTILINE)
    form = re.compile(r"\| .+ \| (source|---|(client|saved|measured|documented|choice)[^|]*) \| [^|]+ \|")

    assert [row for row in rows if not form.fullmatch(row)] == []


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_each_decision_says_what_was_asked_chosen_and_given_up(path: Path) -> None:
    number = DECISIONS.index(path) + 1

    assert path.name.startswith(f"{number:04}-")
    assert headings(path.read_text())[0].startswith(f"{number}. ")
    parts = re.findall(r"^\*\*([^*]+)\.\*\*", path.read_text(), re.MULTILINE)
    assert parts == ["Question", "Choice", "Why", "Given up"]


def test_each_option_that_readme_or_guide_gives_a_command_is_its_own(options: dict[str, set[str]]) -> None:
    here = in_code(README + GUIDE)
    calls = [
        (name, option)
        for name, words in re.findall(rf"\b({'|'.join(COMMANDS)})\b([^;|>\n]*)", here)
        for option in sorted(options_in(words.partition(" -- ")[0]))  # what follows is another program's
    ]

    assert len(calls) > 10, "the search finds nothing any more"
    assert [call for call in calls if call[1] not in options[call[0]]] == []


def test_each_option_in_the_readme_is_one_of_ours(options: dict[str, set[str]]) -> None:
    ours = set().union(*options.values())

    assert options_in(in_code(README)) - ours == OF_SNAKEMAKE


def test_each_command_has_its_place_in_the_readme() -> None:
    links = {path.name for path in (ROOT / "bin").iterdir() if path.is_symlink()}

    assert links == set(COMMANDS)
    assert [name for name in COMMANDS if f"`{name}`" not in README] == []


def test_each_setting_in_the_readme_exists_and_the_site_file_is_right() -> None:
    known = yaml.safe_load((ROOT / "config.yaml").read_text())
    (site,) = map(yaml.safe_load, blocks(README, "yaml"))
    told = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| .+ \|$", section("Settings"), re.MULTILINE)
    by_hand = re.findall(r"--config (.+)$", block("by hand") + block("long lists"), re.MULTILINE)
    given = {key for words in by_hand for key in re.findall(r"(\w+)=", words)}

    named = {name for cell in told for name in re.findall(r"\w+", cell)} | given
    assert len(named) > 5, "the search finds nothing any more"
    assert named - known.keys() == set()
    jsonschema.validate(site, yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text()))


def test_each_variable_in_the_readme_sets_something() -> None:
    named = set(re.findall(r"\bCRDS_[A-Z_]+\b", README)) - KEYWORDS
    odd = {"CRDS_OBSERVATORY": "jwst", "CRDS_SERVER_URL": "https://example.org"}
    truths = re.compile("CLIENT|READONLY|ALLOW|IGNORE")

    idle = []
    for variable in sorted(named):
        value = odd.get(variable, "1" if truths.search(variable) else "/data")
        resolved = settings.resolve({}, {"CRDS_OBSERVATORY": "hst", variable: value})
        idle += [] if variable in {setting.origin for setting in resolved.values()} else [variable]

    assert idle == []


def test_each_status_is_explained() -> None:
    explained = re.findall(r"^\| (\d+) \| ", section("Exit status"), re.MULTILINE)

    assert [int(number) for number in explained] == sorted(Status)


def test_each_target_of_the_readme_is_a_rule() -> None:
    rules = re.findall(
        r"^rule (\w+):", "".join(p.read_text() for p in CODE if p.suffix in {".smk", ""}), re.MULTILINE
    )
    targets = re.findall(r"^\| `(\w+)`", section("snakemake by hand"), re.MULTILINE)

    of_writer = ["all", "init", "estimate", "check", "repair", "purge_estimate", "purge"]
    assert targets == [*of_writer, "verify", "bestrefs", "affected"]
    assert set(targets) <= set(rules)


def test_the_crontab_of_the_readme_is_the_example() -> None:
    assert blocks(README, "crontab") == [(ROOT / "examples" / "crontab").read_text()]


@pytest.fixture
def shell(tmp_path: Path, server: Server, demo_root: Path) -> Shell:
    shutil.copytree(demo_root / "datasets", tmp_path / "visit12")
    return Shell(tmp_path, server)


def test_what_the_readme_shows_works_from_the_set_up_to_the_crontab(shell: Shell) -> None:
    """One story, as each step needs the one before."""
    set_up = shell.run("\n".join(lines(block("set up"))), CRDS_OBSERVATORY="hst")
    variables, jobs = crontab(blocks(README, "crontab")[0])
    nightly = [shell.run(command.replace("\\%", "%"), **variables) for _, command in jobs]
    by_hand = shell.run(block("by hand"))

    assert (set_up.status, set_up.err) == (0, "")
    first = f"hst: first run: changes of the default context are followed from {FORMER} on\n"
    assert [done for done in nightly if done != Done(0, "", "")] == [Done(0, first, "")]
    (estimate,) = shell.home.glob("all-*.json")
    assert json.loads(estimate.read_text())["failures"] == []
    assert by_hand.status == 0, by_hand.err
    assert re.search(r"^to fetch +0 files +0 bytes$", by_hand.out, re.MULTILINE)


@pytest.fixture
def set_up(shell: Shell, whole: Cache, server: Server) -> Shell:
    """Set up with the rules and references of the default context, as the README does."""
    whole.copy_to(shell.home / "ops", server)
    return shell


@pytest.fixture
def current(shell: Shell, whole: Cache) -> Shell:
    """Set up as the README does, a while ago; no server is needed any more."""
    whole.copy_to(shell.home / "ops", whole.server)
    shell.url = "http://localhost:1"
    return shell


def test_what_the_readme_shows_of_best_references_works_without_a_server(current: Shell) -> None:
    """One story, as each step needs the one before."""
    update = current.run(block("best references"))
    why = current.run(f"cd /data/visit12; export CRDS_PATH=/data/crds/ops; {explained()[0]}")
    lease = current.run(block("lease"))
    in_shards = current.run(block("long lists"))

    ends = [line.partition(": ")[2] for line in update.err.splitlines()]
    assert ends == [
        "dry run, nothing is written: 7 of 7 files would change; --update-bestrefs writes",
        "7 of 7 files updated",
        "0 of 7 files updated",
    ]
    assert (why.status, why.out) == (0, explained()[1])
    assert (lease.status, lease.out.splitlines()[0]) == (0, FORMER)
    assert in_shards.status == 0, in_shards.err
    assert len((current.home / "visit12.work/bestrefs/visit12/0.jsonl").read_text().splitlines()) == 7


def explained() -> tuple[str, str]:
    """Find the command that explains a choice, and what it prints."""
    text, _ = blocks(README, "text")
    (command,) = re.findall(r"^Why this reference\? `(.+)`:$", README, re.MULTILINE)
    return f"/opt/crdscache/bin/{command}", text


def test_what_the_guide_shows_of_a_roll_back_works(set_up: Shell, server: Server) -> None:
    server.set_default(LATEST)
    set_up.run("/opt/crdscache/bin/cron_sync --fetch-references", CRDS_PATH="/data/crds/ops")

    done = set_up.run(block("roll-back"))

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"hst: default context {LATEST} -> {FORMER}, pinned until cron_sync --unpin",
        f"hst: default context {FORMER}, no longer pinned: the next sync follows the server",
    ]


def test_what_the_guide_shows_of_a_context_list_works(set_up: Shell) -> None:
    done = set_up.run(block("context list").replace("hst_0729.pmap", FORMER))

    hashes = re.findall(r"^(?:# )?tree hash:? (\w+)", done.out, re.MULTILINE)
    assert done.status == 0, done.err
    assert len(hashes) == 2
    assert len(set(hashes)) == 1


def test_what_the_readme_shows_of_taking_over_works(
    shell: Shell, rules_only: Cache, demo_root: Path, server: Server
) -> None:
    """Half of the tree is good, some is cut, one has a flipped bit; the tree stays as it is."""
    tree = shell.home / "cdbs" / "jref"
    shutil.copytree(demo_root / "references/hst", tree)
    *_, flipped, cut = (path for path in sorted(tree.iterdir()) if path.suffix == ".fits")
    flipped.write_bytes(bytes([flipped.read_bytes()[0] ^ 1]) + flipped.read_bytes()[1:])
    cut.write_bytes(cut.read_bytes()[:-1])
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tree.iterdir()}
    rules_only.copy_to(shell.home / "ops", server)

    done = shell.run("set +e\n" + block("take over"))  # the check ends with 1, as it finds something

    failed = [line for line in done.err.splitlines() if line.startswith("failed: ")]
    assert done.status == 0, done.err
    assert [line.split(": ")[1] for line in failed] == [flipped.name]
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tree.iterdir()} == before


def test_what_the_guide_shows_of_making_room_works(set_up: Shell) -> None:
    """There, back, there again, and the trash emptied: the two last contexts and the default are left."""
    assert set_up.run("/opt/crdscache/bin/cron_sync --all", CRDS_PATH="/data/crds/ops").status == 0

    done = set_up.run("set +e\n" + block("make room"))  # the estimate ends with 1: it is over 20 %

    assert done.status == 0, done.err
    assert done.out.count("hst: purged ") == 2
    assert "hst: brought back " in done.out
    contexts = sorted(path.name for path in (set_up.home / "ops" / "mappings" / "hst").glob("*.pmap"))
    assert contexts == [FORMER, *purging.CONTEXTS[-2:]]


def test_what_the_readme_shows_of_the_page_works(set_up: Shell) -> None:
    done = set_up.run(block("a page"))

    assert (done.status, done.err) == (0, "")
    assert done.out == f"{set_up.home}/page.html\n"
    assert "</html>" in (set_up.home / "page.html").read_text()


def test_what_the_readme_shows_of_affected_data_sets_works(shell: Shell) -> None:
    """The default is the former context; the oldest but one knows less."""
    *rules, _, _ = lines(block("set up"))  # but for the two that bring references
    shell.run("\n".join(rules), CRDS_OBSERVATORY="hst")
    (shell.home / "visit12" / "notes.txt").write_text("none of it\n")

    done = shell.run(block("affected"), CRDS_OBSERVATORY="hst")

    assert done.status == 0, done.err
    told = [line for line in done.out.splitlines() if ": OK, " in line]
    assert [line.partition(": OK")[0] for line in told] == [f"hst: hst_0004.pmap --> {FORMER}"]
    products = (shell.home / "out" / "ids.txt").read_text().split()
    assert f" {len(products)} products affected" in told[0]
    assert products


def test_the_settings_of_mail_in_the_readme_are_right() -> None:
    _, text = blocks(README, "text")

    jsonschema.validate(
        yaml.safe_load(text), yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())
    )


def test_what_the_readme_shows_of_a_laptop_works(shell: Shell) -> None:
    done = shell.run(block("laptop"), CRDS_OBSERVATORY="hst")

    assert done.status == 0, done.err
    assert done.err.splitlines()[-1] == f"{FORMER}: 7 of 7 files updated"
    assert "not in the cache" not in done.err


def test_what_the_readme_shows_of_the_library_works(current: Shell) -> None:
    (code,) = blocks(README, "python")
    (printed,) = re.findall(r"^This prints `([^`]+)`", README, re.MULTILINE)

    done = subprocess.run(
        [sys.executable, "-c", current.real(code)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{printed}\n", "")


def test_each_key_of_the_status_has_its_place_in_the_design() -> None:
    table = (ROOT / "docs" / "design.md").read_text().partition("`status.json` is for monitoring too.")[2]

    keys = {field.name for field in fields(runs.Record)}
    assert {key for key in keys if f"`{key}`" not in table.partition("\n\nA run")[0]} == set()
