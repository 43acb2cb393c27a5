"""What every state must do, for both backends and both tokenizer families; each trap of the libraries has its test."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from ramify.errors import InvalidRequest, InvalidSchema
from ramify.grammar.matcher import fill_masks

STRING = {"type": "string"}
PERSON = {
    "type": "object",
    "properties": {"name": STRING, "age": {"type": "integer", "minimum": 0, "maximum": 150}, "ok": {"type": "boolean"}},
    "required": ["name", "age"],
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "number"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "right": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "left", "right"],
        }
    },
    "$ref": "#/$defs/node",
}
SCHEMAS: list[Any] = [
    PERSON,
    TREE,
    STRING,
    {"type": "string", "pattern": "^[a-c]{2,4}(-[0-9]+)?$"},
    {"enum": ["red", "green", "été", "日本", "日", 'say "hi"', "back\\slash"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [STRING, {"type": "boolean"}], "items": {"type": "null"}, "minItems": 2},
    {"anyOf": [{"type": "integer"}, {"type": "null"}, {"enum": ["none", "nothing"]}]},
    {"type": "object", "properties": {"größe": {"type": "number"}, "😀": STRING}, "required": ["😀"]},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"kind": {"const": "data"}}, "additionalProperties": STRING},
    {},
]


BOUNDED = {"type": "string", "minLength": 2, "maxLength": 5}


_PAIRS = [("llguidance", schema) for schema in (*SCHEMAS, BOUNDED)] + [("xgrammar", schema) for schema in SCHEMAS]
every_schema = pytest.mark.parametrize(("backend_name", "schema"), _PAIRS, ids=str)


def advance(state: Any, ids: list[int], rng: random.Random, favoured: set[int]) -> int:
    """Accept one allowed id, more often one that closes something."""
    closing = [token_id for token_id in ids if token_id in favoured]
    token_id = rng.choice(closing if closing and rng.random() < 0.3 else ids)
    assert state.accept(token_id)
    return token_id


@pytest.fixture
def favoured(family: Any) -> set[int]:
    tokens = family.vocabulary.tokens
    return {i for i, token in enumerate(tokens) if token.startswith((b'"', b"}", b"]", b",", b"null", b":"))}


@every_schema
@pytest.mark.parametrize("any_whitespace", [False, True])
def test_mask_is_exactly_what_accept_takes(
    start: Any, mask_ids: Any, family: Any, favoured: set[int], schema: Any, any_whitespace: bool
) -> None:
    rng = random.Random(f"{schema}{any_whitespace}")
    state = start(schema, any_whitespace)
    for _ in range(12):
        allowed = mask_ids(state)
        brute = [token_id for token_id in range(family.vocabulary.words * 32) if state.fork().accept(token_id)]
        assert allowed == brute
        if not allowed:
            assert state.terminated
            break
        advance(state, allowed, rng, favoured)


@every_schema
def test_after_any_script_the_state_equals_a_fresh_one_fed_the_same_tokens(
    start: Any, mask_ids: Any, favoured: set[int], schema: Any
) -> None:
    rng = random.Random(str(schema))
    fresh = start(schema)
    live: list[tuple[Any, list[int]]] = [(fresh.fork(), [])]
    for _ in range(120):
        index = rng.randrange(len(live))
        state, history = live[index]
        action = rng.random()
        if action < 0.55:
            if allowed := mask_ids(state):
                history.append(advance(state, allowed, rng, favoured))
        elif action < 0.7 and history:
            depth = rng.randint(1, len(history))
            state.rollback(depth)
            del history[-depth:]
        elif action < 0.8:
            state.forced_text()
        elif action < 0.9:
            assert not state.accept(rng.choice([-1, 10**6, 2**40]))
        elif len(live) < 4:
            live.append((state.fork(), list(history)))
    for state, history in live:
        oracle = fresh.fork()
        assert all(oracle.accept(token_id) for token_id in history)
        assert mask_ids(state) == mask_ids(oracle)
        assert (state.num_accepted, state.completed, state.terminated) == (
            len(history),
            oracle.completed,
            oracle.terminated,
        )
        assert state.forced_text() == oracle.forced_text()


def test_refused_tokens_change_nothing(start: Any, mask_ids: Any, feed: Any, family: Any) -> None:
    state = start(PERSON)
    feed(state, '{"name": "a')
    before = mask_ids(state)
    for token_id in range(-2, family.vocabulary.width + 2):
        if token_id not in set(before):
            assert not state.accept(token_id)
    assert mask_ids(state) == before and state.num_accepted == len(family.encode('{"name": "a'))


def test_a_fork_and_its_origin_go_separate_ways(start: Any, mask_ids: Any, feed: Any) -> None:
    state = start(PERSON)
    feed(state, '{"name": "')
    fork = state.fork()
    before = mask_ids(state)
    feed(fork, 'blue", "age": 4')
    assert mask_ids(state) == before
    fork.rollback(fork.num_accepted)
    assert mask_ids(fork) == mask_ids(start(PERSON))


# -- stop tokens


def test_stop_tokens_are_allowed_exactly_when_completed(start: Any, mask_ids: Any, family: Any) -> None:
    stops = family.vocabulary.stop_ids
    assert len(stops) == 2
    state = start(PERSON)
    for token_id in family.encode('{"name": "a", "age": 15, "ok": true}'):
        assert not state.completed and not stops & set(mask_ids(state))
        assert not any(state.accept(stop) for stop in stops)
        assert state.accept(token_id)
    assert state.completed and set(mask_ids(state)) == stops
    for stop in stops:
        assert state.fork().accept(stop)


def test_a_number_may_end_or_go_on(start: Any, mask_ids: Any, feed: Any, family: Any) -> None:
    state = start({"type": "integer"})
    feed(state, "12")
    allowed = set(mask_ids(state))
    assert state.completed and family.vocabulary.stop_ids < allowed and state.forced_text() == b""


def test_nothing_follows_a_stop_token_and_nothing_raises(start: Any, mask_ids: Any, feed: Any, family: Any) -> None:
    state = start({"enum": ["red"]})
    feed(state, '"red"')
    stop = min(family.vocabulary.stop_ids)
    assert state.accept(stop) and state.terminated and state.completed
    assert mask_ids(state) == [] and state.forced_text() == b""
    assert not any(state.accept(token_id) for token_id in range(family.vocabulary.width))
    assert state.fork().terminated


def test_rollback_undoes_a_stop_token(start: Any, mask_ids: Any, feed: Any, family: Any) -> None:
    state = start(PERSON)
    feed(state, '{"name": "a", "age": 1')
    before = mask_ids(state)
    feed(state, "}")
    depth = state.num_accepted
    assert state.accept(min(family.vocabulary.stop_ids)) and state.num_accepted == depth + 1
    state.rollback(1)
    assert not state.terminated and state.completed and set(mask_ids(state)) == family.vocabulary.stop_ids
    assert state.accept(max(family.vocabulary.stop_ids))
    state.rollback(2)
    assert mask_ids(state) == before and not state.completed


@pytest.mark.parametrize("num_tokens", [-1, 3, 10**9])
def test_rollback_beyond_the_history_is_a_named_error(start: Any, mask_ids: Any, num_tokens: int) -> None:
    state = start(STRING)
    for _ in range(2):
        assert state.accept(mask_ids(state)[0])
    before = mask_ids(state)
    with pytest.raises(InvalidRequest, match=f"by {num_tokens} tokens: 2 were accepted"):
        state.rollback(num_tokens)
    assert mask_ids(state) == before
    state.rollback(0)
    assert state.num_accepted == 2


# -- control tokens, bytes, widths


def test_control_tokens_are_never_inside_a_string(start: Any, mask_ids: Any, feed: Any, family: Any) -> None:
    state = start(STRING)
    feed(state, '"')
    allowed = set(mask_ids(state))
    assert len(allowed) > 200 and not allowed & set(family.control_ids)
    assert not any(state.accept(token_id) for token_id in family.control_ids)


def test_the_printed_name_of_a_control_token_is_ordinary_text(start: Any, family: Any, family_name: str) -> None:
    control = "<|turn|>" if family_name == "byte_level" else "[INST]"
    assert not set(family.tokenizer.encode(control).ids) - set(family.control_ids) - {family.byte_id(0x20)}
    state = start(STRING)
    for byte in f'"{control}"'.encode():
        assert state.accept(family.byte_id(byte))
    assert state.completed


def test_a_character_may_be_split_over_tokens(start: Any, mask_ids: Any, feed: Any, family: Any) -> None:
    state = start(STRING)
    feed(state, '"')
    tokens = family.vocabulary.tokens
    for byte in "😀".encode()[:-1]:
        assert state.accept(family.byte_id(byte))
        continuing = mask_ids(state)
        assert continuing and all(0x80 <= tokens[token_id][0] < 0xC0 for token_id in continuing)
    assert state.accept(family.byte_id("😀".encode()[-1]))
    feed(state, '"')
    assert state.completed


def test_only_utf8_is_accepted(start: Any, feed: Any, family: Any) -> None:
    """Byte by byte against Python's decoder: overlong forms, surrogates and code points past the last are refused."""
    state = start(STRING)
    feed(state, '"')
    for lead in (*range(0x20), *range(0x80, 0x100)):
        after_lead = state.fork()
        legal = 0xC2 <= lead <= 0xF4
        assert after_lead.accept(family.byte_id(lead)) == legal, hex(lead)
        for second in range(256) if legal else ():
            tail = b"\x80" * ((lead >= 0xE0) + (lead >= 0xF0))
            try:
                bytes((lead, second, *tail)).decode()
                expected = True
            except UnicodeDecodeError:
                expected = False
            assert after_lead.fork().accept(family.byte_id(second)) == expected, (hex(lead), hex(second))


