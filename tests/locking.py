"""A writer of another kind beside ours, that holds the lock as long as a test wants."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from crdscache.contexts import times
from tests.caches import Cache


@contextmanager
def writer_lock(cache: Cache) -> Iterator[str]:
    """Hold the lock as a writer of ours would; yields how it is named."""
    card = {
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "started": times.now(),
        "command": "cron_sync",
        "run_id": "20260101T000000Z-abcdef",
    }
    (cache.state / "writer.json").write_text(json.dumps(card))
    with (cache.root / "crds.sync.lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield f"cron_sync (host {card['host']}, PID {card['pid']}, since {card['started']} UTC)"
