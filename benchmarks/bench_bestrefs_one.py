"""Best references of one FITS file by a command, its start included: a dry run, and an update."""

import shutil

import bestrefs
import harness

N_RUNS = 7
UPDATE = "--update-bestrefs"


def main() -> None:
    """Time both sides in turn, each run on a copy of its own."""
    harness.introduce("best references of one file")
    with bestrefs.serverless() as site:
        bestrefs.write_files(site, site.place / "raw", n_files=1, n_extensions=2)
        for options in [(), (UPDATE,)]:
            pairs = [run(site, f"run{number}{''.join(options)}", options) for number in range(N_RUNS)]
            ours, peer = (list(side) for side in zip(*pairs, strict=True))
            work = " ".join(("safe_bestrefs --files F", *options))
            harness.show(f"{work}, best of {N_RUNS}", ours, peer, "at most 0.5 x the peer")


def run(site: harness.Site, name: str, options: tuple[str, ...]) -> tuple[harness.Timing, harness.Timing]:
    """Time both sides once."""
    ours, peer = (shutil.copytree(site.place / "raw", site.place / name / side) for side in ("ours", "peer"))
    timings = (
        site.ours(bestrefs.CACHE, "safe_bestrefs", "--files", str(*bestrefs.paths(ours)), *options),
        site.peer(
            bestrefs.CACHE, "bestrefs", "--readonly-cache", "--files", str(*bestrefs.paths(peer)), *options
        ),
    )
    bestrefs.require_same("headers", [*bestrefs.headers_of(ours)], [*bestrefs.headers_of(peer)])
    return timings


if __name__ == "__main__":
    main()
