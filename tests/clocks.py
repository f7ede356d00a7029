"""Clocks that are wrong, for the programs of one cache: libfaketime, from Debian's package faketime."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.caches import Cache

WRONG = ("-400d", "+10y")


def under(cache: Cache, clock: str) -> Cache:
    """Give a cache whose commands see another time of day; what measures time that passes is right."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is missing: apt-get install faketime")
    # Without the second Snakemake hangs; times of files are those of the kernel in any case.
    variables = {"FAKETIME": clock, "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
    return replace(cache, more={**cache.more, **variables, "LD_PRELOAD": str(found[0])})
