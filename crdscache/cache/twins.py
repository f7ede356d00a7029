"""Names that differ only in case: two files, but only one where the file system does not tell them apart."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from crdscache.cache import layout
from crdscache.contexts.records import Action, PlanRow


def refuse(rows: Sequence[PlanRow], root: Path, is_blind: Callable[[Path], bool]) -> list[PlanRow]:
    """Refuse files that would have one name: each would replace the other, in run after run.

    Parameters
    ----------
    is_blind : whether a directory ignores case; asked only where it matters
    """
    folded = [row.file.path.casefold() for row in rows]
    if len({*folded}) == len(rows):
        return [*rows]
    alike: dict[str, list[str]] = defaultdict(list)
    for row, path in zip(rows, folded, strict=True):
        alike[path].append(row.file.path)
    reasons = {
        path: f"{' and '.join(paths)} are one name on this file system: it ignores case"
        for path, paths in alike.items()
        if len(paths) > 1 and is_blind((root / paths[0]).parent)
    }
    return [
        replace(row, action=Action.WRONG, reason=reasons[path], source="") if path in reasons else row
        for row, path in zip(rows, folded, strict=True)
    ]


def ignores_case(directory: Path) -> bool:
    """Whether a directory takes names that differ only in case for one; found out without writing.

    A directory where there is nothing to find it out by is taken to be like its parent.
    """
    here: set[str] = set()
    with suppress(FileNotFoundError):
        here = {path.name for path in directory.iterdir()}
    for name in here:
        other = name.swapcase()
        if other not in here | {name}:
            return layout.status(directory / other) is not None
    return directory != directory.parent and ignores_case(directory.parent)
