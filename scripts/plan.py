"""Rule plan: decide from one reading of the directories what to do with each file that the contexts need."""

from functools import partial
from pathlib import Path

from crdscache.cache import answer, identity, plan, tables
from crdscache.server import rpc
from crdscache.workflow import joblog, settings, steps

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    said = answer.load(config.cache.state, config.cache.observatory)
    disk = steps.disk(config, said)
    promise = steps.promise(config, said, identity.admit(config.cache, config.server_url, config.use_case))
    scope = steps.scope(config, said)
    drawn = plan.draw_up(disk, scope, promise.holdings)
    with rpc.RpcClient(config.server_url, config.patience) as server:
        drawn = steps.hold_back(drawn, partial(server.file_states, config.cache.observatory))
    plan.sweep(disk, drawn.rows, scope)
    tables.write_manifest(Path(snakemake.output.manifest), drawn.manifest)
    for path, rows in zip(snakemake.output.shards, plan.shard(drawn.rows, config.shards), strict=True):
        tables.write_plan(Path(path), rows)
    plan.save_totals(Path(snakemake.output.totals), plan.totals(drawn))
