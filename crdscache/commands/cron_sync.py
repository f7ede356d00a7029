"""`cron_sync`: keep a cache current. The only writer of a cache that is set up."""

import argparse
import gc
import sys
from collections.abc import Sequence

from crdscache.commands import arguments

_EXAMPLES = """\
  cron_sync --all --fetch-references --check-files        everything, as the old crontabs have it
  cron_sync --contexts hst-operational --fetch-references what the pipelines need
  cron_sync --dataset-files *_raw.fits                    just what these data sets need
  cron_sync --files x1234567j_drk.fits                    just this reference
  cron_sync --fetch-references --adopt /grp/cdbs --adopt-mode hardlink --dry-run
                                                          what can be taken over from there?
  cron_sync --check-sha1sum --repair-files                compare all with the catalogue, mend what is wrong
  cron_sync --last 10 --fetch-references --dry-run        how much would that be?

exit status: 0 done; 1 some files failed, and are named; 2 usage; 3 could not start or go on;
75 another writer is at work
"""


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = arguments.parser(
        "cron_sync", "Fetch new rules and references; switch the default context last.", _EXAMPLES
    )
    what = parser.add_argument_group("what")
    what.add_argument("--fetch-references", action="store_true", help="references too, not only rules")
    what.add_argument("--adopt", nargs="+", metavar="TREE", help="take over what lies in one of these trees")
    what.add_argument(
        "--adopt-mode", choices=("symlink", "hardlink", "reflink", "copy"), help="how; else as settings say"
    )
    checking = parser.add_argument_group("checking")
    checking.add_argument(
        "--check-files", action="store_true", help="name what is missing or of wrong length; status 1"
    )
    checking.add_argument(
        "--check-sha1sum", action="store_true", help="then read all that is here and compare its SHA-1"
    )
    checking.add_argument(
        "--repair-files", action="store_true", help="replace what is wrong; the bad copies go to the trash"
    )
    _add_removing(parser)
    _add_default(parser)
    less = parser.add_argument_group("less than a context")
    less.add_argument("--instruments", nargs="+", metavar="I", help="only references of these instruments")
    less.add_argument("--types", nargs="+", metavar="T", help="only references of these types")
    less.add_argument(
        "--files",
        nargs="+",
        metavar="F",
        help="just these mappings and references, by name, or those of @LIST",
    )
    less.add_argument(
        "--dataset-files", nargs="+", metavar="F", help="only the best references of these files, or of @LIST"
    )
    less.add_argument(
        "--dataset-ids", nargs="+", metavar="I", help="the same, of data sets that the server has"
    )
    arguments.writer_options(parser, "the server's default")
    return parser


def _add_removing(parser: argparse.ArgumentParser) -> None:
    removing = parser.add_argument_group("removing", "after an estimate, to the trash")
    removing.add_argument("--purge-mappings", action="store_true", help="rules that no kept context reaches")
    removing.add_argument(
        "--purge-references", action="store_true", help="references that no kept context reaches"
    )
    removing.add_argument("--purge-rejected", action="store_true", help="references that the server rejected")
    removing.add_argument("--max-purge", type=float, metavar="PERCENT", help="the most that may go; else 20")
    removing.add_argument(
        "--no-leases", action="store_true", help="purge though it cannot be seen what readers hold"
    )
    removing.add_argument("--restore", metavar="RUN", help="bring back what a run has taken away; no sync")
    removing.add_argument("--empty-trash", action="store_true", help="give its space back now; no sync")


def _add_default(parser: argparse.ArgumentParser) -> None:
    default = parser.add_argument_group("default context", "these ask no server, and do not sync")
    default.add_argument("--pin", metavar="C", help="make this the default, and hold it there")
    default.add_argument("--unpin", action="store_true", help="let the next sync follow the server again")
    default.add_argument("--rollback", action="store_true", help="put the former default back, and pin it")
    parser.add_argument(
        "--context-list", metavar="FILE", help="make just what a list of a context has; the root may be empty"
    )


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    gc.disable()  # a plan is 100,000 small objects without cycles: looking for some took a third of a run
    options = make_parser().parse_args(arguments.two_dashes(words))
    from crdscache.commands.writer import WriterRun

    return WriterRun("cron_sync", options, "all").main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
