"""What the rules share: the shards, and what the last plan said."""

from pathlib import Path

from crdscache.cache import plan


def shards(pattern):
    """Name one file per shard; other wildcards stay."""
    return expand(pattern, shard=range(config["shards"]), allow_missing=True)


def last_plan():
    """Tell what the last plan said, for a dry run: `snakemake -n` shows the messages of jobs."""
    path = Path("plan/totals.json")
    return str(plan.load_totals(path)) if path.exists() else "there is no plan yet"


wildcard_constraints:
    shard=r"\d+",
