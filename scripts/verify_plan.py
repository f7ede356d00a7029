"""Rule verify_plan: settle which files are to be read, and cut them into shards."""

from pathlib import Path

from crdscache.cache import tables, verify
from crdscache.workflow import joblog, settings, verifying

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    begun = verifying.begin(config, Path.cwd())
    verifying.save(begun, Path(snakemake.output.rows).parent)
    shards = verify.balance(begun.due, config.shards)
    for path, rows in zip(snakemake.output.shards, shards, strict=True):
        tables.write_manifest(Path(path), rows)
