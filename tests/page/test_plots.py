"""The plots, as documents that a browser draws; tests/commands/test_paging.py shows them in one."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from crdscache.page import files, plots
from crdscache.page.files import Share, Survey


def survey(**reftypes: int) -> Survey:
    parts = {("acs", reftype): Share(2, 1, size_bytes) for reftype, size_bytes in reftypes.items()}
    return Survey(
        {(files.RULES, ""): Share(9, 9, 99), **parts}, {age: Share(1, 1, 10**9) for age in files.AGES}
    )


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_a_plot_names_instruments_units_and_the_largest_types(tmp_path: Path) -> None:
    sizes = {f"type{number}": 10**9 * (10 - number) for number in range(9)}

    plots.files(survey(**sizes), tmp_path / "files.svg")

    shown = texts(tmp_path / "files.svg")
    assert {"acs", "instrument", "files", "size in GB (10⁹ bytes)", "other types"} <= set(shown)
    assert [text for text in shown if text.startswith("type")] == ["type", *(f"type{n}" for n in range(6))]


def test_each_age_is_named_and_those_never_read_have_their_own_colour(tmp_path: Path) -> None:
    plots.coverage(survey(), tmp_path / "coverage.svg")

    assert [text for text in texts(tmp_path / "coverage.svg") if text in files.AGES] == list(files.AGES[::-1])
    assert (tmp_path / "coverage.svg").read_text().lower().count("#d55e00") == 2


def test_names_that_look_like_mark_up_or_formulas_are_text(tmp_path: Path) -> None:
    hostile = "$\\frac</text><script>alert(1)</script>"

    plots.files(survey(**{hostile: 1}), tmp_path / "files.svg")

    assert hostile in texts(tmp_path / "files.svg")


def test_a_cache_without_references_has_a_plot_too(tmp_path: Path) -> None:
    plots.files(Survey({}, {age: Share() for age in files.AGES}), tmp_path / "files.svg")

    assert "instrument" in texts(tmp_path / "files.svg")


def test_the_same_figures_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        plots.files(survey(biasfile=5), tmp_path / name)

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_no_command_waits_for_the_import_of_matplotlib() -> None:
    code = (
        "import sys\n"
        "from crdscache.commands import affected, bestrefs, diagnosis, paging, preview, reader, writer\n"
        "sys.exit('matplotlib' in sys.modules)"
    )

    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode
        == 0
    )
