"""The tables of `coverage.py`, judged: of what is said to be enforced no counterexample is found, of what is said to
be weakened or ignored a witness is shown; both by an independent validator and through the matcher.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.coverage import TABLES
from ramify.grammar.report import Note
from ramify.grammar.schema import VALIDATIONS
from ramify.grammar.spec import JsonSchema
from ramify.grammar.validate import check_value
from schema_world import is_valid, pool, schemas, text, values

STRING, INTEGER, NUMBER, ANY = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {}

# For each keyword, schemas in which it decides something; rewriting leaves it in, or takes it away.
EXAMPLES: dict[str, list[Any]] = {
    "$ref": [
        {"$ref": "#/$defs/x", "$defs": {"x": STRING}},
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string", "maxLength": 2}}, "minLength": 1},
        {"type": "array", "items": {"$ref": "#/$defs/x", "const": "a"}, "$defs": {"x": {"type": ["string", "null"]}}},
    ],
    "$dynamicRef": [
        {"type": "array", "items": {"$dynamicRef": "#x"}, "$defs": {"x": {"$dynamicAnchor": "x", **STRING}}}
    ],
    "$recursiveRef": [{"type": ["array", "null"], "items": {"$recursiveRef": "#"}}],
    "additionalItems": [{"type": "array", "items": [STRING], "additionalItems": INTEGER}],
    "additionalProperties": [
        {"type": "object", "additionalProperties": INTEGER},
        {"type": "object", "properties": {"a": STRING}, "additionalProperties": False},
        {"type": "object", "properties": {"a": STRING}, "additionalProperties": {"type": "null"}},
    ],
    "allOf": [
        {"allOf": [STRING, {"maxLength": 1}]},
        {"allOf": [{"required": ["a"]}, {"properties": {"a": STRING}}], "type": "object"},
        {"allOf": [{"minimum": 0}, {"maximum": 3}, INTEGER]},
    ],
    "anyOf": [
        {"anyOf": [STRING, {"type": "null"}]},
        {
            "type": "object",
            "properties": {"a": STRING, "b": INTEGER},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        {"anyOf": [{"minLength": 2}, {"type": "null"}], "type": ["string", "null"]},
    ],
    "const": [{"const": "a"}, {"const": 1}, {"const": {"a": 1}}, {"const": ["a"]}, {"type": "string", "const": 1}],
    "contains": [{"type": "array", "contains": True}, {"type": "array", "contains": STRING, "minContains": 0}],
    "minContains": [{"type": "array", "contains": {}, "minContains": 2}],
    "maxContains": [{"type": "array", "contains": {}, "maxContains": 1, "minContains": 0}],
    "dependencies": [{"type": "object", "dependencies": {"a": ["b"], "b": {"required": ["c"]}}}],
    "dependentRequired": [{"type": "object", "dependentRequired": {"a": ["b"]}}],
    "dependentSchemas": [{"type": "object", "dependentSchemas": {"a": {"properties": {"b": STRING}}}}],
    "enum": [{"enum": ["a", 1, None, True]}, {"enum": ["a", 1], "type": "string"}, {"enum": [[1], {"a": 1}]}],
    "exclusiveMaximum": [{"type": "integer", "exclusiveMaximum": 3}, {"exclusiveMaximum": 0.5}],
    "exclusiveMinimum": [
        {"type": "number", "exclusiveMinimum": 1},
        {"exclusiveMinimum": 2, "type": ["integer", "null"]},
    ],
    "format": [
        {"type": "string", "format": name}
        for name in (
            "date",
            "ipv4",
            "uuid",
            "ipv6",
            "json-pointer",
            "duration",
            "email",
            "hostname",
            "uri",
            "uri-reference",
        )
    ],
    "if": [{"if": STRING, "then": {"minLength": 2}}, {"if": {"required": ["a"]}, "then": {"required": ["b"]}}],
    "then": [{"type": "object", "if": {"properties": {"a": {"const": "a"}}}, "then": {"required": ["b"]}}],
    "else": [{"if": {"type": "string"}, "then": {"minLength": 1}, "else": INTEGER}],
    "items": [{"type": "array", "items": STRING}, {"items": INTEGER}, {"type": "array", "items": [STRING, INTEGER]}],
    "maxItems": [{"type": "array", "maxItems": 1}, {"maxItems": 2}],
    "maxLength": [
        {"type": "string", "maxLength": 1},
        {"maxLength": 2},
        {"type": "string", "maxLength": 2, "minLength": 2},
    ],
    "maxProperties": [
        {"type": "object", "properties": {"a": ANY, "b": ANY}, "maxProperties": 1, "additionalProperties": False}
    ],
    "maximum": [{"type": "integer", "maximum": 2}, {"type": "number", "maximum": 0.5}, {"maximum": 2}],
    "minItems": [{"type": "array", "minItems": 2}, {"minItems": 1}],
    "minLength": [{"type": "string", "minLength": 2}, {"minLength": 1}],
    "minProperties": [
        {"type": "object", "minProperties": 1},
        {"type": "object", "properties": {"a": ANY, "b": ANY}, "minProperties": 2, "additionalProperties": False},
    ],
    "minimum": [{"type": "integer", "minimum": 1}, {"minimum": 2.5}, {"type": "integer", "minimum": -1, "maximum": 2}],
    "multipleOf": [{"type": "integer", "multipleOf": 5}, {"type": "number", "multipleOf": 0.5}],
    "not": [{"not": STRING}, {"type": "string", "not": {"const": "a"}}, {"type": "object", "not": {"required": ["a"]}}],
    "oneOf": [
        {"oneOf": [STRING, {"type": "null"}]},
        {"oneOf": [{"maximum": 2}, {"minimum": 1}], "type": "integer"},
        {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    ],
    "pattern": [
        {"type": "string", "pattern": pattern}
        for pattern in ("^a", "b$", "a|1", "^[^a]*$", r"\\", '"', "^(a|b$)", r"^\d{4}-", ".", "^.{2}$", r"\n", r"^\S+$")
    ],
    "patternProperties": [
        {"type": "object", "patternProperties": {"^a": STRING}},
        {"type": "object", "patternProperties": {"a|b": INTEGER}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "patternProperties": {"a": STRING}},
    ],
    "prefixItems": [{"type": "array", "prefixItems": [STRING, INTEGER]}, {"prefixItems": [STRING], "items": False}],
    "properties": [{"type": "object", "properties": {"a": STRING}}, {"properties": {"a": STRING, "b": False}}],
    "propertyNames": [{"type": "object", "propertyNames": {"pattern": "^a"}}, {"propertyNames": {"enum": ["a", "b"]}}],
    "required": [
        {"type": "object", "required": ["b"]},
        {"required": ["a", "b"]},
        {"properties": {"a": ANY}, "required": ["b"]},
    ],
    "type": [{"type": name} for name in ("array", "boolean", "integer", "null", "number", "object", "string")]
    + [{"type": ["string", "integer"]}],
    "unevaluatedItems": [{"type": "array", "prefixItems": [STRING], "unevaluatedItems": False}],
    "unevaluatedProperties": [{"type": "object", "properties": {"a": STRING}, "unevaluatedProperties": False}],
    "uniqueItems": [{"type": "array", "items": {"enum": ["a", 1, 2]}, "uniqueItems": True}],
}

# What stays weakened or ignored after rewriting: a schema, a text that is let through under strict=False, the path.
WITNESSES: dict[str, list[tuple[Any, str, str]]] = {
    "not": [({"type": "array", "not": {"items": STRING}}, '["a"]', "#/not")],
    "if": [({"if": {"items": STRING}, "then": {"maxItems": 1}, "type": "array"}, '["a", "a"]', "#/if")],
    "then": [({"if": {"items": STRING}, "then": {"maxItems": 1}, "type": "array"}, '["a", "a"]', "#/then")],
    "else": [({"if": {"items": STRING}, "else": {"maxItems": 1}, "type": "array"}, '["a", 1]', "#/else")],
    "contains": [({"type": "array", "contains": STRING}, "[1]", "#/contains")],
    "exclusiveMinimum": [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}, "0", "#/exclusiveMinimum"),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5}, "1", "#/exclusiveMinimum"),
    ],
    "exclusiveMaximum": [({"type": "number", "exclusiveMaximum": -1, "minimum": -1.5}, "-1", "#/exclusiveMaximum")],
    "allOf": [
        ({"type": "number", "allOf": [{"exclusiveMinimum": 0}, {"maximum": 0.5}]}, "0", "#/allOf"),
        (
            {
                "$defs": {"x": {"exclusiveMinimum": 0}},
                "type": "number",
                "allOf": [{"$ref": "#/$defs/x"}, {"maximum": 0.5}],
            },
            "0",
            "#/allOf",
        ),
    ],
    "anyOf": [
        (
            {"type": "number", "exclusiveMinimum": 0, "anyOf": [{"maximum": 0.5}, {"minimum": 2}]},
            "0",
            "#/anyOf",
        )
    ],
    "minContains": [({"type": "array", "contains": STRING, "minContains": 2}, '["a"]', "#/minContains")],
    "maxContains": [({"type": "array", "contains": STRING, "maxContains": 1}, '["a", "a"]', "#/maxContains")],
    "uniqueItems": [({"type": "array", "items": STRING, "uniqueItems": True}, '["a", "a"]', "#/uniqueItems")],
    "minProperties": [
        ({"type": "object", "additionalProperties": INTEGER, "minProperties": 2}, '{"a": 1, "a": 2}', "#/minProperties")
    ],
    "propertyNames": [
        (
            {"patternProperties": {"^a": ANY}, "propertyNames": {"maxLength": 1}, "additionalProperties": True},
            '{"ab": 1}',
            "#/propertyNames",
        )
    ],
    "unevaluatedProperties": [
        (
            {
                "type": "object",
                "properties": {"c": ANY},
                "anyOf": [{"properties": {"a": STRING}}, {"required": ["c"]}],
                "unevaluatedProperties": False,
            },
            '{"c": 1, "b": 1}',
            "#/unevaluatedProperties",
        )
    ],
    "unevaluatedItems": [
        (
            {"anyOf": [{"prefixItems": [ANY]}], "unevaluatedItems": False, "type": "array"},
            "[1, 2]",
            "#/unevaluatedItems",
        )
    ],
    "pattern": [
        ({"type": "string", "pattern": "^(?!a)"}, '"ab"', "#/pattern"),
        ({**STRING, "pattern": r"\bb"}, '"ab"', "#/pattern"),
    ],
    "patternProperties": [
        ({"type": "object", "patternProperties": {"^(?!a)": INTEGER}}, '{"b": "x"}', "#/patternProperties"),
    ],
    "format": [({"type": "string", "format": "regex"}, '"("', "#/format")],
    "oneOf": [({"oneOf": [{"pattern": "a"}, {"pattern": "b"}], **STRING}, '"ab"', "#/oneOf")],
    "$ref": [
        (
            {"$defs": {"x": {"type": "number", "exclusiveMinimum": 0}}, "$ref": "#/$defs/x", "maximum": 0.5},
            "0",
            "#/$ref",
        )
    ],
    "$dynamicRef": [
        (
            {
                "$id": "https://example.org/r",
                "$defs": {"x": {"$dynamicAnchor": "x", **STRING}, "y": {"$id": "y", **STRING}},
                "$dynamicRef": "#x",
            },
            "1",
            "#/$dynamicRef",
        )
    ],
}


def _id(value: Any) -> str:
    return json.dumps(value)[:60] if isinstance(value, dict) else str(value)


def test_every_keyword_has_an_example_or_a_witness() -> None:
    assert set(EXAMPLES) | set(WITNESSES) == VALIDATIONS
    for table in TABLES.values():
        assert set(table) <= VALIDATIONS


def _refused_values(schema: Any) -> list[Any]:
    """Values near what the schema takes that it refuses, and values of every kind."""
    return [value for value in pool(11, 400) if not is_valid(schema, value)]


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize("backend_name", list(TABLES))
@pytest.mark.parametrize(
    ("keyword", "schema"), [(keyword, schema) for keyword in EXAMPLES for schema in EXAMPLES[keyword]], ids=_id
)
def test_what_is_enforced_lets_nothing_through(
    backend: Any, accepts: Any, family: Any, keyword: str, schema: Any
) -> None:
    try:
        state = backend.compile(JsonSchema(json.dumps(schema))).state()
    except UnenforceableSchema as error:
        assert backend.name == "xgrammar" and error.where
        return
    except InvalidSchema:
        assert not any(is_valid(schema, value) for value in pool(11, 400))  # nothing satisfies it
        return
    if keyword != "additionalItems":  # the validator of draft 2020-12 reads the older spellings otherwise
        checked = 0
        for value in _refused_values(schema) if not _is_older(schema) else ():
            assert not accepts(state, text(value)), value
            assert not _by_tokens(state, family, text(value))
            checked += 1
        assert checked or _is_older(schema) or keyword in ("minContains", "contains")
    assert _some_valid(state, accepts, schema)


def _is_older(schema: Any) -> bool:
    return isinstance(schema.get("items"), list) or "dependencies" in schema or "$recursiveRef" in json.dumps(schema)


def _by_tokens(state: Any, family: Any, written: str) -> bool:
    state = state.fork()
    return all(state.accept(token_id) for token_id in family.encode(written)) and state.completed


def _some_valid(state: Any, accepts: Any, schema: Any) -> bool:
    """It does not refuse everything."""
    extra = [
        "10.0.0.1",
        "::1",
        "P1D",
        "a@b.c",
        "http://a",
        "123e4567-e89b-12d3-a456-426614174000",
        "/a",
        [],
        ["a"],
        [1],
    ]
    extra += [{"a": 1}, {"a": 1, "b": 1}, [[1]]]
    return any(accepts(state, text(value)) for value in (*pool(11, 400), *extra))


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize(
    ("keyword", "witness"), [(keyword, one) for keyword in WITNESSES for one in WITNESSES[keyword]], ids=_id
)
def test_what_is_not_enforced_is_refused_by_name_and_has_a_witness(
    llguidance: Any, accepts: Any, keyword: str, witness: tuple[Any, str, str]
) -> None:
    schema, written, where = witness
    with pytest.raises(UnenforceableSchema) as caught:
        llguidance.compile(JsonSchema(json.dumps(schema)))
    assert where in caught.value.where.split(", ") and caught.value.hint
    lenient = JsonSchema(json.dumps(schema), strict=False)
    grammar = llguidance.compile(lenient)
    assert not is_valid(schema, json.loads(written)) and accepts(grammar.state(), written)
    notes: list[Note] = [note for note in grammar.report.notes if note.keyword == keyword]
    assert notes and notes[0].where == where and notes[0].kind in ("ignored", "weakened") and not grammar.report.exact
    error = check_value(lenient, written)
    assert error is not None and error.where.startswith("#")
    assert check_value(JsonSchema(json.dumps(schema)), written) is None  # enforced grammars are not validated again


@pytest.mark.parametrize("family_name", ["byte_level"])
def test_under_strict_false_what_is_valid_is_not_refused(llguidance: Any, accepts: Any) -> None:
    """Taking keywords out only ever lets more through."""
    for keyword, witnesses in WITNESSES.items():
        for schema, _, _ in witnesses:
            state = llguidance.compile(
                JsonSchema(json.dumps(schema | {"additionalProperties": True}), strict=False)
            ).state()
            for value in pool(5, 60):
                one_key = not isinstance(value, dict) or len(value) < 2  # the order of keys is another matter
                if one_key and is_valid(schema | {"additionalProperties": True}, value):
                    assert accepts(state, text(value)), (keyword, schema, value)


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(schema=schemas, some=st.lists(values, max_size=3))
@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize("backend_name", list(TABLES))
def test_whatever_compiles_lets_nothing_invalid_through(
    backend: Any, accepts: Any, schema: Any, some: list[Any]
) -> None:
    """Random schemas of every logic, random values: exact or refused."""
    if "dependencies" in json.dumps(schema):
        return
    try:
        state = backend.compile(JsonSchema(json.dumps(schema))).state()
    except InvalidSchema:
        return
    for value in (*some, *pool(2, 80)):
        if accepts(state, text(value)):
            assert is_valid(schema, value), (schema, value)


def test_patterns_are_searched_under_a_clock() -> None:
    slow = JsonSchema('{"type": "string", "pattern": "^(a|a|b)*(?=c)(a|a)*$"}', strict=False)
    error = check_value(slow, '"' + "a" * 60_000 + '"')
    assert error is not None
