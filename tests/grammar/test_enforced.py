"""What a schema promises is what comes out, judged by `jsonschema`, which knows nothing of grammars.

Each schema has values that must be accepted and values that must not, and is then walked at random through its masks:
every text that ends must parse, validate under the schema as it was written, and keep to one separator style.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any, NamedTuple

import jsonschema
import pytest
from ramify.errors import UnenforceableSchema
from ramify.grammar.spec import JsonSchema


class Case(NamedTuple):
    """A schema, values that satisfy it and values that do not; both in the schema's property order."""

    schema: Any
    valid: list[Any]
    invalid: list[Any]


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


STRING, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
_POINT = _object("x", "y", x=NUMBER, y=NUMBER)
_NODE = {"$defs": {"n": _object("v", v=INTEGER, next={"$ref": "#/$defs/n"})}, "$ref": "#/$defs/n"}

CASES = {
    "string": Case(STRING, ["", "a b", "été 😀", 'q"\\\n\t'], [1, None, [], {}]),
    "integer": Case(INTEGER, [0, -5, 123456], [1.5, "1", True]),
    "number": Case(NUMBER, [0, -1.5, 2e10], ["1", None]),
    "boolean": Case({"type": "boolean"}, [True, False], [0, "true"]),
    "null": Case({"type": "null"}, [None], [False, ""]),
    "types": Case({"type": ["string", "null"]}, ["a", None], [1]),
    "number or list": Case({"type": ["number", "array"]}, [1, [], ["a", {}]], ["a"]),
    "length": Case({"type": "string", "minLength": 2, "maxLength": 4}, ["ab", "日本語x", "😀😀"], ["a", "abcde", "😀"]),
    "pattern": Case({"type": "string", "pattern": "^[a-z]{2,3}-[0-9]+$"}, ["ab-1", "abc-123"], ["a-1", "ab-", "AB-1"]),
    "pattern, unanchored": Case({"type": "string", "pattern": "b+"}, ["b", "bb"], ["", "a"]),
    "pattern, classes": Case({"type": "string", "pattern": r"^\d{2}:\w+$"}, ["12:ab_9"], ["1:a", "12:"]),
    "pattern with quote": Case({"type": "string", "pattern": '^a"b$'}, ['a"b'], ["ab", "a'b"]),
    "pattern with backslash": Case({"type": "string", "pattern": r"^a\\d$"}, ["a\\d"], ["a5", "a\\"]),
    "pattern and length": Case({"type": "string", "pattern": "^[ab]+$", "maxLength": 2}, ["a", "ab"], ["aba", ""]),
    "date": Case(
        {"type": "string", "format": "date"},
        ["2024-02-29"],
        ["2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "today"],
    ),
    "uuid": Case(
        {"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567", "x" * 36]
    ),
    "ipv4": Case({"type": "string", "format": "ipv4"}, ["10.0.255.1"], ["256.0.0.1", "1.2.3"]),
    "bounds": Case({"type": "integer", "minimum": -3, "maximum": 120}, [-3, 0, 99, 120], [-4, 121, 1000]),
    "exclusive bounds": Case({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 5}, [1, 4], [0, 5, -1, 10]),
    "lower bound": Case({"type": "integer", "minimum": 17}, [17, 18, 99, 10000], [16, 1, -17]),
    "float bounds": Case({"type": "number", "minimum": -0.5, "maximum": 1.25}, [-0.5, 0, 1.25], [-0.51, 1.26, 2]),
    "multiple": Case({"type": "integer", "multipleOf": 7}, [0, 7, 49], [1, 8]),
    "enum": Case({"enum": ["red", "green", "blue"]}, ["red", "blue"], ["re", "reds", "", 1]),
    "mixed enum": Case({"enum": ["a", 1, None, True]}, ["a", 1, None, True], [2, False, "b"]),
    "enum of objects": Case({"enum": [{"a": [1, 2]}, []]}, [{"a": [1, 2]}, []], [{}, [1]]),
    "unicode enum": Case({"enum": ["é", "è", "日本", "日", 'a"b', "c\\d"]}, ["è", "日", 'a"b'], ["e", "日本語"]),
    "enum within type": Case({"type": "string", "enum": ["a", "b"]}, ["a"], ["c"]),
    "enum against type": Case({"type": "string", "enum": ["a", 1]}, ["a"], [1]),
    "const": Case({"const": "only"}, ["only"], ["onl", "other"]),
    "const object": Case({"const": {"a": 1, "b": [True, None]}}, [{"a": 1, "b": [True, None]}], [{"a": 1}]),
    "array": Case({"type": "array", "items": INTEGER}, [[], [1], [1, 2, 3]], [["a"], [1, None], {}]),
    "array bounds": Case({"type": "array", "items": STRING, "minItems": 1, "maxItems": 2}, [["a"], ["a", "b"]], [[]]),
    "tuple": Case(
        {"type": "array", "prefixItems": [STRING, INTEGER], "items": False, "minItems": 2}, [["a", 1]], [["a"]]
    ),
    "tuple with rest": Case({"type": "array", "prefixItems": [STRING], "items": INTEGER}, [["a", 1, 2], []], [[1]]),
    "object": Case(_object("a", "b", a=STRING, b=INTEGER), [{"a": "x", "b": 1}], [{"a": "x"}, {"a": 1, "b": 1}]),
    "optional": Case(
        _object("b", a=STRING, b=INTEGER, c={"type": "null"}), [{"b": 1}, {"a": "", "b": 1, "c": None}], [{}]
    ),
    "all optional": Case(_object(a=INTEGER, b=INTEGER), [{}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2}], [{"a": "1"}]),
    "closed": Case(_object("a", a=INTEGER) | {"additionalProperties": False}, [{"a": 1}], [{"a": 1, "b": 2}]),
    "open": Case(
        _object("a", a=INTEGER) | {"additionalProperties": True}, [{"a": 1}, {"a": 1, "b": [None]}], [{"b": 2}]
    ),
    "map": Case({"type": "object", "additionalProperties": INTEGER}, [{}, {"k": 1, "l": 2}], [{"k": "1"}]),
    "any object": Case({"type": "object"}, [{}, {"k": [1, {"l": None}]}], [[], "x"]),
    "keys": Case(_object("größe", "a b", **{"größe": INTEGER, "a b": INTEGER}), [{"größe": 1, "a b": 2}], [{"a b": 2}]),
    "escaped keys": Case(_object('q"', "\\", **{'q"': INTEGER, "\\": INTEGER}), [{'q"': 1, "\\": 2}], [{"q": 1}]),
    "nested": Case(
        _object("p", p=_POINT, l={"type": "array", "items": _POINT}), [{"p": {"x": 1, "y": 2.5}, "l": []}], [{"p": {}}]
    ),
    "any of": Case({"anyOf": [INTEGER, _POINT, {"type": "null"}]}, [3, {"x": 0, "y": 0}, None], ["a", {"x": 0}]),
    "any of beside type": Case(
        {"type": "object", "properties": {"k": STRING}, "anyOf": [{"required": ["k"]}]}, [{"k": "a"}], [{"k": 1}]
    ),
    "one of, disjoint": Case({"oneOf": [STRING, INTEGER]}, ["a", 1], [None, 1.5]),
    "all of": Case(
        {"allOf": [_object("a", a=INTEGER), _object("b", b=INTEGER)]}, [{"a": 1, "b": 2}], [{"a": 1}, {"b": 1}]
    ),
    "all of one": Case({"allOf": [_object("a", a=INTEGER)]}, [{"a": 1}], [{}]),
    "reference": Case(
        {"$defs": {"p": _POINT}, "type": "array", "items": {"$ref": "#/$defs/p"}}, [[{"x": 1, "y": 1}]], [[1]]
    ),
    "reference beside length": Case(
        {"$defs": {"s": {"type": "string", "maxLength": 3}}, "$ref": "#/$defs/s", "minLength": 2}, ["ab"], ["a", "abcd"]
    ),
    "recursion": Case(_NODE, [{"v": 1}, {"v": 1, "next": {"v": 2, "next": {"v": 3}}}], [{}, {"v": 1, "next": 2}]),
    "annotations": Case(
        {"title": "t", "description": "d", "default": 1, "type": "integer", "examples": [1], "x-unknown": {}},
        [1],
        ["a"],
    ),
    "anything": Case({}, [None, 1, "a", [1, {"b": []}], {"k": True}], []),
    "true": Case(True, [None, [1, "a"]], []),
}

