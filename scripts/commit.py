"""Rule commit: write the configuration; the default context moves if all that it needs is here."""

from dataclasses import replace
from pathlib import Path

from crdscache.cache import adopt, answer, commit, identity, locks, plan, tables
from crdscache.workflow import joblog, settings, steps

with joblog.job_log(snakemake.log[0]):
    config = settings.typed(snakemake.config)
    locks.require_held(0, config.cache)
    said = answer.load(config.cache.state, config.cache.observatory)
    promise = steps.promise(config, said, identity.admit(config.cache, config.server_url, config.use_case))
    switch = commit.commit(
        steps.disk(config, said),
        said.info,
        config.server_url,
        promise,
        takes_default=said.chosen.takes_default,
        is_doubted=said.chosen.is_doubted,
    )
    tables_of_receipts = [snakemake.input.mappings, *snakemake.input.receipts]
    receipts = [receipt for path in tables_of_receipts for receipt in tables.read_receipts(Path(path))]
    totals = plan.load_totals(Path(snakemake.input.totals))
    problems = [*said.chosen.problems, *totals.problems]
    seen = adopt.settle(
        tables.read_sightings(Path(snakemake.input.sightings)),
        [row for path in snakemake.input.seen for row in tables.read_sightings(Path(path))],
    )
    if seen:
        tables.write_sightings(config.cache.state / "adoption.tsv", seen)
    kept, n_seen = (totals.n_keep, totals.keep_bytes), plan.counted(seen)
    run_id = snakemake.config["run_id"]
    summary = commit.summarise(run_id, switch, receipts, problems, kept=kept, n_seen=n_seen)
    commit.save(Path(snakemake.output.summary), replace(summary, refreshed=said.info.refreshed))
