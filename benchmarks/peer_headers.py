"""The peer's part of bench_bestrefs_headers.py, run by the Python of the missions' client.

Arguments: a context, and a file with a JSON object of names and lists of headers. For each name on standard
input it looks up all headers, one at a time, and writes the seconds and the answers as one line of JSON.
"""

import json
import logging
import sys
import time
from pathlib import Path

from crds.core import log, rmap


def main() -> None:
    """Answer until standard input ends."""
    context, file = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    log.set_verbose(-3)
    headers_of = json.loads(Path(file).read_text(encoding="utf-8"))
    for name in map(str.strip, sys.stdin):
        rmap.get_best_references(context, headers_of[name][0])  # loads the rules
        start = time.perf_counter()
        bestrefs = [rmap.get_best_references(context, header) for header in headers_of[name]]
        seconds = time.perf_counter() - start
        print(json.dumps([seconds, bestrefs], default=repr), flush=True)


if __name__ == "__main__":
    main()
