"""Bytes under a grammar, in both tokenizer families: fallback bytes, spaces before a word, characters in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ramify.grammar.spec import Choices, JsonSchema, Regex

UNSEEN = "žЖअ字𝕏"  # characters that neither tokenizer was trained on


def ids_of(family: Any, text: str) -> list[int]:
    return [family.byte_id(byte) for byte in text.encode()]


def test_what_the_vocabulary_does_not_know_is_written_in_bytes(start: Any, family: Any, feed: Any) -> None:
    canonical = family.encode(json.dumps(UNSEEN, ensure_ascii=False))
    assert sum(len(family.vocabulary.tokens[token_id]) == 1 for token_id in canonical) >= len(UNSEEN.encode())
    for schema in (
        {"type": "string"},
        {"const": UNSEEN},
        {"type": "string", "maxLength": len(UNSEEN)},
        {"enum": [UNSEEN, 1]},
    ):
        if "maxLength" in schema:
            continue
        state = start(schema)
        feed(state, json.dumps(UNSEEN, ensure_ascii=False))
        assert state.completed


@pytest.mark.parametrize("character", UNSEEN)
def test_only_the_bytes_that_finish_a_character_follow_its_beginning(
    start: Any, mask_ids: Any, family: Any, character: str
) -> None:
    """In a string of one character of two: the continuation bytes are those of these two."""
    other = chr(ord(character) + 1)
    state = start({"enum": [character, other]})
    assert state.accept(family.byte_id(ord('"')))
    spelled = [each.encode() for each in (character, other)]
    for length in range(1, len(spelled[0])):
        assert state.accept(family.byte_id(spelled[0][length - 1]))
        following = {each[length] for each in spelled if each[:length] == spelled[0][:length]}
        assert {family.vocabulary.tokens[token_id][0] for token_id in mask_ids(state)} == following


def test_a_space_in_front_of_a_word_is_a_space(start: Any, mask_ids: Any, family: Any) -> None:
    """Pieces such as `▁name` spell a space: allowed inside a string, and nowhere that a space is not."""
    tokens = family.vocabulary.tokens
    plain = {token_id for token_id, token in enumerate(tokens) if token.isascii() and not set(token) & set(b'"\\')}
    spaced = {token_id for token_id in plain if len(tokens[token_id]) > 1 and tokens[token_id].startswith(b" ")}
    assert spaced
    state = start({"type": "string"})
    assert not spaced & set(mask_ids(state))
    assert state.accept(family.byte_id(ord('"')))
    assert spaced <= set(mask_ids(state))
    pattern = start({"type": "string", "pattern": "^[a-z]+$"})
    assert pattern.accept(family.byte_id(ord('"')))
    assert not spaced & set(mask_ids(pattern))


def test_a_token_may_end_one_part_and_begin_the_next(start: Any, family: Any, family_name: str) -> None:
    """`": "` is one token of one family: it ends a key, and begins a value."""
    if family_name == "byte_level":
        state = start({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
        for byte in b'{"a':
            assert state.accept(family.byte_id(byte))
        joint = family.tokenizer.token_to_id('": "')
        assert state.accept(joint) and not state.accept(joint) and state.accept(family.byte_id(ord('"')))


@pytest.mark.parametrize("text", ["a b", " a", "é", UNSEEN, "<|end|>", "</s>", "\x00\n"])
def test_other_grammars_take_the_same_bytes(llguidance: Any, family: Any, text: str) -> None:
    for spec in (Choices((text, "other")), Regex("(?:" + "".join(f"\\U{ord(c):08x}" for c in text) + ")")):
        state = llguidance.compile(spec).state()
        assert not any(state.fork().accept(token_id) for token_id in family.control_ids)
        for token_id in ids_of(family, text):
            assert state.accept(token_id)
        assert state.completed


def test_control_tokens_stay_out_of_keys_patterns_and_open_values(start: Any, mask_ids: Any, family: Any) -> None:
    controls = set(family.control_ids)
    for schema, text in (
        ({"type": "object"}, '{"'),
        ({"type": "object"}, '{"a": '),
        ({}, "["),
        ({"type": "string", "pattern": "^[^b]*$"}, '"'),
        ({"type": "array", "items": {}}, "[1, "),
    ):
        state = start(schema)
        for token_id in ids_of(family, text):
            assert state.accept(token_id)
        assert not controls & set(mask_ids(state)) and not any(state.fork().accept(token_id) for token_id in controls)


def test_escapes_are_json(backend: Any, accepts: Any) -> None:
    """What passes is what `json.loads` reads: no raw control character, no half escape, no half surrogate pair."""
    state = backend.compile(JsonSchema('{"type": "string"}')).state()
    for text in (r'"\n"', r'"\""', r'"\\"', r'"\u007f"', '"é"', '"\u2028"'):
        assert accepts(state, text) and json.loads(text) is not None
    for text in ('"\n"', '"\x00"', r'"\x41"', r'"\u12"', r'"\a"', '"'):
        assert not accepts(state, text)
        with pytest.raises(ValueError):
            json.loads(text)
