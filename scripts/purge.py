"""Rule purge: carry out the estimate that is named, if nothing has changed that it rests on."""

from crdscache.cache import answer, locks
from crdscache.workflow import joblog, purging, report, settings

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    locks.require_held(0, config.cache)
    said = answer.load(config.cache.state, config.cache.observatory)
    deed = purging.carry_out(config, said, snakemake.config["run_id"])
    report.end_by(deed.failures)
