"""What Snakemake leaves in the directory where it ran, and never removes itself."""

from base64 import urlsafe_b64decode
from pathlib import Path

_OF_OUTPUTS = (".snakemake/metadata/*", ".snakemake/incomplete/*")


def prune(directory: Path, keep: int) -> None:
    """Remove the oldest of its logs, and what it has noted of outputs that are gone.

    It makes an output that is gone anew, whatever it has noted: only an output that is there needs its note.
    """
    for path in sorted(directory.glob(".snakemake/log/*.log"), key=lambda path: path.name)[:-keep]:
        path.unlink(missing_ok=True)
    for path in (path for pattern in _OF_OUTPUTS for path in directory.glob(pattern)):
        output = _output(path.name)
        if output is not None and not (directory / output).exists():
            path.unlink(missing_ok=True)


def _output(name: str) -> str | None:
    """Tell which output a note is of; None where its name does not say."""
    if name.startswith("@"):  # a directory, with the rest of a very long path
        return None
    try:
        return urlsafe_b64decode(name).decode()
    except ValueError:
        return None
