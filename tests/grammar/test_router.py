"""The router: exact first, cheap second; refusals keep the paths; libraries are loaded when they are needed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.router import COSTS, Router
from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex

FREE = JsonSchema('{"type": "object", "properties": {"a": {"type": "string"}}}')
BOUNDED = JsonSchema('{"type": "object", "properties": {"a": {"type": "string", "maxLength": 60}}}')


class Fake:
    """A backend that refuses what it is told to."""

    def __init__(self, name: str, refuses: bool = False) -> None:
        self.name = name
        self.refuses = refuses

    def compile(self, spec: GrammarSpec) -> Any:
        if self.refuses:
            raise UnenforceableSchema("no", where=f"#/{self.name}")
        return self.name

    plan = compile

    def build(self, plan: Any) -> Any:
        return plan


def router(refusing: tuple[str, ...] = (), **options: Any) -> tuple[Router, list[str]]:
    made: list[str] = []

    def make(name: str) -> Any:
        made.append(name)
        return Fake(name, name in refusing)

    return Router(make, **options), made


def test_the_cheapest_by_compilation_and_expected_masks_comes_first() -> None:
    few, many = router()[0], router(expected_masks=10_000)[0]
    assert few.order(FREE) == ["llguidance", "xgrammar"] and many.order(FREE) == ["xgrammar", "llguidance"]
    assert few.order(BOUNDED)[0] == many.order(BOUNDED)[0] == "llguidance"  # lengths make xgrammar's masks slow
    for spec in (Regex("a"), Choices(("a",)), Lark('start: "a"')):
        assert many.order(spec) == ["llguidance"]
    assert set(COSTS) == {"llguidance", "xgrammar"}


def test_another_backend_takes_what_the_first_does_not_enforce() -> None:
    subject, made = router(refusing=("llguidance",))
    assert subject.compile(FREE) == "xgrammar" and made == ["llguidance", "xgrammar"]


def test_a_backend_that_would_not_enforce_it_is_not_even_loaded() -> None:
    subject, made = router(refusing=("llguidance",))
    with pytest.raises(UnenforceableSchema) as caught:
        subject.compile(JsonSchema('{"type": "array", "contains": {"type": "null"}}'))
    assert caught.value.where == "#/llguidance" and made == ["llguidance"]


def test_the_first_refusal_stands_if_all_refuse() -> None:
    subject, _ = router(refusing=("llguidance", "xgrammar"))
    with pytest.raises(UnenforceableSchema) as caught:
        subject.compile(FREE)
    assert caught.value.where == "#/llguidance"


def test_through_real_backends(family: Any, accepts: Any) -> None:
    backend = make_backend(family.vocabulary)
    assert backend.name == "auto"
    grammar = backend.compile(FREE)
    assert grammar.backend == grammar.report.backend == "llguidance" and accepts(grammar.state(), '{"a": "x"}')
    with pytest.raises(UnenforceableSchema, match="llguidance would not enforce"):
        backend.compile(JsonSchema('{"type": "array", "contains": {"type": "null"}}'))
    with pytest.raises(InvalidSchema, match="schema is not JSON"):
        backend.compile(JsonSchema("{"))
    lenient = backend.compile(JsonSchema('{"type": "array", "contains": {"type": "null"}}', strict=False))
    assert [note.where for note in lenient.report.notes if note.kind == "ignored"] == ["#/contains"]


@pytest.mark.parametrize("spec", [FREE, BOUNDED, Regex("a+|b"), Choices(("a", "b")), Lark('start: "a"')], ids=repr)
def test_a_plan_builds_the_same_grammar(backend: Any, mask_ids: Any, spec: GrammarSpec) -> None:
    try:
        plan = backend.plan(spec)
    except UnenforceableSchema:
        assert backend.name == "xgrammar"
        return
    built, compiled = backend.build(plan), backend.compile(spec)
    assert (built.key, built.report) == (compiled.key, compiled.report)
    one, other = built.state(), compiled.state()
    for _ in range(12):
        allowed = mask_ids(one)
        assert allowed == mask_ids(other)
        if not allowed:
            break
        assert one.accept(allowed[0]) and other.accept(allowed[0])


def test_a_compiled_grammar_of_xgrammar_travels_as_text(xgrammar: Any, monkeypatch: Any, accepts: Any) -> None:
    monkeypatch.setattr("ramify.grammar.backends.xgrammar._WORTH_SERIALIZING", -1.0)
    spec = JsonSchema(json.dumps({"type": "array", "items": {"enum": ["a", 1]}}))
    plan = xgrammar.plan(spec)
    assert plan.source.startswith("compiled:")
    state = xgrammar.build(plan).state()
    assert plan.key == spec.key() and state.accept(state.vocabulary.tokens.index(b"["))
