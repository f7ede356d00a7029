"""The page for people: a job brings together what is known of the cache, Snakemake's report makes a page of it."""

config["opening"] = page_opening()


rule report_data:
    """Bring together what the page for people shows: tables, plots, and what it opens with."""
    output:
        opening="opening.json",
        verdicts="verdicts.tsv",
        files_plot=page_plot("files", "1 Files", "files and bytes by instrument and type"),
        files=page_table("files", "1 Files", "files and bytes by instrument and type"),
        coverage_plot=page_plot("coverage", "1 Files", "when files were read last"),
        coverage=page_table("coverage", "1 Files", "when files were read last"),
        bad=page_table("bad", "2 What is wrong", "bad files"),
        failures=page_table("failures", "2 What is wrong", "failures of the last runs"),
        pending=page_table("pending", "2 What is wrong", "files not delivered yet"),
        rejected=page_table("rejected", "2 What is wrong", "rejected files"),
        dark=page_table("dark", "3 Room", "dark files"),
        purgeable=page_table("purgeable", "3 Room", "what a purge would take away"),
        trash=page_table("trash", "3 Room", "trash"),
        switches=page_table("switches", "4 History", "changes of the default context"),
        affected=page_table("affected", "4 History", "lists of affected data sets"),
        runs=page_table("runs", "4 History", "the last runs"),
    log:
        "logs/report_data.log",
    conda:
        "../envs/report.yaml"
    params:
        run=config["run_id"],
    message:
        "Bring together what the page shows."
    script:
        "../scripts/report_data.py"
