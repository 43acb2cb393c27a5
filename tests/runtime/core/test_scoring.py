"""A gen with candidates is answered with their probabilities, and leaves its stream as it was."""

from __future__ import annotations

import random

import numpy as np
from core_driver import ABORTED, Driver, greedy, oracle
from ramify.runtime.core.messages import (
    AbortNode,
    Append,
    CloseRun,
    CloseStream,
    ForkStream,
    Generate,
    Mark,
    Marked,
    OpenRun,
    OpenStream,
)
from ramify.runtime.protocol.tokens import pack, unpack
from ramify.runtime.worker.fake import choice_scores, prefix_hashes


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def scoring(run: int, stream: int, node: int, candidates: list[int]) -> Generate:
    return Generate(
        key=(run, stream),
        node=(run, node),
        max_tokens=1,
        candidates=pack(candidates),
        **greedy(),  # type: ignore[arg-type]
    )


def expected(prompt: list[int], candidates: list[int]) -> np.ndarray:
    return choice_scores(int(prefix_hashes(ids(*prompt))[-1]), ids(*candidates))


def test_scores_are_the_models_and_the_stream_goes_on_without_a_token(overlap: int) -> None:
    driver = Driver(overlap)
    prompt, candidates = [1, 2, 3], [9, 4, 40]
    driver.send(
        OpenRun(1),
        OpenStream((1, 0)),
        Append((1, 0), ids(*prompt)),
        scoring(1, 0, 0, candidates),
        Append((1, 0), ids(4)),
        Generate(key=(1, 0), node=(1, 1), max_tokens=5, **greedy()),  # type: ignore[arg-type]
        Mark((1, 0), (1, 2)),
    )
    driver.drain()
    done = driver.done[1, 0]
    assert np.array_equal(np.frombuffer(done.scores, np.float32), expected(prompt, candidates))
    assert (done.ids, done.usage.decoded, done.usage.computed) == (b"", 0, 3)
    generated = oracle([*prompt, 4], 5)
    assert driver.ids((1, 1)) == generated
    (marked,) = [reply for reply in driver.others if isinstance(reply, Marked)]
    assert unpack(marked.ids).tolist() == [*prompt, 4, *generated]
    # The scored prompt is not computed again: only the appended token is.
    assert driver.core.scheduler.counters.computed == 4


def test_all_branches_of_a_prompt_are_scored_in_its_own_step(overlap: int) -> None:
    driver = Driver(overlap, max_rows=16)
    prompt = [7, 8, 9, 10]
    paths = [(), (3,), (3, 5), (4,)]
    messages = [OpenRun(1), OpenStream((1, 0)), Append((1, 0), ids(*prompt))]
    for number, path in enumerate(paths):
        if path:
            messages += [
                ForkStream((1, 0), (1, number)),
                Append((1, number), ids(*path)),
                scoring(1, number, number, [1, 2, 3]),
                CloseStream((1, number)),
            ]
    driver.send(*messages, scoring(1, 0, 0, [3, 4]))
    driver.drain()
    for number, path in enumerate(paths):
        found = np.frombuffer(driver.done[1, number].scores, np.float32)
        assert np.array_equal(found, expected([*prompt, *path], [1, 2, 3] if path else [3, 4]))
    assert len([plan for plan in driver.plans if len(plan.chunk_ids)]) == 1
    assert driver.core.scheduler.counters.computed == len(prompt) + 3
    driver.send(CloseRun(1, ABORTED))
    driver.drain()
    driver.assert_whole()


def test_scoring_beside_gens_under_pressure_and_aborts_leaves_nothing_behind(overlap: int) -> None:
    rng = random.Random(5)
    driver = Driver(overlap, slots=160, max_rows=6, fails=frozenset({40, 41, 90}))
    asked: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for run in range(120):
        prompt = [rng.randrange(4) for _ in range(rng.randrange(2, 30))]
        candidates = rng.sample(range(64), rng.randrange(1, 9))
        asked[run, 0] = (prompt, candidates)
        driver.send(
            OpenRun(run),
            OpenStream((run, 0)),
            Append((run, 0), ids(*prompt)),
            scoring(run, 0, 0, candidates),
            Generate(key=(run, 0), node=(run, 1), max_tokens=rng.randrange(1, 40), **greedy()),  # type: ignore[arg-type]
        )
        for _ in range(rng.randrange(3)):
            driver.tick()
        if rng.random() < 0.3:
            driver.send(AbortNode((run, rng.randrange(2)), ABORTED))
    driver.drain()
    ended = set(driver.done) | set(driver.failed)
    assert ended == {(run, node) for run in range(120) for node in (0, 1)}
    scored = [key for key in asked if key in driver.done]
    assert 60 < len(scored) < 120
    for key in scored:
        assert np.array_equal(np.frombuffer(driver.done[key].scores, np.float32), expected(*asked[key]))
    driver.send(*(CloseRun(run, ABORTED) for run in range(120)))
    driver.drain()
    driver.assert_whole()
