"""Run snakemake as `python -m snakemake` does, without some of what it and Python do at their start and end.

No job has anything of that: 0.3 s of work and half a second of waiting in each run (Snakemake 9.27.1).
"""

import atexit
import gc
import runpy
import threading

# Objects to make before cycles are looked for: its modules are half a million that stay.
_GC_AFTER = 50_000


def main() -> None:
    """Do what the command line says."""
    gc.set_threshold(_GC_AFTER)
    atexit.register(gc.freeze)  # nor are cycles looked for at the end: what remains goes with the process
    try:
        runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
    finally:
        _end_timers()


def _end_timers() -> None:
    # It wakes its scheduler a second after each job, and would wait for that before it ends.
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


if __name__ == "__main__":
    main()
