"""Rewritings mean the same: before and after, an independent validator gives the same answer for generated values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidSchema
from ramify.grammar.disjoint import are_disjoint
from ramify.grammar.evaluate import CannotEvaluate, satisfies
from ramify.grammar.limits import EXACT, UNBOUNDED, GrammarLimits, check_schema
from ramify.grammar.merge import CannotMerge, flatten, merge
from ramify.grammar.negate import CannotNegate, negate
from ramify.grammar.rewrite import nearest, rewrite
from ramify.grammar.schema import VALIDATIONS
from ramify.grammar.shapes import TYPES
from ramify.grammar.spec import JsonSchema
from schema_world import is_valid, pool, schemas, values

POOL = pool(3, 150)
quick = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def rewritten(schema: Any) -> Any:
    return rewrite(schema, GrammarLimits(narrowing=EXACT)).schema


def same(before: Any, after: Any, some: list[Any]) -> None:
    for value in (*some, *POOL):
        assert is_valid(after, value) == is_valid(before, value), (value, after)


def checked(schema: Any) -> Any:
    """Schemas without end or of contradictory kinds are not what is tested here."""
    try:
        return check_schema(JsonSchema(json.dumps(schema)))
    except InvalidSchema:
        assume(False)


@quick
@given(schemas, st.lists(values, max_size=5))
def test_rewriting_changes_no_answer(schema: Any, some: list[Any]) -> None:
    checked(schema)
    same(_modern(schema), rewritten(schema), some)


@quick
@given(schemas, st.lists(values, max_size=5))
def test_overlapping_alternatives_may_lose_values_and_gain_none(schema: Any, some: list[Any]) -> None:
    checked(schema)
    exact, narrower = (
        rewrite(schema, GrammarLimits(narrowing=EXACT)),
        rewrite(schema, GrammarLimits(narrowing=UNBOUNDED)),
    )
    assert "x-narrower" not in json.dumps(narrower.schema)
    is_told = any(note.kind == "narrowed" for note in narrower.notes)
    assert is_told or narrower.schema == exact.schema
    for value in (*some, *POOL):
        before, after = is_valid(_modern(schema), value), is_valid(narrower.schema, value)
        assert after == before or (is_told and before), (value, narrower.schema)


@quick
@given(schemas, st.lists(values, max_size=5))
def test_a_value_is_evaluated_as_the_validator_does(schema: Any, some: list[Any]) -> None:
    checked(schema)
    after = rewritten(schema)
    for value in (*some, *POOL[:40]):
        try:
            answer = satisfies(value, after, lambda reference: None)
        except CannotEvaluate:
            continue
        assert answer == is_valid(after, value), (value, after)


@quick
@given(schemas, st.lists(values, max_size=5))
def test_flattening_changes_no_answer(schema: Any, some: list[Any]) -> None:
    checked(schema)
    after = rewritten(schema)
    same(after, flatten(after), some)


@quick
@given(schemas)
def test_a_complement_holds_exactly_what_the_schema_refuses(schema: Any) -> None:
    checked(schema)
    after = rewritten(schema)
    try:
        complement = negate(after, lambda reference: None)
    except CannotNegate:
        return
    for value in POOL:
        assert is_valid(complement, value) != is_valid(after, value), (value, complement)


@quick
@given(schemas, schemas)
def test_merged_schemas_hold_what_both_hold_and_disjoint_ones_share_nothing(left: Any, right: Any) -> None:
    checked(left), checked(right)
    left, right = rewritten(left), rewritten(right)
    common = [value for value in POOL if is_valid(left, value) and is_valid(right, value)]
    if are_disjoint(left, right, lambda reference: None):
        assert not common
    try:
        merged = merge(left, right)
    except CannotMerge:
        return
    assert [value for value in POOL if is_valid(merged, value)] == common


def _modern(schema: Any) -> Any:
    """`dependencies`, which the validator of draft 2020-12 does not read, in the new spelling."""
    if isinstance(schema, list):
        return [_modern(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    out = {keyword: value if keyword in ("const", "enum") else _modern(value) for keyword, value in schema.items()}
    for name, needed in out.pop("dependencies", {}).items() if isinstance(out.get("dependencies"), dict) else ():
        keyword = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        known = out.get(keyword, {}).get(name)
        both = (
            needed if known is None else [*known, *needed] if isinstance(needed, list) else {"allOf": [known, needed]}
        )
        out[keyword] = {**out.get(keyword, {}), name: both}
    return out


@pytest.mark.parametrize(
    ("schema", "gone"),
    [
        ({"not": {"type": "string"}}, "not"),
        ({"type": "string", "not": {"enum": ["", "ab"]}}, "not"),
        ({"not": {"required": ["a", "b"]}}, "not"),
        ({"not": {"properties": {"a": {"type": "string", "minLength": 2}}}}, "not"),
        ({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}, "if"),
        ({"oneOf": [{"type": "string"}, {"type": "array"}]}, "oneOf"),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, "oneOf"),
        ({"oneOf": [{"minimum": 2}, {"maximum": 5}], "type": "integer"}, "oneOf"),
        ({"dependentRequired": {"a": ["b"]}}, "dependentRequired"),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, "dependentSchemas"),
        ({"type": "array", "items": {"enum": ["a", 1, None]}, "uniqueItems": True}, "uniqueItems"),
        ({"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 1}, "uniqueItems"),
        ({"type": "array", "maxItems": 1, "uniqueItems": True}, "uniqueItems"),
        ({"type": "object", "propertyNames": {"pattern": "^a"}}, "propertyNames"),
        (
            {"type": "object", "propertyNames": {"enum": ["a", "b"]}, "additionalProperties": {"type": "null"}},
            "propertyNames",
        ),
        ({"properties": {"a": {}}, "unevaluatedProperties": False}, "unevaluatedProperties"),
        ({"prefixItems": [{}], "unevaluatedItems": False}, "unevaluatedItems"),
        ({"contains": True, "minContains": 2}, "contains"),
        ({"contains": {"type": "null"}, "minContains": 0}, "contains"),
        ({"minProperties": 1, "required": ["a"]}, "minProperties"),
        ({"oneOf": [{"type": "array", "items": {"type": t}} for t in ("string", "integer", "null")]}, "oneOf"),
        (
            {"oneOf": [{"properties": {"a": {"enum": [t]}, "b": {"type": t}}, "required": ["a"]} for t in TYPES]},
            "oneOf",
        ),
        ({"oneOf": [{"type": "string", "pattern": p} for p in ("^a+$", "^b", "^ab")]}, "oneOf"),
        ({"oneOf": [{"pattern": "^a"}, {"enum": ["b", "c"]}], "type": "string"}, "oneOf"),
        (
            {
                "oneOf": [
                    {"additionalProperties": False, "properties": {"a": {"type": "integer"}, "b": {"const": 1}}},
                    {"additionalProperties": False, "properties": {"a": {"type": "integer"}, "b": {"const": 2}}},
                ]
            },
            "oneOf",
        ),
        ({"enum": ["a", 1, {"a": 1}, ["b"]], "not": {"patternProperties": {"a": {"type": "integer"}}}}, "not"),
        ({"allOf": [{"enum": [1, 2, "ab", "b"]}, {"type": ["integer", "string"], "pattern": "a"}]}, "allOf"),
        ({"not": {"const": ["a", 1]}}, "not"),
        ({"type": "string", "not": {"pattern": "^(a|b)c?$"}}, "not"),
        ({"type": "array", "maxItems": 3, "not": {"items": {"type": "string"}}}, "not"),
        ({"type": "object", "propertyNames": False}, "propertyNames"),
        ({"properties": {"a": {}, "b": {"type": "null"}}, "propertyNames": {"maxLength": 1}}, "propertyNames"),
        ({"properties": {"a": {}, "ab": {}}, "propertyNames": {"enum": ["a", "c"]}}, "propertyNames"),
        ({"patternProperties": {".*": {"type": "string"}}, "propertyNames": {"pattern": "^a"}}, "propertyNames"),
        ({"properties": {"a": {}}, "patternProperties": {"": {"type": "string"}}}, "patternProperties"),
        ({"properties": {"a": {}, "b": {}}, "maxProperties": 2, "additionalProperties": False}, "maxProperties"),
        ({"type": "array", "contains": {"type": "string"}, "maxItems": 3}, "contains"),
        ({"type": "array", "contains": {"const": 1}, "minContains": 2, "maxContains": 2, "maxItems": 4}, "ontains"),
        (
            {"$defs": {"e": {"enum": ["a", 1]}}, "type": "array", "items": {"$ref": "#/$defs/e"}, "uniqueItems": True},
            "un",
        ),
    ],
    ids=str,
)
def test_each_rewriting_takes_its_keyword_away_and_means_the_same(schema: Any, gone: str) -> None:
    after = rewritten(schema)
    assert gone not in json.dumps(after)
    same(schema, after, [])


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"], "minProperties": 2},
        {"properties": {"a": {}, "b": {}}, "required": ["c"], "maxProperties": 0},
        {"properties": {"a": {}, "b": {}}, "maxProperties": 2, "minProperties": 1},
        {"properties": {"a": {}, "b": {}, "c": {}}, "patternProperties": {"^b": {}}, "maxProperties": 1},
    ],
    ids=str,
)
def test_counts_that_remain_mean_the_same(schema: Any) -> None:
    same(schema, rewritten(schema), [])


def test_older_spellings() -> None:
    """Against the validator of draft 4, which knows them."""
    import jsonschema

    for schema in (
        {"type": "array", "items": [{"type": "string"}, {}], "additionalItems": False},
        {"items": {"type": "string"}, "additionalItems": False},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": False},
        {"dependencies": {"a": ["b"], "b": {"required": ["c"]}}},
    ):
        older = jsonschema.Draft4Validator(schema)
        for value in POOL:
            assert is_valid(rewritten(schema), value) == older.is_valid(value), (schema, value)


def test_references_by_pointer_name_and_identifier_become_local() -> None:
    schema = {
        "$id": "https://example.org/s",
        "definitions": {"x/y": {"type": "string"}},
        "$defs": {
            "z": {"$anchor": "here", "type": "integer"},
            "w": {"$id": "other", "type": "null"},
            "unused": {"not": {}},
        },
        "anyOf": [
            {"$ref": "#/definitions/x~1y"},
            {"$ref": "#here"},
            {"$ref": "other"},
            {"$ref": "https://example.org/s#/definitions/x~1y"},
        ],
    }
    check_schema(JsonSchema(json.dumps(schema)))
    after = rewritten(schema)
    assert set(after) == {"anyOf", "$defs"} and len(after["$defs"]) == 3
    for value in ("a", 1, None, 1.5, []):
        assert is_valid(after, value) == (value == "a" or value == 1 or value is None)


def test_unknown_names_are_reported_with_the_nearest_known_one() -> None:
    notes = rewrite(
        {"properties": {"a": {"minLenght": 2, "format": "date-tme"}, "b": {"x-note": 1}}, "requierd": ["a"]}
    ).notes
    assert [(note.kind, note.where, note.nearest) for note in notes] == [
        ("unknown", "#/properties/a/minLenght", "minLength"),
        ("unknown", "#/properties/a/format", "date-time"),
        ("unknown", "#/properties/b/x-note", ""),
        ("unknown", "#/requierd", "required"),
    ]
    assert nearest("additionalproperties", VALIDATIONS) == "additionalProperties"
    assert nearest("x" * 10_000, VALIDATIONS) == ""


def test_what_would_grow_without_end_is_a_named_error() -> None:
    schema: Any = {"type": "string"}
    for _ in range(8):
        schema = {"oneOf": [{"properties": {"a": schema}, "required": ["a"]}, {"properties": {"b": schema}}]}
    with pytest.raises(InvalidSchema, match="parts or more, the limit is 500"):
        rewrite(schema, GrammarLimits(rewritten_parts=500))
