"""Hostile grammars end as named errors in a process of their own; nothing of it is left; others are not affected."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ramify.errors import EngineUnavailable, InvalidSchema, RamifyError, UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import DEFAULT_LIMITS
from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex
from ramify.grammar.vetting import VettedBackend, VettingLimits, VettingPool, is_small
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
    pool = VettingPool(VOCABULARY, "auto", limits=VettingLimits(processes=1))
    yield pool
    pool.close()
    assert pool.num_processes == 0


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


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _pids(pool: VettingPool) -> set[int]:
    return {process.pid for process in pool._all}


SLOW = specs(
    {"type": "object", "properties": {f"p{index}": {"type": "array", "items": STRING} for index in range(900)}}
)


@pytest.mark.parametrize(
    "limits",
    [
        VettingLimits(processes=1, cpu_seconds=0.002),
        VettingLimits(processes=1, wall_seconds=0.002),
        VettingLimits(processes=1, memory_bytes=1 << 20),
    ],
    ids=["processor time", "wall time", "memory"],
)
def test_a_breach_is_a_named_error_and_the_process_is_replaced(limits: VettingLimits) -> None:
    threads = threading.active_count()
    pool = VettingPool(VOCABULARY, "llguidance", limits=limits)
    try:
        pool.warm()
        before = _pids(pool)
        with pytest.raises(InvalidSchema, match="took more"):
            pool.plan(SLOW)
        after = _pids(pool)
        if limits.memory_bytes > 1 << 20:
            assert before != after and not any(map(_alive, before))
        assert pool.num_processes == 1
    finally:
        pool.close()
    assert not any(map(_alive, after)) and threading.active_count() == threads


def test_closing_ends_the_processes_and_whoever_waits() -> None:
    pool = VettingPool(VOCABULARY, "llguidance", limits=VettingLimits(processes=2, start_seconds=60))
    pool.warm()
    pids, errors = _pids(pool), []
    descriptors = len(os.listdir("/proc/self/fd"))

    def ask() -> None:
        try:
            pool.plan(SLOW)
        except RamifyError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    pool.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert all(isinstance(error, EngineUnavailable) for error in errors)
    assert len(pids) == 2 and not any(map(_alive, pids)) and len(os.listdir("/proc/self/fd")) < descriptors
    with pytest.raises(EngineUnavailable):
        pool.plan(SLOW)


def test_a_process_whose_engine_has_gone_ends() -> None:
    pool = VettingPool(VOCABULARY, "llguidance", limits=VettingLimits(processes=1))
    pool.plan(SLOW)
    (process,) = pool._all
    process.hang_up()
    assert process.wait(20) == 0
    pool.close()


def test_small_grammars_skip_the_process() -> None:
    class NoPool:
        def warm(self) -> None: ...

        def plan(self, spec: GrammarSpec) -> Any:
            raise AssertionError("not small")

    backend = VettedBackend(make_backend(VOCABULARY), NoPool())  # type: ignore[arg-type]
    assert backend.compile(specs({"type": "string"})).backend == "llguidance"
    with pytest.raises(AssertionError, match="not small"):
        backend.compile(SLOW)
    with pytest.raises(InvalidSchema, match="bytes, the limit is"):
        backend.compile(specs({"const": "x" * DEFAULT_LIMITS.schema_bytes}))


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


def test_vetting_runs_beside_each_other() -> None:
    """A slow grammar holds one process; the other goes on."""
    pool = VettingPool(VOCABULARY, "llguidance", limits=VettingLimits(processes=2, wall_seconds=60, cpu_seconds=60))
    try:
        slow = threading.Thread(target=lambda: pool.plan(SLOW))
        pool.warm()
        slow.start()
        while len(pool._idle) == 2:
            time.sleep(0)
        assert pool.plan(specs({"type": "array"})).backend == "llguidance"
        slow.join(60)
        assert not slow.is_alive() and pool.num_processes == 2
    finally:
        pool.close()
