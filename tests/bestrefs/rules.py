"""Small rules for tests of the engine, written as files have them and read back by our own parser."""

import re

from crdscache.bestrefs.answers import Answer, Cause, Failure
from crdscache.bestrefs.choose import Chooser, Load
from crdscache.bestrefs.rmaps import Rmap
from crdscache.contexts.mapping import Mapping, parse_mapping
from crdscache.errors import MissingMappingError
from demo import observatory

Parkey = tuple[str, ...] | tuple[tuple[str, ...], ...]

NAME = "hst_cos_flatfile_0001.rmap"
DATE = ("DATE-OBS", "TIME-OBS")
_KINDS = {"pmap": "PIPELINE", "imap": "INSTRUMENT", "rmap": "REFERENCE"}


def text_of(selector: str, parkey: Parkey, *, name: str = NAME, **more: object) -> str:
    """Write a mapping; its name tells observatory, instrument and type, `more` the rest of the header."""
    stem, _, level = name.rpartition(".")
    about, instrument, reftype = (*stem.split("_")[:3], "", "")[:3]
    header = {
        "derived_from": "made up",
        "filekind": reftype.upper(),
        "instrument": instrument.upper(),
        "mapping": _KINDS[level],
        "name": name,
        "observatory": about.upper(),
        "parkey": parkey,
    }
    return observatory.render(header | more, selector).decode()


def read(selector: str, parkey: Parkey, *, name: str = NAME, **more: object) -> Mapping:
    """Write a mapping and read it back."""
    return parse(text_of(selector, parkey, name=name, **more))


def parse(text: str) -> Mapping:
    """Read a mapping back under the name that it gives itself."""
    found = re.search("'name' : '(.+)'", text)
    assert found
    return parse_as(found[1], text.encode())


def parse_as(name: str, data: bytes) -> Mapping:
    """Read a mapping under any name."""
    return parse_mapping(name, data)


def rmap(selector: str, parkey: Parkey, *, name: str = NAME, **more: object) -> Rmap:
    """Make the rules of one type ready to be asked."""
    return Rmap(read(selector, parkey, name=name, **more))


def answer(rules: Rmap, **values: str) -> Answer:
    """Ask for a header that has conditioned values; `_` in a keyword stands for `-`."""
    return rules.choose({key.replace("_", "-"): value for key, value in values.items()})


def loader(*mappings: Mapping) -> Load:
    """Make a way to load these mappings and no others."""
    of_name = {mapping.name: mapping for mapping in mappings}

    def load(name: str) -> Mapping:
        if name not in of_name:
            raise MissingMappingError(name)
        return of_name[name]

    return load


def chooser(context: Mapping, *others: Mapping) -> Chooser:
    """Make a context that can be asked."""
    return Chooser(context.name, loader(context, *others))


def refused(parkey: str, value: str, why: str) -> Failure:
    """Write what a Match says of a value that it does not take."""
    return Failure(Cause.BAD_VALUE, f" parameter={parkey!r} value={value!r} is {why}")
