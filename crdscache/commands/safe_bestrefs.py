"""`safe_bestrefs`: best references into the headers of data sets, without a server, beside a running sync."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from crdscache.commands import arguments

_EXAMPLES = """\
  safe_bestrefs --files *_raw.fits --update-bestrefs                 by the default context of the cache
  safe_bestrefs --files *_raw.fits                                   dry run: what would change?
  safe_bestrefs --new-context hst-2024-02-01 --files @list ...       by the default context of that day
  safe_bestrefs --headers h.jsonl.gz --json answers.jsonl            of headers, a JSON object in each line
  safe_bestrefs --files x_raw.fits --explain darkfile                why this one?
  safe_bestrefs --old-context hst_0728.pmap --files *_raw.fits --print-affected

exit status: 0 done; 1 some data sets or types failed, and are named; 2 usage; 3 could not start or go on
"""


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    text = "Find the references that a context assigns to data sets, and write them into FITS headers."
    parser = arguments.parser("safe_bestrefs", text, _EXAMPLES, summary=False)
    _datasets(parser)
    _work(parser)
    return parser


def _datasets(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data sets").add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--files", nargs="+", metavar="F", help="FITS files; @LIST names a file with one in each line"
    )
    group.add_argument("--headers", type=Path, metavar="FILE", help="headers as JSON lines, plain or gzip")


def _work(parser: argparse.ArgumentParser) -> None:
    rules = parser.add_argument_group("rules")
    rules.add_argument(
        "--new-context", metavar="C", help="a name, hst-operational, -latest, -edit, or a date"
    )
    rules.add_argument("--old-context", metavar="C", help="compare with what this one assigns")
    rules.add_argument(
        "--compare-source-bestrefs", action="store_true", help="compare with what the headers name"
    )
    rules.add_argument("--types", nargs="+", default=[], metavar="T", help="only these types")
    rules.add_argument("--allow-bad-rules", action="store_true", help="use rejected rules, with a warning")
    rules.add_argument(
        "--allow-bad-references", action="store_true", help="write rejected references, with a warning"
    )
    what = parser.add_argument_group("what to do")
    what.add_argument(
        "--update-bestrefs", action="store_true", help="write the headers; else nothing is written"
    )
    what.add_argument(
        "--all-or-nothing", action="store_true", help="leave a file as it is if one of its types failed"
    )
    what.add_argument(
        "--print-affected",
        action="store_true",
        help="data sets for which something changes; without --old-context compared with what headers name",
    )
    what.add_argument(
        "--print-new-references",
        action="store_true",
        help="data set, instrument, type, old and new reference",
    )
    what.add_argument(
        "--explain", metavar="TYPE", help="which row of the rules decided, and why not the next"
    )
    what.add_argument("--json", type=Path, metavar="FILE", help="the answers, a JSON object in each line")
    what.add_argument(
        "--jobs", type=arguments.count, metavar="N", help="processes to use; else one for each core"
    )
    what.add_argument("--verbose", action="store_true", help="tell each change")


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    options = make_parser().parse_args(arguments.two_dashes(words))
    from crdscache.commands import bestrefs, reader

    return reader.run("safe_bestrefs", options, lambda found: bestrefs.run(found.config, options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
