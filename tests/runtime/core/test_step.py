"""Programs on the core give the ids that the model gives, at both overlap depths, whatever shares the batch."""

from __future__ import annotations

import random

import numpy as np
import pytest
from core_driver import Driver, greedy, oracle
from ramify.runtime.core.messages import (
    Append,
    CloseRun,
    CloseStream,
    ForkStream,
    Generate,
    Mark,
    Marked,
    OpenRun,
    OpenStream,
    RunEnded,
)
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import unpack


def ids(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_one_gen_gives_the_models_ids(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, [1, 2, 3], 10)
    driver.drain()
    assert driver.ids((1, 0)) == oracle([1, 2, 3], 10)
    assert driver.done[1, 0].reason == "length"
    # The last token is never fed: the limit is known ahead, so no step is launched too far.
    assert driver.core.scheduler.counters.decoded == 9


def test_a_stop_id_ends_the_gen_and_is_not_kept(overlap: int) -> None:
    whole = oracle([5, 6], 30)
    stop = whole[12]
    expected = whole[: whole.index(stop)]
    driver = Driver(overlap)
    driver.simple(1, [5, 6], 30, stop_ids=(stop,))
    driver.drain()
    assert driver.ids((1, 0)) == expected
    assert driver.done[1, 0].reason == "stop"


def test_more_stop_ids_than_the_table_has_columns(overlap: int) -> None:
    stops = tuple(range(0, 64, 4))
    driver = Driver(overlap)
    driver.simple(1, [5, 6], 60, stop_ids=stops)
    driver.drain()
    assert driver.ids((1, 0)) == oracle([5, 6], 60, stop_ids=stops)


def test_gens_longer_than_the_row_buffers(overlap: int) -> None:
    driver = Driver(overlap, slots=2048, max_length=1000)
    for run in range(3):
        driver.simple(run, [run, 9], 400 + run)
    driver.drain()
    for run in range(3):
        assert driver.ids((run, 0)) == oracle([run, 9], 400 + run)


def test_gen_text_gen_goes_on_without_the_client(overlap: int) -> None:
    """The whole program is in the first inbox; after that only the worker's results come in."""
    driver = Driver(overlap)
    key = (1, 0)
    driver.send(
        OpenRun(1),
        OpenStream(key),
        Append(key, ids(1, 2, 3)),
        Generate(key=key, node=(1, 0), max_tokens=4, **greedy()),
        Append(key, ids(7, 8)),
        Generate(key=key, node=(1, 1), max_tokens=5, **greedy()),
        Mark(key, (1, 2)),
    )
    driver.drain()
    first = oracle([1, 2, 3], 4)
    second = oracle([1, 2, 3, *first, 7, 8], 5)
    assert driver.ids((1, 0)) == first
    assert driver.ids((1, 1)) == second
    (marked,) = driver.others
    assert isinstance(marked, Marked)
    assert unpack(marked.ids).tolist() == [1, 2, 3, *first, 7, 8, *second]
    # Only the last token of the first gen has no KV yet, so only it is prefilled with the new text.
    assert driver.done[1, 0].usage.computed == 3
    assert driver.done[1, 1].usage.computed == 1 + 2
    assert driver.core.scheduler.counters.root_matches == 1


def test_forks_share_the_parent_and_each_other(overlap: int) -> None:
    driver = Driver(overlap)
    driver.send(OpenRun(1), OpenStream((1, 0)), Append((1, 0), ids(*range(20))))
    driver.send(Generate(key=(1, 0), node=(1, 0), max_tokens=6, stop_ids=(), **greedy()))
    for child in (1, 2, 3):
        driver.send(ForkStream((1, 0), (1, child)), Append((1, child), ids(50, 51, 52)))
        driver.send(Append((1, child), ids(child)))
        driver.send(Generate(key=(1, child), node=(1, child), max_tokens=6, **greedy()))
    driver.drain()
    parent = [*range(20), *oracle(list(range(20)), 6)]
    for child in (1, 2, 3):
        assert driver.ids((1, child)) == oracle([*parent, 50, 51, 52, child], 6)
    # 20 of the prompt; then the gen's last token and [50, 51, 52] once, and one token for each child.
    assert driver.core.scheduler.counters.computed == 20 + 1 + 3 + 3
    assert driver.core.scheduler.counters.root_matches == 1


def test_forks_with_one_prompt_sample_from_one_position(overlap: int) -> None:
    driver = Driver(overlap)
    driver.send(OpenRun(1), OpenStream((1, 0)), Append((1, 0), ids(*range(10))))
    for child in (1, 2, 3):
        driver.send(ForkStream((1, 0), (1, child)))
        sampling = RowSampling(temperature=1.0, seed=child)
        driver.send(Generate(key=(1, child), node=(1, child), max_tokens=5, sampling=sampling))
    driver.drain()
    for child in (1, 2, 3):
        assert driver.ids((1, child)) == oracle(list(range(10)), 5, seed=child)
    assert driver.core.scheduler.counters.computed == 10
    assert len({tuple(driver.ids((1, child))) for child in (1, 2, 3)}) == 3


def test_a_gen_right_behind_a_gen_computes_one_token(overlap: int) -> None:
    """The stream's KV is whole after a stop id: only the logits of the last token are missing."""
    stop = oracle([4, 4], 40)[10]
    first = oracle([4, 4], 40, stop_ids=(stop,))
    driver = Driver(overlap)
    driver.send(OpenRun(1), OpenStream((1, 0)), Append((1, 0), ids(4, 4)))
    driver.send(Generate(key=(1, 0), node=(1, 0), max_tokens=40, stop_ids=(stop,), **greedy()))
    driver.send(Generate(key=(1, 0), node=(1, 1), max_tokens=3, **greedy()))
    driver.drain()
    assert driver.ids((1, 0)) == first
    assert driver.ids((1, 1)) == oracle([4, 4, *first], 3)
    assert driver.done[1, 1].usage.computed == 1


def test_equal_prompts_are_computed_once(overlap: int) -> None:
    driver = Driver(overlap, max_rows=4)
    prompt = list(range(30))
    for run in range(6):
        driver.simple(run, prompt, 5)
    driver.drain()
    for run in range(6):
        assert driver.ids((run, 0)) == oracle(prompt, 5)
    late = 6 - 4  # those admitted in a later step compute the last position's logits again
    assert driver.core.scheduler.counters.computed == 30 + late


def test_tenants_share_nothing(overlap: int) -> None:
    driver = Driver(overlap)
    for run, tenant in enumerate(("a", "b")):
        driver.send(OpenRun(run, tenant), OpenStream((run, 0)), Append((run, 0), ids(*range(30))))
        driver.send(Generate(key=(run, 0), node=(run, 0), max_tokens=3, **greedy()))
    driver.drain()
    assert driver.core.scheduler.counters.computed == 60
    assert driver.done[1, 0].usage.cached == 0


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_give_the_models_ids_on_a_small_pool(overlap: int, seed: int) -> None:
    rng = random.Random(seed)
    driver = Driver(overlap, slots=128, step_tokens=32, chunk_tokens=16)
    expected: dict[tuple[int, int], list[int]] = {}
    for run in range(120):
        prompt = [rng.randrange(4) for _ in range(rng.randrange(1, 40))]
        limit = rng.randrange(1, 40)
        stops = tuple(rng.sample(range(64), rng.randrange(0, 10)))
        expected[run, 0] = oracle(prompt, limit, stop_ids=stops)
        driver.simple(run, prompt, limit, stop_ids=stops)
        if rng.random() < 0.5:
            driver.tick()
    driver.drain()
    assert not driver.failed
    assert {node: driver.ids(node) for node in expected} == expected


def test_both_depths_answer_alike() -> None:
    answers = []
    for depth in (0, 1):
        driver = Driver(depth, slots=160, step_tokens=24, chunk_tokens=8)
        rng = random.Random(5)
        for run in range(60):
            driver.simple(run, [rng.randrange(8) for _ in range(rng.randrange(1, 50))], rng.randrange(1, 30))
        driver.drain()
        answers.append({node: (done.ids, done.reason) for node, done in driver.done.items()})
    assert answers[0] == answers[1]


def test_a_closed_run_leaves_nothing(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, list(range(40)), 50)
    for _ in range(6):
        driver.tick()
    driver.send(CloseStream((1, 0)), CloseRun(1, driver.aborted))
    driver.drain()
    assert driver.failed[1, 0].error.code == "Cancelled"
    assert driver.others == [RunEnded(1)]
    driver.assert_whole()
