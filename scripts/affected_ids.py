"""Rule affected_ids: bring the results of all instruments together."""

from pathlib import Path

from crdscache.affected import gather, results
from crdscache.workflow import affecting, joblog, settings

with joblog.job_log(snakemake.log[0]):
    config, report = settings.typed(snakemake.config), affecting.of_config(snakemake.config)
    tallies = {path: results.load(Path(path)) for path in snakemake.input.tallies}
    steps = [
        results.Step(
            step.old,
            step.new,
            step.when,
            step.why,
            tuple(tallies[f"affected/{step.name}/{each}.json"] for each in step.instruments),
        )
        for step in report.steps
    ]
    parts = gather.Parts(
        *(tuple(map(Path, snakemake.input[kind])) for kind in ("affected", "undetermined", "failed"))
    )
    summary = results.Summary(config.cache.observatory, config.use_case, report.when, 0, tuple(steps))
    gather.gather(gather.Report(Path(snakemake.output.ids).parent), parts, summary)
