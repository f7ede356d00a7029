"""A server of many small references that lies in every way that rows N know, and what a cache makes of it."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from demo import faults
from demo.faultplan import Fault
from demo.server import Server
from tests.caches import OBSERVATORY, Cache, Done
from tests.invariants import check_invariants
from tests.written import mapping

OLD, NEW = "hst_0001.pmap", "hst_0002.pmap"
DECOY = "b0000000j_drk.fits"  # served, of the right size, named by no context
SYNC = ("cron_sync", "--fetch-references")
# Silence is to be found out soon; three tries, so that some files are left for the next run.
SITE = "shards: 2\nconnections: 8\ntries: 3\nbackoff_s: 0.01\nread_timeout_s: 0.5\n"
_SIZE_BYTES = 2048
_PER_RMAP = 250
_OLD_PART = 20  # one reference of so many is one of the older context
_CUT = faults.truncate(1000)
_MOST = 5  # kinds of faults that one bad file meets

Command = Callable[..., Done]  # takes the name of a command, and its words

# Each kind once, by row of the fault matrix; where a part must have come first, so does what cuts it.
KINDS: dict[str, tuple[Fault, ...]] = {
    "N04 reset": (faults.reset(),),
    "N04 closed": (faults.close(),),
    "N04 reset in the body": (faults.reset_in_body(700),),
    "N05 cut": (_CUT,),
    "N06 cut, no length": (faults.truncate_unframed(1000),),
    "N07 shorter": (faults.shorter(3),),
    "N07 longer": (faults.longer(3),),
    "N08 longer, no length": (faults.longer_unframed(100_000),),
    "N09 negative length": (faults.content_length("-1"),),
    "N09 two lengths": (faults.content_length(f"{_SIZE_BYTES}|7"),),
    "N09 many headers": (faults.many_headers(200),),
    "N09 long headers": (faults.many_headers(10, 10_000),),
    "N09 not HTTP": (faults.not_http(),),
    "N10 no last chunk": (faults.truncate_chunked(1000),),
    "N10 bad chunk size": (faults.bad_chunk_size(),),
    "N11 drip": (faults.drip(),),
    "N12 silence": (faults.stall(),),
    "N12 silence in the headers": (faults.stall_in_headers(),),
    "N12 silence in the body": (faults.stall_in_body(700),),
    "N13 status 404": (faults.status(404),),
    "N13 status 410": (faults.status(410),),
    "N14 status 401": (faults.status(401),),
    "N14 status 403": (faults.status(403),),
    "N15 status 429, a second": (faults.status(429, "1"),),
    "N15 status 429, nonsense": (faults.status(429, "soon"),),
    **{f"N16 status {code}": (faults.status(code),) for code in (500, 502, 503, 504)},
    "N17 no end of redirects": (faults.hops(),),
    "N18 redirect to a file": (faults.redirect("file:///etc/passwd"),),
    "N18 redirect to nobody": (faults.redirect("http://localhost:9/"),),
    "N19 page": (faults.html(),),
    **{f"N20 status {code}": (faults.status(code),) for code in (203, 204, 206, 300, 304)},
    "N21 gzip": (faults.encoded("gzip"),),
    "N21 called br": (faults.encoded("br"),),
    "N21 called gzip": (faults.bad_gzip(),),
    "N22 gzip bomb": (faults.gzip_bomb(16 << 20),),
    "N23 one bit": (faults.flip(9),),
    "N23 another file": (faults.content_of(DECOY),),
    "N24 range ignored": (_CUT, faults.ignore_range()),
    "N24 wrong range": (_CUT, faults.wrong_content_range()),
    "N24 replaced meanwhile": (_CUT, faults.other_etag()),
    "N24 status 416": (_CUT, faults.status(416)),
}


@dataclass(frozen=True, slots=True)
class Run:
    """One plain run among many."""

    status: int
    took_s: float
    n_here: int  # references under their names after it


def reference_names(n_files: int) -> list[str]:
    """Name the references."""
    return [f"a{number:07}j_drk.fits" for number in range(n_files)]


def new_ones(named: list[str]) -> list[str]:
    """Choose those that only the newer context names."""
    return named[len(named) // _OLD_PART :]


def serve(n_files: int) -> Server:
    """Serve two contexts, the older of which is the default."""
    server = Server.empty()
    named = reference_names(n_files)
    server.add_reference(DECOY, _SIZE_BYTES)
    old, new = named[: n_files // _OLD_PART], new_ones(named)
    parts = [old, *(new[start : start + _PER_RMAP] for start in range(0, len(new), _PER_RMAP))]
    rmaps = [add_rmap(server, number, part) for number, part in enumerate(parts)]
    add_context(server, OLD, rmaps[:1])
    add_context(server, NEW, rmaps)
    server.archive.eras = [["2024-01-01 00:00:00", NEW, "all"], ["2023-01-01 00:00:00", OLD, "first"]]
    server.set_edit(NEW)
    server.set_default(OLD)
    return server


def add_rmap(server: Server, number: int, named: list[str]) -> str:
    """Serve some references, and an rmap of them; gives its name."""
    for name in named:
        server.add_reference(name, _SIZE_BYTES)
    rmap = f"hst_acs_darkfile_{number:04}.rmap"
    server.add_file(rmap, mapping(rmap, *named))
    return rmap


def add_context(server: Server, context: str, rmaps: list[str]) -> None:
    """Serve a context of some rmaps."""
    imap = context.replace("hst_", "hst_acs_").replace("pmap", "imap")
    server.add_file(imap, mapping(imap, *rmaps))
    server.add_file(context, mapping(context, imap))


def lie(server: Server, named: list[str], n_bad: int, *, seed: int) -> None:
    """Let so many of some files come wrongly, and each kind as often as any other.

    A bad file meets one to five kinds, one after another, and comes rightly then.
    """
    chance = random.Random(seed)
    kinds = _shuffled_for_ever(chance)
    for name in chance.sample(named, n_bad):
        server.faults.in_turn(name, [fault for _ in range(chance.randint(1, _MOST)) for fault in next(kinds)])


def _shuffled_for_ever(chance: random.Random) -> Iterator[list[Fault]]:
    """Give the kinds again and again, in another order each time, by their names above."""
    while True:
        for label, (*before, last) in chance.sample([*KINDS.items()], len(KINDS)):
            yield [*(replace(fault, kind="N05 cut") for fault in before), replace(last, kind=label)]


def played(server: Server) -> Counter[str]:
    """Count the faults so far, by kind."""
    counts: Counter[str] = Counter()
    for told, n_times in server.faults.played.items():
        counts[told.rpartition(" ")[0]] += n_times
    return counts


def set_up(cache: Cache, run: Command) -> None:
    """Make a cache that has all of the older context; then the newer one becomes the server's default."""
    (cache.home / "quick.yaml").write_text(SITE)
    for words in (("remote_cache_init",), SYNC):
        done = run(*words)
        assert done.status == 0, done
    cache.server.set_default(NEW)


def until_whole(cache: Cache, run: Command, named: list[str], *, most: int) -> Iterator[Run]:
    """Sync again and again, as cron would; after each run what is here must be right."""
    for _ in range(most):
        began = time.monotonic()
        done = run(*SYNC)
        took_s = time.monotonic() - began
        assert done.status in {0, 1}, done
        assert "Traceback" not in done.out + done.err, done
        check_invariants(cache.root, OBSERVATORY, cache.server)
        n_here = sum((cache.references / name).is_file() for name in named)
        yield Run(done.status, took_s, n_here)
        if n_here == len(named):
            return
