"""Rule purge_estimate: tell what a purge would take away, and write the plan under its id."""

import sys

from crdscache.cache import answer, purgereport
from crdscache.workflow import joblog, purging, settings

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    made = purging.estimate(config, answer.load(config.cache.state, config.cache.observatory))
    purging.save(config, made)
    sys.stdout.write(purgereport.text(made, purging.totals(config, made)))
