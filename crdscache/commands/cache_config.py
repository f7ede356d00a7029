"""`cache_config`: what a cache is set to, where each setting comes from, and what is wrong with it."""

import argparse
import sys
from collections.abc import Sequence

from crdscache.commands import arguments

_EXAMPLES = """\
  cache_config            the cache, each setting with its origin, and a diagnosis
  cache_config --check    for monitoring: silent and 0 if all is well; else 1 WARNING, 2 CRITICAL, 3 UNKNOWN
  cache_config --tree-hash
                          one sum for all files: two caches with the same one are the same, to the byte
  cache_config --compare-lists hst_0728.pmap.sha1 hst_0729.pmap.sha1
                          what changed between two context lists, in files and bytes by type
"""


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    parser = arguments.parser(
        "cache_config", "Show the configuration of a cache, and what is wrong with it.", _EXAMPLES
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="for monitoring: say only what is wrong; status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN",
    )
    parser.add_argument("--verbose", action="store_true", help="with --check: say also that nothing is wrong")
    lists = parser.add_argument_group("one of these, in place of all that")
    alone = lists.add_mutually_exclusive_group()
    alone.add_argument(
        "--tree-hash", action="store_true", help="read all mappings and references, and give one sum for them"
    )
    alone.add_argument(
        "--compare-lists", nargs=2, metavar=("OLD", "NEW"), help="tell what changed between two context lists"
    )
    options = _parsed(parser, arguments.two_dashes(words))
    from crdscache.commands import diagnosis

    return diagnosis.main(options)


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    try:
        return parser.parse_args(words)
    except SystemExit as end:
        if end.code and "--check" in words:
            raise SystemExit(3) from None  # UNKNOWN to monitoring, for which 2 is CRITICAL
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
