"""Rule bestrefs_shard: assign best references to one shard of a list; failures are rows."""

from pathlib import Path

from crdscache.assignment import batch
from crdscache.assignment.session import Allowed, Session
from crdscache.assignment.work import Task, Worker
from crdscache.cache import lease
from crdscache.workflow import joblog, settings

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    task = Task(Path(snakemake.input.context).read_text().strip(), updates=snakemake.params.updates)
    allowed = Allowed(config.allow_bad_rules, config.allow_bad_references, config.ignore_mapping_checksum)
    with lease.take(config.cache, task.context) as held:
        session = Session(config.cache, config.new_mode, held, allowed, snakemake.params.types)
        results = batch.do_shard(Worker(session, task), Path(snakemake.input.datasets))
        batch.write(results, Path(snakemake.output.receipts), Path(snakemake.output.answers))
