"""Silent objects are closed, and only where that cannot forbid what another part of the schema adds."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ramify.errors import UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import EXACT, GrammarLimits, Narrowing
from ramify.grammar.narrow import narrow
from ramify.grammar.schema import subschemas
from ramify.grammar.spec import JsonSchema

A, B = {"properties": {"a": {}}}, {"properties": {"b": {}}}


def closed_at(schema: Any) -> set[str]:
    before = copy.deepcopy(schema)
    closed, _ = narrow(schema)
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


def test_closing_does_not_set_alternatives_apart(llguidance: Any, accepts: Any) -> None:
    """Both alternatives hold for {"a": 1} as written, so that it is refused; closed, the first would no longer hold."""
    either = {"type": "object", "properties": {}}, {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    state = llguidance.compile(JsonSchema(json.dumps({"type": "array", "items": {"oneOf": either}}))).state()
    assert accepts(state, "[{}]") and not accepts(state, '[{"a": 1}]')


def test_a_required_key_is_listed_even_if_it_is_not_described(llguidance: Any, accepts: Any) -> None:
    schema = {"type": "object", "properties": {"a": {}}, "required": ["b"]}
    state = llguidance.compile(JsonSchema(json.dumps(schema))).state()
    assert accepts(state, '{"b": 1}') and accepts(state, '{"a": 1, "b": 2}') and not accepts(state, '{"b": 1, "c": 2}')


def test_what_is_left_out_is_reported_at_its_place(family: Any, accepts: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"s": {"type": "string"}, "n": {"type": "integer", "minimum": 0}, "l": {"maxItems": 10**6}},
        "required": ["s", "n"],
    }
    limits = GrammarLimits(narrowing=Narrowing(string_length=20))
    grammar = make_backend(family.vocabulary, "llguidance", limits).compile(JsonSchema(json.dumps(schema)))
    assert [(note.kind, note.where) for note in grammar.report.notes] == [
        ("narrowed", "#"),
        ("narrowed", "#/additionalProperties"),
        ("narrowed", "#/properties/s/maxLength"),
        ("narrowed", "#/properties/n/maximum"),
        ("narrowed", "#/properties/l/maxItems"),
    ]
    assert grammar.report.exact
    state = grammar.state()
    assert accepts(state, '{"s": "x", "n": 1000000000000000000}') and not accepts(
        state, '{"s": "x", "n": 1000000000000000001}'
    )
    assert accepts(state, json.dumps({"s": "é" * 20, "n": 1}, ensure_ascii=False))
    assert not accepts(state, json.dumps({"s": "x" * 21, "n": 1}))


def test_nothing_is_left_out_where_that_is_switched_off(family: Any, accepts: Any) -> None:
    limits = GrammarLimits(narrowing=EXACT)
    grammar = make_backend(family.vocabulary, "llguidance", limits).compile(
        JsonSchema('{"properties": {"n": {"type": "integer"}}}')
    )
    state = grammar.state()
    assert accepts(state, '{"n": 1, "b": 2}') and accepts(state, '{"n": 123456789012345678901234567890}')
    assert [note.keyword for note in grammar.report.notes] == ["whitespace"]


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


def test_what_a_schema_leaves_open_can_be_bounded() -> None:
    """Every value of the narrowed schema is one of the schema, and all that was open has an end."""
    limits = GrammarLimits(narrowing=Narrowing(string_length=5, number=9, items=2, free=False))
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "minItems": 3},
            "map": {"type": "object", "additionalProperties": {"type": "null"}},
            "any": {},
            "kept": {"type": "array", "maxItems": 7, "items": {"enum": [1, {}]}},
        },
        "required": ["more"],
        "additionalProperties": {"type": "boolean"},
    }
    narrowed, notes = narrow(schema, limits)
    some = {"type": ["boolean", "null", "number", "string"], "maxLength": 5, "minimum": -9, "maximum": 9}
    assert isinstance(narrowed, dict) and narrowed["additionalProperties"] is False
    properties = narrowed["properties"]
    assert properties["list"] == {"type": "array", "minItems": 3, "maxItems": 3, "items": some}
    assert properties["map"] == {"type": "object", "additionalProperties": {"type": "null"}, "maxProperties": 2}
    assert properties["any"] == some and properties["more"] == {"type": "boolean"}
    assert properties["kept"] == schema["properties"]["kept"]  # type: ignore[index]
    assert {note.where for note in notes} >= {"#/properties/list/maxItems", "#/properties/any/type"}


def test_values_in_the_overlap_of_alternatives_are_left_out_and_said_so(family: Any, accepts: Any) -> None:
    """`a` may be a number that is no integer under the second alternative alone, which no keyword says."""
    first = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    second = {"type": "object", "properties": {"b": {}}, "required": ["b"]}
    spec = JsonSchema(json.dumps({"oneOf": [first, second], "additionalProperties": True}))
    grammar = make_backend(family.vocabulary, "llguidance").compile(spec)
    assert ("narrowed", "#/oneOf") in [(note.kind, note.where) for note in grammar.report.notes]
    state = grammar.state()
    for value, taken in (({"a": 1}, True), ({"b": 1}, True), ({"b": 1, "a": "x"}, True), ({"b": 1, "a": 1}, False)):
        assert accepts(state, json.dumps(value)) == taken, value
    assert not accepts(state, '{"b": 1, "a": 0.5}')  # valid, and left out
    with pytest.raises(UnenforceableSchema):
        make_backend(family.vocabulary, "llguidance", GrammarLimits(narrowing=EXACT)).compile(spec)
