"""`cache_lease`: run any program while a context stays as it is."""

import argparse
import sys
from collections.abc import Sequence

from crdscache.commands import arguments

_EXAMPLES = """\
  cache_lease -- crds bestrefs --files *.fits --update-bestrefs      with the cache's default context
  cache_lease --context hst-2024-02-01 -- ./reprocess.csh            with the default of that day
  cache_lease -- env CRDS_SERVER_URL=https://hst-crds.stsci.edu ...  if the program needs the server

The program gets CRDS_CONTEXT, the name of that context; CRDS_READONLY_CACHE=1; the cache's own CRDS_PATH and
CRDS_OBSERVATORY; and the CRDS_SERVER_URL by which the missions' client works without a server.

exit status: that of the program, 128 + n if signal n ended it; 2 usage, or no such program; 3 the context
cannot be had
"""


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line up to the two dashes."""
    text = "Run a program with one context: its rules are not purged before the program has ended."
    parser = arguments.parser("cache_lease", text, _EXAMPLES, summary=False)
    parser.usage = "cache_lease [options] -- COMMAND [ARGUMENT ...]"
    parser.add_argument(
        "--context",
        metavar="C",
        help="this one: a name, hst-operational, -latest, -edit, -versions, or a date",
    )
    return parser


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    n_ours = words.index("--") if "--" in words else len(words)
    parser = make_parser()
    options = parser.parse_args(arguments.two_dashes(words[:n_ours]))
    program = list(words[n_ours + 1 :])
    if not program:
        parser.error("expected two dashes and a command")
    from crdscache.commands import leased, reader

    return reader.run("cache_lease", options, lambda found: leased.run(found, options.context, program))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
