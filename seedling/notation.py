"""The compact field notation that seedling reads: `name (string), age (integer), status (one of: open, closed)`.

The model was trained on exactly the text that `describe` writes, so a program turns the JSON Schema of its type into a
prompt with this function and nothing else. Light: no torch, no tokenizer.

    from ramify.seedling.notation import describe
    prompt = f"Extract JSON with fields: {describe(schema)}"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidSchema

JsonSchema = Mapping[str, Any]

_MAX_DEPTH = 8
"""Deeper types than this are refused: the model has seen two levels."""


@dataclass(frozen=True)
class Words:
    """How the scalar types are called; the defaults are what the model knows best."""

    string: str = "string"
    integer: str = "integer"
    number: str = "number"
    boolean: str = "boolean"
    date: str = "date"
    null: str = " or null"


def describe(schema: JsonSchema, words: Words | None = None) -> str:
    """The fields of an object schema, in their declared order.

    Args:
        schema: a JSON Schema of type object, `$ref` into its own `$defs` allowed (what pydantic and msgspec write).
        words: other names for the scalar types.

    Raises:
        InvalidSchema: the schema is not an object, or a part of it has no notation.
    """
    return _fields(schema, schema, words or Words(), "$", 0)


def _fields(schema: JsonSchema, root: JsonSchema, words: Words, where: str, depth: int) -> str:
    schema = _resolve(schema, root, where)
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        raise InvalidSchema("only an object with properties has a field notation", where=where)
    parts = [f"{name} ({_type(part, root, words, f'{where}.{name}', depth + 1)})" for name, part in properties.items()]
    return ", ".join(parts)


def _type(schema: JsonSchema, root: JsonSchema, words: Words, where: str, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise InvalidSchema(f"the type is nested deeper than {_MAX_DEPTH} levels", where=where)
    schema = _resolve(schema, root, where)
    schema, nullable = _without_null(schema, where)
    schema = _resolve(schema, root, where)
    return _plain(schema, root, words, where, depth) + (words.null if nullable else "")


def _plain(schema: JsonSchema, root: JsonSchema, words: Words, where: str, depth: int) -> str:
    if "enum" in schema:
        return "one of: " + ", ".join(str(option) for option in schema["enum"])
    if "const" in schema:
        return f"one of: {schema['const']}"
    kind = schema.get("type")
    if kind == "string":
        return words.date if schema.get("format") == "date" else words.string
    if kind in ("integer", "number", "boolean"):
        return str(getattr(words, kind))
    if kind == "array" and isinstance(schema.get("items"), Mapping):
        items = _resolve(schema["items"], root, where)
        if items.get("type") == "object":
            return f"list of: {_fields(items, root, words, f'{where}[]', depth)}"
        return f"list of {_type(items, root, words, f'{where}[]', depth + 1)}"
    if kind == "object":
        return f"object: {_fields(schema, root, words, where, depth)}"
    raise InvalidSchema(
        f"no field notation for {dict(schema)!r}",
        where=where,
        hint="use string, date, integer, number, boolean, enum, array of these or object of these",
    )


def _without_null(schema: JsonSchema, where: str) -> tuple[JsonSchema, bool]:
    """`schema` with its null alternative taken away, and whether there was one."""
    kind = schema.get("type")
    if isinstance(kind, list):
        rest = [name for name in kind if name != "null"]
        if len(rest) != 1:
            raise InvalidSchema(f"a union of {rest} has no field notation", where=where)
        return {**schema, "type": rest[0]}, "null" in kind
    options = schema.get("anyOf") or schema.get("oneOf")
    if not options:
        return schema, False
    rest = [option for option in options if option.get("type") != "null"]
    if len(rest) != 1:
        raise InvalidSchema(f"a union of {len(rest)} types has no field notation", where=where)
    return rest[0], len(rest) < len(options)


def _resolve(schema: JsonSchema, root: JsonSchema, where: str) -> JsonSchema:
    seen = 0
    while "$ref" in schema:
        name = str(schema["$ref"])
        definitions = root.get("$defs", {})
        key = name.removeprefix("#/$defs/")
        seen += 1
        if key not in definitions or seen > _MAX_DEPTH:
            raise InvalidSchema(f"{name} does not lead to a definition of this schema", where=where)
        schema = definitions[key]
    return schema
