"""Rule fetch: bring one shard of the plan into the cache; failures are rows, commit decides."""

from pathlib import Path

from crdscache.cache import layout, plan, tables
from crdscache.contexts.records import Action
from crdscache.server import fetch
from crdscache.workflow import joblog, settings

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    cache = config.cache
    rows = tables.read_plan(Path(snakemake.input.plan))
    to_fetch = [row for row in rows if row.action is Action.FETCH]
    if to_fetch:
        layout.settle_mode(
            cache, layout.find_mode(cache, config.new_mode), (row.file.instrument for row in to_fetch)
        )
    progress = joblog.Progress() if snakemake.config["on_terminal"] else None
    with fetch.Downloader(config.patience, config.connections) as downloader:
        receipts = downloader.bring_all([fetch.order(row, cache) for row in to_fetch], progress=progress)
    receipts += [plan.receipt_of(row) for row in rows if row.action is not Action.FETCH]
    tables.write_receipts(Path(snakemake.output.receipts), receipts)
