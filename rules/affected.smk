"""The data sets that a change of context affects: a job for each instrument whose rules differ, then list and mail."""


rule affected_instrument:
    """Compare two contexts over all data sets of one instrument; failures are rows (internal)."""
    output:
        affected="affected/{step}/{instrument}.tsv",
        undetermined="affected/{step}/{instrument}.undetermined.tsv",
        failed="affected/{step}/{instrument}.failed.tsv",
        tally="affected/{step}/{instrument}.json",
    log:
        "logs/affected-{step}-{instrument}.log",
    conda:
        "../envs/affected.yaml"
    params:
        step=affected_step,
        run=config["affected_report"] and config["affected_report"]["run_id"],
        catalog=[config[key] for key in ("catalog", "catalog_map")],
        counts=[config[key] for key in ("optimize_tables", "exposure_types", "datasets_since")],
    message:
        "Compare {wildcards.instrument} for {wildcards.step}."
    script:
        "../scripts/affected_instrument.py"


rule affected_ids:
    """Bring the results of all instruments together: list of products, tables, log, summary (internal)."""
    input:
        tallies=affected_parts("json"),
        affected=affected_parts("tsv"),
        undetermined=affected_parts("undetermined.tsv"),
        failed=affected_parts("failed.tsv"),
    output:
        ids="affected/{report}/ids.txt",
        compressed="affected/{report}/ids.txt.gz",
        affected="affected/{report}/affected.tsv",
        undetermined="affected/{report}/undetermined.tsv",
        failed="affected/{report}/failed.tsv",
        log="affected/{report}/log.txt",
        summary="affected/{report}/summary.json",
    log:
        "logs/affected_ids-{report}.log",
    conda:
        "../envs/affected.yaml"
    params:
        report=config["affected_report"],
    message:
        "Bring together what {wildcards.report} affects."
    script:
        "../scripts/affected_ids.py"


rule affected_mail:
    """Write the mail, and send it where that was asked for; the receipt says what came of it (internal)."""
    input:
        ids="affected/{report}/ids.txt",
        log="affected/{report}/log.txt",
        summary="affected/{report}/summary.json",
    output:
        mail="affected/{report}/mail.eml",
        receipt="affected/{report}/mail.json",
    log:
        "logs/affected_mail-{report}.log",
    conda:
        "../envs/affected.yaml"
    params:
        report=config["affected_report"],
    message:
        "Write the mail about {wildcards.report}."
    script:
        "../scripts/affected_mail.py"
