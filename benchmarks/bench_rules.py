"""All rules of the 60 packed hst contexts into an empty cache."""

import harness


def main() -> None:
    """Run ours and the peer's against one server."""
    harness.introduce("all rules")
    with harness.site() as site:
        ours = [site.ours(f"ours{number}", "remote_cache_init", "--all") for number in range(3)]
        peer = [site.peer("peer", "sync", "--all")]
        n_files = len(list((site.place / "ours0" / "mappings" / "hst").iterdir()))
    harness.show(f"{n_files} mappings", ours, peer, "at most 0.4 x the peer; below 250 MB")


if __name__ == "__main__":
    main()
