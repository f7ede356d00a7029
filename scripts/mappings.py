"""Rule mappings: bring the rules of the contexts; a mapping gets its name when all that it names is here."""

from pathlib import Path

from crdscache.cache import answer, hashes, locks, supply, tables
from crdscache.cache.rules import Rules
from crdscache.server import fetch, mappings
from crdscache.workflow import joblog, settings, steps

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    cache = config.cache
    locks.require_held(0, cache)
    said = answer.load(cache.state, cache.observatory)
    cache.mappings.mkdir(parents=True, exist_ok=True)
    mend = steps.mender(config, snakemake.config["run_id"])
    shelf = mappings.Shelf(cache.mappings, cache.mappings, said.catalogue, mend)
    load = Rules(cache.mappings, said.catalogue, cache.state / steps.LINKS, shelf.find).load
    ends, n_at_a_time = snakemake.config["ends"], config.connections
    chosen, base_url = said.chosen, said.info.mapping_url
    with fetch.of_run(cache, config.patience, config.transfers, n_at_a_time, ends) as downloader:
        receipts = shelf.bring(chosen.mappings, base_url, downloader, load, chosen.lone_mappings)
    receipts = shelf.put(receipts, load)
    records = said.catalogue.records
    rows = [mend.mapping(records[receipt.name]) for receipt in receipts if receipt.name in records]
    supply.remember(cache, cache.state / hashes.FILE, rows, receipts)
    tables.write_receipts(Path(snakemake.output.receipts), receipts)
