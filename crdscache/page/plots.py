"""The plots of the page: SVG, in colours that the colour-blind tell apart. The only user of matplotlib."""

from collections import Counter
from collections.abc import Container
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crdscache.page.files import AGES, NEVER, RULES, Survey

mpl.rcParams["svg.fonttype"] = "none"  # text stays text: small, and can be searched
mpl.rcParams["svg.hashsalt"] = "crdscache"  # the same figures give the same bytes
mpl.rcParams["text.parse_math"] = False  # a name with $ is no formula

# Okabe and Ito's colours.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999")
_GB = 1e9
_OTHERS = "other types"


def files(survey: Survey, path: Path) -> None:
    """Draw files and bytes by instrument, the types with the most bytes apart."""
    by_type = Counter[str]()
    for (_, reftype), share in survey.parts.items():
        by_type[reftype] += share.size_bytes
    by_type.pop("", None)
    named = [reftype for reftype, _ in by_type.most_common(len(_COLOURS) - 1)]
    instruments = sorted({instrument for instrument, _ in survey.parts} - {RULES}, reverse=True)
    figure = Figure(figsize=(11, 1.8 + 0.35 * len(instruments)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    n_files, gigabytes = [0.0] * len(instruments), [0.0] * len(instruments)  # where the next piece begins
    for reftype, colour in zip((*named, _OTHERS), (*_COLOURS[: len(named)], _COLOURS[-1]), strict=True):
        reftypes = by_type.keys() - named if reftype == _OTHERS else {reftype}
        for axes, starts, unit in ((left, n_files, 0), (right, gigabytes, 1)):
            widths = [_sum(survey, instrument, reftypes)[unit] for instrument in instruments]
            axes.barh(instruments, widths, left=starts, color=colour, label=reftype)
            starts[:] = [start + width for start, width in zip(starts, widths, strict=True)]
    _name(left, "files")
    _name(right, "size in GB (10⁹ bytes)")
    left.set_ylabel("instrument")
    right.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="type", frameon=False)
    _save(figure, path)


def _sum(survey: Survey, instrument: str, reftypes: Container[str]) -> tuple[float, float]:
    """Add up files, and bytes in GB, of some types of an instrument."""
    shares = [survey.parts[key] for key in survey.parts if key[0] == instrument and key[1] in reftypes]
    return float(sum(one.n_files for one in shares)), sum(one.size_bytes for one in shares) / _GB


def coverage(survey: Survey, path: Path) -> None:
    """Draw how many files and bytes were read how long ago; those never read have a colour of their own."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    ages, colours = AGES[::-1], ["#D55E00" if age == NEVER else "#0072B2" for age in AGES[::-1]]
    left.barh(ages, [survey.ages[age].n_files for age in ages], color=colours)
    right.barh(ages, [survey.ages[age].size_bytes / _GB for age in ages], color=colours)
    _name(left, "files")
    _name(right, "size in GB (10⁹ bytes)")
    left.set_ylabel("read last, how long ago")
    _save(figure, path)


def _name(axes: Axes, unit: str) -> None:
    axes.set_xlabel(unit)
    axes.set_xlim(left=0)
    axes.grid(axis="x", alpha=0.4)
    axes.set_axisbelow(True)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None})
