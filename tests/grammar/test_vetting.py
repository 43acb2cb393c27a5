"""Hostile grammars end as named errors in a process of their own; small ones wait for none."""

from __future__ import annotations

import json
from concurrent.futures import Future
from typing import Any

import pytest
from ramify.errors import InvalidSchema, OutputInvalid, UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import DEFAULT_LIMITS, VettingLimits
from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex
from ramify.grammar.state import GrammarPlan
from ramify.grammar.vetting import VettedBackend, is_small
from ramify.grammar.vetting_pool import VettingPool
from ramify.grammar.vocabulary import Vocabulary

VOCABULARY = Vocabulary((b"", *(bytes((byte,)) for byte in range(256)), b'": "', b"null"), frozenset({0}), 300)
STRING = {"type": "string"}


def nested(levels: int, part: str = '{"type": "object", "properties": {"a": %s}, "required": ["a"]}') -> str:
    head, tail = part.split("%s")
    return head * levels + '{"type": "string"}' + tail * levels


def alternatives(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for level in range(levels):
        schema = {
            "oneOf": [{"properties": {f"a{level}": schema}, "required": [f"a{level}"]}, {"properties": {"b": schema}}]
        }
    return schema


HOSTILE: dict[str, Any] = {
    "500 nested objects": nested(500),
    "100,000 nested objects": nested(100_000),
    "50,000 nested groups": {**STRING, "pattern": "(" * 50_000 + ")" * 50_000},
    "60 nested groups": {**STRING, "pattern": "(" * 60 + "a" + ")*" * 60},
    "repetition of repetition": {**STRING, "pattern": "(a{1,1000}){1,1000}"},
    "quantifiers": {**STRING, "pattern": "(" * 40 + "a" + "{1,9})" * 40},
    "minimum length": {**STRING, "minLength": 10**9},
    "enum of 20,000": {"enum": [f"value {index}" for index in range(20_000)]},
    "enum of 3,000": {"enum": list(range(3_000))},
    "alternatives": alternatives(8),
    "self reference": {"$ref": "#"},
    "cycle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "remote reference": {"$ref": "http://127.0.0.1:9/schema"},
    "product of alternatives": {
        "allOf": [{"anyOf": [{"properties": {f"k{i}": {"const": j}}} for j in range(4)]} for i in range(40)]
    },
    "half of a surrogate pair": '{"const": "\ud800"}',
    "not JSON": "{" * 1000,
}


def specs(schema: Any) -> JsonSchema:
    return JsonSchema(schema if isinstance(schema, str) else json.dumps(schema))


@pytest.fixture(scope="module")
def pool() -> Any:
    pool = VettingPool(VOCABULARY, "auto", limits=VettingLimits(at_once=1, queue_seconds=60, wall_seconds=60))
    yield pool
    pool.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_a_named_error(pool: VettingPool, name: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        pool.plan(specs(HOSTILE[name]))
    assert caught.value.what and caught.value.where and caught.value.hint is not None


def test_hostile_grammars_of_other_kinds_end_too(pool: VettingPool) -> None:
    deep = "start: " + "(" * 500 + '"a"' + ")" * 500
    for spec in (Regex("(" * 5000), Regex("(a{100}){1000}"), Lark(deep), Lark("start: start"), Choices(("a",) * 3000)):
        with pytest.raises(InvalidSchema):
            pool.plan(spec)


def test_what_compiles_is_planned_and_built(pool: VettingPool) -> None:
    backend = make_backend(VOCABULARY)
    for spec in (specs({"type": "array", "items": STRING}), Regex("[a-c]+"), Choices(("a", "b")), Lark('start: "a"')):
        plan = pool.plan(spec)
        grammar = backend.build(plan)
        assert (plan.key, grammar.key, grammar.backend) == (spec.key(), spec.key(), "llguidance")
        assert grammar.report == backend.compile(spec).report


def test_refusals_cross_the_process_with_their_type_and_place(pool: VettingPool) -> None:
    with pytest.raises(UnenforceableSchema) as caught:
        pool.plan(specs({"properties": {"a": {"type": "array", "contains": {"const": 1}}}}))
    assert caught.value.where == "#/properties/a/contains" and caught.value.hint


SLOW = specs(
    {"type": "object", "properties": {f"p{index}": {"type": "array", "items": STRING} for index in range(900)}}
)


class NoPool:
    """A pool that is not ready, and whose jobs are only counted."""

    def __init__(self, has_room: bool) -> None:
        self.has_room = has_room
        self.asked: list[GrammarSpec] = []

    def warm(self) -> None: ...

    def submit(self, spec: GrammarSpec, owner: str = "") -> Future[GrammarPlan]:
        self.asked.append(spec)
        return Future()


def test_small_grammars_wait_for_no_process() -> None:
    backend = make_backend(VOCABULARY)
    small = specs({"type": "string"})
    busy, free = NoPool(False), NoPool(True)
    assert VettedBackend(backend, busy).compile(small).backend == "llguidance"  # type: ignore[arg-type]
    assert VettedBackend(backend, busy).vet(SLOW) is not None and busy.asked == [SLOW]  # type: ignore[arg-type]
    assert VettedBackend(backend, free).vet(small) is not None and free.asked == [small]  # type: ignore[arg-type]
    with pytest.raises(InvalidSchema, match="bytes, the limit is"):
        VettedBackend(backend, free).vet(specs({"const": "x" * DEFAULT_LIMITS.schema_bytes}))  # type: ignore[arg-type]


def test_small_means_small() -> None:
    assert is_small(specs({"type": "object", "properties": {f"p{index}": STRING for index in range(40)}}))
    assert is_small(Regex(r"\d{3}-[a-z]+")) and is_small(Choices(("a", "b")))
    for schema in (
        alternatives(6),
        {"anyOf": [{"$ref": "#"}] * 40},
        {**STRING, "maxLength": 50_000},
        {**STRING, "pattern": "a{200}"},
        {**STRING, "pattern": ".*a" * 50},
        {**STRING, "pattern": 'a"b' * 50},
        {"patternProperties": {".*a" * 50: {}}},
        {"items": [{**STRING, "pattern": "a*"}] * 20},
        {"enum": ["x" * 9000]},
        {"properties": {f"p{index}": {} for index in range(500)}},
    ):
        assert not is_small(specs(schema)), schema
    assert not is_small(Regex("(a*)*")) and not is_small(Regex("a" * 100)) and not is_small(Lark('start: "a"'))


def test_values_are_validated_in_a_worker(pool: VettingPool) -> None:
    schema = specs({"type": "array", "uniqueItems": True})
    loose = JsonSchema(schema.schema, strict=False)
    assert pool.check(loose, "[1, 2]").result() is None
    error = pool.check(loose, "[1, 1]").result()
    assert isinstance(error, OutputInvalid) and error.where == "#"
    assert isinstance(pool.check(loose, '"\ud800"').result(), OutputInvalid)


def test_a_schema_that_the_validator_walks_for_ever_costs_a_limit() -> None:
    doubled: dict[str, Any] = {"d0": {"type": "object"}}
    for level in range(1, 40):
        doubled[f"d{level}"] = {"allOf": [{"$ref": f"#/$defs/d{level - 1}"}] * 2}
    endless = JsonSchema(json.dumps({"$ref": "#/$defs/d39", "$defs": doubled}), strict=False)
    pool = VettingPool(VOCABULARY, "llguidance", limits=VettingLimits(cpu_seconds=0.3, wall_seconds=20))
    try:
        error = pool.check(endless, "{}").result()
        assert isinstance(error, OutputInvalid) and "not validated: this grammar took more than 0.3 s" in error.what
    finally:
        pool.close()
    assert isinstance(pool.check(endless, "{}").result(), OutputInvalid)  # closed: never an exception
