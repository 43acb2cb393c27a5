"""What hostile grammars cost an engine: each against the vetting process, with the time until its answer.

    python benchmarks/grammar_hostile.py

Every answer must be a compiled grammar or a named error within the limit on wall time and 0.1 s. The last lines breach
the limits on purpose (they are lowered), and count what is left behind. The vocabulary is made up, 131,072 tokens.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import Any

from ramify.errors import RamifyError
from ramify.grammar.backends import make_backend
from ramify.grammar.spec import GrammarSpec, JsonSchema, Lark, Regex
from ramify.grammar.vetting import VettedBackend, VettingLimits, VettingPool, is_small
from vocabularies import made_up_vocabulary

STRING = {"type": "string"}


def nested(levels: int) -> str:
    return '{"type": "object", "properties": {"a": ' * levels + '{"type": "string"}' + '}, "required": ["a"]}' * levels


def tower(levels: int, keyword: str) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for level in range(levels):
        schema = {keyword: [{"properties": {f"a{level}": schema}, "required": [f"a{level}"]}, {"items": schema}]}
    return schema


def objects(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{index}": STRING for index in range(count)}}


HOSTILE: dict[str, Any] = {
    "500 nested objects": nested(500),
    "5,000 nested objects": nested(5_000),
    "100,000 nested objects": nested(100_000),
    "25 nested objects": nested(25),
    "pattern of 50,000 nested groups": {**STRING, "pattern": "(" * 50_000 + ")" * 50_000},
    "pattern (a{1,100}){1,100}": {**STRING, "pattern": "(a{1,100}){1,100}"},
    "pattern (.*a){20}": {**STRING, "pattern": "(.*a){20}"},
    "pattern (.*(a|b).{1,300}){3}": {**STRING, "pattern": "(.*(a|b).{1,300}){3}"},
    "pattern of 1,300 .*a": {**STRING, "pattern": ".*a" * 1_300},
    "maxLength 100,000": {**STRING, "maxLength": 100_000},
    "minLength = maxLength = 10,000": {**STRING, "minLength": 10_000, "maxLength": 10_000},
    "maxItems 10,000 of objects": {"type": "array", "items": objects(5), "maxItems": 10_000},
    "enum of 20,000 strings": {"enum": [f"value {index}" for index in range(20_000)]},
    "enum of 2,000 strings": {"enum": [f"value {index}" for index in range(2_000)]},
    "200 optional properties": objects(200),
    "1,500 optional properties": objects(1_500),
    "anyOf tower, depth 8": tower(8, "anyOf"),
    "oneOf tower, depth 8": tower(8, "oneOf"),
    "40 anyOf of 4 in an allOf": {
        "allOf": [{"anyOf": [{"properties": {f"k{i}": {"const": j}}} for j in range(4)]} for i in range(40)]
    },
    "negation of 200 enums": {
        "not": {"anyOf": [{"properties": {f"k{i}": {"enum": [f"x{j}" for j in range(20)]}}} for i in range(200)]}
    },
    "$ref to itself": {"$ref": "#"},
    "$ref in a cycle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "NUL in a pattern": {**STRING, "pattern": "a\x00b"},
    "regex of 5,000 groups": Regex("(" * 5_000),
    "grammar of 500 nested groups": Lark("start: " + "(" * 500 + '"a"' + ")" * 500),
}
BREACHES = {
    "50 ms of processor time": VettingLimits(processes=1, cpu_seconds=0.05),
    "50 ms of wall time": VettingLimits(processes=1, wall_seconds=0.05),
    "1 MiB of memory": VettingLimits(processes=1, memory_bytes=1 << 20),
}


def spec_of(grammar: Any) -> GrammarSpec:
    if isinstance(grammar, Regex | Lark):
        return grammar
    return JsonSchema(grammar if isinstance(grammar, str) else json.dumps(grammar))


def answer(compile_: Any, spec: GrammarSpec) -> tuple[float, str]:
    begin = time.perf_counter()
    try:
        outcome = f"compiled by {compile_(spec).backend}"
    except RamifyError as error:
        outcome = f"{type(error).__name__}: {error.what[:90]}"
    return time.perf_counter() - begin, outcome


def children() -> int:
    """Processes that this one has started and that still live."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return len(listed.stdout.split()) - 1  # ps itself


def main() -> None:
    vocabulary = made_up_vocabulary()
    limits = VettingLimits()
    pool = VettingPool(vocabulary, "auto", limits=limits)
    backend = VettedBackend(make_backend(vocabulary), pool)
    for _ in range(2 * limits.processes):  # each process has answered once: they are warm
        pool.plan(JsonSchema('{"type": "array"}'))
    ordinary = [answer(pool.plan, JsonSchema('{"type": "array"}'))[0] for _ in range(50)]
    print(f"an ordinary schema through a warm process: {1e3 * sorted(ordinary)[25]:.1f} ms\n")
    print("| grammar | vetted | ms | answer |\n|---|---|---|---|")
    slowest = 0.0
    for name, grammar in HOSTILE.items():
        spec = spec_of(grammar)
        seconds, outcome = answer(backend.compile, spec)
        slowest = max(slowest, seconds)
        print(f"| {name} | {'no' if is_small(spec) else 'yes'} | {1e3 * seconds:.0f} | {outcome} |")
    pool.close()
    print(f"\nslowest: {slowest:.2f} s; limit {limits.wall_seconds:g} s; processes left: {children()}\n")
    for name, lowered in BREACHES.items():
        pool = VettingPool(vocabulary, "llguidance", limits=lowered)
        with contextlib.suppress(RamifyError):  # a limit this low may be beyond anything
            pool.plan(JsonSchema("true"))
        seconds, outcome = answer(pool.plan, spec_of(HOSTILE["1,500 optional properties"]))
        pool.close()
        print(f"{name}: {seconds:.2f} s, {outcome}; processes left: {children()}")


if __name__ == "__main__":
    main()
