"""Schemas put together and taken apart: all of some, any of some, and all that one says of its value.

The small vocabulary of the modules that reason about schemas (`rewrite`, `negate`, `disjoint`, `evaluate`, `merge`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from .schema import SchemaNode
from .shapes import TYPES
from .values import json_key

Resolve: TypeAlias = Callable[[str], "SchemaNode | None"]
"""The rewritten schema that a `$ref` points to; None where it is not ready, because it is being rewritten."""

NARROWER = "x-narrower"
"""Marks, while a schema is rewritten, a part that leaves values out: true of what is generated, not of what is meant.

Nothing is concluded from such a part: it is no conjunct, it is not evaluated, it has no complement.
"""

_MAX_CONJUNCTS = 48


class Work:
    """What may be spent on proofs about one schema; without it, pairs of alternatives would cost their square."""

    def __init__(self, steps: int = 20_000) -> None:
        """
        Args:
            steps: of about 10 us each.
        """
        self._steps_left = steps

    def take(self, steps: int) -> bool:
        """Spend some steps; False if there are not so many left."""
        self._steps_left -= steps
        return self._steps_left >= 0


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


def conjuncts(nodes: Iterable[SchemaNode], resolve: Resolve) -> list[dict[str, Any]] | None:
    """What holds of a value that satisfies all of the schemas; None if nothing can.

    The schemas themselves, the parts of `allOf` and the targets of references, up to a bound: each of them holds as a
    whole, so that the keywords of one may be looked at without the others.
    """
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    pending = list(nodes)
    while pending and len(found) < _MAX_CONJUNCTS:
        node = pending.pop(0)
        if node is False:
            return None
        if node is True or NARROWER in node:
            continue
        found.append(node)
        pending.extend(node.get("allOf", ()))
        reference = node.get("$ref")
        if reference is not None and reference not in seen:
            seen.add(reference)
            if (target := resolve(reference)) is not None:
                pending.append(target)
    return found


def named_types(node: dict[str, Any]) -> frozenset[str]:
    """The types that `type` names; all if there is none."""
    value = node.get("type")
    return TYPES if value is None else frozenset([value] if isinstance(value, str) else value)


def common_types(nodes: Iterable[dict[str, Any]]) -> frozenset[str]:
    """The types that a value can have which satisfies all of the schemas; "integer" wherever "number" is."""
    names = TYPES
    for node in nodes:
        if "type" not in node:
            continue
        named = named_types(node)
        names = frozenset(name for name in names if name in named or (name == "integer" and "number" in named))
    return names


def listed_values(node: dict[str, Any]) -> list[Any] | None:
    """The only values that a schema can have; None if it does not list them."""
    listed: list[Any] | None = [node["const"]] if "const" in node else node.get("enum")
    return listed


def property_of(node: dict[str, Any], name: str) -> SchemaNode:
    """What a schema says of a property by itself; True where patterns might say more."""
    if name in (properties := node.get("properties", {})):
        found: SchemaNode = properties[name]
        return found
    if node.get("patternProperties"):
        return True
    other: SchemaNode = node.get("additionalProperties", True)
    return other


def item_of(node: dict[str, Any], index: int) -> SchemaNode:
    """What a schema says of an item by itself."""
    listed: list[SchemaNode] = node.get("prefixItems", [])
    rest: SchemaNode = node.get("items", True)
    return listed[index] if index < len(listed) else rest
