"""Rule repair: end with status 1 if something failed; the commit has told what."""

from pathlib import Path

from crdscache.cache import commit
from crdscache.workflow import joblog, report

with joblog.job_log(snakemake.log[0]):
    report.end_by(commit.load(Path(snakemake.input.commit)).failures)
