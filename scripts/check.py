"""Rule check: tell what is wrong with the files of the contexts; status 1 if something is."""

import sys
from pathlib import Path

from crdscache.cache import check, checkreport, tables
from crdscache.workflow import joblog, report

with joblog.job_log(snakemake.log[0]):
    rows = tables.read_manifest(Path(snakemake.input.manifest))
    verdicts = tables.read_verdicts(Path(snakemake.input.verdicts))
    sys.stdout.write(checkreport.text(rows, verdicts))
    report.end_by(check.failures(verdicts))
