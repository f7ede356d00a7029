"""Our conventions, as far as a program can hold them; imports are import-linter's part."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "crdscache").rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
DEMO = sorted((ROOT / "demo").rglob("*.py"))
RULES = [*sorted(ROOT.glob("*.smk")), ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]

REQUIREMENTS = ("requirements.in", "requirements-slurm.in", "requirements-dev.in")
UNTESTED = {"errors.py", "contexts/records.py", "datasets/records.py"}  # they hold facts and do nothing


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def too_long(paths: list[Path], limit: int) -> dict[str, int]:
    lines = {relative(path): len(path.read_text().splitlines()) for path in paths}
    return {path: n_lines for path, n_lines in lines.items() if n_lines > limit}


def nodes(paths: list[Path]) -> Iterator[tuple[str, ast.AST]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            yield relative(path), node


def test_each_rule_with_a_script_has_the_one_of_its_name_and_no_script_is_left_over() -> None:
    scripts_of = {}
    for path in RULES:
        _, *rules = re.split(r"^(?:rule|checkpoint) +(\w+):", path.read_text(), flags=re.MULTILINE)
        for name, body in zip(rules[::2], rules[1::2], strict=True):
            if found := re.search(r'^ +script:\s*"([^"]+)"', body, flags=re.MULTILINE):
                scripts_of[name] = (path.parent / found[1]).resolve()

    assert scripts_of == {path.stem: path for path in SCRIPTS}


def test_each_module_has_a_test_file() -> None:
    modules = [path.relative_to(ROOT / "crdscache") for path in PACKAGE if path.name != "__init__.py"]

    missing = [
        module.as_posix()
        for module in modules
        if module.as_posix() not in UNTESTED
        and not (ROOT / "tests" / module.parent / f"test_{module.name}").exists()
    ]

    assert missing == []


def test_each_setting_stands_in_the_schema_with_a_default_that_it_allows() -> None:
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    schema = yaml.safe_load((ROOT / "schemas/config.schema.yaml").read_text())

    assert sorted(settings) == sorted(schema["properties"])
    assert schema["additionalProperties"] is False
    jsonschema.validate(settings, schema)


def test_each_setting_has_a_comment_above_it() -> None:
    lines = (ROOT / "config.yaml").read_text().splitlines()

    bare = [
        line
        for above, line in zip(["", *lines], lines, strict=False)
        if re.match(r"\w+:", line) and not above.startswith("# ")
    ]

    assert bare == []


def test_files_are_short() -> None:
    assert too_long(PACKAGE + DEMO, 400) == {}
    assert too_long(RULES, 120) == {}
    assert too_long(SCRIPTS, 40) == {}


def test_functions_are_short() -> None:
    lengths = {
        f"{path}: {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, node in nodes(PACKAGE + SCRIPTS)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: n_lines for name, n_lines in lengths.items() if n_lines > 40} == {}


def test_no_handler_swallows_everything() -> None:
    """Only one that cleans up and raises again may catch all."""
    blind = [
        f"{path}:{node.lineno}"
        for path, node in nodes(PACKAGE + SCRIPTS + DEMO)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or re.search(r"\b(Base)?Exception\b", ast.unparse(node.type)))
        and ast.unparse(node.body[-1]) != "raise"
    ]

    assert blind == []


def test_each_command_in_bin_starts_a_module() -> None:
    links = sorted(path for path in (ROOT / "bin").iterdir() if path.name != "launch")

    assert {path.readlink() for path in links} == {Path("launch")}
    missing = [path.name for path in links if not (ROOT / f"crdscache/commands/{path.name}.py").exists()]
    assert missing == []


def test_jobs_on_a_cluster_get_the_versions_of_the_lock() -> None:
    environments = [yaml.safe_load(path.read_text()) for path in (ROOT / "envs").glob("*.yaml")]
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))

    entries = {entry for environment in environments for entry in environment["dependencies"]}
    pins = dict(entry.split("==") for entry in entries if not entry.startswith("python="))

    assert pins == {name: locked[name] for name in pins}


def test_each_dependency_is_explained_with_its_range() -> None:
    required = "".join((ROOT / name).read_text() for name in REQUIREMENTS)
    explained = (ROOT / "docs/dependencies.md").read_text()

    ranges = dict(re.findall(r"^([a-z][\w-]*(?:\[\w+\])?)(\S*)$", required, re.MULTILINE))
    assert (
        dict(re.findall(r"^\| ([a-z][\w-]*(?:\[\w+\])?) \| (>=[^ |]*)? ?\|", explained, re.MULTILINE))
        == ranges
    )
