"""Reads a mapping: a small language that looks like Python, read as a literal and never run.

Source: docs/protocol.md, "Mapping files".
"""

import ast
import hashlib
import io
import re
import tokenize
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from crdscache.contexts import names
from crdscache.errors import MappingError

MAX_BYTES = 2 * 1024**2
MAX_DEPTH = 50
# Python's parser takes up to 1 KB for a token: a bound below 512 MB. No text has more tokens than characters.
MAX_TOKENS = 400_000
# A longer number could not be written out again.
_MAX_INTEGER = 2**63

# Instruments and types become directories.
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SCALARS = (str, int, float, bool, type(None))


class Level(Enum):
    """Where a mapping stands in a context; the value is the ending of its name."""

    PMAP = "pmap"  # instrument to imap
    IMAP = "imap"  # reftype to rmap
    RMAP = "rmap"  # parkeys to reference


_HEADER_WORDS = {Level.PMAP: "PIPELINE", Level.IMAP: "INSTRUMENT", Level.RMAP: "REFERENCE"}


class SelectorClass(Enum):
    """The ways in which a selector chooses one of its items."""

    MATCH = "Match"
    USE_AFTER = "UseAfter"
    VERSION_AFTER = "VersionAfter"
    SELECT_VERSION = "SelectVersion"
    CLOSEST_TIME = "ClosestTime"
    GEOMETRICALLY_NEAREST = "GeometricallyNearest"
    BRACKET = "Bracket"


_SELECTOR_CLASSES = {each.value: each for each in SelectorClass}

# Lists are read as tuples.
Scalar: TypeAlias = str | int | float | bool | None
Key: TypeAlias = Scalar | tuple["Key", ...]
Value: TypeAlias = Scalar | tuple["Value", ...] | dict["Key", "Value"]
Node: TypeAlias = "str | tuple[Node, ...] | Table | Selector"


