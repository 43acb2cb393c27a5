"""Which texts a grammar allows, where these are few: the arms that a dry run explores at a fence."""

from __future__ import annotations

import itertools
import json
from typing import Any

from ..grammar.spec import Choices, GrammarSpec, JsonSchema

_NOTES = {"title", "description", "default", "examples", "$defs", "definitions", "$schema", "$comment", "deprecated"}
_NAMED: dict[Any, list[Any]] = {"boolean": [True, False], "null": [None]}
_ABSENT = object()


def finite_texts(grammar: GrammarSpec | None, most: int) -> tuple[str, ...] | None:
    """Every text that the grammar allows, in its own order, if these are at most `most`; None otherwise.

    A schema is finite if it is made of `enum`, `const`, booleans, null, bounded integers, and unions and objects of
    these. Objects hold their listed properties and no other, as the grammars enforce by default. None for any schema
    with a keyword that is not understood here.
    """
    if isinstance(grammar, Choices):
        texts = tuple(dict.fromkeys(grammar.options))
        return texts if len(texts) <= most else None
    if not isinstance(grammar, JsonSchema):
        return None
    root = json.loads(grammar.schema)
    values = _values(root, root, most, ())
    return None if values is None else tuple(dict.fromkeys(json.dumps(value) for value in values))


def _values(schema: Any, root: Any, most: int, seen: tuple[str, ...]) -> list[Any] | None:
    if not isinstance(schema, dict):
        return None
    keys = schema.keys() - _NOTES
    found: list[Any] | None = None
    if keys == {"$ref"}:
        name = schema["$ref"]
        prefix = "#/$defs/"
        if name in seen or not name.startswith(prefix):
            return None
        return _values(root.get("$defs", {}).get(name.removeprefix(prefix)), root, most, (*seen, name))
    if "enum" in keys and keys <= {"enum", "type"}:
        found = list(schema["enum"])
    elif "const" in keys and keys <= {"const", "type"}:
        found = [schema["const"]]
    elif keys in ({"anyOf"}, {"oneOf"}):
        found = _union([_values(part, root, most, seen) for part in schema[next(iter(keys))]])
    elif isinstance(schema.get("type"), list) and keys == {"type"}:
        found = _union([_values({"type": name}, root, most, seen) for name in schema["type"]])
    elif keys == {"type"}:
        found = _NAMED.get(schema["type"])
    elif schema.get("type") == "integer":
        found = _integers(schema, keys, most)
    elif schema.get("type") == "object" and keys <= {"type", "properties", "required", "additionalProperties"}:
        found = _objects(schema, root, most, seen)
    return found if found is None or len(found) <= most else None


def _union(parts: list[list[Any] | None]) -> list[Any] | None:
    if any(part is None for part in parts):
        return None
    return [value for part in parts if part is not None for value in part]


def _integers(schema: dict[str, Any], keys: set[str], most: int) -> list[Any] | None:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in keys else None)
    high = schema.get("maximum", schema.get("exclusiveMaximum", 0) - 1 if "exclusiveMaximum" in keys else None)
    known = {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    if not keys <= known or not isinstance(low, int) or not isinstance(high, int) or high - low >= most:
        return None
    return list(range(low, high + 1))


def _objects(schema: dict[str, Any], root: Any, most: int, seen: tuple[str, ...]) -> list[Any] | None:
    if schema.get("additionalProperties", False) is not False:
        return None
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not set(required) <= properties.keys():
        return None
    columns: list[list[Any]] = []
    size = 1
    for name, part in properties.items():
        values = _values(part, root, most, seen)
        if values is None:
            return None
        columns.append(values if name in required else [*values, _ABSENT])
        size *= len(columns[-1])
        if size > most:
            return None
    return [
        {name: value for name, value in zip(properties, row, strict=True) if value is not _ABSENT}
        for row in itertools.product(*columns)
    ]
