"""Best references for a list of data sets of any length, in shards; needs no writer's lock and runs beside a sync."""


rule bestrefs_split:
    """Cut the list into shards, and settle the one context for all of them (internal)."""
    input:
        datasets=config["bestrefs_list"] or [],
    output:
        shards=shards("bestrefs/{batch}/{shard}.list"),
        context="bestrefs/{batch}/context",
    log:
        "logs/bestrefs-{batch}-split.log",
    conda:
        "../envs/bestrefs.yaml"
    params:
        context=config["held_context"],
    message:
        "Cut {input.datasets} into shards, for {params.context}."
    script:
        "../scripts/bestrefs_split.py"


rule bestrefs_shard:
    """Assign best references to one shard of a list; a receipt and an answer for each data set (internal)."""
    input:
        datasets="bestrefs/{batch}/{shard}.list",
        context="bestrefs/{batch}/context",
    output:
        receipts="bestrefs/{batch}/{shard}.tsv",
        answers="bestrefs/{batch}/{shard}.jsonl",
    log:
        "logs/bestrefs-{batch}-{shard}.log",
    conda:
        "../envs/bestrefs.yaml"
    params:
        types=config["bestrefs_types"],
        updates=config["update_bestrefs"],
    message:
        "Assign best references to shard {wildcards.shard} of {wildcards.batch}."
    script:
        "../scripts/bestrefs_shard.py"
