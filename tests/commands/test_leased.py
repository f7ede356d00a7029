"""What a program under a lease is told of the cache."""

from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import layout
from crdscache.cache.layout import Layout
from crdscache.commands import leased

CACHE = layout.default_layout(Path("/data"), "hst")
TOLD = {
    "CRDS_PATH": "/data",
    "CRDS_OBSERVATORY": "hst",
    "CRDS_CONTEXT": "hst_0001.pmap",
    "CRDS_READONLY_CACHE": "1",
    "CRDS_SERVER_URL": "https://crds-serverless-mode.stsci.edu",
}


@pytest.mark.parametrize(
    ("callers", "expected"),
    [
        ({}, {}),
        ({"HOME": "/home", "CRDS_CONTEXT": "hst-edit", "CRDS_PATH": "/other"}, {"HOME": "/home"}),
        ({"PYTHONPATH": "/opt/crdscache", "PYTHONUTF8": "1"}, {}),
        (
            {"PYTHONPATH": "/opt/crdscache", "CRDSCACHE_CALLERS_PYTHONPATH": "/mine", "CRDS_LOCKS": "/run"},
            {"PYTHONPATH": "/mine", "CRDS_LOCKS": "/run"},
        ),
    ],
)
def test_program_gets_its_callers_variables_and_the_cache(
    callers: dict[str, str], expected: dict[str, str]
) -> None:
    assert leased.environment(callers, CACHE, "hst_0001.pmap") == TOLD | expected


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        (replace(CACHE, mappings=Path("/maps")), {"CRDS_MAPPATH_SINGLE": "/maps"}),
        (
            replace(CACHE, references=Path("/refs"), config=Path("/cfg")),
            {"CRDS_REFPATH_SINGLE": "/refs", "CRDS_CFGPATH_SINGLE": "/cfg"},
        ),
    ],
)
def test_branches_that_lie_elsewhere_are_told(cache: Layout, expected: dict[str, str]) -> None:
    """The settings may have them, which the missions' client does not read."""
    assert leased.environment({}, cache, "hst_0001.pmap") == TOLD | expected
