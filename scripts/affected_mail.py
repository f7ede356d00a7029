"""Rule affected_mail: write the mail, and send it where that was asked for."""

from pathlib import Path

from crdscache.affected import mailing, results
from crdscache.affected.letter import Limits
from crdscache.affected.mailing import Envelope
from crdscache.affected.spool import Spool
from crdscache.workflow import affecting, joblog, reporting, settings

with joblog.job_log(snakemake.log[0]):
    report = affecting.of_config(snakemake.config)
    route = reporting.mail_route(snakemake.config, settings.environment()) if report.sends else None
    limits = Limits(*reporting.mail_limits(snakemake.config))
    recipients = reporting.recipients(snakemake.config)
    envelope = Envelope(snakemake.config["mail_sender"], recipients, limits, route)
    place = Path(snakemake.output.mail).parent
    summary = results.load_summary(Path(snakemake.input.summary))
    mailing.post_report(place, summary, report.run_id, envelope, Spool(Path(affecting.MAIL).absolute()))
