import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crdscache.cache import layout, writers
from crdscache.cache.layout import Access, Layout
from crdscache.cache.writers import Writers
from crdscache.errors import StrangerError
from tests.caches import listing

OWNER, MEMBER, STRANGER, GROUP = 12345, 12346, 12347, 12350

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def cache() -> Iterator[Layout]:
    """Make a root with its state where other users can get: pytest's directories are closed."""
    with tempfile.TemporaryDirectory(prefix="crdscache-test-") as place:
        Path(place).chmod(0o755)
        made = layout.default_layout(Path(place) / "root", "hst")
        made.state.mkdir(parents=True)
        yield made


@contextmanager
def account(user: int, group: int, *groups: int) -> Iterator[None]:
    """Be another user of some groups."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(group)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def give(cache: Layout, mode: int) -> None:
    """Give all directories to an owner and a group."""
    for path in (cache.root, *cache.root.rglob("*")):
        os.chown(path, OWNER, GROUP)
        path.chmod(mode)


@pytest.mark.parametrize(
    ("mode", "access", "expected"),
    [
        (0o755, Access.AUTO, 0o022),
        (0o700, Access.AUTO, 0o022),
        (0o775, Access.AUTO, 0o002),
        (0o2775, Access.AUTO, 0o002),
        (0o2777, Access.AUTO, 0o002),
        (0o2755, Access.AUTO, 0o022),
        (0o1777, Access.AUTO, 0o022),
        (0o755, Access.GROUP_WRITES, 0o002),
        (0o2775, Access.OWNER_WRITES, 0o022),
        (0o2775, Access.GROUP_ONLY, 0o007),
        (0o2775, Access.GROUP_READS, 0o027),
        (0o2775, Access.OWNER_ONLY, 0o077),
    ],
)
def test_P18_umask_is_that_of_the_settings_or_else_as_the_root_says(
    mode: int, access: Access, expected: int, cache: Layout
) -> None:
    cache.root.chmod(mode)
    to_be_made = replace(cache, root=cache.root / "not" / "yet", access=access)

    assert writers.umask(replace(cache, access=access)) == expected
    assert writers.umask(to_be_made) == expected


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_P18_umask_of_the_caller_does_not_count(umask: int, cache: Layout) -> None:
    cache.root.chmod(0o2775)
    before = os.umask(umask)
    try:
        writers.settle_umask(cache)
        (cache.root / "mappings" / "hst").mkdir(parents=True)
        (cache.root / "mappings" / "hst" / "x").touch()
    finally:
        os.umask(before)

    modes = [stat.S_IMODE((cache.root / name).stat().st_mode) for name in ("mappings/hst", "mappings/hst/x")]
    assert modes == [0o2775, 0o664]


@pytest.mark.parametrize(("mode", "group"), [(0o755, None), (0o2775, os.getegid())])
def test_cache_is_that_of_who_owns_the_first_sign_of_it(cache: Layout, mode: int, group: int | None) -> None:
    cache.root.chmod(mode)
    sign = cache.root / "identity.json"

    nobody_yet = writers.present(cache, cache.root / "missing", sign)
    sign.touch()
    if os.geteuid() == 0:
        os.chown(sign, OWNER, GROUP)

    assert nobody_yet == Writers(os.geteuid(), group)
    assert writers.present(cache, cache.root / "missing", sign) == Writers(sign.stat().st_uid, group)


@as_root
@pytest.mark.parametrize(
    ("mode", "who"),
    [
        (0o755, (OWNER, OWNER)),
        (0o2775, (OWNER, OWNER, GROUP)),
        (0o2775, (MEMBER, MEMBER, GROUP)),
        (0o775, (MEMBER, GROUP)),
        (0o2775, (0, 0, GROUP)),
    ],
)
def test_P18_owner_and_members_of_the_group_may_write(mode: int, who: tuple[int, ...], cache: Layout) -> None:
    give(cache, mode)

    with account(*who):
        writers.require(cache, OWNER)


@as_root
@pytest.mark.parametrize(
    ("mode", "access", "who", "reason"),
    [
        (0o755, Access.AUTO, (0, 0), f"user {OWNER}; this is user root (0) in group root (0), whose files"),
        (0o755, Access.AUTO, (MEMBER, GROUP), f"user {OWNER}; this is user {MEMBER} in group {GROUP}, whose"),
        (
            0o2775,
            Access.AUTO,
            (0, 0),
            f"user {OWNER} or in group {GROUP}; this is user root (0)",
        ),
        (0o2775, Access.AUTO, (STRANGER, STRANGER), f"or in group {GROUP}; this is user {STRANGER} in group"),
        (0o2775, Access.OWNER_WRITES, (MEMBER, GROUP), f"written by user {OWNER}; this is user {MEMBER}"),
        (0o775, Access.AUTO, (MEMBER, MEMBER, GROUP), f"would be of group {MEMBER}, which the other writers"),
        (0o775, Access.AUTO, (OWNER, OWNER, GROUP), f"would be of group {OWNER}, which the other writers"),
    ],
)
def test_P18_whose_files_the_others_could_not_replace_is_refused_and_told_who_may(
    mode: int, access: Access, who: tuple[int, ...], reason: str, cache: Layout
) -> None:
    give(cache, mode)
    before = listing(cache.root)

    with account(*who), pytest.raises(StrangerError) as refused:
        writers.require(replace(cache, access=access), OWNER)

    assert reason in str(refused.value)
    assert listing(cache.root) == before
