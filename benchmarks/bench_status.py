"""What it costs a run over 40,000 references to tell how it ended: status.json, runs.tsv, metrics.prom."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import harness

sys.path.insert(0, str(harness.CHECKOUT))

from tests.faults import chaos

N_FILES = 40_000
N_RUNS = 10
GOAL_MS = 50
# What a run has imported by then is not counted; what it imports only to tell is.
TELL = """
import json, sys, time
from pathlib import Path
from crdscache.cache import layout
from crdscache.commands import preview, telling, writer
from crdscache.workflow import runs
cache = layout.default_layout(Path(sys.argv[1]), "hst")
last = runs.last(cache)
begin = time.perf_counter()
runs.record(cache, last.run, last.result, told=None)
recorded = time.perf_counter()
telling.renew_metrics(cache)
end = time.perf_counter()
print(json.dumps([(recorded - begin) * 1000, (end - recorded) * 1000]))
"""


def main() -> None:
    """Fill a cache, and tell how its last run ended, each time in a process of its own."""
    harness.introduce("status and metrics")
    with tempfile.TemporaryDirectory(prefix="crdscache-bench-") as place, chaos.serve(N_FILES) as server:
        site = harness.Site(server.url, Path(place))
        fetch = ("cron_sync", "--contexts", chaos.NEW, "--fetch-references")
        site.ours("ours", "remote_cache_init", "--contexts", chaos.NEW)
        site.ours("ours", *fetch)
        idle = min(site.ours("ours", *fetch).wall_s for _ in range(3))
        command = [sys.executable, "-c", TELL, str(Path(place) / "ours")]
        environ = {**site.environ("ours"), "PYTHONPATH": str(harness.CHECKOUT)}
        told = [
            json.loads(
                subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
            )
            for _ in range(N_RUNS)
        ]
        status_ms, metrics_ms = (sorted(times)[N_RUNS // 2] for times in zip(*told, strict=True))
        total_ms = status_ms + metrics_ms
        print(f"  status.json, runs.tsv  {status_ms:6.1f} ms (median of {N_RUNS})")
        print(f"  metrics.prom           {metrics_ms:6.1f} ms, its import included")
        print(f"  of a run with nothing to do, {idle * 1000:.0f} ms: {total_ms / idle / 1000:.1%}")
        print(f"  both {total_ms:.1f} ms, goal {GOAL_MS} ms: ratio {total_ms / GOAL_MS:.2f}")


if __name__ == "__main__":
    main()
