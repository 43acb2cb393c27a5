"""Bounds how much there may be of what a schema leaves open: items, properties of a map, values of any type.

Off by default. `max_tokens` ends what goes on too long, but an output that it cuts is no value; where every output must
be one (a test that judges what a random model writes), these bounds let it end.
"""

from __future__ import annotations

from typing import Any

from .limits import Narrowing
from .schema import VALIDATIONS

_SCALARS = ("boolean", "null", "number", "string")
_COMPOSED = frozenset({"$ref", "allOf", "anyOf", "oneOf", "const", "enum", "not", "if"})


def narrow_sizes(node: dict[str, Any], narrowing: Narrowing) -> list[tuple[str, str]]:
    """Write bounds into one schema that alone describes its value; the keywords and what was done."""
    done: list[tuple[str, str]] = []
    if not narrowing.free and not node.keys() & VALIDATIONS:
        node.update(_free(narrowing))
        return [("type", "no object and no array: nothing is said of the value")]
    if node.keys() & _COMPOSED:
        return done
    is_map = node.get("type") == "object" and not node.get("properties") and not node.get("required")
    if not narrowing.free:
        for keyword, applies in (("items", node.get("type") == "array"), ("additionalProperties", is_map)):
            if applies and node.get(keyword, True) in (True, {}):
                node[keyword] = _free(narrowing)
                done.append((keyword, "no object and no array: nothing is said of the value"))
    if narrowing.items is not None:
        for keyword, least, applies in (
            ("maxItems", "minItems", node.get("type") == "array" and not node.get("prefixItems")),
            ("maxProperties", "minProperties", is_map),
        ):
            if applies and keyword not in node:
                node[keyword] = max(narrowing.items, node.get(least, 0))
                done.append((keyword, f"at most {node[keyword]}: no bound is given"))
    return done


def _free(narrowing: Narrowing) -> dict[str, Any]:
    """A value of any type but object and array. Its string and its number are bounded where they are elsewhere."""
    node: dict[str, Any] = {"type": list(_SCALARS)}
    if narrowing.string_length is not None:
        node["maxLength"] = narrowing.string_length
    if narrowing.number is not None:
        node |= {"minimum": -narrowing.number, "maximum": narrowing.number}
    return node
