"""`affected_datasets`: which data sets of the archive get other references when the context changes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from crdscache.commands import arguments

_EXAMPLES = """\
  affected_datasets                                          from cron: each change since the last one handled
  affected_datasets --old-context hst_0728.pmap --new-context hst_0729.pmap --output /data/out
                                                             any two contexts, in any direction
  affected_datasets --old-context hst-2024-02-01 --new-context hst-operational --datasets-since auto
  affected_datasets --load /data/raw                         fill the catalogue from a tree of FITS files
  affected_datasets --using t6k1015aj_bia.fits               which data sets use this file?

exit status: 0 done; 1 some data sets could not be compared, or a mail could not be sent; 2 usage;
3 could not start or go on; 75 another affected_datasets is at work
"""


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    text = "Tell which data sets get other references when the context changes, and mail the list."
    parser = arguments.parser("affected_datasets", text, _EXAMPLES)
    _contexts(parser)
    _datasets(parser)
    _results(parser)
    other = parser.add_argument_group("other")
    other.add_argument("--verbose", action="store_true", help="tell more; say who is at work if we cannot be")
    other.add_argument("--quiet", action="store_true", help="say nothing but what failed")
    other.add_argument("--cores", type=arguments.count, metavar="N", help="cores to use")
    return parser


def _contexts(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("contexts", "none of these: the changes since the last one handled")
    group.add_argument(
        "--old-context", metavar="C", help="a name, hst-operational, -latest, -edit, or a date"
    )
    group.add_argument("--new-context", metavar="C", help="the same")
    group.add_argument(
        "--using", nargs="+", metavar="REFERENCE", help="which data sets use these files, by --new-context"
    )


def _datasets(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data sets")
    group.add_argument(
        "--catalog",
        metavar="SOURCE",
        help="URL of a database, `server`, a directory of FITS files, CSV or JSON lines",
    )
    group.add_argument(
        "--load", metavar="SOURCE", help="bring such a source into the SQLite catalogue; no more"
    )
    group.add_argument(
        "--datasets-since",
        metavar="DATE",
        help="leave out data sets before a day; auto: before the first one that can be affected",
    )
    group.add_argument(
        "--optimize-tables",
        action="store_true",
        help="leave out data sets whose rows in a table are the same",
    )
    group.add_argument(
        "--exposure-types", action="store_true", help="jwst: only the types that an exposure's type has"
    )


def _results(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument(
        "--output", type=Path, metavar="DIR", help="copy the list, the tables and the mail there"
    )
    group.add_argument(
        "--server-list", action="store_true", help="also get the server's own list, and tell what differs"
    )
    mail = group.add_mutually_exclusive_group()
    mail.add_argument("--mail", action="store_true", help="send the mail, as usual from cron")
    mail.add_argument("--no-mail", action="store_true", help="only write it to a file")


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments.two_dashes(words))
    if options.using is None and (options.old_context is None) != (options.new_context is None):
        parser.error("--old-context and --new-context go together")
    from crdscache.commands import affected, reader

    has_reader = sys.stderr.isatty() or options.verbose
    return reader.run(
        "affected_datasets", options, lambda found: affected.run(found, options), tells_busy=has_reader
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
