"""`remote_cache_init`: set up a new cache: its stamp, all rules and the configuration, no references."""

import gc
import sys
from collections.abc import Sequence

from crdscache.commands import arguments

_EXAMPLES = """\
  remote_cache_init                                rules of all contexts into an empty $CRDS_PATH
  remote_cache_init --contexts hst-operational     rules of the default context only
  remote_cache_init --rebind https://new.name      follow a server that was renamed

exit status: 0 done; 1 some files failed, and are named; 2 usage; 3 could not start or go on;
75 another writer is at work
"""


def main(words: Sequence[str]) -> int:
    """Run the command and give its exit status."""
    text = "Set up a new cache: all rules and the configuration, no references. Run again it is a plain sync."
    parser = arguments.parser("remote_cache_init", text, _EXAMPLES)
    parser.add_argument(
        "--rebind", metavar="URL", help="record that the server of this cache has this address now"
    )
    arguments.writer_options(parser, "all")
    gc.disable()  # as `cron_sync` does
    options = parser.parse_args(arguments.two_dashes(words))
    from crdscache.commands.writer import WriterRun

    return WriterRun("remote_cache_init", options, "init").main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
