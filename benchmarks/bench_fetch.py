"""Fetch all references of an hst context into a cache that has its rules: 24,519 of 2 KB."""

import harness

ARGUMENTS = ("--contexts", harness.CONTEXT, "--fetch-references")


def main() -> None:
    """Run ours and the peer's against one server."""
    harness.introduce("fetch")
    with harness.site() as site:
        ours = [
            site.ours("ours", "remote_cache_init", "--contexts", harness.CONTEXT),
            site.ours("ours", "cron_sync", *ARGUMENTS),
        ]
        floor = harness.curl(site, [path.name for path in harness.references(site, "ours")])
        peer = [site.peer("peer", "sync", *ARGUMENTS)]
    harness.show("set-up with the rules of the context", ours[:1], None, "-")
    harness.show("references of the context", ours[1:], peer, "at most 0.45 x the peer; below 250 MB")
    print(f"  curl  {floor.wall_s:8.2f} s wall, one connection, no sums, no fsync")


if __name__ == "__main__":
    main()
