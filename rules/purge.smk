"""What no kept context reaches: an estimate, and the purge that carries it out. Never part of target all."""


rule purge_estimate:
    """Tell what a purge would take away, in files and bytes; nothing in the cache is changed."""
    input:
        info="server_info.json",
        contexts="contexts.json",
        catalogue="catalogue.tsv",
        receipts="mappings.tsv",
    output:
        totals="purge/estimate.json",
    log:
        "logs/purge_estimate.log",
    conda:
        "../envs/cache.yaml"
    params:
        run=config["run_id"],
    message:
        f"Estimate a purge. The last one: {last_estimate()}."
    script:
        "../scripts/purge_estimate.py"


rule purge:
    """Carry out the estimate that --config purge_plan=ID names; the files go to the trash."""
    input:
        totals="purge/estimate.json",
    log:
        "logs/purge.log",
    conda:
        "../envs/cache.yaml"
    params:
        plan=config["purge_plan"],
    message:
        f"Purge {config['purge_plan'] or 'nothing, as no estimate is named'}. The last: {last_estimate()}."
    script:
        "../scripts/purge.py"
