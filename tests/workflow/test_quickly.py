import subprocess
import sys
from pathlib import Path

from crdscache.workflow.settings import CHECKOUT

PLAYED = """
import atexit, gc, sys, threading
print(sys.argv[1:], gc.get_threshold()[0])
threading.Timer(3600, print).start()
atexit.register(lambda: print("in order"))
sys.exit(3)
"""


def test_words_and_status_are_those_of_snakemake_and_no_timer_holds_up_the_end(tmp_path: Path) -> None:
    """It sets a timer after each job; an hour stands for its second."""
    (tmp_path / "snakemake").mkdir()
    (tmp_path / "snakemake" / "__init__.py").touch()
    (tmp_path / "snakemake" / "__main__.py").write_text(PLAYED)

    done = subprocess.run(
        [sys.executable, "-B", "-m", "crdscache.workflow.quickly", "all", "--cores", "2"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == "['all', '--cores', '2'] 50000\nin order\n"


def test_it_is_snakemake_that_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-m", "crdscache.workflow.quickly", "--version"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("9.")
