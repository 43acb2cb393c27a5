"""The trie of choices gives each choice the probability that a constrained gen would, by enumeration."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from ramify.errors import InvalidRequest
from ramify.grammar.matcher import MatcherState, fill_masks
from ramify.grammar.trie import TokenTrie, TrieMatcher
from ramify.grammar.vocabulary import Vocabulary

STOPS = (90, 91)


def _scores(path: tuple[int, ...], candidates: tuple[int, ...]) -> list[float]:
    """Any fixed function of the place and the id, of wild size: only differences may matter."""
    return [random.Random(repr((path, token))).uniform(-6.0, 6.0) + 20.0 * len(path) for token in candidates]


def _law(choices: list[tuple[int, ...]], temperature: float) -> list[float]:
    """What a gen writes that may write only the choices: walk token by token, a masked softmax at each."""
    chances = dict.fromkeys(choices, 0.0)
    walks: list[tuple[tuple[int, ...], float]] = [((), 1.0)]
    while walks:
        path, chance = walks.pop()
        tokens = sorted({choice[len(path)] for choice in choices if choice[: len(path)] == path and choice != path})
        stops = list(STOPS) if path in chances else []
        if not tokens:
            chances[path] += chance
            continue
        options = (*tokens, *stops)
        weights = [math.exp(score / temperature) for score in _scores(path, options)]
        for token, weight in zip(options, weights, strict=True):
            if token in stops:
                chances[path] += chance * weight / sum(weights)
            else:
                walks.append(((*path, token), chance * weight / sum(weights)))
    return [chances[choice] for choice in choices]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("temperature", [1.0, 0.4, 3.0])
def test_the_law_is_that_of_a_constrained_gen(seed: int, temperature: float) -> None:
    rng = random.Random(seed)
    pool = [path for size in (1, 2, 3, 4) for path in itertools.product((1, 2, 3), repeat=size)]
    choices = rng.sample(pool, rng.randrange(1, 12))
    trie = TokenTrie(choices, STOPS)
    scores = {path: _scores(path, candidates) for path, candidates in trie.branches}
    logprobs = trie.logprobs(scores, temperature)
    assert [math.exp(logprob) for logprob in logprobs] == pytest.approx(_law(choices, temperature), abs=1e-12)
    assert sum(map(math.exp, logprobs)) == pytest.approx(1.0)


def test_nothing_is_asked_where_there_is_nothing_to_choose() -> None:
    assert TokenTrie([(5, 6, 7)], STOPS).branches == ()
    assert TokenTrie([(5, 6, 7)], STOPS).logprobs({}) == [0.0]
    assert [path for path, _ in TokenTrie([(5, 6, 7, 1), (5, 6, 8, 1)], STOPS).branches] == [(5, 6)]


def test_choices_that_part_at_once_need_one_branch() -> None:
    assert TokenTrie([(3, 1, 2), (1, 2, 3), (2,)], STOPS).branches == (((), (1, 2, 3)),)


def test_a_choice_inside_another_ends_on_the_stop_ids() -> None:
    assert TokenTrie([(3,), (3, 4)], STOPS).branches == (((3,), (4, *STOPS)),)


def test_an_impossible_candidate_has_no_probability() -> None:
    trie = TokenTrie([(1,), (1, 2), (3,)], STOPS)
    scores = {(): [0.0, 0.0], (1,): [0.0, -math.inf, -math.inf]}
    assert trie.logprobs(scores) == [-math.inf, pytest.approx(math.log(0.5)), pytest.approx(math.log(0.5))]


@pytest.mark.parametrize(
    ("choices", "stops", "match"),
    [
        ([], STOPS, "no choices"),
        ([(1,), (2,), (1,)], STOPS, "same tokens"),
        ([(1,), (1, 2)], (), "no stop token"),
    ],
)
def test_bad_choices_are_refused(choices: list[tuple[int, ...]], stops: tuple[int, ...], match: str) -> None:
    with pytest.raises(InvalidRequest, match=match):
        TokenTrie(choices, stops)


VOCABULARY = Vocabulary((*(bytes((97 + i % 26,)) for i in range(90)), b"", b""), frozenset(STOPS), width=101)


def _state(choices: list[tuple[int, ...]]) -> MatcherState:
    return MatcherState(TrieMatcher(TokenTrie(choices, STOPS), VOCABULARY.tokens), VOCABULARY)


def _allowed(state: MatcherState) -> set[int]:
    masks = np.full((1, VOCABULARY.words), 0x55555555, np.int32)
    assert fill_masks([state], masks) == [None]
    bits = np.unpackbits(masks.view(np.uint8), bitorder="little")
    return set(np.flatnonzero(bits).tolist())


@pytest.mark.parametrize("seed", range(30))
def test_masks_are_those_of_brute_force_along_random_walks(seed: int) -> None:
    rng = random.Random(seed)
    pool = [(), *(path for size in (1, 2, 3) for path in itertools.product((31, 32, 63, 5), repeat=size))]
    choices = rng.sample(pool, rng.randrange(1, 15))
    state, path = _state(choices), ()
    while True:
        going_on = {choice[len(path)] for choice in choices if choice[: len(path)] == path and len(choice) > len(path)}
        allowed = going_on | (set(STOPS) if path in choices else set())
        assert _allowed(state) == allowed
        assert state.completed == (path in choices)
        for token in range(-1, 102):
            fork = state.fork()
            assert fork.accept(token) == (token in allowed)
            if token in allowed:
                fork.rollback(1)
                assert _allowed(fork) == allowed
        token = rng.choice(sorted(allowed))
        assert state.accept(token)
        if token in STOPS:
            assert state.terminated and _allowed(state) == set()
            return
        path = (*path, token)


def test_forced_text_ends_where_a_choice_ends_or_parts() -> None:
    assert _state([(0, 1, 2), (0, 1, 3)]).forced_text() == b"ab"
    assert _state([(0, 1), (0, 1, 2, 3)]).forced_text() == b"ab"
    assert _state([(), (1,)]).forced_text() == b""
