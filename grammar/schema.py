"""JSON Schema as data: where its subschemas are, and the path of each.

Limits, narrowing, the gates of the backends and their error messages all walk the same schema and must agree on what
is a subschema and what merely looks like one (a property *named* `$ref`, an object inside `enum`). The walk is
iterative: a schema comes from outside, and its depth must not become ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

SchemaNode: TypeAlias = "dict[str, Any] | bool"
"""A decoded schema: an object of keywords, or `true` / `false`."""

ONE_SUBSCHEMA = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
    }
    | {"then", "unevaluatedItems", "unevaluatedProperties"}
)
SUBSCHEMA_LISTS = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
SUBSCHEMA_MAPS = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
APPLICATORS = ONE_SUBSCHEMA | SUBSCHEMA_LISTS | SUBSCHEMA_MAPS

ANNOTATIONS = frozenset(
    {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "$vocabulary",
        "$id",
        "$schema",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
    }
    | {"definitions", "deprecated", "description", "examples", "id", "readOnly", "title", "writeOnly"}
)
"""Keywords that constrain nothing by themselves."""

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

VALIDATIONS = frozenset(
    {
        "$dynamicRef",
        "$recursiveRef",
        "$ref",
        "additionalItems",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "contains",
    }
    | {"dependencies", "dependentRequired", "dependentSchemas", "else", "enum", "exclusiveMaximum", "exclusiveMinimum"}
    | {"format", "if", "items", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains"}
    | {
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
    }
    | {"prefixItems", "properties", "propertyNames", "required", "then", "type", "unevaluatedItems"}
    | {"unevaluatedProperties", "uniqueItems"}
)
"""Keywords that constrain values. A keyword in neither set is an annotation, as JSON Schema says."""


class Subschema(NamedTuple):
    """A subschema and its place.

    Attributes:
        pointer: JSON pointer from the root, as a URI fragment ("#/properties/a").
        node: the schema there; not checked, so it may be no schema at all.
        keyword: the keyword that leads from the parent to here; "" at the root.
    """

    pointer: str
    node: Any
    keyword: str


def child_pointer(pointer: str, *names: str | int) -> str:
    """`pointer` extended by names, escaped as RFC 6901 says."""
    for name in names:
        text = str(name)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def subschemas(root: SchemaNode) -> Iterator[Subschema]:
    """All subschemas, parents before children, in document order; the root is the first.

    A reference may point to a place that no keyword makes a schema (`#/components/schemas/A`); what is there follows at
    the end, so that nothing a backend would compile is missed. Each place comes once.
    """
    seen: set[str] = set()
    referenced: list[str] = []
    stack = [Subschema("#", root, "")]
    while stack:
        here = stack.pop()
        if here.pointer in seen:
            continue
        seen.add(here.pointer)
        yield here
        if isinstance(here.node, dict):
            stack.extend(reversed(list(children(here))))
            referenced.extend(text for keyword in REFERENCES if isinstance(text := here.node.get(keyword), str))
        while referenced and not stack:
            target = resolve(root, referenced.pop())
            if target is not None and target.pointer not in seen:
                stack.append(target)


def resolve(root: SchemaNode, reference: str) -> Subschema | None:
    """What a `$ref` points to by JSON pointer (RFC 6901 in a URI fragment); None if that is nothing, or an anchor."""
    if reference not in ("#", "") and not reference.startswith("#/"):
        return None
    names = [name.replace("~1", "/").replace("~0", "~") for name in unquote(reference).split("/")[1:]]
    node: Any = root
    for name in names:
        if isinstance(node, dict) and name in node:
            node = node[name]
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
            node = node[int(name)]
        else:
            return None
    return Subschema(child_pointer("#", *names), node, "$ref")


def anchors(places: Iterable[Subschema]) -> dict[str, str]:
    """References by name (`$anchor`, `$id`) to the pointers of what they name; a name used twice is left out."""
    found: dict[str, list[str]] = {}
    for here in places:
        if not isinstance(here.node, dict):
            continue
        for keyword, spelled in (("$anchor", "#{}"), ("$dynamicAnchor", "#{}"), ("$id", "{}"), ("id", "{}")):
            name = here.node.get(keyword)
            if isinstance(name, str) and name:
                found.setdefault(spelled.format(name).rstrip("#"), []).append(here.pointer)
    return {name: pointers[0] for name, pointers in found.items() if len(set(pointers)) == 1}


def resolve_local(root: SchemaNode, reference: str, named: dict[str, str]) -> Subschema | None:
    """What a `$ref` points to inside the schema, by pointer or by name; None if that is nothing.

    Args:
        root: the schema.
        reference: the value of `$ref`.
        named: `anchors(subschemas(root))`.
    """
    if (target := resolve(root, reference)) is not None:
        return target
    if (pointer := named.get(reference.rstrip("#"))) is not None:
        return resolve(root, pointer)
    resource, _, fragment = reference.partition("#")
    if resource in named and fragment.startswith("/"):
        return resolve(root, named[resource] + fragment)
    return None


def children(parent: Subschema) -> Iterator[Subschema]:
    """The direct subschemas of an object schema, in document order."""
    for keyword, value in parent.node.items():
        if keyword not in APPLICATORS:
            continue  # most keywords have no schema below them, and need no pointer
        pointer = child_pointer(parent.pointer, keyword)
        if isinstance(value, list) and keyword in SUBSCHEMA_LISTS:
            for index, node in enumerate(value):
                yield Subschema(child_pointer(pointer, index), node, keyword)
        elif isinstance(value, dict) and keyword in SUBSCHEMA_MAPS:
            for name, node in value.items():
                if keyword != "dependencies" or not isinstance(node, list):
                    yield Subschema(child_pointer(pointer, name), node, keyword)
        elif keyword in ONE_SUBSCHEMA and keyword not in SUBSCHEMA_MAPS:
            yield Subschema(pointer, value, keyword)
