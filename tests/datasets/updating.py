"""Updates of a header as a command, to be disturbed: `updating PATH KEYWORD VALUE ...`.

Without words it serves such commands, as `tests.faults.pipeline` does those of the package.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from crdscache.datasets import headerupdate
from crdscache.errors import DatasetError
from tests.caches import CHECKOUT
from tests.faults import pipeline
from tests.faults.strikes import Runs

COMMAND = "update"
ERR = 1


class Updates(Runs):
    """Runs of the command in a process that has all imported."""

    def __init__(self, home: Path) -> None:
        self._output, self._trace = home / "output", home / "trace"
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.datasets.updating"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


def main(words: Sequence[str]) -> int:
    """Update one file."""
    path, *pairs = words
    try:
        headerupdate.update(Path(path), dict(zip(pairs[::2], pairs[1::2], strict=True)))
    except DatasetError as error:
        print(error)  # noqa: T201
        return ERR
    return os.EX_OK


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(main(sys.argv[1:]))
    pipeline._COMMANDS[COMMAND] = main
    pipeline.serve()
