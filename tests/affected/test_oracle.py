"""Agreement with what is right by definition, on every line that the missions' own client was asked for."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from crdscache.affected.compare import Effect
from crdscache.bestrefs.choose import Chooser
from crdscache.contexts.records import Problem
from crdscache.datasets.records import Dataset
from tests.affected import comparing

ORACLE = Path(__file__).parents[3] / "shared" / "oracle" / "affected"
PAIRS = sorted(path.name for path in ORACLE.glob("*.jsonl.gz"))


@pytest.mark.parametrize("pair", PAIRS)
def test_what_matters_is_found_and_nothing_else(oracle_roots: tuple[Path, ...], pair: str) -> None:
    with gzip.open(ORACLE / pair, "rt", encoding="utf-8") as lines:
        about, *datasets = map(json.loads, lines)
    load = comparing.loader_of(oracle_roots, about["observatory"])

    found, failed = comparing.by_columns(
        Chooser(about["old"], load), Chooser(about["new"], load), [_dataset(line) for line in datasets]
    )

    affected = {line["id"]: _pairs(line, line.get("matters", ())) for line in datasets if "matters" in line}
    assert _of(found, Effect.AFFECTED) == affected
    undetermined = {line["id"]: _pairs(line, lost) for line in datasets if (lost := _lost(line))}
    assert _of(found, Effect.UNDETERMINED) == undetermined
    assert failed == {line["id"] for line in datasets if isinstance(line["header"], str)}


def _dataset(line: dict[str, Any]) -> Dataset | Problem:
    if isinstance(line["header"], str):
        return Problem(line["id"], line["header"])
    return Dataset(line["id"], line["header"], instrument=line["instrument"])


def _lost(line: dict[str, Any]) -> list[str]:
    """List the types that had an answer, and now have an error."""
    pairs = line.get("changed", {}).items()
    return [reftype for reftype, (old, new) in pairs if _settled(new) == "error" != _settled(old)]


def _pairs(line: dict[str, Any], reftypes: Any) -> dict[str, tuple[str, str]]:  # noqa: ANN401 (any collection)
    return {reftype: tuple(map(_settled, line["changed"][reftype])) for reftype in reftypes}  # type: ignore[misc]


def _of(found: comparing.Found, effect: Effect) -> dict[str, dict[str, tuple[str, str]]]:
    told = {
        name: {
            reftype: (_settled(old), _settled(new))
            for reftype, (each, old, new) in types.items()
            if each is effect
        }
        for name, types in found.items()
    }
    return {name: types for name, types in told.items() if types}


def _settled(answer: str) -> str:
    """Leave out the text of an error, and whether no file means that there is none or that none is told."""
    if answer.startswith("error"):
        return "error"
    return "n/a" if answer == "omit" else answer
