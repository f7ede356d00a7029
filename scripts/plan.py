"""Rule plan: decide from one reading of the directories what to do with each file that the contexts need."""

from functools import partial
from pathlib import Path

from crdscache.assignment import needs
from crdscache.cache import adopt, answer, check, identity, locks, plan, rules, tables
from crdscache.errors import DiskError
from crdscache.server import rpc
from crdscache.workflow import joblog, settings, steps

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    locks.require_held(0, config.cache)
    said = answer.load(config.cache.state, config.cache.observatory)
    disk = steps.disk(config, said)
    stamp = identity.admit(config.cache, config.server_url, config.use_case)
    promise = steps.promise(config, said, stamp)
    with rpc.RpcClient(config.server_url, config.patience) as server:
        wanted = needs.Wanted(config.dataset_files, config.dataset_ids)
        load = rules.loader(config.cache.mappings)
        needed = needs.find(wanted, said.chosen.contexts, load, server, said.info.max_headers_per_rpc)
        scope = steps.scope(config, said, stamp, needed.references)
        drawn = plan.draw_up(disk, scope, promise.holdings, needed.problems)
        drawn = steps.hold_back(config, drawn, partial(server.file_states, config.cache.observatory))
    plan.sweep(disk, drawn.rows, scope)
    if lack := steps.lack_of_space(config, drawn):
        raise DiskError(lack)
    tables.write_manifest(Path(snakemake.output.manifest), drawn.manifest)
    for path, rows in zip(snakemake.output.shards, plan.shard(drawn.rows, config.shards), strict=True):
        tables.write_plan(Path(path), rows)
    tables.write_sightings(Path(snakemake.output.sightings), drawn.sightings)
    tables.write_sightings(Path(snakemake.output.duplicates), adopt.duplicates(drawn.sightings))
    judged = check.of_plan(drawn, disk) if config.check_files else []
    tables.write_verdicts(Path(snakemake.output.verdicts), judged)
    plan.save_totals(Path(snakemake.output.totals), plan.totals(drawn))
