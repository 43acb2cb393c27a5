"""Forced text against all texts of small grammars: it is in each that goes on from a place, and nothing moves."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from ramify.grammar.backends import make_backend
from ramify.grammar.matcher import MatcherState
from ramify.grammar.spec import Choices, JsonSchema, Regex, Sequence, StructuralTag, Tag
from ramify.grammar.state import GrammarState
from ramify.grammar.trie import TokenTrie, TrieMatcher
from ramify.grammar.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    (b"", b"", *(bytes((byte,)) for byte in range(256)), b"ab", b"\xc3\xa9", b'"a', b"\xe6\x97"),
    frozenset({0}),
    300,
    {"<|call|>": 1},
)
RNG = random.Random(3)
SETS = [
    ["é", "è"],
    ["aé1", "aè2"],
    ["日", "日本", "旧"],
    *([("".join(RNG.choices("aéè日b😀", k=RNG.randint(1, 6)))) for _ in range(RNG.randint(1, 4))] for _ in range(20)),
]


def expected(texts: list[bytes], done: bytes) -> bytes:
    """What all texts that begin so go on with; nothing where one of them is over."""
    rest = [text[len(done) :] for text in texts if text.startswith(done)]
    length = next((at for at, column in enumerate(zip(*rest, strict=False)) if len(set(column)) > 1), None)
    return rest[0][: min(map(len, rest)) if length is None else length]


def check(state: GrammarState, texts: list[bytes], exact: bool) -> None:
    """Walk every text and compare at each byte."""
    for text in texts:
        here = state.fork()
        for at in range(len(text) + 1):
            before = here.num_accepted
            forced, must = here.forced_text(), expected(texts, text[:at])
            assert must.startswith(forced), (text[:at], forced)
            assert not exact or forced == must
            assert here.num_accepted == before
            assert here.remaining_bytes() >= len(forced)
            if at < len(text):
                assert here.accept(2 + text[at])  # what is forced was not committed: every text can still be spelled
        assert here.completed


@pytest.mark.parametrize("name", ["llguidance", "xgrammar", "trie"])
def test_forced_text_of_choices_is_in_every_text_that_goes_on(name: str) -> None:
    for options in SETS:
        texts = [option.encode() for option in dict.fromkeys(options)]
        if name == "trie":
            trie = TokenTrie([[2 + byte for byte in text] for text in texts], [0])
            state: Any = MatcherState(TrieMatcher(trie, VOCABULARY.tokens), VOCABULARY)
        else:
            state = make_backend(VOCABULARY, name).compile(Choices(tuple(options))).state()
        check(state, texts, exact=name != "xgrammar")


@pytest.mark.parametrize("name", ["llguidance", "xgrammar"])
def test_forced_text_of_json_is_in_every_text_that_goes_on(name: str) -> None:
    backend = make_backend(VOCABULARY, name)
    for options in SETS[:8]:
        values = list(dict.fromkeys(options))
        schema = {"type": "object", "properties": {"é": {"enum": values}}, "required": ["é"]}
        texts = [json.dumps({"é": value}, ensure_ascii=False).encode() for value in values]
        check(backend.compile(JsonSchema(json.dumps(schema))).state(), texts, exact=False)


def test_xgrammar_forces_whole_characters_or_nothing() -> None:
    state = make_backend(VOCABULARY, "xgrammar").compile(Choices(("xé", "xè"))).state()
    assert state.forced_text() == b""  # the forced bytes end inside a character, which the library cannot say
    assert state.accept(2 + ord("x"))
    assert state.accept(2 + 0xC3)
    assert state.forced_text() == b""


def test_forced_text_of_a_structure_ends_before_a_control_token() -> None:
    spec = StructuralTag(Sequence((Tag("ab<|call|>", Regex("cd[ef]"), "</x>"), Choices(("yes", "yet")))))
    state = make_backend(VOCABULARY, "llguidance").compile(spec).state()
    assert state.forced_text() == b"ab"
    assert state.accept(VOCABULARY.tokens.index(b"ab"))
    assert state.forced_text() == b""
    assert state.accept(1)
    assert state.forced_text() == b"cd"
    for byte in b"cde":
        assert state.accept(2 + byte)
    assert state.forced_text() == b"</x>ye"
