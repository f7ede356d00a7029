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
        curl = fetch_with_curl(site)
        peer = [site.peer("peer", "sync", *ARGUMENTS)]
    harness.show("set-up with the rules of the context", ours[:1], None, "-")
    harness.show("references of the context", ours[1:], peer, "at most 0.6 x the peer; below 250 MB")
    print(f"  curl  {curl.wall_s:8.2f} s wall, one connection, no sums, no fsync")


def fetch_with_curl(site: harness.Site) -> harness.Timing:
    """Fetch the same files with curl, as the floor."""
    names = sorted(path.name for path in (site.place / "ours" / "references" / "hst").iterdir())
    urls = site.place / "urls"
    target = site.place / "curl"
    base = f"{site.url}/unchecked_get/references/hst/"
    urls.write_text("".join(f'url = "{base}{name}"\noutput = "{target / name}"\n' for name in names))
    target.mkdir()
    return harness.timed(["curl", "--silent", "--fail", "--config", str(urls)])


if __name__ == "__main__":
    main()
