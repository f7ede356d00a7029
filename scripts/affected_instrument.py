"""Rule affected_instrument: compare two contexts over the data sets of one instrument; failures are rows."""

from pathlib import Path

from crdscache.affected import instrument, results
from crdscache.bestrefs.choose import Chooser
from crdscache.cache import layout, lease, rules
from crdscache.server.rpc import RpcClient
from crdscache.workflow import joblog, reporting, settings

with joblog.job_log(snakemake.log[0]):
    config, step = settings.typed(snakemake.config), snakemake.params.step
    name = snakemake.wildcards.instrument
    files = instrument.Files(*map(Path, snakemake.output[:3]))
    with (
        lease.take(config.cache, step.old, step.new) as held,
        RpcClient(config.server_url, config.patience) as server,
    ):
        load = rules.loader(held.read, ignore_sums=config.ignore_mapping_checksum)
        comparer = instrument.Comparer(
            (Chooser(step.old, load), Chooser(step.new, load)),
            load,
            reporting.archive(snakemake.config, Path.cwd(), settings.environment()),
            reporting.comparison(snakemake.config),
            config.cache.reference_directory(layout.find_mode(config.cache, config.new_mode), name).joinpath,
            server,
            held.info.max_headers_per_rpc,
        )
        tally = comparer.compare(name, files, tells_unknown=name == step.instruments[0])
    results.save(Path(snakemake.output.tally), tally)
