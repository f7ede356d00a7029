"""How long an operator waits for `cron_sync --help`."""

import harness

N_RUNS = 10


def main() -> None:
    """Time both sides in turn."""
    harness.introduce("start")
    command = [str(harness.CHECKOUT / "bin" / "cron_sync"), "--help"]
    ours = [harness.timed(command) for _ in range(N_RUNS)]
    peer = [harness.timed([str(harness.CLIENT), "sync", "--help"]) for _ in range(N_RUNS)]
    harness.show(f"cron_sync --help, best of {N_RUNS}", ours, peer, "below 0.2 s")


if __name__ == "__main__":
    main()
