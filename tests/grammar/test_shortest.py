"""Bounds on the length of what must come, against shortest texts written by hand, which the matcher takes."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import EXACT, GrammarLimits
from ramify.grammar.shortest import shortest_bytes
from ramify.grammar.spec import (
    AnyText,
    Choices,
    GrammarSpec,
    JsonSchema,
    Lark,
    Optional,
    Or,
    Regex,
    Sequence,
    StructuralTag,
    Tag,
    TagsWithSeparator,
    TriggeredTags,
)
from ramify.grammar.trie import TokenTrie, TrieMatcher
from ramify.grammar.vocabulary import Vocabulary

BYTES = Vocabulary((b"", b"", *(bytes((byte,)) for byte in range(256))), frozenset({0}), 300, {"<|call|>": 1})
EXACTLY = GrammarLimits(narrowing=EXACT)
BACKEND = make_backend(BYTES, "llguidance", EXACTLY)


def schema(**keywords: Any) -> JsonSchema:
    return JsonSchema(json.dumps(keywords))


TAG = Tag("<t>", Regex("[0-9]{2,}"), "</t>")


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


SHORTEST: list[tuple[GrammarSpec, str]] = [
    (Regex("a{2,4}(bc|d)?é+"), "aaé"),
    (Regex("(abc|de|f)?"), ""),
    (Choices(("red", "blue", "ée")), "red"),
    (Lark('start: "(" start ")" | pair\npair: A ":" A\nA: /[a-z]{2,}/'), "ab:cd"),
    (schema(enum=["abc", "a", [1, 2], {"k": None}]), '"a"'),
    (schema(const={"k": [True, "x"]}), '{"k": [true, "x"]}'),
    (schema(type="array", items={"type": "boolean"}, minItems=2, maxItems=3), "[true, true]"),
    (schema(type="array", prefixItems=[{"const": "ab"}, {"type": "null"}], minItems=2, items=False), '["ab", null]'),
    (schema(**closed(a={"type": "string", "minLength": 2}, b={"type": "null"})), '{"a": "xy", "b": null}'),
    (schema(**closed(a={"anyOf": [{"const": "long text"}, {"const": "x"}]})), '{"a": "x"}'),
    (schema(**{"$defs": {"n": closed(v={"type": "null"})}, "$ref": "#/$defs/n"}), '{"v": null}'),
    (schema(type=["string", "null"]), '""'),
    (schema(type="string", pattern="^[a-c]{3}$"), '"abc"'),
    (StructuralTag(Sequence((TAG, Optional(Tag("x", AnyText(), "y")), Choices(("ab", "cde"))))), "<t>12</t>ab"),
    (StructuralTag(TriggeredTags(("<",), (TAG, Tag("<c>", AnyText(), "<")), at_least_one=True)), "<c><"),
    (StructuralTag(Or((TAG, Tag("[", TagsWithSeparator((TAG,), ","), "]")))), "[]"),
]


@pytest.mark.parametrize(("spec", "shortest"), SHORTEST, ids=[str(number) for number in range(len(SHORTEST))])
def test_the_bound_is_the_length_of_the_shortest_text(spec: GrammarSpec, shortest: str) -> None:
    state = BACKEND.compile(spec).state()
    assert all(state.accept(2 + byte) for byte in shortest.encode())
    assert state.completed
    # ", " and ": " stand for what may be "," and ":"
    assert shortest_bytes(spec, EXACTLY) == len(shortest.replace(", ", ",").replace(": ", ":").encode())


@pytest.mark.parametrize(("spec", "shortest"), SHORTEST, ids=[str(number) for number in range(len(SHORTEST))])
def test_no_text_is_shorter_than_the_bound(spec: GrammarSpec, shortest: str) -> None:
    rng, bound = random.Random(shortest), shortest_bytes(spec, EXACTLY)
    start = BACKEND.compile(spec).state()
    for _ in range(30):
        state = start.fork()
        while not state.completed and state.num_accepted < bound:
            row = np.empty(BYTES.words, np.int32)
            state.fill_mask(row)
            state.accept(rng.choice(np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist()))
        assert state.num_accepted >= bound


@pytest.mark.parametrize("depth", [1, 40, 400])
def test_references_that_go_on_bound_what_is_near(depth: int) -> None:
    definitions: dict[str, Any] = {
        f"n{i}": {"type": "array", "items": {"$ref": f"#/$defs/n{i + 1}"}, "minItems": 1} for i in range(depth)
    }
    definitions[f"n{depth}"] = {"type": "null"}
    spec = schema(**{"$defs": definitions, "$ref": "#/$defs/n0"})
    assert 2 * min(depth, 30) < shortest_bytes(spec, EXACTLY) <= 2 * depth + 4


def test_recursion_and_wide_schemas_are_bounded_in_time() -> None:
    tree = {"$defs": {"t": {"type": "object", "properties": {"l": {"$ref": "#/$defs/t"}, "r": {"$ref": "#/$defs/t"}}}}}
    assert shortest_bytes(schema(**tree, **{"$ref": "#/$defs/t"})) == 2
    wide: dict[str, Any] = {"$defs": {"n0": {"type": "null"}}}
    for i in range(30):
        part = {"$ref": f"#/$defs/n{i}"}
        wide["$defs"][f"n{i + 1}"] = {"type": "array", "prefixItems": [part, part], "minItems": 2}
    assert shortest_bytes(schema(**wide, **{"$ref": "#/$defs/n30"})) > 1_000


def test_tokens_are_bounded_by_the_longest_and_control_tokens_count_one() -> None:
    vocabulary = Vocabulary((*BYTES.tokens, b"abcd"), frozenset({0}), 300, {"<|call|>": 1})
    backend = make_backend(vocabulary, "llguidance")
    assert backend.compile(Regex("a{9}")).min_tokens == 3
    assert backend.compile(Regex("a?")).min_tokens == 0
    assert backend.compile(StructuralTag(Tag("<|call|>", Regex("[ab]{4}"), "<|call|>"))).min_tokens == 3
    plan = backend.plan(Regex("a{9}"))
    assert backend.build(plan).min_tokens == plan.min_tokens == 3


def test_what_remains_of_choices_is_exact_at_every_place() -> None:
    options = ["abc", "abcdef", "abx", "é"]
    trie = TokenTrie([[2 + byte for byte in option.encode()] for option in options], [0])
    for option in options:
        for at in range(len(option.encode()) + 1):
            matcher = TrieMatcher(trie, BYTES.tokens)
            head = option.encode()[:at]
            assert all(matcher.consume(2 + byte) for byte in head)
            rest = [len(other.encode()) - at for other in options if other.encode().startswith(head)]
            assert matcher.remaining() == min(rest)


@pytest.mark.parametrize("name", ["llguidance", "xgrammar"])
def test_what_remains_is_never_more_than_the_shortest_end(name: str) -> None:
    backend = make_backend(BYTES, name)
    values = ["abcdef", "abc", "abxé"]
    state = backend.compile(schema(enum=values)).state()
    texts = [json.dumps(value, ensure_ascii=False).encode() for value in values]
    done = b""
    for byte in texts[2]:
        rest = min(len(text) - len(done) for text in texts if text.startswith(done))
        assert 1 <= state.remaining_bytes() <= rest
        assert state.accept(2 + byte)
        done += bytes((byte,))
    assert state.remaining_bytes() == 0
