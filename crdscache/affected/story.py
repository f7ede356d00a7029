"""Tells people what came of a change of context: the log, as the missions' client has it, and the mail."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from pprint import pformat

from crdscache.affected import results
from crdscache.affected.results import Disposition, Step, Summary, Tally
from crdscache.cache import tables

_WIDTH = 110


def log(summary: Summary, failed: Iterable[Path], undetermined: Iterable[Path]) -> Iterator[str]:
    """Give the lines of the log.

    Parameters
    ----------
    failed, undetermined
        The tables of all instruments.
    """
    for step in summary.steps:
        yield from _of_step(step)
    for path in failed:
        for name, instrument, reason in tables.read(path, "failed", results.FAILED):
            yield _line("ERROR", f"instrument='{instrument.upper()}' data='{_id(name)}' ::  {reason}")
    for path in undetermined:
        for name, instrument, reftype, _, error in tables.read(path, "undetermined", results.UNDETERMINED):
            prefix = f"instrument='{instrument.upper()}' type='{reftype.upper()}' data='{_id(name)}' ::  "
            yield _line("ERROR", f"{prefix}New: Bestref FAILED:  {error.removeprefix('error: ')}")
    yield _line("INFO", f"Affected products = {summary.n_affected}")
    yield _line("INFO", "Updated exposure counts:")
    yield from _table(
        {tally.instrument.upper(): _counts(tally) for tally in summary.tallies if _counts(tally)}
    )


def _of_step(step: Step) -> Iterator[str]:
    pair = f"'{step.old}' --> '{step.new}'"
    affects = {
        tally.instrument: [each.reftype for each in tally.types] for tally in step.tallies if tally.types
    }
    if affects:
        yield _line("INFO", f"Mapping differences from {pair} affect:")
        yield from _table(affects)
    else:
        yield _line("INFO", f"Mapping differences from {pair} affect no data sets.")
    since = {tally.instrument: tally.since for tally in step.tallies if tally.since is not None}
    if since:
        yield _line("INFO", f"Data sets before these days were left out for {pair}:")
        yield from _table(since)
    for tally in step.tallies:
        for each in tally.types:
            yield _line(
                "INFO", f"{tally.instrument} {each.reftype}: {each.what}: {each.n_affected} exposures"
            )
        n_told = f"{tally.n_datasets} data sets looked at, {tally.n_affected} affected"
        yield _line("INFO", f"{tally.instrument}: {n_told}")
        if tally.n_same_rows:
            yield _line(
                "INFO", f"{tally.instrument}: {tally.n_same_rows} left out, as their rows are the same"
            )
        for reason in filter(None, (tally.unread, tally.broken)):
            yield _line("ERROR", f"{tally.instrument}: not looked at: {reason}")


def _counts(tally: Tally) -> dict[str, int]:
    return {each.reftype: each.n_affected for each in tally.types if each.n_affected}


def _table(values: object) -> Iterator[str]:
    yield ""
    yield from pformat(values, width=_WIDTH).splitlines()


def _line(level: str, text: str) -> str:
    return f"CRDS - {level} -  {_in_one_line(text)}"


def _in_one_line(text: str) -> str:
    # Reasons quote databases and servers.
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _id(name: str) -> str:
    product, _, exposure = name.partition(":")
    return (product if product == exposure else name).lower()


def body(summary: Summary) -> str:
    """Give the text of the mail."""
    return "\n".join(map(_in_one_line, _body(summary))) + "\n"


def _body(summary: Summary) -> Iterator[str]:
    if len(summary.steps) > 1:
        yield f"{len(summary.steps)} changes of the default context."
        yield "A data set is in the list if any of them affects it."
    for step in summary.steps:
        when = f", on {step.when} UTC ({step.why})" if step.when else ""
        yield f"{summary.observatory} {summary.use_case}: {step.old} --> {step.new}{when}"
        yield ""
        if not step.tallies:
            yield "  No rules changed that data sets depend on."
        for tally in step.tallies:
            yield from _of_instrument(tally)
        yield ""
    if summary.disposition is Disposition.FAILED:
        yield "The data sets could not be read to their end, so there is no list."
        return
    yield f"{summary.n_affected} products in the list: associations, and exposures that are in none."
    broken = [tally.instrument for tally in summary.tallies if tally.broken]
    if broken:
        yield f"The list is without {', '.join(broken)}: the rules cannot be used."


def _of_instrument(tally: Tally) -> Iterator[str]:
    yield f"  {tally.instrument}: {tally.n_affected} of {tally.n_datasets} data sets affected"
    for each in tally.types:
        yield f"    {each.reftype}: {each.n_affected}  ({each.what})"
    if tally.since is not None:
        yield f"    before {tally.since} nothing was looked at"
    if tally.n_same_rows:
        yield f"    {tally.n_same_rows} left out, as the rows of their tables are the same"
    if tally.n_undetermined:
        yield f"    {tally.n_undetermined} undetermined: they had a reference, and now the look-up fails"
    if tally.n_failed:
        yield f"    {tally.n_failed} failed: their parameters cannot be used"
    for reason in filter(None, (tally.unread, tally.broken)):
        yield f"    NOT LOOKED AT: {reason}"
