"""The comprehensive check, in shards; it needs no writer's lock and no server, and runs beside a sync."""


rule verify_plan:
    """Settle which files are to be read: those that changed, and those that were read too long ago (internal)."""
    output:
        rows="verify/rows.tsv",
        due="verify/due.tsv",
        settled="verify/settled.tsv",
        begun="verify/begun.json",
        shards=shards("verify/{shard}.tsv"),
    log:
        "logs/verify_plan.log",
    conda:
        "../envs/cache.yaml"
    params:
        run=config["run_id"],
    message:
        "Settle which files are to be read."
    script:
        "../scripts/verify_plan.py"


rule verify_shard:
    """Read one shard of the files, and compare their sums with the catalogue (internal)."""
    input:
        rows="verify/{shard}.tsv",
    output:
        verdicts="verdicts/{shard}.tsv",
    log:
        "logs/verify-{shard}.log",
    conda:
        "../envs/cache.yaml"
    message:
        "Read shard {wildcards.shard}."
    script:
        "../scripts/verify_shard.py"