@dataclass(frozen=True, slots=True)
class Table:
    """A plain dictionary of the selector's tree, in the order of the file and with its repetitions."""

    items: tuple[tuple[Key, Node], ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """A node that chooses by parkeys, in the order of the file and with its repetitions."""

    class_name: SelectorClass
    items: tuple[tuple[Key, Node], ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping as its file has it; only the four fields after the name are in lower case."""

    name: str  # of the file; the header's own may differ
    level: Level
    observatory: str
    instrument: str  # "" in a pmap
    reftype: str  # "" in a pmap or imap
    header: dict[str, Value]
    selector: Selector | Table  # a Selector in an rmap, a Table else
    comment: str
    header_sha1: str | None  # what the header claims, in lower case
    text_sha1: str  # what the claim should be

    @property
    def has_right_sum(self) -> bool:
        """Tell whether the header's sum is that of the text; the missions' client refuses the file else."""
        return self.header_sha1 == self.text_sha1


def parse_mapping(name: str, data: bytes) -> Mapping:
    """Read a mapping, the header's sum right or not.

    Raises
    ------
    MappingError
        It is not in the language, is over a limit, or its header lacks what every mapping must say.
    """
    level = _level_of(name)
    text = _decode(name, data)
    reader = _Reader(name)
    sections = reader.sections(_parse(name, text))
    if missing := [section for section in ("header", "selector") if section not in sections]:
        raise MappingError(name, f"there is no {missing[0]}")
    header = reader.header(sections["header"])
    comment = reader.scalar(sections["comment"]) if "comment" in sections else ""
    if not isinstance(comment, str):
        raise reader.refusal(sections["comment"], "the comment must be text")
    claim = header.get("sha1sum")
    return Mapping(
        name=name,
        level=level,
        observatory=_word(name, header, "observatory"),
        instrument="" if level is Level.PMAP else _word(name, header, "instrument"),
        reftype=_word(name, header, "filekind") if level is Level.RMAP else "",
        header=_require_header(name, header, level),
        selector=reader.selector(sections["selector"], level),
        comment=comment,
        header_sha1=claim.lower() if isinstance(claim, str) else None,
        text_sha1=_text_sha1(text),
    )


def _level_of(name: str) -> Level:
    if not names.is_mapping(name):
        raise MappingError(name, "a mapping's name ends in .pmap, .imap or .rmap")
    return Level(name.rpartition(".")[2])


def _decode(name: str, data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise MappingError(name, f"{len(data)} bytes, more than the {MAX_BYTES} allowed")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MappingError(name, f"byte {error.start} is not UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text_sha1(text: str) -> str:
    kept = [line for line in text.splitlines(keepends=True) if "sha1sum" not in line]
    return hashlib.sha1("".join(kept).encode(), usedforsecurity=False).hexdigest()


def _parse(name: str, text: str) -> list[ast.stmt]:
    try:
        if len(text) > MAX_TOKENS:
            _limit_tokens(name, text)
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in text: they are read as they stand
            return ast.parse(text).body
    except SyntaxError as error:
        raise MappingError(name, f"{error.msg:.200}", line=error.lineno) from error
    except (ValueError, TypeError, MemoryError, RecursionError, tokenize.TokenError) as error:
        reason = str(error) or "too deeply nested"
        raise MappingError(name, f"cannot be read: {reason:.200}") from error


def _limit_tokens(name: str, text: str) -> None:
    for number, token in enumerate(tokenize.generate_tokens(io.StringIO(text).readline)):
        # A formatted string counts as one token, but its inside is parsed, too.
        is_formatted = (
            token.type == tokenize.STRING and "f" in token.string.lower().partition(token.string[-1])[0]
        )
        if number > MAX_TOKENS or is_formatted:
            raise MappingError(
                name, "too many or too complicated expressions for its length", line=token.start[0]
            )


class _Reader:
    """Turns Python's syntax tree into our values and refuses all that is not in the language."""

    def __init__(self, name: str) -> None:
        self.name = name

    def refusal(self, node: ast.AST, reason: str) -> MappingError:
        return MappingError(self.name, reason, line=getattr(node, "lineno", None))

    def sections(self, body: Iterable[ast.stmt]) -> dict[str, ast.expr]:
        """Split the file into header, comment and selector."""
        found: dict[str, ast.expr] = {}
        for statement in body:
            match statement:
                case ast.Assign(
                    targets=[ast.Name(id="header" | "comment" | "selector" as section)], value=value
                ):
                    if section in found:
                        raise self.refusal(statement, f"{section} is given twice")
                    found[section] = value
                case _:
                    raise self.refusal(
                        statement, "only header, comment and selector may be assigned to, nothing else"
                    )
        return found

    def header(self, node: ast.expr) -> dict[str, Value]:
        """Read the header; of a repeated key the last counts, as in Python."""
        value = self.value(node, 0)
        if not isinstance(value, dict):
            raise self.refusal(node, "the header must be a dictionary")
        header = {key: each for key, each in value.items() if isinstance(key, str)}
        if len(header) < len(value):
            raise self.refusal(node, "every key of the header must be text")
        return header

    def selector(self, node: ast.expr, level: Level) -> Selector | Table:
        """Read the selector: a tree in an rmap, else a dictionary of names."""
        tree = self.tree(node, 0)
        if level is Level.RMAP:
            if not isinstance(tree, Selector):
                raise self.refusal(node, "the selector of an rmap must be a call of a selector class")
            return tree
        if not isinstance(tree, Table) or not all(isinstance(each, str) for _, each in tree.items):
            raise self.refusal(node, f"the selector of an {level.value} must be a dictionary of names")
        return tree

    def tree(self, node: ast.expr, depth: int) -> Node:
        """Read a node of the selector's tree; its leaves are text."""
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"nested deeper than {MAX_DEPTH}")
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Call(func=ast.Name(id=word), args=[ast.Dict() as items], keywords=[]):
                if word not in _SELECTOR_CLASSES:
                    raise self.refusal(node, f"{word:.40} is no selector class")
                return Selector(_SELECTOR_CLASSES[word], self.items(items, depth))
            case ast.Dict():
                return Table(self.items(node, depth))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return tuple([self.tree(each, depth + 1) for each in elements])
        raise self.refusal(node, f"{_kind(node)} is not allowed in a selector")

    def items(self, node: ast.Dict, depth: int) -> tuple[tuple[Key, Node], ...]:
        # Most of a mapping is text beside text: the short way halves the time.
        return tuple(
            [
                (
                    key.value
                    if type(key) is ast.Constant and type(key.value) is str
                    else self.key(node, key, depth + 1),
                    value.value
                    if type(value) is ast.Constant and type(value.value) is str
                    else self.tree(value, depth + 1),
                )
                for key, value in zip(node.keys, node.values, strict=True)
            ]
        )

    def key(self, parent: ast.expr, node: ast.expr | None, depth: int) -> Key:
        """Read a key; `parent` is where to point if there is none."""
        if depth > MAX_DEPTH:
            raise self.refusal(parent, f"nested deeper than {MAX_DEPTH}")
        if node is None:
            raise self.refusal(parent, "a dictionary may not be unpacked")
        if isinstance(node, ast.Tuple | ast.List):
            return tuple([self.key(node, each, depth + 1) for each in node.elts])
        return self.scalar(node)

    def value(self, node: ast.expr, depth: int) -> Value:
        """Read a value of the header."""
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"nested deeper than {MAX_DEPTH}")
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return {self.key(node, key, depth + 1): self.value(each, depth + 1) for key, each in pairs}
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return tuple([self.value(each, depth + 1) for each in elements])
        return self.scalar(node)

    def scalar(self, node: ast.expr) -> Scalar:
        """Read text, a number with or without a minus, True, False or None."""
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            sign, node = -1, node.operand
            if not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
                raise self.refusal(node, "a minus may stand before a number only")
        if not isinstance(node, ast.Constant) or not isinstance(node.value, _SCALARS):
            raise self.refusal(node, f"{_kind(node)} is not allowed here")
        value = node.value
        if isinstance(value, int) and value > _MAX_INTEGER:
            raise self.refusal(node, "the number is too large")
        return -value if sign < 0 and isinstance(value, int | float) else value


def _kind(node: ast.expr) -> str:
    return type(node.value if isinstance(node, ast.Constant) else node).__name__


def _word(name: str, header: dict[str, Value], key: str) -> str:
    value = header.get(key)
    if not isinstance(value, str):
        raise MappingError(name, f"the header has no {key}")
    if _WORD.fullmatch(value.lower()) is None:
        raise MappingError(name, f"the header's {key} is {value!r:.80}, not a word")
    return value.lower()


def _require_header(name: str, header: dict[str, Value], level: Level) -> dict[str, Value]:
    for key in ("name", "derived_from", "parkey"):
        if key not in header:
            raise MappingError(name, f"the header has no {key}")
    # One real rmap does not say what it is.
    word = header.get("mapping", _HEADER_WORDS[level])
    if not isinstance(word, str) or word.upper() != _HEADER_WORDS[level]:
        raise MappingError(name, f"the header says {word!r:.80}, the name ends in .{level.value}")
    return header
