"""Rule mappings: bring the rules of the contexts; a mapping gets its name when all that it names is here."""

from pathlib import Path

from crdscache.cache import answer, tables
from crdscache.cache.rules import Rules
from crdscache.server import fetch, mappings
from crdscache.workflow import joblog, settings, steps

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    cache = config.cache
    said = answer.load(cache.state, cache.observatory)
    cache.mappings.mkdir(parents=True, exist_ok=True)
    shelf = mappings.Shelf(cache.mappings, cache.mappings, said.catalogue)
    load = Rules(cache.mappings, said.catalogue, cache.state / steps.LINKS, shelf.find).load
    with fetch.Downloader(config.patience, config.connections) as downloader:
        receipts = shelf.bring(said.chosen.mappings, said.info.mapping_url, downloader, load)
    tables.write_receipts(Path(snakemake.output.receipts), shelf.put(receipts, load))
