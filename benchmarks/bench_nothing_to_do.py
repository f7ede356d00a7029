"""A run that finds nothing to do: presence and length of 24,519 references are checked."""

import harness

ARGUMENTS = ("--contexts", harness.CONTEXT, "--fetch-references", "--check-files")
N_RUNS = 5


def main() -> None:
    """Fill a cache of each side, then time runs with nothing to do, ours and the peer's in turn."""
    harness.introduce("nothing to do")
    with harness.site() as site:
        site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT)
        site.ours("ours", "cron_sync", *ARGUMENTS)
        site.peer("peer", "sync", *ARGUMENTS)
        pairs = [
            (site.ours("ours", "cron_sync", *ARGUMENTS), site.peer("peer", "sync", *ARGUMENTS))
            for _ in range(N_RUNS)
        ]
    ours, peer = (list(side) for side in zip(*pairs, strict=True))
    goal = "at most 0.25 x the peer; at most 2 requests and no write in the cache (tested); below 250 MB"
    harness.show(f"best of {N_RUNS}", ours, peer, goal)


if __name__ == "__main__":
    main()
