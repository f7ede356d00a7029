"""Random rules and headers that lean towards what the rules know, and to every oddity that they allow.

Each header is made from one of the rules' own rows and then spoiled a little, so that names, weights, merges,
fallbacks and failures all occur. Many headers of a case differ only in their time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias, TypeVar

import numpy as np

from crdscache.bestrefs.conditioning import condition
from crdscache.bestrefs.rmaps import Rmap
from crdscache.errors import MappingError
from tests.bestrefs import rules, words
from tests.bestrefs.words import Domain, Raw

Header: TypeAlias = dict[str, object]
Item = TypeVar("Item")


def random_case(rng: np.random.Generator, n_datasets: int) -> tuple[str, list[Header]]:
    """Draw an rmap that loads, as text, and headers to ask it for."""
    while True:
        writer = _Writer(rng)
        text = writer.text()
        try:
            Rmap(rules.parse(text))
        except MappingError:  # two keys that fall together, say
            continue
        return text, writer.headers(n_datasets)


class _Writer:
    """Writes one rmap, and remembers of each of its rows what fits it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.instrument = self.one_of(tuple(words.NAMES))
        self.times = words.TIMES.get(self.instrument, rules.DATE)
        self.classes = self.one_of(words.SHAPES)
        self.spare = [str(name) for name in rng.permutation(words.PARKEYS[self.instrument])]
        self.levels = tuple(self.parkeys(name) for name in self.classes)
        self.starts: list[datetime] = []
        self.rows: list[dict[str, Sequence[Raw]]] = []  # by parkey, what fits the path to a leaf
        self.n_leaves = 0

    def chance(self, probability: float) -> bool:
        """Throw a coin."""
        return bool(self.rng.random() < probability)

    def one_of(self, items: Sequence[Item]) -> Item:
        """Draw one."""
        return items[int(self.rng.integers(len(items)))]

    def number(self, low: int, high: int) -> int:
        """Draw a whole number, `high` included."""
        return int(self.rng.integers(low, high + 1))

    def text(self) -> str:
        """Write the rmap."""
        selector = self.selector(0, {})
        return rules.text_of(selector, self.levels, name=words.NAMES[self.instrument], **self.more())

    def parkeys(self, class_name: str) -> tuple[str, ...]:
        """Draw the parameters of one level."""
        if class_name in {"UseAfter", "ClosestTime"}:
            return self.times[: 1 if self.chance(0.1) else 2]
        if class_name == "VersionAfter":
            return ("VERSION",) if self.chance(0.7) else ("MAJOR", "MINOR")
        if class_name != "Match":
            return (self.one_of(("TEMP", "POSITION")),)
        taken = [self.spare.pop() for _ in range(min(self.number(1, 5), len(self.spare)))] or ["EXTRA"]
        if self.chance(0.03):
            taken[0] = taken[0].lower()  # a mistake that makes a parameter unknown
        if self.chance(0.04):
            taken.append(self.times[0])
        return tuple(taken)

    def selector(self, depth: int, path: Mapping[str, Sequence[Raw]]) -> str:
        """Write a selector, or a leaf below the last of them."""
        if depth == len(self.levels) or self.chance(0.03 if depth else 0):
            self.rows.append(dict(path))
            return self.leaf()
        class_name = self.classes[depth]
        if depth and self.chance(0.04):
            class_name = words.SIBLINGS.get(class_name, class_name)
        names = self.levels[depth]
        n_items = self.number(0, 6) if depth and self.chance(0.3) else self.number(2, 8)
        items = []
        for _ in range(n_items):
            if class_name == "Match":
                drawn = [self.element(self.domain(name)) for name in names]
                key = repr(tuple(element for element, _ in drawn))
                fits = {name: fitting for name, (_, fitting) in zip(names, drawn, strict=True)}
            else:
                key, fits = self.key(class_name, names)
            items.append(f"    {key} : {self.selector(depth + 1, {**path, **fits})},\n")
        return f"{class_name}({{\n{''.join(items)}}})"

    def domain(self, name: str) -> Domain:
        """Tell the values that a parameter is about."""
        return words.DOMAINS.get(name.upper(), words.LETTERS)

    def element(self, domain: Domain) -> tuple[Raw, Sequence[Raw]]:
        """Draw an element of a Match key, and values that fit it."""
        kinds = words.NUMBER_KINDS if domain[0].replace(".", "").isdigit() else words.TEXT_KINDS
        kind = self.one_of(words.OPEN_KINDS if self.chance(0.25) else kinds)
        return kind(self.one_of(domain), self.one_of(domain))

    def key(self, class_name: str, names: Sequence[str]) -> tuple[str, dict[str, Sequence[Raw]]]:
        """Draw a key of a selector that goes by time, version or number; and values near it."""
        number = self.number(-2, 12) / 2
        fits: Sequence[Raw] = (number, str(number), number + 0.4, number - 1, "nan")
        match class_name:
            case "UseAfter" | "ClosestTime":
                start = self.moment()
                self.starts.append(start)
                return repr(f"{start:{self.one_of(words.START_FORMS)}}"), {}
            case "VersionAfter":
                version = [self.number(0, 3) for _ in range(self.number(1, 3))]
                key = ".".join(map(str, version)) + self.one_of(("", "", "rc1", ".dev305"))
                return repr(key), dict.fromkeys(names, (key, f"{version[0]}.9.1", *range(4)))
            case "SelectVersion":
                limit = self.one_of(("<", "<=", "=", "==", "")) + str(number)
                return repr("default" if self.chance(0.15) else limit), dict.fromkeys(names, fits)
            case "GeometricallyNearest":
                return repr(self.one_of((number, f"{number:.1f}"))), dict.fromkeys(names, fits)
        return repr("B" if self.chance(0.02) else number), dict.fromkeys(names, fits)

    def moment(self) -> datetime:
        """Draw a time near those at which hooks change their ways."""
        epoch = datetime.fromisoformat(self.one_of(words.EPOCHS))
        return epoch + timedelta(seconds=self.one_of((0, 0, -1, 1, 86_400 * 365, self.number(0, 10**8))))

    def leaf(self) -> str:
        """Draw the name of a file, or something else that may stand in its place."""
        self.n_leaves += 1
        name = f"f{self.n_leaves % 50:02}.fits"
        odd = (self.one_of(words.LEAVES), (name, "pair.fits"))
        return repr(self.one_of(odd) if self.chance(0.06) else name)

    def more(self) -> dict[str, object]:
        """Draw the header's keys that change what the selectors say."""
        own = [name for level in self.levels for name in level]
        other = self.one_of(own)
        relevance = ("always", "(False)", *[self.condition() for _ in range(8)])
        drawn = {
            "rmap_relevance": (0.25, self.one_of(relevance)),
            "rmap_omit": (0.08, self.one_of(("True", "(True)", self.condition(), self.condition()))),
            "parkey_relevance": (0.25, {other.lower(): self.condition(), "OTHER": "(False)"}),
            "substitutions": (0.2, {other: {self.one_of(self.domain(other)): self.one_of(("N/A", "A|WFC"))}}),
            "reffile_switch": (0.3, self.one_of(("FLATCORR", "NONE"))),
            "reffile_required": (0.4, self.one_of(("YES", "NO", "none"))),
            "extra_keys": (0.3, tuple(name for name in self.spare if self.chance(0.5))),
            "comment_parkeys": (0.08, (other,)),
            "merge_overlaps": (0.05, self.one_of(("TRUE", "NO"))),
            "hooks": (0.5, self.hooks()),
        }
        return {key: value for key, (probability, value) in drawn.items() if self.chance(probability)}

    def hooks(self) -> dict[str, str]:
        """Draw names of hooks, known ones and others."""
        known = words.HOOKS.get(self.instrument, ("dark_v1",))
        return {
            f"{kind}_header": f"{kind}_header_{self.one_of(known)}"
            for kind in ("precondition", "fallback")
            if self.chance(0.8)
        }

    def condition(self) -> str:
        """Draw a condition as it stands in a header: nearly always in parentheses."""
        text = self.expression(0)
        return text if self.chance(0.05) else f"({text})"

    def expression(self, depth: int) -> str:
        """Draw a part of a condition."""
        if depth > 2 or self.chance(0.5):
            return self.comparison()
        one, other = self.expression(depth + 1), self.expression(depth + 1)
        forms = (f"({one}) and ({other})", f"({one}) or ({other})", f"not ({one})")
        return self.one_of((*forms, f"({one}) if ({other}) else ({self.comparison()})"))

    def comparison(self) -> str:
        """Draw a condition without parts; few names are unknown."""
        names = [name.upper() for level in self.levels for name in level if name not in self.times]
        if self.chance(0.04):
            names = ["ZZ", *self.times]
        name = self.one_of(names or list(self.times))
        value, other = (condition(self.one_of((*self.domain(name), "N/A", "UNDEFINED"))) for _ in range(2))
        forms = (
            *(f'{name} == "{value}"', f'{name} != "{value}"', f'{name} in ["{value}", "{other}"]'),
            *(f'{name} not in ("{value}", "{other}")', f'"{value}" <= {name} < "{other}"', name),
        )
        return self.one_of(forms)

    def headers(self, n_datasets: int) -> list[Header]:
        """Draw headers: of each dozen, most differ in their time only."""
        bases = [self.base() for _ in range(n_datasets // 12 + 1)]
        return [self.header(self.one_of(bases)) for _ in range(n_datasets)]

    def base(self) -> dict[str, object]:
        """Draw the values of all parameters but the time: most fit one of the rows."""
        row = self.one_of(self.rows) if self.rows else {}
        names = [name.upper() for level in self.levels for name in level if name not in self.times]
        if self.instrument in words.HOOKS:
            names += words.PARKEYS[self.instrument]
        drawn: dict[str, object] = {}
        for name in (*names, "FLATCORR"):
            if self.chance(0.03):
                continue
            fits = row.get(name, ())
            usual = self.one_of(fits) if fits and self.chance(0.97) else self.one_of(self.domain(name))
            drawn[name] = self.one_of(words.JUNK) if self.chance(0.03) else usual
        return drawn

    def header(self, base: Mapping[str, object]) -> Header:
        """Give a header a time, and now and then a value and a spelling of its own."""
        drawn = {**base, **dict(zip(self.times, self.time(), strict=False))}
        if self.chance(0.1):
            drawn[self.one_of(tuple(drawn))] = self.one_of(words.JUNK)
        if self.chance(0.05):
            drawn.pop(self.one_of(tuple(drawn)))
        if self.chance(0.05) and drawn:
            drawn[self.one_of(tuple(drawn)).lower()] = self.one_of(words.JUNK)
        names = words.FITS_NAMES if self.instrument == "miri" and self.chance(0.3) else {}
        return {names.get(name, name): value for name, value in drawn.items()}

    def time(self) -> tuple[object, ...]:
        """Draw a date and a time: most are at a start, just before or just after it; some are odd."""
        if self.chance(0.1):
            day, time = self.one_of(words.ODD_TIMES)
        else:
            near = self.one_of(self.starts) if self.starts and self.chance(0.7) else self.moment()
            moment = near + timedelta(seconds=self.one_of((-1, -0.5, 0, 0, 0.5, 1, 86_400)))
            day, time = f"{moment:{self.one_of(words.DAY_FORMS)}}", f"{moment.time()}"
        is_whole = len(self.times) == 1 or self.chance(0.02)
        return (f"{day} {time}".strip(), "") if is_whole else (day, time)
