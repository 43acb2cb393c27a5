"""Lists of different items, written out: what `uniqueItems` is rewritten with where items come from a short list."""

from __future__ import annotations

from itertools import permutations
from math import perm
from typing import Any

from .compose import Resolve
from .values import json_key

_MAX_LISTS = 400


def distinct_lists(node: dict[str, Any], resolve: Resolve) -> list[list[Any]] | None:
    """Every list that satisfies an array schema with `uniqueItems`; None if they are too many, or not known."""
    items = node.get("items")
    while isinstance(items, dict) and set(items) == {"$ref"}:
        items = resolve(items["$ref"])
    if "prefixItems" in node or not isinstance(items, dict):
        return None
    values = _finite(items)
    if values is None:
        return None
    low, high = int(node.get("minItems", 0)), min(int(node.get("maxItems", len(values))), len(values))
    if sum(perm(len(values), length) for length in range(low, high + 1)) > _MAX_LISTS:
        return None
    return [list(chosen) for length in range(low, high + 1) for chosen in permutations(values, length)]


def _finite(items: dict[str, Any]) -> list[Any] | None:
    """The different values of an item schema that lists them and says nothing else."""
    if set(items) == {"const"}:
        return [items["const"]]
    if set(items) == {"enum"}:
        return list({json_key(value): value for value in items["enum"]}.values())
    if items == {"type": "boolean"}:
        return [False, True]
    return [None] if items == {"type": "null"} else None
