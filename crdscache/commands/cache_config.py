"""`cache_config`: what a cache is set to, where each setting comes from, and what is wrong with it."""

import sys
from collections.abc import Sequence

from crdscache.commands import arguments

_EXAMPLES = """\
  cache_config            the cache, each setting with its origin, and a diagnosis
  cache_config --check    for monitoring: silent and 0 if all is well, else status 1 and a line per mistake
"""


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    parser = arguments.parser(
        "cache_config", "Show the configuration of a cache, and what is wrong with it.", _EXAMPLES
    )
    parser.add_argument(
        "--check", action="store_true", help="say only what is wrong; status 1 if anything is"
    )
    options = parser.parse_args(arguments.two_dashes(words))
    from crdscache.commands import diagnosis

    return diagnosis.main(options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
