"""A roll-back in a cache of 24,519 references, each of which is looked for before the default moves."""

import ast
import sys

import harness

FORMER = "hst_0728.pmap"
N_RUNS = 5


def default(site: harness.Site) -> str:
    """Read the default context of our cache."""
    text = (site.place / "ours" / "config" / "hst" / "server_config").read_text()
    return str(ast.literal_eval(text)["operational_context"])


def main() -> None:
    """Fill a cache with two contexts; then pin the older one, which is not timed, and roll back, in turn."""
    harness.introduce("roll-back")
    with harness.site() as site:
        site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT, FORMER)
        site.ours("ours", "cron_sync", "--contexts", harness.CONTEXT, FORMER, "--fetch-references")
        n_references = sum(1 for _ in (site.place / "ours" / "references" / "hst").iterdir())
        ours, start, client = [], [], []
        for _ in range(N_RUNS):
            site.ours("ours", "cron_sync", "--pin", FORMER)
            ours.append(site.ours("ours", "cron_sync", "--rollback"))
            if default(site) != harness.CONTEXT:
                sys.exit(f"rolled back to {default(site)}, {harness.CONTEXT} was expected")
            start.append(harness.timed([sys.executable, "-c", "pass"]))
            client.append(site.peer("ours", "list", "--operational-context"))
    print(f"{n_references} references are here")
    harness.show(
        f"cron_sync --rollback, best of {N_RUNS}; peer: python -c pass", ours, start, "1 s beyond it"
    )
    harness.show("the same; peer: crds list --operational-context", ours, client, "none")


if __name__ == "__main__":
    main()
