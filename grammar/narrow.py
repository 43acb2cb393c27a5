"""Closes objects that leave open whether they may hold other properties.

JSON Schema lets an object hold any further property unless `additionalProperties` says otherwise. A model may then go
on inventing keys until its budget ends, which nobody who writes a schema for generation wants. So an object that lists
its properties and is silent about others is read as closed. This *narrows*: every value produced is valid under the
schema as written. Writing `additionalProperties` (`true` included) turns it off for that object, and an object that
lists no properties is a map and stays open.

Closing must not break a schema that is put together: in `allOf: [A, B]` each part describes the same object, and
closing A would forbid what B adds. A part is therefore closed only where it alone describes its object. And under a
keyword that *negates* a part (`not`, `if`, alternatives of a `oneOf` that overlap) closing would widen: backends must
have refused those before.
"""

from __future__ import annotations

from typing import Any

from .schema import VALIDATIONS, SchemaNode, Subschema, child_pointer, resolve, subschemas

_IN_PLACE = frozenset({"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"})
"""Keywords whose subschemas describe the same value as the schema that holds them. `$ref` is one too, by name."""


def close_objects(root: SchemaNode) -> SchemaNode:
    """A copy of `root` in which objects are closed unless `additionalProperties` is written; paths do not change."""
    if isinstance(root, bool):
        return root
    shared = _described_elsewhere(root)
    copy: SchemaNode = _copy(root)
    for here in subschemas(copy):
        if here.pointer not in shared and isinstance(here.node, dict) and _is_silent(here.node):
            here.node["additionalProperties"] = False
    return copy


def _is_silent(node: dict[str, Any]) -> bool:
    """The schema lists properties, says nothing of others, and no other schema beside it adds to the same object."""
    others = {"additionalProperties", "unevaluatedProperties", "patternProperties", "$ref"} | _IN_PLACE
    return "properties" in node and not node.keys() & others


def _described_elsewhere(root: dict[str, Any]) -> set[str]:
    """Pointers of the schemas that share their object with another: parts of a composition, through references."""
    by_pointer = {here.pointer: here for here in subschemas(root)}
    objects = [here for here in by_pointer.values() if isinstance(here.node, dict)]
    anchors = {f"#{here.node['$anchor']}": here.pointer for here in objects if "$anchor" in here.node}
    pending = [part for here in by_pointer.values() if _composes(here) for part in _parts(here, root, anchors)]
    shared: set[str] = set()
    while pending:
        pointer = pending.pop()
        if pointer in shared or pointer not in by_pointer:
            continue
        shared.add(pointer)
        pending.extend(_parts(by_pointer[pointer], root, anchors))
    return shared


def _composes(here: Subschema) -> bool:
    """The schema puts a value together from more than one part, so that no part alone describes it.

    Alternatives alone (`anyOf`, `oneOf`) and a reference alone are the whole description, and so is an `allOf` of one.
    """
    if not isinstance(here.node, dict):
        return False
    keywords = (here.node.keys() & VALIDATIONS) - {"type"}
    if keywords in ({"$ref"}, {"anyOf"}, {"oneOf"}):
        return False
    return keywords != {"allOf"} or len(here.node["allOf"]) > 1


def _parts(here: Subschema, root: SchemaNode, anchors: dict[str, str]) -> list[str]:
    """Pointers of the schemas that describe the same value as `here`."""
    if not isinstance(here.node, dict):
        return []
    parts: list[str] = []
    for keyword, value in here.node.items():
        if keyword == "$ref":
            target = resolve(root, value)
            parts.append(target.pointer if target else anchors.get(value, ""))
        elif keyword in _IN_PLACE and isinstance(value, list):
            parts.extend(child_pointer(here.pointer, keyword, index) for index in range(len(value)))
        elif keyword == "dependentSchemas" and isinstance(value, dict):
            parts.extend(child_pointer(here.pointer, keyword, name) for name in value)
        elif keyword in _IN_PLACE:
            parts.append(child_pointer(here.pointer, keyword))
    return parts


def _copy(node: Any) -> Any:
    """A deep copy of decoded JSON. Recursive: the limits have bounded its depth."""
    if isinstance(node, dict):
        return {name: _copy(child) for name, child in node.items()}
    return [_copy(child) for child in node] if isinstance(node, list) else node
