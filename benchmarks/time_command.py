"""Runs a command, and tells its exit status, wall and CPU seconds, and memory in MB.

One list of JSON on standard output; that of the command is thrown away. Of memory there is that of the
largest process, and the most that all of them held at one time: looked at 20 times a second, and what they
share counted for each.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

_EVERY_S = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run it."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    peak, ended = [0], Event()
    watcher = Thread(target=_watch, args=(process.pid, peak, ended))
    watcher.start()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # else its end is waited for again
    wall_s = time.perf_counter() - start
    ended.set()
    watcher.join()
    cpu_s = used.ru_utime + used.ru_stime
    print(json.dumps([process.returncode, wall_s, cpu_s, used.ru_maxrss / 1000, peak[0] / 1e6]))


def _watch(pid: int, peak: list[int], ended: Event) -> None:
    while not ended.wait(_EVERY_S):
        peak[0] = max(peak[0], _resident_bytes(pid))


def _resident_bytes(pid: int) -> int:
    """Add up the resident memory of a process and its descendants; one that has just ended has none."""
    place = Path(f"/proc/{pid}")
    try:
        pages = int((place / "statm").read_text().split()[1])
        children = [
            child for task in (place / "task").iterdir() for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * _PAGE_BYTES + sum(_resident_bytes(int(child)) for child in children)


if __name__ == "__main__":
    main()
