"""Rule report_data: bring together what the page for people shows."""

from pathlib import Path

from crdscache.cache import tables
from crdscache.contexts import times
from crdscache.page import files, history, html, opening, plots
from crdscache.workflow import joblog, settings

with joblog.job_log(snakemake.log[0]):
    config, at = settings.typed(snakemake.config), times.now()
    survey = files.look(config, at)
    tables.write_verdicts(Path(snakemake.output.verdicts), survey.verdicts)
    everything = Path.cwd() / snakemake.output.verdicts
    for name, table in (files.tables(survey, everything) | history.tables(config, at)).items():
        html.write(Path(snakemake.output.get(name)), table)
    plots.files(survey, Path(snakemake.output.files_plot))
    plots.coverage(survey, Path(snakemake.output.coverage_plot))
    opening.save(Path(snakemake.output.opening), opening.facts(config, survey, at))
