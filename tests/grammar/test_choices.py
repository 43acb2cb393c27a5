"""Choices: exactly one of the texts, by both backends; beginnings of one another, odd characters, limits."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ramify.errors import InvalidSchema
from ramify.grammar.choices import check_choices
from ramify.grammar.limits import GrammarLimits
from ramify.grammar.spec import Choices

SETS = {
    "words": ("red", "green", "blue"),
    "prefixes": ("a", "ab", "abc", "abcd", "b"),
    "empty text": ("", "maybe"),
    "only empty": ("",),
    "unicode": ("é", "è", "日", "日本", "日本語", "😀", "😁", "größe"),
    "spellings of control tokens": ("<|end|>", "<|turn|>", "</s>", "[INST]", "<0x0A>", "<think>"),
    "grammar syntax": ('a"b', "a\\b", "a|b", "/a/", "%ignore", "a\nb", "\x00\x1f\x7f", "# no", "::=", "\\u0041", "i"),
    "blanks": (" ", "  ", "\t", " a", "a "),
    "common ends": ("xend", "yend", "xxend"),
}


@pytest.fixture(params=SETS)
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return SETS[request.param]


@pytest.fixture
def state(backend: Any, options: tuple[str, ...]) -> Any:
    return backend.compile(Choices(options)).state()


def test_each_option_is_accepted_and_its_neighbours_are_not(state: Any, accepts: Any, options: tuple[str, ...]) -> None:
    for option in options:
        assert accepts(state, option)
        for other in (option[:-1], option + "a", option + option, option.swapcase(), " " + option, option[1:]):
            assert accepts(state, other) == (other in options), other


def test_the_mask_is_what_continues_an_option(state: Any, mask_ids: Any, family: Any, options: tuple[str, ...]) -> None:
    """Against the options themselves, at every place a byte can lead to: this is the whole law of choices."""
    encoded = [option.encode() for option in options]
    prefixes = {text[:length] for text in encoded for length in range(len(text) + 1)}
    for prefix in prefixes:
        here = state.fork()
        assert all(here.accept(family.byte_id(byte)) for byte in prefix)
        expected = {
            token_id
            for token_id, token in enumerate(family.vocabulary.tokens)
            if (token and prefix + token in prefixes) or (token_id in family.vocabulary.stop_ids and prefix in encoded)
        }
        assert set(mask_ids(here)) == expected and here.completed == (prefix in encoded)


def test_a_choice_that_begins_another_ends_with_a_stop_token(
    backend: Any, mask_ids: Any, family: Any, feed: Any
) -> None:
    state = backend.compile(Choices(("a", "ab"))).state()
    stops = family.vocabulary.stop_ids
    feed(state, "a")
    assert state.completed and not state.terminated
    assert {family.vocabulary.tokens[token_id] for token_id in set(mask_ids(state)) - stops} == {b"b"}
    ended = state.fork()
    assert ended.accept(min(stops)) and ended.terminated and mask_ids(ended) == []
    feed(state, "b")
    assert set(mask_ids(state)) == stops and not state.terminated


def test_characters_are_split_over_tokens_and_their_bytes_are_forced(backend: Any, mask_ids: Any, family: Any) -> None:
    state = backend.compile(Choices(("😀x", "😁y"))).state()
    for byte in "😀".encode()[:3]:
        assert state.accept(family.byte_id(byte))
    assert {family.vocabulary.tokens[token_id][0] for token_id in mask_ids(state)} == {0x80, 0x81}
    assert state.accept(family.byte_id(0x80)) and state.forced_text() == b"x"


def test_random_options_with_common_beginnings(backend: Any, accepts: Any) -> None:
    rng = random.Random(9)
    for _ in range(10):
        options = tuple("".join(rng.choices("abé", k=rng.randint(0, 6))) for _ in range(rng.randint(1, 30)))
        state = backend.compile(Choices(options)).state()
        others = ["".join(rng.choices("abé", k=rng.randint(0, 6))) for _ in range(30)]
        for text in (*options, *others):
            assert accepts(state, text) == (text in options)


@pytest.mark.parametrize("family_name", ["byte_level"])
@pytest.mark.parametrize(
    "options",
    [
        tuple("a" * length for length in range(360)),
        tuple("x" * 32_000 + end for end in "ab"),
        tuple(f"{index:05d}" * 6 for index in range(2000)),
    ],
    ids=["each begins the next", "long and alike", "as many as may be"],
)
@pytest.mark.timeout(30)
def test_options_at_the_limits_compile(backend: Any, accepts: Any, options: tuple[str, ...]) -> None:
    state = backend.compile(Choices(options)).state()
    assert accepts(state, options[1]) and accepts(state, options[-1]) and not accepts(state, options[-1] + "a")


@pytest.mark.parametrize(
    ("options", "what", "where"),
    [
        ((), "there is nothing to choose from", "options"),
        (("a",) * 2001, "choices: 2001 options, the limit is 2000", "options"),
        (("é" * 20_000, "é" * 20_000), "choices: 80000 bytes or more, the limit is 65536", "options[1]"),
        (("a" * 10**6,), "choices: 1000000 bytes or more, the limit is 65536", "options[0]"),
        (
            ("a", "bc\ud800"),
            "an option is not Unicode text: it holds half of a surrogate pair",
            "options[1], character 2",
        ),
    ],
    ids=["none", "too many", "too long together", "too long", "surrogate"],
)
def test_choices_that_cannot_be_are_refused(options: tuple[str, ...], what: str, where: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        check_choices(Choices(options))
    assert (caught.value.what, caught.value.where) == (what, where) and caught.value.hint


def test_limits_can_be_set() -> None:
    assert check_choices(Choices(("b", "a", "b")), GrammarLimits(options=3, options_bytes=3)) == ["a", "b"]
    for limits in (GrammarLimits(options=2), GrammarLimits(options_bytes=2)):
        with pytest.raises(InvalidSchema):
            check_choices(Choices(("b", "a", "b")), limits)
