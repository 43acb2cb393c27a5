"""Schemas are bounded before native code sees them; every refusal names the place, the number and the limit."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.compile import CompileCacheLimits
from ramify.grammar.limits import DEFAULT_LIMITS, DEFAULT_VETTING, EXACT, GrammarLimits, check_schema
from ramify.grammar.spec import JsonSchema


def refused(schema: Any, limits: GrammarLimits = DEFAULT_LIMITS) -> InvalidSchema:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    with pytest.raises(InvalidSchema) as caught:
        check_schema(JsonSchema(text), limits)
    assert caught.value.what and caught.value.where
    return caught.value


def accepted(schema: Any, limits: GrammarLimits = DEFAULT_LIMITS) -> None:
    assert check_schema(JsonSchema(json.dumps(schema)), limits) == schema


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def test_the_order_of_properties_is_kept() -> None:
    schema = check_schema(JsonSchema('{"properties": {"b": {}, "a": {}}}'))
    assert isinstance(schema, dict) and list(schema["properties"]) == ["b", "a"]


def test_size_is_counted_in_bytes() -> None:
    limits = GrammarLimits(schema_bytes=40)
    accepted({"title": "a" * 27}, limits)
    error = refused('{"title": "' + "é" * 15 + '"}', limits)
    assert error.what == "the schema's text: 43 bytes, the limit is 40" and error.where == "#"
    assert "65536" in refused(" " * (1 << 16) + "{}").what


def test_depth_is_bounded_at_the_path_that_is_too_deep() -> None:
    accepted(nested(63))
    error = refused(nested(64))
    assert "65 levels" in error.what and "limit is 64" in error.what
    assert error.where == "#" + "/items" * 64 and "$defs" in error.hint
    assert "limit is 64" in refused({"enum": [json.loads("[" * 70 + "]" * 70)]}).what


@pytest.mark.parametrize("levels", [5_000, 30_000])
def test_very_deep_text_is_refused_and_does_not_recurse(levels: int) -> None:
    for text in ('{"not":' * (levels // 8) + "{}" + "}" * (levels // 8), "[" * levels + "]" * levels):
        assert "nest" in (error := refused(text)).what and "64" in error.what


@pytest.mark.parametrize("pointer", ["#/pattern", "#/patternProperties/p"])
def test_patterns_are_bounded(pointer: str) -> None:
    def schema(pattern: str) -> dict[str, Any]:
        return {"pattern": pattern} if pointer == "#/pattern" else {"patternProperties": {pattern: {}}}

    def where(pattern: str) -> str:
        return (
            pointer
            if pointer == "#/pattern"
            else "#/patternProperties/" + pattern.replace("~", "~0").replace("/", "~1")
        )

    for fine in ("é" * 2048, "(" * 50 + ")" * 50, r"\(" * 60, "[(]" * 60, "(a{100}){100}", "a{10000}", "a{,99999}"):
        accepted(schema(fine))
    for pattern, number in (
        ("é" * 2049, "4098 bytes, the limit is 4096"),
        ("(" * 51 + ")" * 51, "51 nested groups or more, the limit is 50"),
        ("(?:" * 51 + ")" * 51, "51 nested groups or more, the limit is 50"),
        ("a{10001}", "10001 repetitions or more, the limit is 10000"),
        ("a{1,10001}", "10001 repetitions or more"),
        ("[a-z]{20000,}", "20000 repetitions or more"),
        ("(a{101}b){100}", "10100 repetitions or more"),
        ("((a{3}){40}|x){100}", "12000 repetitions or more"),
        (r"[]\]{]{10001}", "10001 repetitions or more"),
    ):
        error = refused(schema(pattern))
        assert number in error.what and error.where == where(pattern)


@pytest.mark.parametrize("keyword", ["minItems", "maxItems", "minProperties", "maxProperties"])
def test_repetition_keywords_are_bounded(keyword: str) -> None:
    accepted({keyword: 10_000})
    error = refused({"properties": {"a/b~": {keyword: 10_001}}}, GrammarLimits(narrowing=EXACT))
    assert error.what == f"{keyword}: 10001, the limit is 10000" and error.where == f"#/properties/a~1b~0/{keyword}"


@pytest.mark.parametrize("keyword", ["minLength", "maxLength"])
def test_lengths_are_bounded(keyword: str) -> None:
    accepted({keyword: 100_000})
    error = refused({"items": {keyword: 100_001}}, GrammarLimits(narrowing=EXACT))
    assert error.what == f"{keyword}: 100001, the limit is 100000" and error.where == f"#/items/{keyword}"


def test_upper_bounds_may_be_beyond_the_limits_where_they_are_lowered() -> None:
    accepted({"maxLength": 10**9, "maxItems": 10**9, "maxProperties": 10**9, "maximum": 2**63 - 1, "minimum": -(2**63)})
    for keyword in ("minLength", "minItems", "minProperties"):
        assert refused({keyword: 10**9}).where == f"#/{keyword}"
    assert refused({"minimum": 2**63}).where == "#/minimum" and refused({"maximum": -(2**63)}).where == "#/maximum"


def test_enums_are_bounded() -> None:
    accepted({"enum": list(range(2000))})
    error = refused({"anyOf": [{}, {"enum": list(range(2001))}]})
    assert error.what == "enum: 2001 values, the limit is 2000" and error.where == "#/anyOf/1/enum"


@pytest.mark.parametrize("reference", ["https://example.org/s", "file:///etc/passwd", "other.json#/a"])
def test_references_are_local(reference: str) -> None:
    accepted({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {}}})
    error = refused({"items": {"$ref": reference}})
    assert error.where == "#/items/$ref" and repr(reference) in error.what and "nothing is fetched" in error.hint


def test_a_reference_to_nothing_is_refused() -> None:
    accepted({"items": {"$ref": "#/items/not/anyOf/0", "not": {"anyOf": [{}]}}})
    accepted({"$ref": "#/a%20b/c~1d", "a b": {"c/d": {}}})
    for reference in ("#/$defs/b", "#/$defs/a/0", "#/enum/7", "#/enum/x"):
        error = refused({"$defs": {"a": {"type": "string"}}, "enum": [1], "items": {"$ref": reference}})
        assert error.where == "#/items/$ref" and "points to nothing" in error.what


def test_what_only_a_reference_makes_a_schema_is_bounded_too() -> None:
    hidden = {
        "$ref": "#/components/a",
        "components": {"a": {"items": {"$ref": "#/components/b"}}, "b": {"minItems": 10_001}},
    }
    assert refused(hidden).where == "#/components/b/minItems"
    assert refused({"$ref": "#/const/p", "const": {"p": {"pattern": "(" * 51}}}).where == "#/const/p/pattern"


def _node(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


SELF = {"$ref": "#"}


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (SELF, "#"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "#"),
        (_node("a", a=SELF), "#"),
        (_node("a", a={"anyOf": [SELF, {"allOf": [{}, SELF]}]}), "#"),
        ({"type": "array", "items": SELF, "minItems": 1}, "#"),
        ({"type": "array", "prefixItems": [{}, SELF], "minItems": 2}, "#"),
        (_node(a={"$ref": "#/$defs/b"}) | {"$defs": {"b": {"$ref": "#/$defs/b"}}}, "#/properties/a"),
        (_node(a=_node("b", b={"$ref": "#/properties/a"})), "#/properties/a"),
    ],
    ids=str,
)
def test_a_schema_that_only_an_endless_value_satisfies_is_refused(schema: Any, where: str) -> None:
    error = refused(schema)
    assert error.where == where and "no finite value" in error.what


@pytest.mark.parametrize(
    "schema",
    [
        _node(a=SELF),
        _node("a", a={"anyOf": [SELF, {"type": "null"}]}),
        _node("a", a={"type": "array", "items": SELF}),
        {"type": "array", "prefixItems": [{}, SELF], "items": SELF, "minItems": 1},
        {"type": ["object", "null"], "properties": {"a": SELF}, "required": ["a"]},
        {"$defs": {"unused": {"$ref": "#/$defs/unused"}}},
        {"$ref": "#/$defs/d0", "$defs": {f"d{k}": {"$ref": f"#/$defs/d{k + 1}"} for k in range(800)} | {"d800": {}}},
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_recursion_that_may_end_is_accepted(schema: Any) -> None:
    accepted(schema)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**60), [1, {"a": 2**64}]])
def test_integers_that_no_backend_holds_exactly_are_refused(value: Any) -> None:
    accepted({"const": 2**53, "minimum": -(2**53)})
    keyword = "const" if isinstance(value, list) else "maximum"
    error = refused({"items": {keyword: value}}, GrammarLimits(narrowing=EXACT))
    assert isinstance(error, UnenforceableSchema) and error.where == f"#/items/{keyword}" and "2^53" in error.what


def test_names_and_values_that_look_like_keywords_are_not() -> None:
    accepted({"properties": {"$ref": {"type": "string"}, "enum": {}, "pattern": {"type": "null"}}})
    accepted(
        {"const": {"$ref": "http://x", "type": "strin"}, "default": {"minLength": "a"}, "examples": [{"items": 3}]}
    )
    assert refused({"properties": {"properties": {"properties": 3}}}).where == "#/properties/properties/properties"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"type": strin}', "byte 9"),
        ("{'a': 1}", "byte 1"),
        ('{"minimum": NaN}', "byte 12"),
        ('{"a": 1', "end of the text"),
        ("", "end of the text"),
        ('{"a": "\ud800"}', "character 7"),
        ('{"minimum": 1e999}', "#"),
    ],
)
def test_text_that_is_not_json_is_refused_with_its_position(text: str, where: str) -> None:
    error = refused(text)
    assert error.where == where and "schema is not" in error.what


@pytest.mark.parametrize(
    ("schema", "where", "what"),
    [
        ([], "#", "a schema must be an object or a boolean, got an array"),
        ("3", "#", "got 3"),
        ("null", "#", "got null"),
        ({"items": "string"}, "#/items", "got 'string'"),
        ({"anyOf": [{}, 1]}, "#/anyOf/1", "got 1"),
        ({"allOf": {}}, "#/allOf", "allOf must be an array of schemas, got an object"),
        ({"properties": []}, "#/properties", "properties must be an object, got an array"),
        ({"properties": {"a": {"type": "strin"}}}, "#/properties/a/type", "got 'strin'"),
        ({"type": []}, "#/type", "type must be one or several of"),
        ({"type": ["string", 3]}, "#/type", "type must be one or several of"),
        ({"minLength": -1}, "#/minLength", "minLength must be a whole number, not negative, got -1"),
        ({"maxItems": 1.5}, "#/maxItems", "got 1.5"),
        ({"maxItems": True}, "#/maxItems", "got True"),
        ({"minimum": "3"}, "#/minimum", "minimum must be a number, got '3'"),
        ({"multipleOf": 0}, "#/multipleOf", "multipleOf must be a number above zero, got 0"),
        ({"pattern": 3}, "#/pattern", "pattern must be a string, got 3"),
        ({"required": "a"}, "#/required", "required must be an array of property names, got 'a'"),
        ({"required": [1]}, "#/required", "required must be an array of property names"),
        ({"enum": "a"}, "#/enum", "enum must be an array"),
        ({"$ref": {}}, "#/$ref", "$ref must be a string"),
    ],
)
def test_a_keyword_of_the_wrong_kind_is_refused_at_its_place(schema: Any, where: str, what: str) -> None:
    error = refused(schema)
    assert error.where == where and what in error.what and error.hint


_UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "s": 1}


def _documented() -> dict[str, float | None]:
    page = Path(__file__).parents[2] / "docs" / "grammar.md"
    rows = re.findall(r"^\| `(\w+)` \| ([\d,.]+|none) ?(KiB|MiB|s|) \|", page.read_text(), re.MULTILINE)
    return {
        name: None if count == "none" else float(count.replace(",", "")) * _UNITS[unit] for name, count, unit in rows
    }


def test_the_page_lists_every_limit_with_its_default() -> None:
    limits = {**asdict(DEFAULT_LIMITS), **asdict(DEFAULT_VETTING), **asdict(CompileCacheLimits())}
    del limits["narrowing"]  # has its own section
    assert _documented() == limits