# What xgrammar must refuse rather than weaken; it enforces the others.
REFUSED_BY_XGRAMMAR = {
    "const object",
    "enum of objects",
    "length",
    "multiple",
    "pattern and length",
    "reference beside length",
}


_PAIRS = [("llguidance", name) for name in CASES]
_PAIRS += [("xgrammar", name) for name in CASES if name not in REFUSED_BY_XGRAMMAR]
every_case = pytest.mark.parametrize(("backend_name", "name"), _PAIRS)


@pytest.fixture
def case(name: str) -> Case:
    return CASES[name]


@pytest.fixture
def state(backend: Any, case: Case) -> Any:
    return backend.compile(JsonSchema(json.dumps(case.schema))).state()


def _accepts(state: Any, family: Any, text: str) -> bool:
    return all(state.accept(token_id) for token_id in family.encode(text)) and state.completed


@every_case
def test_valid_values_are_accepted_and_invalid_ones_are_not(state: Any, family: Any, case: Case) -> None:
    validator = jsonschema.Draft202012Validator(case.schema, format_checker=jsonschema.FormatChecker())
    for value in case.valid:
        assert validator.is_valid(value)
        assert _accepts(state.fork(), family, json.dumps(value, ensure_ascii=False)), value
    for value in case.invalid:
        assert not validator.is_valid(value)
        assert not _accepts(state.fork(), family, json.dumps(value, ensure_ascii=False)), value