def test_the_first_token_has_no_leading_space(start: Any, mask_ids: Any, family: Any) -> None:
    allowed = [family.vocabulary.tokens[token_id] for token_id in mask_ids(start(PERSON))]
    assert allowed and all(token.startswith(b"{") for token in allowed)


def test_every_word_of_a_poisoned_row_is_written_and_none_around_it(start: Any, feed: Any, family: Any) -> None:
    """The logits are wider than the vocabulary by more than a word: those bits must come out zero."""
    vocabulary = family.vocabulary
    assert vocabulary.width - len(vocabulary.tokens) > 64 and vocabulary.width % 32
    state = start({})
    feed(state, '["')
    rows = {}
    for poison in (0x55555555, 0, -1):
        out = np.full((3, vocabulary.words), poison, np.int32)
        assert state.fill_mask(out[1])
        assert (out[[0, 2]] == poison).all()
        rows[poison] = out[1].copy()
    assert (rows[0] == rows[-1]).all() and (rows[0] == rows[0x55555555]).all()
    bits = np.unpackbits(rows[0].view(np.uint8), bitorder="little")
    assert bits.any() and not bits[len(vocabulary.tokens) :].any()


def test_a_row_of_the_wrong_shape_is_a_named_error(start: Any, family: Any) -> None:
    state, words = start(STRING), family.vocabulary.words
    for row in (np.zeros(words - 1, np.int32), np.zeros(words, np.int64), np.zeros(2 * words, np.int32)[::2]):
        with pytest.raises(InvalidRequest, match=f"int32\\[{words}\\]"):
            state.fill_mask(row)


