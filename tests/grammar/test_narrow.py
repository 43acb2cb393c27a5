"""Silent objects are closed, and only where that cannot forbid what another part of the schema adds."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ramify.errors import UnenforceableSchema
from ramify.grammar.narrow import close_objects
from ramify.grammar.schema import subschemas
from ramify.grammar.spec import JsonSchema

A, B = {"properties": {"a": {}}}, {"properties": {"b": {}}}


def closed_at(schema: Any) -> set[str]:
    before = copy.deepcopy(schema)
    closed = close_objects(schema)
    assert schema == before
    added = {
        here.pointer
        for here, was in zip(subschemas(closed), _without_added(closed, schema), strict=False)
        if isinstance(here.node, dict) and here.node.get("additionalProperties") is False and was
    }
    return added


def _without_added(closed: Any, schema: Any) -> list[bool]:
    written = {h.pointer for h in subschemas(schema) if isinstance(h.node, dict) and "additionalProperties" in h.node}
    return [here.pointer not in written for here in subschemas(closed)]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (A, {"#"}),
        ({"type": "object", **A}, {"#"}),
        ({"type": "object"}, set()),
        ({"type": "object", "required": ["a"]}, set()),
        ({**A, "additionalProperties": True}, set()),
        ({**A, "additionalProperties": {"type": "integer"}}, set()),
        ({**A, "additionalProperties": False}, set()),
        ({**A, "unevaluatedProperties": False}, set()),
        ({**A, "patternProperties": {"x": {}}}, set()),
        ({"items": A}, {"#/items"}),
        ({"properties": {"p": A}}, {"#", "#/properties/p"}),
        ({"anyOf": [A, B]}, {"#/anyOf/0", "#/anyOf/1"}),
        ({"oneOf": [A, {"anyOf": [B]}], "title": "t"}, {"#/oneOf/0", "#/oneOf/1/anyOf/0"}),
        ({"allOf": [A]}, {"#/allOf/0"}),
        ({"allOf": [A, B]}, set()),
        ({"allOf": [A], **B}, set()),
        ({"anyOf": [A, {"type": "null"}], **B}, set()),
        ({"$ref": "#/$defs/a", "$defs": {"a": A}}, {"#/$defs/a"}),
        ({"items": {"$ref": "#/$defs/a", "description": "d"}, "$defs": {"a": A}}, {"#/$defs/a"}),
        ({"$ref": "#/$defs/a", **B, "$defs": {"a": A}}, set()),
        ({"allOf": [{"$ref": "#/$defs/a"}, B], "$defs": {"a": {"anyOf": [A, {"$ref": "#/$defs/c"}]}, "c": A}}, set()),
        ({"allOf": [{"properties": {"p": A}}, B]}, {"#/allOf/0/properties/p"}),
        ({"if": A, "then": B}, set()),
        ({"not": A}, set()),
        ({"const": A, "enum": [A]}, set()),
        ({"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}, {"#/$defs/n"}),
        ({"$ref": "#/my%20defs/a~1b", "my defs": {"a/b": A}}, {"#/my defs/a~1b"}),
        ({"allOf": [{"$ref": "#/my%20defs/a~1b"}, B], "my defs": {"a/b": A}}, set()),
        ({"allOf": [{"$ref": "#here"}, B], "$defs": {"a": {"$anchor": "here", **A}}}, set()),
        (True, set()),
    ],
    ids=str,
)  # fmt: skip
def test_closed_places(schema: Any, expected: set[str]) -> None:
    assert closed_at(schema) == expected


def test_a_composition_keeps_what_each_part_adds(llguidance: Any, family: Any) -> None:
    schema = {
        "$defs": {"base": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}},
        "allOf": [{"$ref": "#/$defs/base"}, {"type": "object", "properties": {"name": {"type": "string"}}}],
    }
    state = llguidance.compile(JsonSchema(json.dumps(schema))).state()
    assert all(state.accept(token_id) for token_id in family.encode('{"id": 1, "name": "x"}')) and state.completed


def test_closing_does_not_set_alternatives_apart(llguidance: Any) -> None:
    """Both alternatives hold for {"a": 1} as written; closed, the first no longer does."""
    either = {"type": "object", "properties": {}}, {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    with pytest.raises(UnenforceableSchema) as caught:
        llguidance.compile(JsonSchema(json.dumps({"type": "array", "items": {"oneOf": either}})))
    assert caught.value.where == "#/items/oneOf"


def test_alternatives_told_apart_by_a_constant_are_closed(llguidance: Any, family: Any) -> None:
    cat, dog = ({"type": "object", "properties": {"kind": {"const": k}}, "required": ["kind"]} for k in ("cat", "dog"))
    state = llguidance.compile(JsonSchema(json.dumps({"oneOf": [cat, dog]}))).state()
    assert all(state.accept(token_id) for token_id in family.encode('{"kind": "dog"'))
    assert not state.fork().accept(family.byte_id(ord(","))) and state.accept(family.byte_id(ord("}")))


def test_a_closed_object_ends_after_its_last_property(start: Any, feed: Any, mask_ids: Any, family: Any) -> None:
    state = start({"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]})
    feed(state, '{"a": 1')
    assert {family.vocabulary.tokens[token_id] for token_id in mask_ids(state)} == {b"}"}
    state = start(
        {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": True}
    )
    feed(state, '{"a": 1, "more": [')
    assert mask_ids(state)
