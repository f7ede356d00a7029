"""The missions' own client and its wrapper scripts, as they come, on the cache of a test."""

from dataclasses import dataclass
from pathlib import Path

from tests.caches import Cache, Done, finish, start


@dataclass(frozen=True, slots=True)
class OldTools:
    """The commands of the missions' client."""

    programs: Path  # the directory where they lie

    def run(self, cache: Cache, command: str, *words: str | Path) -> Done:
        """Run one to its end, with the variables that our commands have."""
        environ = {**cache.environ, "PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(cache.home)}
        return finish(start([self.programs / command, *words], environ))
