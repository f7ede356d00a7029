"""Row D16 of the fault matrix: the power goes at any moment; benchmarks/power_cuts.py does so more often."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.faults import powercuts
from tests.faults.powercuts import PowerCuts


@pytest.fixture(scope="module")
def power(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerCuts]:
    if shutil.which("strace") is None or shutil.which("mkfs.ext4") is None:
        pytest.skip("strace or mkfs.ext4 is missing: apt-get install strace e2fsprogs")
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(powercuts.opened(tmp_path_factory.mktemp("power")))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"cannot mount: {error.stderr}; run as root, in a container that may mount")
        yield opened


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stage", powercuts.STAGES)
def test_D16_after_a_power_cut_one_plain_run_makes_all_as_if_undisturbed(
    power: PowerCuts, stage: str, seed: int
) -> None:
    power.cut(stage, random.Random(seed))
