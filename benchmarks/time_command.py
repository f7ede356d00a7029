"""Runs a command, and tells its exit status, wall and CPU seconds, and the MB of its largest process.

One list of JSON on standard output; that of the command is thrown away.
"""

import json
import os
import subprocess
import sys
import time


def main() -> None:
    """Run it."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # else its end is waited for again
    wall_s = time.perf_counter() - start
    print(json.dumps([process.returncode, wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000]))


if __name__ == "__main__":
    main()
