"""The contexts of a run, leased, each with its rules read once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdscache.assignment.session import Allowed, Session
from crdscache.cache import layout, lease
from crdscache.cache.layout import Mode
from crdscache.errors import ContextError, MappingError, SettingsError
from tests.caches import FORMER, LATEST
from tests.readers import copy_of


@pytest.fixture
def session(demo_root: Path) -> Iterator[Session]:
    cache = layout.default_layout(demo_root, "hst")
    with lease.take(cache) as held:
        yield Session(cache, Mode.FLAT, held, Allowed())


def test_a_context_is_held_and_its_rules_are_read_once_whatever_it_is_called(session: Session) -> None:
    default = session.assigner(None)
    former = session.assigner(FORMER)

    assert [session.assigner(name) for name in (LATEST, "hst-operational", "hst-2024-02-03")] == [default] * 3
    assert (default.chooser.context, former.chooser.context) == (LATEST, FORMER)
    assert session.held.contexts == (LATEST, FORMER)


def test_what_is_no_context_or_not_there_is_told_and_not_held(session: Session) -> None:
    for name, error in (("hst_9999.pmap", ContextError), ("hst_acs_0001.imap", SettingsError)):
        with pytest.raises(error, match=name):
            session.assigner(name)

    assert session.held.contexts == ()


@pytest.mark.parametrize("wrong_sums", [False, True])
def test_S15_a_root_with_a_wrong_sum_is_used_only_where_that_is_allowed(
    demo_root: Path, tmp_path: Path, *, wrong_sums: bool
) -> None:
    root = copy_of(demo_root, tmp_path / "cache")
    path = root / "mappings" / "hst" / LATEST
    text = path.read_text()
    path.unlink()
    path.write_text(text.replace("'WFPC2'", "'WFPC3'"))
    cache = layout.default_layout(root, "hst")

    with lease.take(cache) as held:
        session = Session(cache, Mode.FLAT, held, Allowed(wrong_sums=wrong_sums))
        if wrong_sums:
            assert session.assigner(None).chooser.context == LATEST
        else:
            with pytest.raises(MappingError, match=rf"{LATEST}: the sum in its header is "):
                session.assigner(None)
