"""A cache of which a purge may take something: the demo observatory's, or one made at random."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from crdscache.cache import answer, keep, layout, publish, purge, serverconfig
from crdscache.cache.answer import Answer
from crdscache.cache.keep import Kept
from crdscache.cache.layout import Layout, Mode
from crdscache.cache.manifest import Disk
from crdscache.cache.purge import Estimate
from crdscache.cache.rules import Rules
from crdscache.contexts import serverinfo
from crdscache.contexts.records import Keeping, Purging
from crdscache.contexts.selection import Wanted
from demo import observatory
from tests import written
from tests.caches import FORMER, OBSERVATORY
from tests.invariants import closure, references_of

CONTEXTS = (*observatory.CONTEXTS, observatory.EDIT_CONTEXT)
ALL_KINDS = Purging(mappings=True, references=True)
KEEPING = Keeping(
    last_n=0,
    pinned=(),
    default_days=0,
    max_percent=100,
    ignores_leases=False,
    trash_days=30,
    reserve_bytes=0,
)


@dataclass(frozen=True, slots=True)
class Site:
    """A cache, and what its server says."""

    cache: Layout
    raw: Mapping[str, object]
    wanted: Wanted = field(default_factory=Wanted)
    keeping: Keeping = KEEPING
    purging: Purging = ALL_KINDS
    mode: Mode = Mode.FLAT

    def says(self, **changes: object) -> "Site":
        """Let the server say something else."""
        return replace(self, raw={**self.raw, **changes})

    def asked(self, *contexts: str, **purging: bool) -> "Site":
        """Ask for contexts, and for what may go."""
        return replace(self, wanted=Wanted(contexts), purging=Purging(**purging) if purging else self.purging)

    def keeps(self, **changes: object) -> "Site":
        """Keep more."""
        return replace(self, keeping=replace(self.keeping, **changes))  # type: ignore[arg-type]

    @property
    def said(self) -> Answer:
        """Give the server's answer."""
        info = serverinfo.parse_server_info(dict(self.raw), OBSERVATORY)
        return answer.settle(info, self.wanted, is_first=False)

    def kept(self, pinned: str | None = None) -> Kept:
        """Tell what is kept."""
        return keep.find(self.cache, self.said, self.keeping, pinned)

    def estimate(self) -> Estimate:
        """Make an estimate."""
        said = self.said
        load = Rules(self.cache.mappings, said.catalogue, None, is_strict=True).load
        disk = Disk(self.cache, self.mode, said.catalogue, load)
        return purge.draw_up(disk, said, self.kept(), self.purging, self.keeping)

    def save(self, default: str) -> None:
        """Write the configuration, with a default of this cache."""
        info = serverinfo.parse_server_info(dict(self.raw), OBSERVATORY)
        saved = serverconfig.compose(info, written.SERVER, default)
        with serverconfig.staged(self.cache.config, saved) as aside:
            publish.rename_into_place(aside, self.cache.config / serverconfig.CONFIG_FILE)

    def goes(self) -> set[str]:
        """Name what would go."""
        return {row.name for row in self.estimate().rows}

    def here(self) -> set[str]:
        """Name all files that are here."""
        places = (self.cache.mappings, self.cache.references)
        return {path.name for place in places for path in place.rglob("*") if not path.is_dir()}

    def needs(self, *contexts: str) -> set[str]:
        """Name all that contexts need, found out without the code that is tested."""
        root = self.cache.root
        return {
            name
            for context in contexts
            for name in (
                *closure(self.cache.mappings, context),
                *references_of(root, OBSERVATORY, context),
            )
        }


def demo_site(demo_root: Path, root: Path, default: str = FORMER) -> Site:
    """Copy the demo observatory: all files of all contexts; no context was a default lately."""
    shutil.copytree(demo_root, root, ignore=shutil.ignore_patterns("datasets*"))
    cache = layout.default_layout(root, OBSERVATORY)
    cache.state.mkdir(parents=True)
    raw = written.raw_answer(demo_root, default, edit_context=default)
    made = Site(cache, raw).says(context_history=[["2001-01-01 00:00:00", default, "long ago"]])
    made.save(default)
    return made


def random_site(demo_root: Path, root: Path, chance: Random) -> Site:
    """Make a cache of random rules that share much, with files that nothing needs and some that are lost."""
    cache = layout.default_layout(root, OBSERVATORY)
    texts, references = _random_rules(chance)
    written.write(cache.mappings, texts)
    present = [name for name in references if chance.random() < 0.9]
    dark = [f"d{number:07}j_drk.fits" for number in range(chance.randrange(5))]
    written.write(
        cache.references, {name: name.encode() * chance.randrange(1, 9) for name in (*present, *dark)}
    )
    cache.config.mkdir(parents=True)
    cache.state.mkdir(parents=True)
    contexts = sorted(name for name in texts if name.endswith(".pmap"))
    files = {**texts, **dict.fromkeys(references, b"")}
    default = chance.choice(contexts)
    raw = written.raw_answer(demo_root, default)
    raw |= {
        "mappings": sorted(texts),
        "edit_context": chance.choice(contexts),
        "bad_files_list": sorted(name for name in references if chance.random() < 0.1),
        "context_history": [["2001-01-01 00:00:00", default, "long ago"]],
        "download_metadata": {
            name: {"size": str(len(data)), "sha1sum": written.sha1_of(data)} for name, data in files.items()
        },
    }
    made = Site(cache, raw)
    made.save(chance.choice(contexts))
    return made.asked(*chance.sample(contexts, chance.randrange(1, 3)))


def _random_rules(chance: Random) -> tuple[dict[str, bytes], list[str]]:
    names = [f"{letter}{number:07}j_drk.fits" for letter in "ab" for number in range(8)]
    geis = [f"e{number:07}u.r3{half}" for number in range(4) for half in "hd"]
    headers = [name for name in geis if name.endswith("h")]
    texts = {}
    rmaps = [f"hst_acs_type{number}_0001.rmap" for number in range(6)]
    for rmap in rmaps:
        texts[rmap] = written.mapping(rmap, *chance.sample([*names, *headers], chance.randrange(1, 6)))
    imaps = [f"hst_acs_{number:04}.imap" for number in range(1, 5)]
    for imap in imaps:
        texts[imap] = written.mapping(imap, *chance.sample(rmaps, chance.randrange(1, 4)))
    for number in range(1, 7):
        pmap = f"hst_{number:04}.pmap"
        texts[pmap] = written.mapping(pmap, *chance.sample(imaps, chance.randrange(1, 3)))
    return texts, [*names, *geis]
