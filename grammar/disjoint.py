"""Whether two schemas have no value in common, proved from keywords: then `oneOf` of them is `anyOf`.

The proof is one of a few kinds, tried for each type that both allow: other types, other constants, bounds that do not
meet, or a property which one side requires and the other side describes otherwise or forbids. No proof means no more
than that: the schemas may still be disjoint.
"""

from __future__ import annotations

from typing import Any

from .negate import Resolve, named_types
from .schema import SchemaNode
from .values import has_type, json_key

_MAX_DEPTH = 8
_BOUNDS = {
    "string": (("minLength", "maxLength", False),),
    "array": (("minItems", "maxItems", False),),
    "object": (("minProperties", "maxProperties", False),),
    "number": (
        ("minimum", "maximum", False),
        ("exclusiveMinimum", "maximum", True),
        ("minimum", "exclusiveMaximum", True),
        ("exclusiveMinimum", "exclusiveMaximum", True),
    ),
}


def are_disjoint(left: SchemaNode, right: SchemaNode, resolve: Resolve, depth: int = 0) -> bool:
    """Whether it is proved that no value satisfies both; both are rewritten schemas."""
    if left is False or right is False:
        return True
    if isinstance(left, bool) or isinstance(right, bool) or depth > _MAX_DEPTH:
        return False
    for one, other in ((left, right), (right, left)):
        if (
            "$ref" in one
            and (target := resolve(one["$ref"])) is not None
            and are_disjoint(target, other, resolve, depth + 1)
        ):
            return True
        if "anyOf" in one and all(are_disjoint(part, other, resolve, depth + 1) for part in one["anyOf"]):
            return True
        if any(are_disjoint(part, other, resolve, depth + 1) for part in one.get("allOf", ())):
            return True
    values = [_values(node) for node in (left, right)]
    if values[0] is not None and values[1] is not None:
        return not {json_key(value) for value in values[0]} & {json_key(value) for value in values[1]}
    for here, there in ((values[0], right), (values[1], left)):
        if here is not None and not any(has_type(value, named_types(there)) for value in here):
            return True
    return all(_apart(name, left, right, resolve, depth) for name in _common_types(left, right))


def _values(node: dict[str, Any]) -> list[Any] | None:
    """The only values that a schema can have; None if they are not listed."""
    listed: list[Any] | None = [node["const"]] if "const" in node else node.get("enum")
    return listed if listed is None else [value for value in listed if has_type(value, named_types(node))]


def _common_types(left: dict[str, Any], right: dict[str, Any]) -> set[str]:
    """The types of values that both can have, integers among the numbers."""
    names = [{"number" if name == "integer" else name for name in named_types(node)} for node in (left, right)]
    return names[0] & names[1]


def _apart(name: str, left: dict[str, Any], right: dict[str, Any], resolve: Resolve, depth: int) -> bool:
    """Whether no value of one type satisfies both."""
    for one, other in ((left, right), (right, left)):
        for low, high, strict in _BOUNDS.get(name, ()):
            if low in one and high in other and (one[low] > other[high] or (strict and one[low] == other[high])):
                return True
    if name != "object":
        return False
    for one, other in ((left, right), (right, left)):
        for key in one.get("required", ()):
            if are_disjoint(property_of(one, key), property_of(other, key), resolve, depth + 1):
                return True
    return False


def property_of(node: dict[str, Any], name: str) -> SchemaNode:
    """What a schema says of a property by itself; True where patterns might say more."""
    if name in (properties := node.get("properties", {})):
        found: SchemaNode = properties[name]
        return found
    if node.get("patternProperties"):
        return True
    other: SchemaNode = node.get("additionalProperties", True)
    return other
