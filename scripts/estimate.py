"""Rule estimate: tell what would be fetched, by instrument and type."""

import sys
from pathlib import Path

from crdscache.cache import plan, tables
from crdscache.workflow import joblog

with joblog.job_log(snakemake.log[0]):
    rows = [row for path in snakemake.input.shards for row in tables.read_plan(Path(path))]
    sys.stdout.write(plan.estimate(rows))
