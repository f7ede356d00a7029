"""Rule bestrefs: end with status 1 if data sets failed, and name them."""

from pathlib import Path

from crdscache.assignment import batch
from crdscache.workflow import joblog, report

with joblog.job_log(snakemake.log[0]):
    report.end_by(batch.failures(map(Path, snakemake.input.receipts)))
