"""Rule verify: bring the verdicts together, write the lists of sums, end with status 1 if a file is wrong."""

import sys
from pathlib import Path

from crdscache.cache import tables
from crdscache.workflow import joblog, report, settings, verifying

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    begun = verifying.resume(Path(snakemake.input.rows).parent)
    found = [row for path in snakemake.input.verdicts for row in tables.read_verdicts(Path(path))]
    summary, told = verifying.end(config, snakemake.config["run_id"], Path.cwd(), begun, found)
    sys.stdout.write(told)
    report.end_by(summary.failures)
