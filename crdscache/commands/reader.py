"""A run of a command that only reads a cache: it needs no server, no lock and no right to write."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crdscache.commands import ending, overrides
from crdscache.workflow import joblog, settings
from crdscache.workflow.settings import Settings


@dataclass(frozen=True, slots=True)
class Reader:
    """What a reading command has to go by."""

    config: Settings
    values: Mapping[str, Any]  # the same settings, for a workflow
    environ: Mapping[str, str]
    context: str | None  # what CRDS_CONTEXT asks for, where the command line does not; None: the default


def run(
    command: str,
    options: argparse.Namespace,
    body: Callable[[Reader], int],
    *,
    tells_busy: bool = True,
) -> int:
    """Put the settings together, do the work, and give the exit status; warnings go to standard error."""

    def work() -> int:
        joblog.warn(command)
        environ = settings.environment()
        resolved = settings.resolve(overrides.collect(options), environ, options.site)
        values = {key: setting.value for key, setting in resolved.items()}
        return body(Reader(settings.typed(values), values, environ, environ.get("CRDS_CONTEXT")))

    as_json = vars(options).get("json") is True  # elsewhere it is the name of a file, or not there
    return ending.run(command, work, tells_busy=tells_busy, as_json=as_json)