# -- forced text


def test_forced_text_is_the_beginning_of_whatever_follows(start: Any, feed: Any) -> None:
    state = start(PERSON)
    assert state.forced_text() == b'{"name": "'
    feed(state, '{"na')
    assert state.forced_text() == b'me": "'
    feed(state, 'me": "x"')
    assert state.forced_text() == b', "age": '


@every_schema
def test_forced_text_is_forced(start: Any, mask_ids: Any, family: Any, favoured: set[int], schema: Any) -> None:
    """Against the masks: every allowed token begins with the forced bytes, or is a beginning of them."""
    rng = random.Random(str(schema))
    state = start(schema)
    for _ in range(40):
        forced, allowed = state.forced_text(), mask_ids(state)
        if not allowed:
            break
        for token_id in allowed if forced else []:
            token = family.vocabulary.tokens[token_id]
            assert token and (token.startswith(forced) or forced.startswith(token))
        advance(state, allowed, rng, favoured)


def test_text_forced_inside_a_character_does_not_raise(start: Any, mask_ids: Any, family: Any) -> None:
    """Two choices that share the first byte of a character; and a token that ends inside one."""
    state = start({"enum": ["é", "è"]})
    assert state.forced_text() in (b"", b'"\xc3')
    for byte in b'"\xc3':
        assert state.accept(family.byte_id(byte))
        state.forced_text()
    assert {family.vocabulary.tokens[token_id][0] for token_id in mask_ids(state)} == {0xA9, 0xA8}
    assert state.accept(family.byte_id(0xA9)) and state.forced_text() in (b"", b'"')


