"""Cut the power of an ext4 disk at random moments of init, sync and switch; needs root and strace.

After each cut the invariants must hold, and one plain run must make the cache as if nothing had happened.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from tests.faults import powercuts


def main() -> None:
    """Cut as often as told, and tell what was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    harness.introduce(f"power cuts, seed {options.seed}")
    chance = random.Random(options.seed)
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place,
        powercuts.opened(Path(place)) as power,
    ):
        for number in range(options.cuts):
            stage = powercuts.STAGES[number % len(powercuts.STAGES)]
            try:
                done = power.cut(stage, chance)
            except (AssertionError, SyntaxError) as error:  # the latter: of a configuration
                wrong.append(f"cut {number} in {stage}: {error}")
                print(wrong[-1], flush=True)
            else:
                ends[f"{stage}, status {done.status}"] += 1
    for how, n_times in sorted(ends.items()):
        print(f"  {n_times:4}  {how}")
    print(f"  {options.cuts} cuts, {len(wrong)} wrong")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
