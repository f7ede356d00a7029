"""`cache_report`: one page that tells people how a cache is."""

import sys
from collections.abc import Sequence
from pathlib import Path

from crdscache.commands import arguments

_EXAMPLES = """\
  cache_report                            write the page, and say where it is
  cache_report --output /var/www/crds.html
  cache_report --config readers_dir=/home/me/crds
                                          where the cache is read-only

exit status: 0 the page is written; 2 usage; 3 could not start or go on; 75 another cache_report is at work
"""


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    text = (
        "Make a page, a single file, that tells how a cache is. It reads the cache only, and asks no server."
    )
    parser = arguments.parser("cache_report", text, _EXAMPLES)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where the page goes; else report.html, beside its data"
    )
    parser.add_argument("--quiet", action="store_true", help="do not say where the page is")
    parser.add_argument("--cores", type=arguments.count, metavar="N", help="cores to use")
    options = parser.parse_args(arguments.two_dashes(words))
    from crdscache.commands import paging, reader

    return reader.run("cache_report", options, lambda found: paging.run(found, options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
