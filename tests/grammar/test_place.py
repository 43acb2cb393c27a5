"""Places that are told alike have the same masks: a remembered mask equals the one that the backend makes."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidSchema
from ramify.grammar.mask_cache import MaskCache
from ramify.grammar.place import Place, plain_characters, read_shape
from ramify.grammar.spec import JsonSchema

byte_level = pytest.mark.parametrize("family_name", ["byte_level"])

_lengths = st.fixed_dictionaries(
    {"type": st.just("string"), "minLength": st.integers(0, 3), "maxLength": st.integers(3, 9)}
)
_scalars = st.one_of(
    _lengths,
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "pattern": "^[ab]{1,3}$"},
            {"type": ["integer", "null"]},
            {"type": "number"},
            {"enum": ["x", "xy", 1, 12, None]},
            {"const": 'a"b'},
            {"type": "boolean"},
            {"anyOf": [{"type": "string", "maxLength": 4}, {"type": "null"}]},
        ]
    ),
)


def _objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def build(properties: dict[str, Any], required: set[str]) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": properties,
            "required": sorted(required & properties.keys()),
            "additionalProperties": False,
        }

    names = st.sampled_from(["name", "a", 'q"', "é", "list"])
    return st.builds(build, st.dictionaries(names, parts, min_size=1, max_size=3), st.sets(names))


def _arrays(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda items, low, more: {"type": "array", "items": items, "minItems": low, "maxItems": low + more},
        parts,
        st.integers(0, 2),
        st.integers(0, 3),
    )


shapes = st.recursive(_scalars, lambda parts: st.one_of(_objects(parts), _arrays(parts)), max_leaves=5)
RECURSIVE = {
    "type": "object",
    "properties": {"v": {"type": "string", "maxLength": 5}, "next": {"$ref": "#/$defs/node"}},
    "required": ["v"],
    "additionalProperties": False,
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}},
            "required": ["v"],
            "additionalProperties": False,
        }
    },
}


def _walk(grammar: Any, rng: random.Random, words: int, longest: int) -> int:
    """Follow random tokens; each remembered mask against a made one. How many were remembered."""
    state, row, remembered = grammar.state(), np.empty(words, np.int32), 0
    for _ in range(longest):
        known = state.known_mask()
        state.matcher.fill(row)
        row[-1] &= state.vocabulary.last_word
        if known is not None:
            remembered += 1
            assert (known == row).all()
        state.fill_mask(row)
        allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist()
        token = rng.choice(allowed)
        assert state.accept(token)
        if state.terminated:
            break
        if rng.random() < 0.2:
            state = state.fork()
        if rng.random() < 0.2:
            state.rollback(rng.randrange(state.num_accepted + 1))
    return remembered


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(schema=shapes)
@byte_level
def test_remembered_masks_are_those_that_are_made(llguidance: Any, family: Any, schema: Any) -> None:
    try:
        grammar = llguidance.compile(JsonSchema(json.dumps(schema)))
    except InvalidSchema:
        return
    rng = random.Random(json.dumps(schema))
    assert grammar.state()._memory is not None
    for _ in range(6):
        _walk(grammar, rng, family.vocabulary.words, 40)


@byte_level
def test_a_schema_that_refers_to_itself_is_remembered(llguidance: Any, family: Any) -> None:
    grammar = llguidance.compile(JsonSchema(json.dumps(RECURSIVE)))
    rng = random.Random(1)
    assert sum(_walk(grammar, rng, family.vocabulary.words, 60) for _ in range(30)) > 300


@byte_level
def test_texts_of_one_place_share_masks(llguidance: Any, family: Any, feed: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 8}, "n": {"type": "integer"}},
        "required": ["name", "n"],
        "additionalProperties": False,
    }
    grammar = llguidance.compile(JsonSchema(json.dumps(schema)))
    row = np.empty(family.vocabulary.words, np.int32)
    for text, known in [
        ('{"name": "Anna', False),
        ('{"name": "été1', True),  # four characters, in more bytes
        ('{"name": "Annas', False),
        ('{"name": "Bo", "n": 1', False),
        ('{"name": "a long", "n": 1', True),  # a complete value has no say
        ('{"name": "a long", "n": 12', False),
        ('{"name": "a\\n', False),
        ('{"name": "b\\n', False),  # an escape: the room is not known
        ('{"name": "a\\n", "n": 1', True),
    ]:
        state = grammar.state()
        feed(state, text)
        assert (state.known_mask() is not None) == known, text
        state.fill_mask(row)


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"type": "object", "properties": {}, "additionalProperties": False}, {"type": "null"}]},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
        {"type": "array"},
        {"enum": [{"a": 1}, 2]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        True,
    ],
)
def test_a_schema_that_looks_across_values_has_no_places(schema: Any) -> None:
    assert read_shape(schema) is None


@byte_level
def test_blanks_of_any_number_have_no_places(llguidance: Any) -> None:
    spec = JsonSchema('{"type": "object", "properties": {}, "additionalProperties": false}', any_whitespace=True)
    assert llguidance.compile(spec).state().known_mask() is None


@byte_level
def test_the_oldest_masks_go_first(family: Any) -> None:
    cache = MaskCache(family.vocabulary, max_bytes=3 * 4 * family.vocabulary.words)
    shape = read_shape({"type": "string", "maxLength": 5})
    assert shape is not None
    places = [Place(shape)]
    for token in (b'"', b"a", b"b", b"c"):
        places.append(places[-1].after(token, plain_characters(token)))
    number, row = cache.grammar(), np.zeros(family.vocabulary.words, np.int32)
    keys = [cache.key(number, place) for place in places]
    for key in keys:
        cache.put(key, row)
    assert len(cache) == 3
    assert [cache.get(key) is not None for key in keys] == [False, False, True, True, True]
    assert cache.get(cache.key(cache.grammar(), places[-1])) is None
