"""Rule affected: end with status 1 if data sets, or the rules of an instrument, could not be compared."""

from pathlib import Path

from crdscache.affected import results
from crdscache.workflow import joblog, report

with joblog.job_log(snakemake.log[0]):
    for receipt in snakemake.input.receipt:
        report.end_by(results.problems(results.load_summary(Path(receipt).with_name("summary.json"))))
