"""The complement of a schema, where keywords can say it: what `not`, `if` and overlapping `oneOf` are rewritten with.

A schema is the conjunction of its keywords, and each of them constrains values of one type alone. So its complement is
an `anyOf` over the keywords, one alternative for each: a value of that type which this keyword refuses.

    not {type: object, required: [a]}   ==   anyOf: [{type: [all but object]}, {type: object, properties: {a: false}}]

Some complements no keyword can say (a number that is no integer, an object with a key beyond those listed, an array
with one item of a kind): `CannotNegate` is raised, and the schema stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from .schema import SchemaNode
from .shapes import TYPES
from .values import json_key, type_of

Resolve = Callable[[str], "SchemaNode | None"]
"""The rewritten schema that a `$ref` points to; None where it is not ready, because it is being rewritten."""

_MAX_WORDS_TEXT = 2_000
_MAX_PATTERN = 4_000
_MAX_DEPTH = 30
_ANY_TEXT = r"[^]*"
_OPPOSITE = {
    "minimum": ("number", "exclusiveMaximum"),
    "maximum": ("number", "exclusiveMinimum"),
    "exclusiveMinimum": ("number", "maximum"),
    "exclusiveMaximum": ("number", "minimum"),
}
_COUNTED = {
    "minLength": ("string", "maxLength", -1),
    "maxLength": ("string", "minLength", 1),
    "minItems": ("array", "maxItems", -1),
    "maxItems": ("array", "minItems", 1),
    "minProperties": ("object", "maxProperties", -1),
    "maxProperties": ("object", "minProperties", 1),
}


class CannotNegate(Exception):
    """No keywords say the complement."""


def negate(node: SchemaNode, resolve: Resolve, types: frozenset[str] = TYPES, depth: int = 0) -> SchemaNode:
    """The schema of the values that `node` refuses.

    Args:
        node: a rewritten schema.
        resolve: looks references up.
        types: the types that the value can have anyway; alternatives of others are left out.
        depth: of the recursion.

    Raises:
        CannotNegate: no keywords say it.
    """
    if isinstance(node, bool):
        return not node
    if depth > _MAX_DEPTH:
        raise CannotNegate
    options: list[SchemaNode] = []
    # Values of other types are refused by `type` already: the keywords need not be looked at for them.
    if "type" in node:
        named = named_types(node)
        options.append(_without_types(named, types))
        types = frozenset(name for name in types if name in named or (name == "integer" and "number" in named))
    for keyword, value in node.items():
        if keyword != "type":
            options.extend(_negated(keyword, value, node, resolve, types, depth))
    return any_of(options)


def any_of(options: list[SchemaNode]) -> SchemaNode:
    """One of `options`, without those that nothing satisfies."""
    if any(option is True or option == {} for option in options):
        return True
    kept = list({json_key(option): option for option in options if option is not False}.values())
    if not kept:
        return False
    return kept[0] if len(kept) == 1 else {"anyOf": kept}


def all_of(parts: list[SchemaNode]) -> SchemaNode:
    """All of `parts`."""
    if any(part is False for part in parts):
        return False
    kept = [part for part in parts if part is not True and part != {}]
    if not kept:
        return True
    return kept[0] if len(kept) == 1 else {"allOf": kept}


def named_types(node: dict[str, Any]) -> frozenset[str]:
    """The types that `type` names; all if there is none."""
    value = node.get("type")
    return TYPES if value is None else frozenset([value] if isinstance(value, str) else value)


def _without_types(named: frozenset[str], types: frozenset[str]) -> SchemaNode:
    """A value of `types` but not of those named."""
    rest = set(types - named)
    if "number" in named:
        rest.discard("integer")
    elif "integer" in named and "number" in rest:
        raise CannotNegate  # the numbers that are no integers
    if "number" in rest:
        rest.discard("integer")
    return {"type": sorted(rest)} if rest else False


def _negated(
    keyword: str, value: Any, node: dict[str, Any], resolve: Resolve, types: frozenset[str], depth: int
) -> list[SchemaNode]:
    """The alternatives in which one keyword refuses the value."""
    if keyword in _OPPOSITE:
        kind, opposite = _OPPOSITE[keyword]
        return [{"type": "number", opposite: value}] if types & {"number", "integer"} else []
    if keyword in _COUNTED:
        kind, opposite, step = _COUNTED[keyword]
        return [{"type": kind, opposite: value + step}] if kind in types and value + step >= 0 else []
    match keyword:
        case "const" | "enum":
            return _not_in([value] if keyword == "const" else value, types)
        case "anyOf":
            return [all_of([negate(part, resolve, types, depth + 1) for part in value])]
        case "allOf":
            return [negate(part, resolve, types, depth + 1) for part in value]
        case "not":
            return [value]
        case "$ref":
            target = resolve(value)
            if target is None:
                raise CannotNegate
            return [negate(target, resolve, types, depth + 1)]
        case "required":
            return [{"type": "object", "properties": {name: False}} for name in value] if "object" in types else []
        case "properties":
            if "object" not in types:
                return []
            refused = {name: negate(part, resolve, TYPES, depth + 1) for name, part in value.items()}
            return [
                {"type": "object", "properties": {name: part}, "required": [name]}
                for name, part in refused.items()
                if part is not False
            ]
        case "prefixItems":
            refused_items = [negate(part, resolve, TYPES, depth + 1) for part in value] if "array" in types else []
            return [
                {"type": "array", "prefixItems": [*[{}] * index, part], "minItems": index + 1}
                for index, part in enumerate(refused_items)
                if part is not False
            ]
        case "additionalProperties" | "items" if value is True or value == {}:
            return []
        case "additionalProperties" | "patternProperties" if "object" not in types:
            return []
        case "items" | "uniqueItems" | "contains" if "array" not in types:
            return []
        case "items" if value is False:
            return [{"type": "array", "minItems": len(node.get("prefixItems", ())) + 1}]
        case "pattern" | "format" if "string" not in types:
            return []
        case _:
            raise CannotNegate


def _not_in(values: list[Any], types: frozenset[str]) -> list[SchemaNode]:
    """A value of `types` that is none of `values`."""
    by_type: dict[str, list[Any]] = {}
    for value in values:
        name = type_of(value)
        by_type.setdefault("number" if name == "integer" else name, []).append(value)
    options: list[SchemaNode] = []
    if untouched := [name for name in types if name not in by_type and not (name == "integer" and "number" in by_type)]:
        plain = [name for name in untouched if name != "integer" or "number" not in untouched]
        options.append({"type": sorted(plain)})
    if "string" in types and "string" in by_type:
        options.append({"type": "string", "pattern": _none_of(by_type["string"])})
    if "boolean" in types and "boolean" in by_type:
        others = [value for value in (False, True) if value not in by_type["boolean"]]
        options.extend({"const": value} for value in others)
    if "number" in by_type and types & {"number", "integer"}:
        kind = "number" if "number" in types else "integer"
        bounds = sorted(set(by_type["number"]))
        options.append({"type": kind, "exclusiveMaximum": bounds[0]})
        options.extend(
            {"type": kind, "exclusiveMinimum": low, "exclusiveMaximum": high}
            for low, high in pairwise(bounds)
            if not (float(low).is_integer() and high == low + 1 and kind == "integer")
        )
        options.append({"type": kind, "exclusiveMinimum": bounds[-1]})
    if (types & {"array"} and "array" in by_type) or (types & {"object"} and "object" in by_type):
        raise CannotNegate
    return options


def _none_of(words: list[str]) -> str:
    """A pattern of every text but `words`: one alternative for each way to leave the tree of their beginnings."""
    following: dict[str, set[str]] = {"": set()}
    for word in words:
        for length, character in enumerate(word):
            following.setdefault(word[:length], set()).add(character)
            following.setdefault(word[: length + 1], set())
    if sum(map(len, following)) > _MAX_WORDS_TEXT:
        raise CannotNegate
    options: list[str] = []
    for begin in sorted(following):
        spelled = "".join(map(_spelled, begin))
        if begin not in words:
            options.append(spelled)
        others = "".join(map(_spelled, sorted(following[begin])))
        options.append(f"{spelled}[^{others}]{_ANY_TEXT}")
    pattern = f"^(?:{'|'.join(options)})$"
    if len(pattern) > _MAX_PATTERN:
        raise CannotNegate
    return pattern


def _spelled(character: str) -> str:
    return re.escape(character) if ord(character) > 0x20 and character not in "-&~|" else f"\\u{ord(character):04x}"
