"""Rule verify_shard: read one shard of the files, and compare their sums with the catalogue."""

from pathlib import Path

from crdscache.cache import tables, verify
from crdscache.workflow import joblog, settings, verifying

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    rows = tables.read_manifest(Path(snakemake.input.rows))
    memory = verifying.journal(Path.cwd(), snakemake.wildcards.shard)
    progress = joblog.Progress() if snakemake.config["on_terminal"] else None
    tables.write_verdicts(
        Path(snakemake.output.verdicts), verify.hash_shard(rows, config.cache, memory, progress)
    )
