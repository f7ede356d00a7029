"""What the command lines have in common; imports nothing slow, so that `--help` comes at once."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from crdscache import __version__
from crdscache.errors import SettingsError

# An option of the old tools, one dash and a word; our parser wants two. A negative number is a value.
_ONE_DASH = re.compile(r"-[a-z][a-z0-9-]+(=.*)?", re.DOTALL)


def parser(command: str, text: str, examples: str, *, summary: bool = True) -> argparse.ArgumentParser:
    """Make a parser with the options that every command has; `--json` only where there is a `summary`."""
    made = argparse.ArgumentParser(
        prog=command,
        description=text,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"{command} of crdscache {__version__} (the missions' client has commands of the same names)"
    made.add_argument("--version", action="version", version=version)
    common = made.add_argument_group("common")
    common.add_argument(
        "--observatory", metavar="O", help="hst, jwst or roman; else CRDS_OBSERVATORY decides"
    )
    common.add_argument("--site", type=Path, metavar="FILE", help="settings of this site, over config.yaml")
    common.add_argument(
        "--config",
        action="append",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="one setting; see config.yaml",
    )
    if summary:
        common.add_argument("--json", action="store_true", help="the summary as data on standard output")
    return made


def writer_options(made: argparse.ArgumentParser, contexts_else: str) -> None:
    """Add the options of the commands that write a cache; `contexts_else` is what is meant without any."""
    contexts = made.add_argument_group("contexts", f"none of these: CRDS_CONTEXT, else {contexts_else}")
    contexts.add_argument("--all", action="store_true", help="all that the server distributes")
    contexts.add_argument(
        "--contexts",
        nargs="+",
        metavar="C",
        help="these: names, hst-operational, -latest, -edit, -versions, dates; rules: hst-acs-darkfile-edit",
    )
    contexts.add_argument("--last", type=int, metavar="N", help="the last N, and the server's default")
    contexts.add_argument("--range", metavar="A:B", help="by serial number, and the server's default")
    contexts.add_argument("--up-to-context", metavar="C", help="all up to C, and the server's default")
    contexts.add_argument("--after-context", metavar="C", help="all from C on, and the server's default")
    other = made.add_argument_group("other")
    other.add_argument("--dry-run", action="store_true", help="tell what would be done, in files and bytes")
    other.add_argument(
        "--verbose", action="store_true", help="name each file; say who is at work if we cannot be"
    )
    other.add_argument("--quiet", action="store_true", help="say nothing but what failed")
    other.add_argument("--cores", type=int, metavar="N", help="cores to use")


def count(word: str) -> int:
    """Read how many of something there are to be: one at least."""
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, found {word}")
    return number


def two_dashes(words: Sequence[str]) -> list[str]:
    """Give long options their second dash: `-all` means `--all`."""
    return [f"-{word}" if _ONE_DASH.fullmatch(word) else word for word in words]


def listed(words: Sequence[str]) -> list[str]:
    """List what is named, each once; `@FILE` stands for the lines of a file that do not begin with #.

    Raises
    ------
    SettingsError
        There is no such file.
    """
    found: dict[str, None] = {}
    for word in words:
        if not word.startswith("@"):
            found[word] = None
            continue
        try:
            lines = Path(word[1:]).read_text(encoding="utf-8", errors="surrogateescape").split("\n")
        except OSError as error:
            raise SettingsError(f"{word}: {error.strerror}") from error
        found.update(dict.fromkeys(line for line in lines if line.strip() and not line.startswith("#")))
    return list(found)
