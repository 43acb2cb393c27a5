"""States of patterns and grammars keep the same law as those of schemas: masks, stop tokens, scripts, dead ends."""

from __future__ import annotations

import random
import re
from typing import Any

import numpy as np
import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.compile import GrammarCompiler
from ramify.grammar.spec import Choices, GrammarSpec, Lark, Regex
from ramify.grammar.vocabulary import Vocabulary

PATTERNS = [
    r"[a-c]{2,4}(-\d+)?",
    r"(name|age|été): \w{1,6}",
    r"\d{4}-\d\d-\d\d",
    r"[^\s\d]{3}😀?",
    r"(?:red|green|blue)(, (?:red|green|blue))*",
    r"(日本|日)語?.",
    r'"[^"\\]*"',
    r"(a|b)*abb|",
    r"[\w.+-]{1,8}@[a-z]{1,4}\.com",
]
EXPRESSION = Lark('start: e\ne: e "+" e | "(" e ")" | /[0-9]+|é/\n%ignore " "')
SPECS: list[GrammarSpec] = [*map(Regex, PATTERNS), EXPRESSION, Choices(("data", "日本", "日", ""))]

every_spec = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: repr(spec)[:50])
every_pattern = pytest.mark.parametrize("pattern", PATTERNS)


@every_spec
def test_mask_is_exactly_what_accept_takes(llguidance: Any, mask_ids: Any, family: Any, spec: GrammarSpec) -> None:
    state = llguidance.compile(spec).state()
    rng = random.Random(repr(spec))
    for _ in range(12):
        allowed = mask_ids(state)
        assert allowed == [i for i in range(family.vocabulary.words * 32) if state.fork().accept(i)]
        expected_stops = family.vocabulary.stop_ids if state.completed and not state.terminated else set()
        assert family.vocabulary.stop_ids & set(allowed) == expected_stops
        assert not set(allowed) & (set(family.control_ids) - family.vocabulary.stop_ids)
        if not allowed:
            assert state.terminated
            break
        assert state.accept(rng.choice(allowed))


@every_pattern
def test_every_text_walked_through_the_masks_matches(llguidance: Any, mask_ids: Any, family: Any, pattern: str) -> None:
    """And where nothing but a stop token may follow, no longer text matches: the mask then has stop tokens alone."""
    start, tokens, stops = llguidance.compile(Regex(pattern)).state(), family.vocabulary.tokens, None
    stops = family.vocabulary.stop_ids
    ended = 0
    for seed in range(30):
        rng, state, text = random.Random(seed), start.fork(), b""
        for _ in range(60):
            allowed = mask_ids(state)
            assert allowed
            if state.completed:
                assert re.fullmatch(pattern, text.decode())
                assert stops <= set(allowed)
            else:
                assert not stops & set(allowed)
            short = [i for i in allowed if len(tokens[i]) <= 1] if rng.random() < 0.3 else allowed
            token_id = rng.choice(short or allowed) if not state.completed or rng.random() < 0.6 else min(stops)
            assert state.accept(token_id)
            if state.terminated:
                ended += 1
                break
            text += tokens[token_id]
    assert ended >= 10


@every_pattern
def test_canonical_tokens_of_matching_texts_are_accepted(llguidance: Any, family: Any, pattern: str) -> None:
    texts = [
        "ab-12",
        "name: été",
        "age: x_1",
        "2024-02-29",
        "été😀",
        "red, blue",
        "日本語x",
        '"a b"',
        "abb",
        "",
        "a.b@c.com",
    ]
    start = llguidance.compile(Regex(pattern)).state()
    found = 0
    for text in texts:
        state = start.fork()
        taken = all(state.accept(token_id) for token_id in family.encode(text)) and state.completed
        assert taken == (re.fullmatch(pattern, text) is not None), text
        found += taken
    assert found


@every_spec
def test_after_any_script_the_state_equals_a_fresh_one(llguidance: Any, mask_ids: Any, spec: GrammarSpec) -> None:
    rng = random.Random(repr(spec))
    fresh = llguidance.compile(spec).state()
    state, history = fresh.fork(), []
    for _ in range(60):
        allowed = mask_ids(state)
        if allowed and rng.random() < 0.65:
            history.append(rng.choice(allowed))
            assert state.accept(history[-1])
        elif history:
            depth = rng.randint(1, len(history))
            state.rollback(depth)
            del history[-depth:]
        if rng.random() < 0.1:
            state = state.fork()
    oracle = fresh.fork()
    assert all(oracle.accept(token_id) for token_id in history)
    assert mask_ids(state) == mask_ids(oracle) and state.forced_text() == oracle.forced_text()
    assert (state.completed, state.terminated) == (oracle.completed, oracle.terminated)


