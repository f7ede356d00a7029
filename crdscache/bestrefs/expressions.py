"""The conditions of rules: a small part of Python's expressions, read and evaluated by us, never run.

Source: docs/protocol.md, "Expressions".
"""

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

_MAX_BYTES = 100_000
_MAX_DEPTH = 100

Header: TypeAlias = Mapping[str, str]
Evaluate: TypeAlias = Callable[[Header], Any]

# Values are texts, but constants may be anything: what does not compare is a TypeError, as in Python.
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


class ExpressionError(Exception):
    """A condition cannot be read, or cannot be evaluated for this header."""


class Expression:
    """A condition on the values of a header."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        """Read a condition; of `names`, the dotted ones may stand in it as they are.

        Raises
        ------
        ExpressionError
            It is not in the language.
        """
        self.text = text
        for name in names:
            text = text.replace(name, plain(name))
        if len(text) > _MAX_BYTES:
            raise ExpressionError(f"longer than {_MAX_BYTES} characters")
        try:
            with warnings.catch_warnings(action="ignore"):  # of odd escapes: they are read as they stand
                tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
            raise ExpressionError(f"cannot be read: {error!s:.200}") from error
        self.names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        self._evaluate = _compile(tree, 0)

    def is_true(self, header: Header) -> bool:
        """Tell whether the condition holds.

        Raises
        ------
        ExpressionError
            A name that it needs is not in the header, or values do not compare.
        """
        try:
            return bool(self._evaluate(header))
        except TypeError as error:
            raise ExpressionError(str(error)) from error


def plain(name: str) -> str:
    """Write a dotted parameter as conditions name it."""
    return name.replace(".", "_")


def _compile(node: ast.expr, depth: int) -> Evaluate:  # noqa: C901, PLR0911 (a kind of node each)
    if depth > _MAX_DEPTH:
        raise ExpressionError(f"nested deeper than {_MAX_DEPTH}")

    def below(part: ast.expr) -> Evaluate:
        return _compile(part, depth + 1)

    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return lambda _: value
        case ast.Name(id=name):
            return lambda header: _value(header, name)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            parts, make = [below(each) for each in elements], tuple if type(node) is ast.Tuple else list
            return lambda header: make(part(header) for part in parts)
        case ast.Dict(keys=keys, values=values) if all(keys):
            pairs = [(below(key), below(each)) for key, each in zip(keys, values, strict=True) if key]
            return lambda header: {key(header): value(header) for key, value in pairs}
        case ast.BoolOp(op=ast.And(), values=values):
            return _all([below(each) for each in values])
        case ast.BoolOp(values=values):
            return _any([below(each) for each in values])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            condition = below(operand)
            return lambda header: not condition(header)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = below(operand)
            return lambda header: operator.neg(number(header))
        case ast.IfExp(test=test, body=body, orelse=other):
            condition, then, otherwise = below(test), below(body), below(other)
            return lambda header: then(header) if condition(header) else otherwise(header)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            steps = [(_COMPARISONS[type(op)], below(each)) for op, each in zip(ops, others, strict=True)]
            return _chain(below(left), steps)
    raise ExpressionError(f"{type(node).__name__} is not allowed in a condition")


def _value(header: Header, name: str) -> str:
    try:
        return header[name]
    except KeyError:
        raise ExpressionError(f"name {name!r} is not defined") from None


def _all(parts: list[Evaluate]) -> Evaluate:
    def evaluate(header: Header) -> object:
        value: object = True
        for part in parts:
            value = part(header)
            if not value:
                break
        return value

    return evaluate


def _any(parts: list[Evaluate]) -> Evaluate:
    def evaluate(header: Header) -> object:
        value: object = False
        for part in parts:
            value = part(header)
            if value:
                break
        return value

    return evaluate


def _chain(first: Evaluate, steps: list[tuple[Callable[[Any, Any], object], Evaluate]]) -> Evaluate:
    def evaluate(header: Header) -> object:
        left, holds = first(header), True
        for compare, other in steps:
            right = other(header)
            holds = bool(compare(left, right))
            if not holds:
                return False
            left = right
        return holds

    return evaluate
