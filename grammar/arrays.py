"""Rewrites what a schema says of an array's items together: that they differ, and how many are of a kind.

No backend remembers items or counts kinds. Where the items come from a short list, the arrays themselves can be listed
(`unique.py`); where an array is short, the places of the items that are counted can.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

from .compose import Resolve, any_of, named_types
from .negate import CannotNegate, negate
from .schema import SchemaNode
from .unique import distinct_lists

_MAX_PLACES = 64
_COUNTS = ("contains", "minContains", "maxContains")


def rewrite_arrays(node: dict[str, Any], resolve: Resolve) -> list[SchemaNode]:
    """Rewrite the keywords of arrays in one schema whose parts are rewritten.

    Args:
        node: the schema; changed.
        resolve: looks references up.

    Returns:
        What must hold besides.
    """
    parts: list[SchemaNode] = []
    if node.get("uniqueItems") is False or ((longest := _longest(node)) is not None and longest <= 1):
        node.pop("uniqueItems", None)
    elif node.get("uniqueItems") and (lists := distinct_lists(node, resolve)) is not None:
        del node["uniqueItems"]
        parts.append(any_of([_no_array(node), {"enum": lists}]))
    parts.extend(_contains(node, resolve))
    if "unevaluatedItems" in node and not node.keys() & {*_COMPOSED, "items", "contains"}:
        node["items"] = node.pop("unevaluatedItems")
    elif node.get("unevaluatedItems") is True:
        del node["unevaluatedItems"]
    return parts


_COMPOSED = ("$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "$dynamicRef", "$recursiveRef")


def _longest(node: dict[str, Any]) -> int | None:
    """The most items that an array may have; None if there is no bound."""
    bounds = [int(node["maxItems"])] if "maxItems" in node else []
    if node.get("items") is False:
        bounds.append(len(node.get("prefixItems", ())))
    return min(bounds, default=None)


def _contains(node: dict[str, Any], resolve: Resolve) -> list[SchemaNode]:
    """`contains`, by the places in a short array at which its items may stand."""
    kind = node.get("contains")
    least, most = int(node.get("minContains", 1)), node.get("maxContains")
    if kind is None or (least == 0 and most is None):
        for keyword in _COUNTS:
            node.pop(keyword, None)
        return []
    longest = _longest(node)
    if kind is True or kind == {}:
        bounds = {"minItems": max(least, node.get("minItems", 0))}
        if most is not None:
            bounds["maxItems"] = most if longest is None else min(most, longest)
        parts: list[SchemaNode] = [bounds]
    elif longest is None or comb(longest, least) > _MAX_PLACES:
        return []
    else:
        parts = [_at_places(node, kind, places) for places in [list(combinations(range(longest), least))] if least]
        if most is not None and most < longest:
            if comb(longest, int(most)) > _MAX_PLACES:
                return []
            try:
                other = negate(kind, resolve)
            except CannotNegate:
                return []
            free = [set(range(longest)) - set(places) for places in combinations(range(longest), int(most))]
            parts.append(_at_places(node, other, [tuple(sorted(places)) for places in free], all_there=False))
    for keyword in _COUNTS:
        node.pop(keyword, None)
    return parts


def _at_places(
    node: dict[str, Any], kind: SchemaNode, choices: list[tuple[int, ...]], *, all_there: bool = True
) -> SchemaNode:
    """Arrays whose items at one choice of places are of a kind, and all other types.

    Args:
        node: the schema, for its types.
        kind: of the items at these places.
        choices: ascending places.
        all_there: the array is long enough to have them all.
    """
    options: list[SchemaNode] = []
    for places in choices:
        items = [kind if index in places else True for index in range(places[-1] + 1)]
        options.append({"type": "array", "prefixItems": items, **({"minItems": len(items)} if all_there else {})})
    return any_of([_no_array(node), *options])


def _no_array(node: dict[str, Any]) -> SchemaNode:
    """The other types that a schema allows."""
    others = named_types(node) - {"array"}
    names = sorted(others - {"integer"} if "number" in others else others)
    return {"type": names} if names else False
