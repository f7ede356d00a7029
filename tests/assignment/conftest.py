"""What readers of the demo observatory go by."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crdscache.assignment.session import Allowed, Session
from crdscache.assignment.work import Task, Worker
from crdscache.cache import layout, lease
from crdscache.cache.layout import Mode
from tests.caches import OBSERVATORY

NewWorker = Callable[..., Worker]


@pytest.fixture
def new_worker(demo_root: Path, request: pytest.FixtureRequest) -> NewWorker:
    """Give what makes a worker for a task; it reads the demo observatory, or another root."""

    def make(task: Task, *, root: Path = demo_root, reftypes: tuple[str, ...] = ()) -> Worker:
        cache = layout.default_layout(root, OBSERVATORY)
        held = lease.take(cache, task.context)
        request.addfinalizer(held.close)
        return Worker(Session(cache, Mode.FLAT, held, Allowed(), reftypes), task)

    return make
