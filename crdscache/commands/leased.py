"""A program under a lease: what it is told of the cache, its signals, and how it ended."""

import os
import signal
from collections.abc import Mapping, Sequence

from crdscache.cache import layout, lease
from crdscache.cache.layout import Layout
from crdscache.commands.reader import Reader
from crdscache.errors import SettingsError

# With this address the missions' client asks nobody. Source: docs/protocol.md, "Environment".
SERVERLESS = "https://crds-serverless-mode.stsci.edu"

# All of them are passed on, but the last.
_HEARD = {
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
}
# Python ignores these, and a program would inherit that.
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
# bin/launch sets these for us, and keeps the caller's own under other names.
_OURS = ("PYTHONHOME", "PYTHONPATH", "PYTHONUTF8", "PYTHONCOERCECLOCALE", "PYTHONDONTWRITEBYTECODE")
_CALLERS = "CRDSCACHE_CALLERS_"


def run(found: Reader, asked: str | None, program: list[str]) -> int:
    """Run a program with a context held, and give its exit status, or 128 and the signal that ended it."""
    with lease.take(found.config.cache, found.context if asked is None else asked) as held:
        environ = environment(found.environ, found.config.cache, held.contexts[0])
        ended = _run(program, environ, held.descriptors)
    return ended if ended >= 0 else 128 - ended


def restored(callers: Mapping[str, str]) -> dict[str, str]:
    """Give an environment as it was before `bin/launch` made it ours."""
    own = {
        name: value for name, value in callers.items() if name not in _OURS and not name.startswith(_CALLERS)
    }
    return own | {
        name.removeprefix(_CALLERS): value for name, value in callers.items() if name.startswith(_CALLERS)
    }


def environment(callers: Mapping[str, str], cache: Layout, context: str) -> dict[str, str]:
    """Give a program its caller's environment, with this cache, read-only, as all it knows of CRDS."""
    own = restored(callers)
    usual = layout.default_layout(cache.root, cache.observatory)
    places = {
        "CRDS_MAPPATH_SINGLE": (cache.mappings, usual.mappings),
        "CRDS_REFPATH_SINGLE": (cache.references, usual.references),
        "CRDS_CFGPATH_SINGLE": (cache.config, usual.config),
    }
    own |= {name: str(place) for name, (place, where_usual) in places.items() if place != where_usual}
    return own | {
        "CRDS_PATH": str(cache.root),
        "CRDS_OBSERVATORY": cache.observatory,
        "CRDS_CONTEXT": context,
        "CRDS_READONLY_CACHE": "1",
        "CRDS_SERVER_URL": SERVERLESS,
    }


def _run(program: list[str], environ: Mapping[str, str], descriptors: Sequence[int]) -> int:
    # The program inherits the lease, for the case that we are killed. We keep it too: some shells (csh) close
    # what they inherit.
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)  # noqa: FBT003 (it takes no names)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, nobody hears of the end of a child
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        return _wait(_start(program, environ, before))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(program: list[str], environ: Mapping[str, str], mask: set[signal.Signals | int]) -> int:
    try:
        return os.posix_spawnp(program[0], program, environ, setsigmask=mask, setsigdef=_IGNORED_BY_PYTHON)
    except OSError as error:
        message = f"{program[0]}: {error.strerror}"
        raise SettingsError(message) from error


def _wait(child: int) -> int:
    while True:
        received = signal.sigwaitinfo(_HEARD)
        if received.si_signo == signal.SIGCHLD:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        elif received.si_code <= 0:  # sent by a process; what a terminal sends, the program has got itself
            os.kill(child, received.si_signo)
