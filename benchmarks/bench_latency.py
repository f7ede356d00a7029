"""A server far away, 50 ms for each answer: the rules of a context, and 400 references."""

import harness

LATENCY_S = 0.05
TYPES = ("darkfile", "flatfile", "illmfile", "idctab", "zprattab")  # of nicmos: 400 files
FETCH = ("--contexts", harness.CONTEXT, "--instruments", "nicmos", "--types", *TYPES, "--fetch-references")


def main() -> None:
    """Run ours and the peer's in turn, and curl with as many connections as we have."""
    harness.introduce("latency")
    with harness.site(LATENCY_S) as site:
        rules = [site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT)]
        peer_rules = [site.peer("peer", "sync", "--contexts", harness.CONTEXT)]
        ours = [site.ours("ours", "cron_sync", *FETCH)]
        fetched = harness.references(site, "ours")
        names = [path.name for path in fetched]
        times = [path.stat().st_mtime for path in fetched]
        peer = [site.peer("peer", "sync", "--files", *names)]
        # It opens all connections at once, as we do; else it waits whether one can be shared.
        floor = [
            harness.curl(site, names, "--parallel", "--parallel-immediate", "--parallel-max", "16")
            for _ in range(3)
        ]
    harness.show(f"rules of {harness.CONTEXT}, empty cache", rules, peer_rules, "at most 0.5 x the peer")
    harness.show(f"{len(names)} references", ours, peer, "at most 0.2 x the peer")
    transfers_s, curl_s = max(times) - min(times) + LATENCY_S, min(one.wall_s for one in floor)
    print(f"  transfers alone {transfers_s:.2f} s, curl with 16 connections {curl_s:.2f} s")
    print(f"  ratio {transfers_s / curl_s:8.3f}")
    print("  goal  at most 1.5 x curl")


if __name__ == "__main__":
    main()
