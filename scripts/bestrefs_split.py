"""Rule bestrefs_split: cut the list into shards, and settle the one context for all of them."""

from pathlib import Path

from crdscache.assignment import batch
from crdscache.cache import lease, publish
from crdscache.errors import SettingsError
from crdscache.workflow import joblog, settings

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    if not snakemake.input.datasets:
        raise SettingsError("bestrefs_list is not set: --config bestrefs_list=FILE")
    shards = [Path(path) for path in snakemake.output.shards]
    with lease.take(config.cache, snakemake.params.context or snakemake.config["bestrefs_context"]) as held:
        publish.write_text(Path(snakemake.output.context), f"{held.contexts[0]}\n")
    for path, entries in zip(shards, batch.split(Path(snakemake.input.datasets), len(shards)), strict=True):
        batch.write_shard(path, entries)
