"""Rewrites what a schema says of the names and the number of properties, and which need which.

Backends know listed names, patterns and the rest. `propertyNames`, counts beside optional properties and dependencies
are said with those: by the properties that are there or not there, in alternatives that share no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb
from typing import Any

from ..errors import RamifyError
from .automaton import TooLarge, matches_all
from .compose import Resolve, all_of, any_of, listed_values, named_types
from .ecma import search_expression
from .evaluate import CannotEvaluate, satisfies
from .formats import PATTERNS
from .schema import SchemaNode

_APPLICATORS = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "$dynamicRef", "$recursiveRef"}
)
"""Keywords beside which properties may be described elsewhere too."""

_MAX_SUBSETS = 64


def rewrite_objects(node: dict[str, Any], resolve: Resolve) -> list[SchemaNode]:
    """Rewrite the keywords of objects in one schema whose parts are rewritten.

    Args:
        node: the schema; changed.
        resolve: looks references up.

    Returns:
        What must hold besides.
    """
    is_composed = bool(node.keys() & _APPLICATORS)
    parts: list[SchemaNode] = []
    for name, needed in node.pop("dependentRequired", {}).items():
        if needed:
            parts.append(any_of([{"properties": {name: False}}, {"required": sorted(set(needed))}]))
    for name, schema in node.pop("dependentSchemas", {}).items():
        present = all_of([{"type": "object", "required": [name]}, schema])
        parts.append(any_of([{"properties": {name: False}}, present]))
    if "required" in node:
        node["required"] = list(dict.fromkeys(node["required"]))
        if not node["required"]:
            del node["required"]
    if "unevaluatedProperties" in node and not is_composed and "additionalProperties" not in node:
        node["additionalProperties"] = node.pop("unevaluatedProperties")
    elif node.get("unevaluatedProperties") is True:
        del node["unevaluatedProperties"]
    _patterns_of_all_names(node)
    _names(node, resolve)
    parts.extend(_counts(node))
    return parts


def _patterns_of_all_names(node: dict[str, Any]) -> None:
    """A pattern that every name matches: what it says holds of the listed properties, and of all others."""
    patterns: dict[str, SchemaNode] = node.get("patternProperties", {})
    everywhere = [pattern for pattern in patterns if _matches_all(pattern)]
    if not everywhere:
        return
    rest = all_of([patterns[pattern] for pattern in everywhere])
    if "properties" in node:
        node["properties"] = {name: all_of([part, rest]) for name, part in node["properties"].items()}
    others = {pattern: all_of([part, rest]) for pattern, part in patterns.items() if pattern not in everywhere}
    if others:
        node["patternProperties"] = others
    else:
        del node["patternProperties"]
    node["additionalProperties"] = rest


def _matches_all(pattern: str) -> bool:
    try:
        expression = search_expression(pattern)
        return expression is not None and matches_all(expression)
    except (RamifyError, TooLarge):
        return False


def _names(node: dict[str, Any], resolve: Resolve) -> None:
    """`propertyNames`: a listed property whose name it refuses is not there, the others match a pattern or a list."""
    names = node.get("propertyNames")
    if names is None or "unevaluatedProperties" in node:
        return
    if isinstance(names, bool):
        del node["propertyNames"]
        if not names:
            node["maxProperties"] = 0
        return
    kept = _kept_names(names, node, resolve)
    about = {keyword: value for keyword, value in names.items() if keyword != "type"}
    if kept is None or names.get("type", "string") != "string":
        return
    rest = node.get("additionalProperties", True)
    patterns = node.get("patternProperties")
    if about and not (rest is False and not patterns):
        if patterns:
            return
        if about.keys() <= {"const"} or about.keys() <= {"enum"}:
            kept |= {name: rest for name in listed_values(about) or () if isinstance(name, str) and name not in kept}
        elif (pattern := _name_pattern(about)) is not None and (not kept or rest is True or rest == {}):
            node["patternProperties"] = {pattern: rest}
        else:
            return
        node["additionalProperties"] = False
    del node["propertyNames"]
    if kept:
        node["properties"] = kept


def _kept_names(names: SchemaNode, node: dict[str, Any], resolve: Resolve) -> dict[str, SchemaNode] | None:
    """The listed properties, false where `propertyNames` refuses the name; None if that is not known."""
    kept: dict[str, SchemaNode] = {}
    for name, part in node.get("properties", {}).items():
        try:
            kept[name] = part if satisfies(name, names, resolve) else False
        except CannotEvaluate:
            return None
    return kept


def _name_pattern(names: dict[str, Any]) -> str | None:
    """The one pattern that a schema of names stands for."""
    if set(names) == {"pattern"}:
        pattern: str = names["pattern"]
        return pattern
    if set(names) == {"format"} and names["format"] in PATTERNS:
        return PATTERNS[names["format"]]
    if names.keys() <= {"minLength", "maxLength"}:
        longest = names.get("maxLength")
        return f"^[\\s\\S]{{{int(names.get('minLength', 0))},{'' if longest is None else int(longest)}}}$"
    return None


def _counts(node: dict[str, Any]) -> list[SchemaNode]:
    """Bounds on the number of properties, beside optional ones: as the sets of those that are there or not there."""
    required: list[str] = node.get("required", [])
    if node.get("minProperties", 1) <= len(required):
        node.pop("minProperties", None)
    listed = node.get("properties", {})
    optional = [name for name, part in listed.items() if part is not False and name not in required]
    if not optional:
        return []
    if node.get("additionalProperties") is False and not node.get("patternProperties"):
        return _counts_of_closed(node, optional, len(required))
    return _counts_of_open(node, optional, required)


def _counts_of_closed(node: dict[str, Any], optional: list[str], num_required: int) -> list[SchemaNode]:
    parts: list[SchemaNode] = []
    few = int(node.get("minProperties", 0)) - num_required
    if few > 0 and comb(len(optional), few) <= _MAX_SUBSETS:
        del node["minProperties"]
        parts.append(_objects_of(node, [{"required": list(there)} for there in combinations(optional, few)]))
    room = max(0, int(node.get("maxProperties", 0)) - num_required)
    if "maxProperties" in node and comb(len(optional), room) <= _MAX_SUBSETS:
        many = node.pop("maxProperties")
        missing = combinations(optional, max(0, len(optional) - room)) if many >= num_required else ()
        parts.append(_objects_of(node, [{"properties": dict.fromkeys(absent, False)} for absent in missing]))
    return parts


def _counts_of_open(node: dict[str, Any], optional: list[str], required: list[str]) -> list[SchemaNode]:
    """Only a bound that leaves at most one key to be counted: one that is written twice would count as two."""
    least = int(node.get("minProperties", 0))
    if least > len(required) + 1:
        return []
    options: list[dict[str, Any]] = []
    if "maxProperties" in node:
        many = int(node["maxProperties"])
        sizes = range(max(0, many - len(required)) + 1)
        if many < len(required) or sum(comb(len(optional), size) for size in sizes) > _MAX_SUBSETS:
            return []
        del node["maxProperties"]
        node.pop("minProperties", None)
        for there in (names for size in sizes for names in combinations(optional, size)):
            options.append(_with(required, there, optional, least) | {"maxProperties": many})
    elif least and len(optional) <= _MAX_SUBSETS:
        del node["minProperties"]
        options = [_with([], [name], optional[: index + 1], 0) for index, name in enumerate(optional)]
        options.append(_with(required, [], optional, least))
    return [_objects_of(node, options)] if options else []


def _with(required: Sequence[str], there: Sequence[str], some: Sequence[str], least: int) -> dict[str, Any]:
    """Objects with the keys `there`, and none of the others of `some`."""
    option: dict[str, Any] = {}
    if needed := [*required, *there]:
        option["required"] = needed
    if absent := [name for name in some if name not in there]:
        option["properties"] = dict.fromkeys(absent, False)
    if least > len(needed):
        option["minProperties"] = least
    return option


def _objects_of(node: dict[str, Any], options: list[dict[str, Any]]) -> SchemaNode:
    """Objects of one of these kinds, and all other types."""
    others = named_types(node) - {"object"}
    names = sorted(others - {"integer"} if "number" in others else others)
    return any_of([*([{"type": names}] if names else []), *({"type": "object", **option} for option in options)])
