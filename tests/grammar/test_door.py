"""Mutations of ordinary grammars at the door: a grammar that fills its first mask, or a named error with a place."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidSchema, RamifyError
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import VettingLimits
from ramify.grammar.schema import ANNOTATIONS, VALIDATIONS
from ramify.grammar.spec import GrammarSpec, JsonSchema, Lark, Regex
from ramify.grammar.vetting import VettedBackend
from ramify.grammar.vetting_pool import VettingPool
from ramify.grammar.vocabulary import Vocabulary

VOCABULARY = Vocabulary((b"", *(bytes((byte,)) for byte in range(256)), b'": "', b"null"), frozenset({0}), 300)
ORDINARY: list[dict[str, Any]] = [
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 40, "pattern": "^[A-Z][a-z]*$"},
            "kind": {"enum": ["a", "b", None, 3]},
            "tags": {
                "type": "array",
                "items": {"type": "string", "format": "date"},
                "maxItems": 4,
                "uniqueItems": True,
            },
            "size": {"type": "number", "minimum": 0, "exclusiveMaximum": 10, "multipleOf": 0.5},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    {
        "$ref": "#/$defs/tree",
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]},
                },
                "patternProperties": {"^x-": {"const": {"a": [1]}}},
                "if": {"required": ["next"]},
                "then": {"minProperties": 1},
            }
        },
    },
    {
        "oneOf": [{"type": "string", "not": {"const": "no"}}, {"allOf": [{"type": "array"}, {"minItems": 1}]}],
        "prefixItems": [{}, True],
        "unevaluatedItems": {"type": "boolean"},
    },
]
TEXTS: list[GrammarSpec] = [
    Regex(r"(a|b{2,5})*[^\d\w]+\s?x{3}"),
    Lark('start: item ("," item)*\nitem: NAME | "(" start ")"\nNAME: /[a-z]+/\n%ignore " "'),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["#", "#/$defs/tree", "string", "(", "a{999}", "\ud800", [], {}, [[]], {"type": "string"}]),
)
KEYWORDS = st.sampled_from(sorted(VALIDATIONS | ANNOTATIONS))


@pytest.fixture(scope="module")
def door() -> Iterator[VettedBackend]:
    limits = VettingLimits(at_once=1, cpu_seconds=1.0, wall_seconds=30, queue_seconds=60)
    pool = VettingPool(VOCABULARY, "auto", limits=limits)
    yield VettedBackend(make_backend(VOCABULARY), pool)
    pool.close()


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn) -> str:
    schema = copy.deepcopy(draw(st.sampled_from(ORDINARY)))
    for _ in range(draw(st.integers(1, 4))):
        container, key = draw(st.sampled_from(list(places(schema))))
        match draw(st.integers(0, 4)):
            case 0:
                del container[key]
            case 1:
                container[key] = draw(SCALARS)
            case 2:
                container[key] = copy.deepcopy(draw(st.sampled_from([part for _, part in _parts(schema)])))
            case 3 if isinstance(container, dict):
                container[draw(KEYWORDS)] = copy.deepcopy(container[key])
            case _:
                container[key] = [container[key], draw(SCALARS)]
        if not list(places(schema)):
            break
    return json.dumps(schema)


def _parts(schema: Any) -> list[tuple[Any, Any]]:
    return [(key, container[key]) for container, key in places(schema)]


def check(door: VettedBackend, spec: GrammarSpec) -> None:
    try:
        grammar = door.compile(spec)
        grammar.state().fill_mask(np.empty(VOCABULARY.words, np.int32))
    except InvalidSchema as error:
        assert error.what and error.where, repr(error)
    except RamifyError as error:
        raise AssertionError(f"no error of a grammar: {error!r}") from error


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=mutated(), strict=st.booleans())
def test_a_mutated_schema(door: VettedBackend, text: str, strict: bool) -> None:
    check(door, JsonSchema(text, strict=strict))


@settings(max_examples=40, deadline=None)
@given(text=mutated(), cut=st.integers(0, 400), put=st.text(max_size=3))
def test_a_schema_whose_text_is_damaged(door: VettedBackend, text: str, cut: int, put: str) -> None:
    check(door, JsonSchema(text[:cut] + put + text[cut + 1 :]))


@settings(max_examples=40, deadline=None)
@given(spec=st.sampled_from(TEXTS), cut=st.integers(0, 80), put=st.text(alphabet='(){}[]|*+?\\~,:.a1"/\n%', max_size=3))
def test_a_damaged_expression_or_grammar(door: VettedBackend, spec: Regex | Lark, cut: int, put: str) -> None:
    text = spec.pattern if isinstance(spec, Regex) else spec.grammar
    check(door, type(spec)(text[:cut] + put + text[cut + len(put) // 2 :]))
