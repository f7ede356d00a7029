"""One live line on a terminal: files, bytes, rate and time left, over all jobs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

Tell = Callable[[int, int, int], None]


@contextmanager
def line(totals: Callable[[], tuple[int, int]], *, shown: bool) -> Iterator[Tell | None]:
    """Yield what `launch.run` tells progress to; None where no line is shown.

    Parameters
    ----------
    totals
        Gives the number of files and their bytes, once the first of them is done.
    """
    if not shown:
        yield None
        return
    columns = (
        TextColumn("{task.fields[n_files]}/{task.fields[of_files]} files"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, n_files=0, of_files="?")
        jobs: dict[int, tuple[int, int]] = {}

        def tell(job: int, n_files: int, size_bytes: int) -> None:
            if not jobs:  # the first file comes after the plan
                n_files, n_bytes = totals()
                progress.update(task, total=n_bytes, of_files=n_files)
            jobs[job] = (n_files, size_bytes)
            done_files, done_bytes = (sum(column) for column in zip(*jobs.values(), strict=True))
            progress.update(task, completed=done_bytes, n_files=done_files)

        yield tell
