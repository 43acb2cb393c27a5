"""Whether a value satisfies a rewritten schema, decided with the meaning that the masks have.

For what is finite anyway: the values of an `enum` are tried one by one, and what stands beside it is said by leaving
out those that fail. An outside validator reads patterns in another dialect, may search them for ever, and guesses where
it does not know a format; here that is `CannotEvaluate`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from ..errors import RamifyError
from .automaton import TooLarge, matches
from .compose import NARROWER, Resolve, named_types
from .ecma import search_expression
from .formats import PATTERNS
from .schema import SchemaNode
from .values import are_equal, has_type, json_key

_MAX_DEPTH = 32
MAX_VALUES = 256
"""The most values of one list that should be evaluated one by one: some schemas compare each with each."""

_Keywords: TypeAlias = dict[str, Any]
_Holds: TypeAlias = Callable[..., bool]


class CannotEvaluate(Exception):
    """A keyword whose answer is not known here."""


def satisfies(value: Any, node: SchemaNode, resolve: Resolve, depth: int = 0) -> bool:
    """Whether a decoded value satisfies a schema.

    Args:
        value: the value.
        node: a rewritten schema, or one in which `not`, `if` and `oneOf` are still there.
        resolve: looks references up.
        depth: of the recursion.

    Raises:
        CannotEvaluate: a keyword is not known here, or the schema is too deep.
    """
    if isinstance(node, bool):
        return node
    if depth > _MAX_DEPTH or NARROWER in node:
        raise CannotEvaluate

    def holds(part: SchemaNode, some: Any = value) -> bool:
        return satisfies(some, part, resolve, depth + 1)

    if "type" in node and not has_type(value, named_types(node)):
        return False
    for keyword, wanted in node.items():
        if not _anywhere(keyword, wanted, node, value, holds, resolve):
            return False
        if isinstance(value, str):
            answer = _of_text(keyword, wanted, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            answer = _of_number(keyword, wanted, value)
        elif isinstance(value, list):
            answer = _of_items(keyword, wanted, node, value, holds)
        else:
            answer = not isinstance(value, dict) or _of_properties(keyword, wanted, node, value, holds)
        if not answer:
            return False
    return True


def _anywhere(keyword: str, wanted: Any, node: _Keywords, value: Any, holds: _Holds, resolve: Resolve) -> bool:
    """A keyword that applies to values of every type; True for the others."""
    match keyword:
        case "const":
            return are_equal(value, wanted)
        case "enum":
            return any(are_equal(value, each) for each in wanted)
        case "allOf":
            return all(holds(part) for part in wanted)
        case "anyOf":
            return any(holds(part) for part in wanted)
        case "oneOf":
            return sum([holds(part) for part in wanted]) == 1
        case "not":
            return not holds(wanted)
        case "if":
            return holds(node.get("then" if holds(wanted) else "else", True))
        case "$ref":
            if (target := resolve(wanted)) is None:
                raise CannotEvaluate
            return holds(target)
        case _ if keyword in _KNOWN:
            return True
        case _:
            raise CannotEvaluate


def _of_text(keyword: str, wanted: Any, value: str) -> bool:
    match keyword:
        case "minLength":
            return bool(len(value) >= wanted)
        case "maxLength":
            return bool(len(value) <= wanted)
        case "pattern":
            return text_matches(wanted, value)
        case "format":
            if wanted not in PATTERNS:
                raise CannotEvaluate
            return text_matches(PATTERNS[wanted], value)
        case _:
            return True


def text_matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text.

    Raises:
        CannotEvaluate: the pattern is none that is enforced, or too large.
    """
    try:
        expression = search_expression(pattern)
        return expression is not None and matches(expression, text)
    except (RamifyError, TooLarge):
        raise CannotEvaluate from None


def _of_number(keyword: str, wanted: Any, value: float) -> bool:
    match keyword:
        case "minimum":
            return bool(value >= wanted)
        case "maximum":
            return bool(value <= wanted)
        case "exclusiveMinimum":
            return bool(value > wanted)
        case "exclusiveMaximum":
            return bool(value < wanted)
        case "multipleOf":
            return (Fraction(repr(value)) / Fraction(repr(wanted))).denominator == 1
        case _:
            return True


def _of_items(keyword: str, wanted: Any, node: _Keywords, value: list[Any], holds: _Holds) -> bool:
    match keyword:
        case "minItems":
            return bool(len(value) >= wanted)
        case "maxItems":
            return bool(len(value) <= wanted)
        case "prefixItems":
            return all(holds(part, item) for part, item in zip(wanted, value, strict=False))
        case "items":
            return all(holds(wanted, item) for item in value[len(node.get("prefixItems", ())) :])
        case "uniqueItems":
            return not wanted or len(set(map(json_key, value))) == len(value)
        case "contains":
            count = sum([holds(wanted, item) for item in value])
            return bool(node.get("minContains", 1) <= count <= node.get("maxContains", len(value)))
        case _:
            return True


def _of_properties(keyword: str, wanted: Any, node: _Keywords, value: _Keywords, holds: _Holds) -> bool:
    match keyword:
        case "minProperties":
            return bool(len(value) >= wanted)
        case "maxProperties":
            return bool(len(value) <= wanted)
        case "required":
            return all(name in value for name in wanted)
        case "propertyNames":
            return all(holds(wanted, name) for name in value)
        case "properties":
            return all(holds(part, value[name]) for name, part in wanted.items() if name in value)
        case "patternProperties":
            return all(
                holds(part, member)
                for pattern, part in wanted.items()
                for name, member in value.items()
                if text_matches(pattern, name)
            )
        case "additionalProperties":
            patterns = node.get("patternProperties", ())
            others = [
                name
                for name in value
                if name not in node.get("properties", ()) and not any(text_matches(each, name) for each in patterns)
            ]
            return all(holds(wanted, value[name]) for name in others)
        case _:
            return True


_KNOWN = frozenset(
    {"type", "then", "else", "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "multipleOf"}
    | {"exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "prefixItems", "items", "uniqueItems"}
    | {"contains", "minContains", "maxContains", "minProperties", "maxProperties", "required", "propertyNames"}
    | {"properties", "patternProperties", "additionalProperties", "$defs"}
)
"""Keywords that apply to values of one type, or beside another keyword."""
