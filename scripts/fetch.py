"""Rule fetch: adopt and fetch one shard of the plan; failures are rows, commit decides."""

from functools import partial
from pathlib import Path

from crdscache.cache import hashes, locks, supply, tables
from crdscache.server import fetch
from crdscache.workflow import joblog, settings, steps

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    cache = config.cache
    locks.require_held(0, cache)
    rows = tables.read_plan(Path(snakemake.input.plan))
    duplicates = tables.read_sightings(Path(snakemake.input.duplicates))
    steps.make_room(config, rows)
    progress = joblog.Progress() if snakemake.config["on_terminal"] else None
    ends, n_at_a_time = snakemake.config["ends"], snakemake.params.connections
    with fetch.of_run(cache, config.patience, config.transfers, n_at_a_time, ends) as downloader:
        bring = partial(downloader.bring_rows, cache=cache, progress=progress)
        done = steps.supplier(config, snakemake.config["run_id"], duplicates, bring).do_shard(rows, progress)
    files = (row.file for row in rows)
    supply.remember(cache, cache.state / hashes.FILE, files, done.receipts, done.known)
    tables.write_sightings(Path(snakemake.output.sightings), done.sightings)
    tables.write_receipts(Path(snakemake.output.receipts), done.receipts)
