"""xgrammar compiles much more than it enforces: its table of coverage names the rest, each construct with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ramify.errors import InvalidSchema
from ramify.grammar.coverage import coverage
from ramify.grammar.spec import JsonSchema

STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"properties": {"a": STRING}, "anyOf": [{}], "type": "object"}, "#/properties, #/type"),
        ({"$ref": "#/$defs/a", "minLength": 3, "$defs": {"a": STRING}}, "#/minLength"),
        ({"$ref": "#anchor"}, "#/$ref"),
        ({"allOf": [STRING, {"maxLength": 3}]}, "#/allOf, #/allOf/1/maxLength"),
        ({"oneOf": [STRING, {"type": "null"}]}, "#/oneOf"),
        ({"not": STRING}, "#/not"),
        ({"if": {}, "then": {}, "else": {}}, "#/else, #/if, #/then"),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, "#/dependentRequired"),
        ({"type": "array", "uniqueItems": True}, "#/uniqueItems"),
        ({"type": "array", "contains": {}}, "#/contains"),
        ({"type": "array", "items": [STRING]}, "#/items"),
        ({"type": "array", "prefixItems": [False]}, "#/prefixItems"),
        ({"type": "number", "multipleOf": 2}, "#/multipleOf"),
        ({**STRING, "pattern": "a", "maxLength": 3}, "#/maxLength"),
        ({**STRING, "format": "date"}, "#/format"),
        ({**STRING, "format": "unknown"}, "#/format"),
        ({**STRING, "pattern": "^(?!a)[a-z]+$"}, "#/pattern"),
        ({"enum": ["a", 1], "type": "string"}, "#/type"),
        ({"const": "a", "maxLength": 3}, "#/maxLength"),
        ({"const": {"a": 1}}, "#/const"),
        ({"minLength": 3}, "#/minLength"),
        ({"properties": {"a": STRING}}, "#/properties"),
        ({"type": ["string", "null"], "minLength": 2}, "#/minLength"),
        ({"type": "object", "required": ["a"]}, "#/required"),
        ({"type": "object", "patternProperties": {"a": {}}}, "#/patternProperties"),
        ({"type": "object", "properties": {"a": False}}, "#/properties"),
        ({"type": "object", "maxProperties": 3}, "#/maxProperties"),
        ({"type": "array", "items": {"anyOf": [{"not": {}}]}}, "#/items/anyOf/0/not"),
    ],
    ids=str,
)
def test_what_would_be_weakened_is_refused_with_its_path(schema: Any, where: str) -> None:
    assert ", ".join(sorted(note.where for note in coverage(schema, "xgrammar"))) == where


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"title": "t", "description": "d", "x-unknown": 3},
        {"enum": ["a", None, 1, 1.5, True]},
        {"enum": [1, 2], "type": "number"},
        {"type": ["string", "null"]},
        {"oneOf": [STRING], "description": "d"},
        {"type": "integer", "minimum": 0, "exclusiveMaximum": 9},
        {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1, "$defs": {"a": STRING}},
        {"type": "object", "properties": {"not": STRING, "if": STRING}, "required": ["not"]},
    ],
    ids=str,
)
def test_what_is_enforced_passes(schema: Any) -> None:
    assert not list(coverage(schema, "xgrammar"))


@pytest.mark.parametrize(
    ("pattern", "is_slow"),
    [
        ("^.{1,8}$", True),
        ("^[^a]{2}$", True),
        ('(a|"){3}', True),
        ("^[a-z ]{0,60}$", False),
        (".*a", False),
        ("a?", False),
    ],
)
def test_counted_sets_with_escapes_are_not_given_to_it(pattern: str, is_slow: bool) -> None:
    """They are right, and take 200 ms a mask."""
    notes = list(coverage({**STRING, "pattern": pattern}, "xgrammar"))
    assert [note.where for note in notes] == (["#/pattern"] if is_slow else [])


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {"$ref": "#/$defs/missing"}}, {"enum": []}, False], ids=str
)
def test_what_cannot_be_compiled_is_an_error_of_ours(xgrammar: Any, schema: Any) -> None:
    with pytest.raises(InvalidSchema):
        xgrammar.compile(JsonSchema(json.dumps(schema)))