# -- dead ends and batches


def test_a_text_that_the_tokenizer_cannot_spell_is_a_named_error(backend_name: str) -> None:
    """And not, as a library's error state would have it, a mask that offers the stop token."""
    from ramify.grammar.backends import make_backend
    from ramify.grammar.spec import JsonSchema
    from ramify.grammar.vocabulary import Vocabulary

    vocabulary = Vocabulary((b"", b'"', b"a", b"b"), frozenset({0}), 40)
    state = make_backend(vocabulary, backend_name).compile(JsonSchema('{"enum": ["ac", "ax"]}')).state()
    assert state.accept(1) and state.accept(2)
    row = np.full(2, 0x55555555, np.int32)
    with pytest.raises(InvalidSchema, match="vocabulary can follow"):
        state.fill_mask(row)
    errors = fill_masks([state.fork(), state], out := np.full((2, 2), 0x55555555, np.int32))
    assert all(isinstance(error, InvalidSchema) for error in errors) and not out.any()


def test_a_batch_gives_each_state_its_own_row(start: Any, feed: Any, mask_ids: Any, family: Any) -> None:
    states = [start(schema) for schema in SCHEMAS]
    feed(states[0], '{"name": "')
    out = np.full((len(states) + 2, family.vocabulary.words), 0x55555555, np.int32)
    assert fill_masks(states, out) == [None] * len(states)
    for state, row in zip(states, out, strict=False):
        expected = np.empty(family.vocabulary.words, np.int32)
        state.fill_mask(expected)
        assert (row == expected).all()
    assert (out[len(states) :] == 0x55555555).all()


def test_a_state_that_stands_twice_in_a_batch_is_a_named_error(start: Any, family: Any) -> None:
    state = start(STRING)
    with pytest.raises(InvalidRequest, match="twice"):
        fill_masks([state, state], np.zeros((2, family.vocabulary.words), np.int32))


def test_a_state_of_another_kind_is_filled_beside_the_others(start: Any, family: Any) -> None:
    class Refusing:
        def fill_mask(self, row: Any) -> bool:
            raise InvalidRequest("not today")

    class Everything:
        def fill_mask(self, row: Any) -> bool:
            row.fill(-1)
            return False

    out = np.full((3, family.vocabulary.words), 0x55555555, np.int32)
    states: Any = [Refusing(), start(STRING), Everything()]
    errors = fill_masks(states, out)
    assert isinstance(errors[0], InvalidRequest) and errors[1:] == [None, None]
    assert not out[0].any() and (out[2] == -1).all()


def test_an_empty_batch_is_no_error(family: Any) -> None:
    assert fill_masks([], np.zeros((0, family.vocabulary.words), np.int32)) == []
