"""Rule query_server: ask the server what there is, and settle which contexts this run looks after."""

from crdscache.cache import answer, identity
from crdscache.server import mappings, rpc, sources
from crdscache.workflow import joblog, listed, purging, settings

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    cache = config.cache
    stamp = listed.admit(config, set_up=snakemake.config["set_up"])
    with rpc.RpcClient(config.server_url, config.patience) as server:
        info = server.server_info(cache.observatory)
    identity.stamp(cache, stamp)
    places = sources.Sources(config.transfers.sources, cache.observatory)
    with mappings.lookout(cache.mappings, info.mapping_url, config.patience, places) as bring:
        answer.save(purging.settle(config, info, stamp, bring), cache.state)
