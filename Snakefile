"""The writer's workflow: from what the server says to a cache that is current.

By hand, in this folder: `export CRDS_PATH=... CRDS_OBSERVATORY=hst; snakemake [TARGET]`.
"""

import sys

from snakemake.utils import min_version

min_version("9.27")
sys.dont_write_bytecode = True  # the checkout is code, and is never written to at run time

from crdscache.workflow import snakefile


configfile: f"{workflow.basedir}/config.yaml"


config.update(snakefile.run_settings(workflow, sys.argv))


include: "rules/common.smk"
include: "rules/sync.smk"
include: "rules/contexts.smk"
include: "rules/check.smk"
include: "rules/purge.smk"


onstart:
    snakefile.hold_writer_lock(config)


rule all:
    """Bring the cache up to date: rules, references where asked for, and the default context last."""
    input:
        commit="commit.json",
    log:
        "logs/all.log",
    conda:
        "envs/cache.yaml"
    script:
        "scripts/all.py"


rule init:
    """Set up a new cache: its stamp, the rules and the configuration, no references."""
    input:
        commit="commit.json",
    log:
        "logs/init.log",
    conda:
        "envs/cache.yaml"
    script:
        "scripts/init.py"
