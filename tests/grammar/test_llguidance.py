"""llguidance: refusals carry the type and the path; its error state never speaks; its options are ours."""

from __future__ import annotations

import json
import random
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
        ("not", {"items": {"type": "null"}}),
        ("uniqueItems", True),
        ("contains", {"type": "null"}),
        ("propertyNames", {"minLength": 2, "pattern": "a"}),
        ("oneOf", [{"type": "string"}, {"pattern": "a"}]),
        ("format", "regex"),
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
        ({"items": {"type": "string", "pattern": "a("}}, "#/items/pattern, character 1"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "#/minimum, #/maximum"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "#/minLength, #/maxLength"),
        ({"items": {"$ref": "#/$defs/missing"}}, "#/items/$ref"),
        ({"properties": {"a": False}, "required": ["a"], **OBJECT}, "#/required"),
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
    schema = {"properties": {f"p{k}": {"contains": {"const": 1}} for k in range(20)}, **OBJECT}
    where = refused(llguidance, schema).where
    assert where.startswith("#/properties/p0/contains, #/properties/p1/contains") and where.endswith("and 12 more")


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
    error = refused(llguidance, {"type": "string", "pattern": "(?=" + "x" * 3000 + ")"})
    assert len(error.what) < 500
    (note,) = llguidance.compile(JsonSchema(json.dumps({"const": 1, "x" * 3000: 1}))).report.notes[-1:]
    assert note.kind == "unknown" and len(note.what) < 500


@pytest.mark.parametrize("family_name", ["byte_level"])
def test_requests_that_share_a_long_string_do_not_fill_its_lexer(llguidance: Any, family: Any) -> None:
    """Without a new lexer now and then, the fifteenth of these texts failed, and all requests beside it."""
    rng = random.Random(1)
    spec = JsonSchema('{"type": "string", "maxLength": 2048}')
    grammar, compiled = llguidance.compile(spec), 1
    for _ in range(20):
        if not grammar.healthy:
            grammar, compiled = llguidance.compile(spec), compiled + 1
        text = "".join(rng.choices(["x", "é", "日", "😀", '"', "\\", "\n", "\x01"], k=1200))
        state = grammar.state()
        for byte in json.dumps(text, ensure_ascii=False).encode():
            assert state.accept(family.byte_id(byte))
        assert state.completed
    assert 3 < compiled <= 20
    short = llguidance.compile(JsonSchema('{"type": "string", "maxLength": 60}'))
    for _ in range(100):
        state = short.state()
        assert all(state.accept(family.byte_id(byte)) for byte in json.dumps("x" * 60).encode())
    assert short.healthy  # its lexer has no end