def walk(state: Any, mask_ids: Any, tokens: tuple[bytes, ...], rng: random.Random) -> bytes | None:
    """A text drawn through the masks, with a bias to end; None if it did not end in time."""
    text = b""
    for step in range(300):
        allowed = mask_ids(state)
        ending = [i for i in allowed if tokens[i] == b"" or tokens[i][:1] in b'"}]nt,:']
        token_id = rng.choice(ending if ending and rng.random() < 0.3 + step / 300 else allowed)
        if step > 150:  # do not open anything again
            token_id = min(
                ending or allowed,
                key=lambda i: (tokens[i] != b"", b"{" in tokens[i] or b"[" in tokens[i], rng.random()),
            )
        assert state.accept(token_id)
        if state.terminated:
            return text
        text += tokens[token_id]
    return None


@every_case
def test_every_text_walked_through_the_masks_validates(state: Any, mask_ids: Any, family: Any, case: Case) -> None:
    validator = jsonschema.Draft202012Validator(case.schema, format_checker=jsonschema.FormatChecker())
    ended = 0
    for seed in range(12):
        text = walk(state.fork(), mask_ids, family.vocabulary.tokens, random.Random(seed))
        if text is not None:
            ended += 1
            validator.validate(json.loads(text))
            _check_separators(text.decode())
    assert ended >= 3


def _check_separators(text: str) -> None:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    assert not re.search(r"[,:](?! \S)|(?<![,:])\s", bare), text


@pytest.mark.parametrize("name", ["nested", "recursion", "any object", "tuple with rest"])
def test_any_whitespace_is_bounded_and_means_the_same(backend: Any, mask_ids: Any, family: Any, name: str) -> None:
    schema = CASES[name].schema
    start = backend.compile(JsonSchema(json.dumps(schema), any_whitespace=True)).state()
    for value in CASES[name].valid:
        for style in ({"separators": (",", ":")}, {"indent": 2}, {}):
            assert _accepts(start.fork(), family, json.dumps(value, ensure_ascii=False, **style))
    blanks = {i for i, token in enumerate(family.vocabulary.tokens) if token and not token.strip()}
    ended = 0
    for seed in range(8):
        text = walk(start.fork(), mask_ids, family.vocabulary.tokens, random.Random(seed))
        if text is not None:
            ended += 1
            jsonschema.Draft202012Validator(schema).validate(json.loads(text))
    assert ended >= 5
    state = start.fork()
    for byte in b'["a" ' if name == "tuple with rest" else b"{":
        assert state.accept(family.byte_id(byte))
    for _ in range(8):
        if not state.accept(family.byte_id(0x20)):
            break
    assert blanks and not blanks & set(mask_ids(state))


@pytest.mark.parametrize("name", sorted(REFUSED_BY_XGRAMMAR))
def test_xgrammar_refuses_what_it_would_weaken(xgrammar: Any, name: str) -> None:
    with pytest.raises(UnenforceableSchema) as caught:
        xgrammar.compile(JsonSchema(json.dumps(CASES[name].schema)))
    assert caught.value.where.startswith("#")
