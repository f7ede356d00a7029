"""Rule context_list: list a context as it lies; no list where something of it is missing or wrong."""

import gc
import sys
from pathlib import Path

from crdscache.workflow import joblog, listed, report, settings

gc.disable()  # as in a sync: a catalogue is many small objects without cycles
with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    context = snakemake.wildcards.context
    problems = listed.record(config, context, Path(snakemake.output.list))
    if problems:
        sys.stderr.write(listed.cure(context, problems) + "\n")
    report.end_by(problems)