def test_nothing_but_a_stop_token_follows_the_last_character(llguidance: Any, mask_ids: Any, family: Any) -> None:
    stops = family.vocabulary.stop_ids
    for spec, text in ((Regex("ab?c"), "abc"), (Lark('start: "x" "é"'), "xé"), (Choices(("é",)), "é"), (Regex(""), "")):
        state = llguidance.compile(spec).state()
        for byte in text.encode():
            assert not state.completed and not stops & set(mask_ids(state))
            assert state.accept(family.byte_id(byte))
        assert state.completed and not state.terminated and set(mask_ids(state)) == stops
        assert state.accept(max(stops)) and state.terminated and mask_ids(state) == []
        state.rollback(1)
        assert set(mask_ids(state)) == stops


def test_a_character_split_over_tokens_stays_within_its_set(llguidance: Any, mask_ids: Any, family: Any) -> None:
    state = llguidance.compile(Regex("[à-é]")).state()
    assert state.accept(family.byte_id(0xC3))
    firsts = {family.vocabulary.tokens[token_id] for token_id in mask_ids(state)}
    assert firsts == {bytes((byte,)) for byte in range(0xA0, 0xAA)}


def test_only_utf8_is_accepted(llguidance: Any, family: Any) -> None:
    state = llguidance.compile(Regex(r"[\s\S]")).state()
    for lead in range(256):
        after = state.fork()
        assert after.accept(family.byte_id(lead)) == (lead < 0x80 or 0xC2 <= lead <= 0xF4)
        if lead == 0xED:
            assert not after.accept(family.byte_id(0xA0)) and after.accept(family.byte_id(0x9F))


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize("spec", [Regex("a"), Lark('start: "a"')], ids=["Regex", "Lark"])
def test_xgrammar_refuses_by_name_what_it_is_not_asked_for(xgrammar: Any, spec: GrammarSpec, family_name: str) -> None:
    with pytest.raises(UnenforceableSchema) as caught:
        xgrammar.compile(spec)
    assert caught.value.where == type(spec).__name__ and "default backend" in caught.value.hint


def test_a_text_that_the_tokenizer_cannot_spell_is_a_named_error() -> None:
    vocabulary = Vocabulary((b"", b"a", b"b"), frozenset({0}), 40)
    backend = make_backend(vocabulary)
    for spec in (Regex("c"), Choices(("c",)), Lark('start: "c"')):
        with pytest.raises(InvalidSchema, match="vocabulary can follow"):
            backend.compile(spec)
    state = backend.compile(Regex("a[cx]|b")).state()
    assert state.accept(1)
    with pytest.raises(InvalidSchema, match="vocabulary can follow"):
        state.fill_mask(np.zeros(2, np.int32))


HOSTILE = [
    "(.*(a|b).{1,300}){3}",
    r"(\w|\s|\d|.){10000}",
    "(a|b)*a(a|b){9000}",
    "((a{10}){10}){100}",
    "(a*)*(b*)*" * 300,
    "(" * 50 + "a|b" + ")*" * 50,
    "|".join(f"a*b{index}.*" for index in range(400)),
    ".*a" * 1300,
    r"\w" * 2000,
    "(x+x+)+y",
]


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize("pattern", HOSTILE, ids=lambda pattern: pattern[:20])
@pytest.mark.timeout(60)
def test_a_hostile_pattern_compiles_or_is_a_named_error(llguidance: Any, mask_ids: Any, pattern: str) -> None:
    """Within the limits every pattern ends soon, while it is compiled and while it is used."""
    rng = random.Random(pattern)
    try:
        state = llguidance.compile(Regex(pattern)).state()
        for _ in range(60):
            allowed = mask_ids(state)
            if not allowed:
                break
            assert state.accept(rng.choice(allowed))
    except InvalidSchema as error:
        assert "pattern" in error.what and error.hint


def test_the_cache_keeps_every_kind_apart(llguidance: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        compiler = GrammarCompiler(llguidance, pool, clock=lambda: 0.0)
        specs = [Regex("a|b"), Choices(("a|b",)), Choices(("b", "a")), Choices(("a", "b")), Lark('start: "a" | "b"')]
        grammars = [compiler.compile(spec).result(20) for spec in specs]
        assert grammars[2] is grammars[3] and len({grammar.key for grammar in grammars}) == 4
        assert compiler.num_entries == 4
        error = compiler.compile(Regex(r"\bx")).exception(20)
        assert isinstance(error, UnenforceableSchema) and error.where == "character 0"
