"""What the rules share: the shards, what the last plan said, and what a report tells of."""

from pathlib import Path

from crdscache.cache import plan, purgereport
from crdscache.contexts import names
from crdscache.workflow import affecting


def shards(pattern):
    """Name one file per shard; other wildcards stay."""
    return expand(pattern, shard=range(config["shards"]), allow_missing=True)


def connections_of_a_job():
    """Share the connections of a run among the jobs that fetch at a time."""
    return max(1, config["connections"] // min(config["shards"], workflow.cores or 1))


def last_plan():
    """Tell what the last plan said, for a dry run: `snakemake -n` shows the messages of jobs."""
    path = Path("plan/totals.json")
    return str(plan.load_totals(path)) if path.exists() else "there is no plan yet"


def last_estimate():
    """Tell what the last estimate of a purge said."""
    path = Path("purge/estimate.json")
    return str(purgereport.load_totals(path)) if path.exists() else "there is no estimate yet"


def affected_step(wildcards):
    """Tell which change of context a directory is about."""
    told = affecting.of_config(config)
    return next(step for step in told.steps if step.name == wildcards.step)


def affected_parts(ending):
    """Name one kind of file of each instrument of each change that a report tells of."""

    def parts(wildcards):
        told = affecting.of_config(config)
        return [f"affected/{step.name}/{each}.{ending}" for step in told.steps for each in step.instruments]

    return parts


def affected_receipt():
    """Name the receipt of the mail; nothing where no contexts are compared."""
    told = affecting.of_config(config)
    return [] if told is None else [f"affected/{told.name}/mail.json"]


wildcard_constraints:
    context=r"\w[\w.-]*\.pmap",
    step=r"[\w.-]+__[\w.-]+",
    report=r"[\w.-]+__[\w.-]+",
    instrument="|".join(each for of_one in names.INSTRUMENTS.values() for each in of_one),
    shard=r"\d+",
