"""llguidance: refusals carry the type and the path; its error state never speaks; its options are ours."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.spec import JsonSchema

OBJECT = {"type": "object"}


def refused(backend: Any, schema: Any) -> InvalidSchema:
    with pytest.raises(InvalidSchema) as caught:
        backend.compile(JsonSchema(json.dumps(schema)))
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("not", {"type": "null"}),
        ("if", {"type": "null"}),
        ("uniqueItems", True),
        ("contains", {"type": "null"}),
        ("dependentRequired", {"a": ["b"]}),
        ("dependentSchemas", {"a": {}}),
        ("propertyNames", {"minLength": 2}),
        ("unevaluatedProperties", False),
        ("oneOf", [{"type": "string"}, {"maxLength": 3}]),
        ("format", "phone-number"),
        ("pattern", "^(?!a)b"),
        ("pattern", r"\bword"),
        ("pattern", r"(a)\1"),
    ],
    ids=str,
)
def test_what_is_not_enforced_is_refused_with_its_path(llguidance: Any, keyword: str, value: Any) -> None:
    schema = {"properties": {"a/b": {keyword: value, "title": keyword}, "c": {"type": "string"}}, **OBJECT}
    error = refused(llguidance, schema)
    assert isinstance(error, UnenforceableSchema) and error.where == f"#/properties/a~1b/{keyword}"


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"items": {"type": "string", "pattern": "a("}}, "#/items/pattern"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "#/minimum, #/maximum"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "#/minLength, #/maxLength"),
        ({"items": {"$ref": "#/$defs/missing"}}, "#/items/$ref"),
        ({"properties": {"a": False}, "required": ["a"], **OBJECT}, "#/required"),
        ({"$schema": "https://example.org/draft-99"}, "#/$schema"),
        (False, "#"),
    ],
    ids=str,
)
def test_what_no_value_satisfies_is_refused_with_its_path(llguidance: Any, schema: Any, where: str) -> None:
    if isinstance(schema, dict) and "items" in schema:
        schema = {"type": "array", "minItems": 1, **schema}
    error = refused(llguidance, schema)
    assert not isinstance(error, UnenforceableSchema) and error.where == where


@pytest.mark.parametrize("family_name", ["byte_level"])
def test_many_paths_are_named_up_to_a_bound(llguidance: Any) -> None:
    schema = {"properties": {f"p{k}": {"not": {}} for k in range(20)}, **OBJECT}
    where = refused(llguidance, schema).where
    assert where.startswith("#/properties/p0/not, #/properties/p1/not") and where.endswith("and 12 more")


@pytest.mark.parametrize("family_name", ["byte_level"])
def test_options_in_the_schema_change_nothing(llguidance: Any, family: Any) -> None:
    """`x-guidance` is how the library is told to ignore keywords: from outside it is one more unknown keyword."""
    schema = {"x-guidance": {"lenient": True, "item_separator": "X", "no_such": 1}, "type": "array"}
    assert refused(llguidance, schema | {"uniqueItems": True}).where == "#/uniqueItems"
    state = llguidance.compile(JsonSchema(json.dumps(schema))).state()
    assert all(state.accept(token_id) for token_id in family.encode("[1, 2]")) and state.completed


@pytest.mark.parametrize("family_name", ["byte_level"])
def test_a_lexer_that_outgrows_its_limit_is_a_named_error(llguidance: Any, family: Any) -> None:
    """In its error state the library offers the stop token, refuses silently and says it may end: none shows."""
    spec = JsonSchema(json.dumps({"type": "string", "pattern": "(.*(a|b).{1,300}){3}"}))
    grammar = llguidance.compile(spec)
    state, row = grammar.state(), np.zeros(family.vocabulary.words, np.int32)
    assert state.accept(family.byte_id(ord('"'))) and grammar.healthy
    with pytest.raises(InvalidSchema, match="gave up on this schema while generating"):
        for step in range(300):
            state.fill_mask(row)
            assert state.accept(family.byte_id(ord("ab"[step % 2])))
    assert not row.any() and not grammar.healthy
    for action in (
        lambda: state.fill_mask(row),
        lambda: state.accept(family.byte_id(ord("a"))),
        lambda: state.accept(min(family.vocabulary.stop_ids)),
        lambda: state.completed,
        lambda: state.forced_text(),
        lambda: state.rollback(1),
    ):
        with pytest.raises(InvalidSchema):
            action()
    assert "(a|b)" not in str(state.__class__) and llguidance.compile(spec).state().fill_mask(row)


def test_messages_do_not_carry_the_text_so_far(llguidance: Any, family: Any) -> None:
    error = refused(llguidance, {"type": "string", "format": "x" * 3000})
    assert len(error.what) < 500
