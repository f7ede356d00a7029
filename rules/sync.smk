"""From what the server says to the switch of the default context. Each step reads what the step before wrote."""


rule query_server:
    """Ask the server what there is, and which contexts this run looks after (internal)."""
    output:
        info="server_info.json",
        contexts="contexts.json",
        catalogue="catalogue.tsv",
    log:
        "logs/query_server.log",
    conda:
        "../envs/cache.yaml"
    params:
        run=config["run_id"],
    message:
        "Ask {config[server_url]} what there is."
    script:
        "../scripts/query_server.py"


rule mappings:
    """Bring the rules of the contexts, leaves before roots (internal)."""
    input:
        info="server_info.json",
        contexts="contexts.json",
        catalogue="catalogue.tsv",
    output:
        receipts="mappings.tsv",
    log:
        "logs/mappings.log",
    conda:
        "../envs/cache.yaml"
    message:
        "Bring the rules that are missing."
    script:
        "../scripts/mappings.py"


rule plan:
    """Decide what to do with each file that the contexts need."""
    input:
        info="server_info.json",
        contexts="contexts.json",
        catalogue="catalogue.tsv",
        receipts="mappings.tsv",
    output:
        manifest="manifest.tsv",
        totals="plan/totals.json",
        shards=shards("plan/{shard}.tsv"),
        sightings="plan/sightings.tsv",
        duplicates="plan/duplicates.tsv",
        verdicts="verdicts/check.tsv",
    log:
        "logs/plan.log",
    conda:
        "../envs/cache.yaml"
    message:
        f"Plan. The last one: {last_plan()}."
    script:
        "../scripts/plan.py"


rule estimate:
    """Tell what would be fetched, in files and bytes by instrument and type; rules are brought, references are not."""
    input:
        shards=shards("plan/{shard}.tsv"),
    log:
        "logs/estimate.log",
    conda:
        "../envs/cache.yaml"
    message:
        f"Estimate. The last plan: {last_plan()}."
    script:
        "../scripts/estimate.py"


rule fetch:
    """Bring one shard of the plan into the cache, from trees or from the server; one receipt per file (internal)."""
    input:
        plan="plan/{shard}.tsv",
        duplicates="plan/duplicates.tsv",
    output:
        receipts="fetched/{shard}.tsv",
        sightings="adopted/{shard}.tsv",
    log:
        "logs/fetch-{shard}.log",
    conda:
        "../envs/cache.yaml"
    params:
        connections=connections_of_a_job(),
    message:
        f"Fetch shard {{wildcards.shard}}. The last plan: {last_plan()}."
    script:
        "../scripts/fetch.py"


rule commit:
    """Write the configuration, and switch the default context if all that it needs is here."""
    input:
        info="server_info.json",
        contexts="contexts.json",
        catalogue="catalogue.tsv",
        mappings="mappings.tsv",
        totals="plan/totals.json",
        sightings="plan/sightings.tsv",
        receipts=shards("fetched/{shard}.tsv"),
        seen=shards("adopted/{shard}.tsv"),
    output:
        summary="commit.json",
    log:
        "logs/commit.log",
    conda:
        "../envs/cache.yaml"
    params:
        run=config["run_id"],
    message:
        "Write the configuration; the default context moves last."
    script:
        "../scripts/commit.py"
