"""What is wrong with the files of the cache, by the plan's own look at them; nothing is fetched but rules."""


rule check:
    """Tell by presence and length, of mappings by SHA-1, what is wrong with the cache; status 1 if something is."""
    input:
        manifest="manifest.tsv",
        verdicts="verdicts/check.tsv",
    log:
        "logs/check.log",
    conda:
        "../envs/cache.yaml"
    message:
        f"Check. The last plan: {last_plan()}."
    script:
        "../scripts/check.py"


rule repair:
    """Replace what is known to be wrong, by length or by the last verify; the bad copies go to the trash."""
    input:
        commit="commit.json",
    log:
        "logs/repair.log",
    conda:
        "../envs/cache.yaml"
    message:
        f"Tell what could not be repaired. The last plan: {last_plan()}."
    script:
        "../scripts/repair.py"
