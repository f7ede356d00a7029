"""A context as it lies, as a list of sums. Never part of target all."""


rule context_list:
    """List all mappings and references of a context for sha1sum -c, if all are here and right; asks no server."""
    output:
        list="contexts/{context}.sha1",
    log:
        "logs/context_list-{context}.log",
    conda:
        "../envs/cache.yaml"
    params:
        run=config["run_id"],
    message:
        "List the files of {wildcards.context}."
    script:
        "../scripts/context_list.py"
