"""Refuses a schema that only an endless value would satisfy.

`{"$ref": "#"}`, or a node that *requires* a node: backends compile these, and the model then writes until its budget
ends, or finds that nothing can follow. A part of a schema is finite if some value that ends satisfies it, as far as
recursion is concerned: the least fixed point over its parts, by counting the conditions not yet met.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..errors import InvalidSchema
from .schema import REFERENCES, SchemaNode, Subschema, child_pointer, children, resolve_local


def check_finite(root: SchemaNode, places: list[Subschema], named: dict[str, str]) -> None:
    """Check every part of the schema that a value may reach.

    Args:
        root: the schema.
        places: `subschemas(root)`.
        named: `anchors(places)`.

    Raises:
        InvalidSchema: at the first part that no finite value satisfies.
    """
    parts = {here.pointer: here for here in places}
    finite = _finite(root, parts, named)
    for pointer in _reachable(root, parts, named):
        if pointer not in finite:
            raise InvalidSchema(
                "no finite value satisfies this schema: it always holds itself again",
                where=pointer,
                hint="make the property that recurs optional, or allow null beside it",
            )


def _finite(root: SchemaNode, parts: dict[str, Subschema], named: dict[str, str]) -> set[str]:
    """Pointers of the parts that a finite value satisfies."""
    finite: set[str] = set()
    missing: dict[str, int] = {}  # conditions of a part that are not met yet
    waiting: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)  # part -> (dependent, its condition)
    met: set[tuple[str, int]] = set()
    pending: list[str] = []
    for pointer, here in parts.items():
        conditions = _conditions(here, root, named)
        missing[pointer] = len(conditions)
        if not conditions:
            pending.append(pointer)
        for index, alternatives in enumerate(conditions):
            for alternative in alternatives:
                waiting[alternative].append((pointer, index))
    while pending:
        pointer = pending.pop()
        finite.add(pointer)
        for dependent, index in waiting[pointer]:
            if (dependent, index) not in met:
                met.add((dependent, index))
                missing[dependent] -= 1
                if missing[dependent] == 0:
                    pending.append(dependent)
    return finite


def _targets(node: dict[str, Any], root: SchemaNode, named: dict[str, str]) -> list[str]:
    """Pointers of what a schema refers to."""
    found = [resolve_local(root, node[keyword], named) for keyword in REFERENCES if keyword in node]
    return [target.pointer for target in found if target is not None]


def _conditions(here: Subschema, root: SchemaNode, named: dict[str, str]) -> list[list[str]]:
    """What must be finite for this part to be: of each list, at least one pointer."""
    node = here.node
    if not isinstance(node, dict):
        return []
    conditions: list[list[str]] = []
    conditions += [[pointer] for pointer in _targets(node, root, named)]
    conditions += [[child_pointer(here.pointer, "allOf", index)] for index in range(len(node.get("allOf", ())))]
    for keyword in ("anyOf", "oneOf"):
        if node.get(keyword):
            conditions.append([child_pointer(here.pointer, keyword, index) for index in range(len(node[keyword]))])
    if node.get("type") in ("object", ["object"]):
        properties = node.get("properties", {})
        required = [name for name in node.get("required", ()) if name in properties]
        conditions += [[child_pointer(here.pointer, "properties", name)] for name in required]
    elif node.get("type") in ("array", ["array"]):
        conditions += [[pointer] for pointer in _first_items(here.pointer, node)]
    return conditions


def _first_items(pointer: str, node: dict[str, Any]) -> list[str]:
    """Pointers of the schemas that the items which must be there satisfy."""
    wanted, listed = int(node.get("minItems", 0)), len(node.get("prefixItems", ()))
    pointers = [child_pointer(pointer, "prefixItems", index) for index in range(min(wanted, listed))]
    if wanted > listed and isinstance(node.get("items"), dict):
        pointers.append(child_pointer(pointer, "items"))
    return pointers


def _reachable(root: SchemaNode, parts: dict[str, Subschema], named: dict[str, str]) -> list[str]:
    """Pointers of the parts in use: a definition that nothing refers to is not."""
    seen: dict[str, None] = {}
    stack = ["#"]
    while stack:
        pointer = stack.pop()
        if pointer in seen or pointer not in parts:
            continue
        seen[pointer] = None
        node = parts[pointer].node
        if isinstance(node, dict):
            below = children(parts[pointer])
            used = [child.pointer for child in below if child.keyword not in ("$defs", "definitions")]
            used.extend(_targets(node, root, named))
            stack.extend(reversed(used))
    return list(seen)
