"""The readers' workflow: what only reads a cache. It needs no writer's lock, and a directory of its own.

By hand, in this folder: `export CRDS_PATH=... CRDS_OBSERVATORY=hst; snakemake -s readers.smk -d DIR TARGET`.
"""

import sys

from snakemake.utils import min_version

min_version("9.27")
sys.dont_write_bytecode = True  # the checkout is code, and is never written to at run time

from crdscache.workflow import snakefile


configfile: f"{workflow.basedir}/config.yaml"


config.update(snakefile.reader_settings(workflow))


include: "rules/common.smk"
include: "rules/bestrefs.smk"
include: "rules/verify.smk"
include: "rules/affected.smk"
include: "rules/page.smk"
include: "rules/report.smk"


report: "report/opening.rst"


# What is short, and what needs the way out, stays on this machine when others take jobs.
localrules:
    bestrefs,
    bestrefs_split,
    verify,
    verify_plan,
    affected,
    affected_ids,
    affected_mail,


onstart:
    snakefile.begin_reading(workflow, config, sys.argv)


rule bestrefs:
    """Assign best references to the data sets of bestrefs_list, in shards; status 1 if some failed."""
    input:
        receipts=shards(f"bestrefs/{config['batch']}/{{shard}}.tsv"),
    log:
        "logs/bestrefs.log",
    conda:
        "envs/bestrefs.yaml"
    message:
        "Tell which data sets failed."
    script:
        "scripts/bestrefs.py"


rule verify:
    """Compare the SHA-1 of what is here with the catalogue, as far as it was not done lately; status 1 if a file is wrong."""
    input:
        rows="verify/rows.tsv",
        due="verify/due.tsv",
        settled="verify/settled.tsv",
        begun="verify/begun.json",
        verdicts=shards("verdicts/{shard}.tsv"),
    log:
        "logs/verify.log",
    conda:
        "envs/cache.yaml"
    message:
        "Bring the verdicts together."
    script:
        "scripts/verify.py"


rule affected:
    """Tell which data sets the change from affected_old to affected_new affects; status 1 if some could not be compared."""
    input:
        receipt=affected_receipt(),
    log:
        "logs/affected.log",
    conda:
        "envs/affected.yaml"
    message:
        "Tell what could not be compared."
    script:
        "scripts/affected.py"
