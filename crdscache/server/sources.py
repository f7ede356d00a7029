"""Where a file may be had from: the places of the setting, in its order."""

from dataclasses import dataclass

from crdscache.contexts import names

SERVER = "server"  # the word of the setting for the CRDS server itself

_USUAL = "/{branch}/{observatory}/{name}"


@dataclass(frozen=True, slots=True)
class Sources:
    """Mirrors, buckets, directories and the server, first of all the one to ask first.

    The catalogue decides whether what comes is right, whoever delivered it.

    Parameters
    ----------
    places
        Each the word `server`, or an absolute path or an http(s) address: that of a root laid out like the
        root of a cache, or a pattern with {name} in it, and {branch}, {observatory} and {instrument}.
    """

    places: tuple[str, ...] = (SERVER,)
    observatory: str = ""

    def addresses(self, name: str, server_url: str, instrument: str) -> tuple[str, ...]:
        """Give the addresses of one file; `server_url` is its address on the CRDS server."""
        if self.places == (SERVER,):  # the usual case, once for each file
            return (server_url,)
        branch = "mappings" if names.is_mapping(name) else "references"
        words = {"branch": branch, "observatory": self.observatory, "instrument": instrument, "name": name}
        return tuple(server_url if place == SERVER else _filled(place, words) for place in self.places)


def _filled(place: str, words: dict[str, str]) -> str:
    address = place if "{name}" in place else place.rstrip("/") + _USUAL
    for word, value in words.items():
        address = address.replace(f"{{{word}}}", value)
    return address


def is_local(address: str) -> bool:
    """Tell a path from an address on the network."""
    return address.startswith("/")


def origin(address: str) -> str:
    """Name who delivers from an address: scheme and host, or a directory."""
    return address.rpartition("/")[0] if is_local(address) else "/".join(address.split("/", 3)[:3])
