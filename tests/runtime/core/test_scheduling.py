"""Budget, order, retraction and refusal: who computes what, when, and who has to give way."""

from __future__ import annotations

import numpy as np
import pytest
from core_driver import Driver, greedy, oracle
from ramify.runtime.core.messages import Append, Generate, OpenRun, OpenStream
from ramify.runtime.protocol.tokens import unpack


def computed(plan: object) -> int:
    return int(unpack(plan.chunk_counts).sum()) + len(unpack(plan.decode_rows))  # type: ignore[attr-defined]


def test_no_step_computes_more_than_the_budget(overlap: int) -> None:
    driver = Driver(overlap, slots=2000, step_tokens=40, chunk_tokens=16)
    for run in range(20):
        driver.simple(run, list(range(run, run + 60)), 10)
    driver.drain()
    assert max(computed(plan) for plan in driver.plans) == 40
    assert len(driver.done) == 20


def test_several_prompts_are_partly_computed_side_by_side(overlap: int) -> None:
    driver = Driver(overlap, slots=2000, step_tokens=64, chunk_tokens=16)
    for run in range(4):
        driver.simple(run, [run] * 60, 4)
    driver.tick()
    first = driver.plans[0]
    assert sorted(unpack(first.chunk_counts).tolist()) == [16, 16, 16, 16]


def test_a_short_prompt_does_not_wait_for_a_long_one(overlap: int) -> None:
    driver = Driver(overlap, slots=4000, max_length=2000, step_tokens=64, chunk_tokens=32)
    driver.simple(1, [i % 60 for i in range(1800)], 4)
    driver.tick()
    driver.simple(2, [61, 62], 4)
    while (2, 0) not in driver.done:
        driver.tick()
    assert (1, 0) not in driver.done
    driver.drain()
    assert driver.ids((1, 0)) == oracle([i % 60 for i in range(1800)], 4)


def test_the_older_program_goes_first(overlap: int) -> None:
    driver = Driver(overlap, max_rows=1)
    order = []
    for run in (3, 1, 2):
        driver.simple(run, [run], 3)
    while len(driver.done) < 3:
        driver.tick()
        order.extend(node for node in driver.done if node not in order)
    assert order == [(3, 0), (1, 0), (2, 0)]


def test_priority_goes_before_age(overlap: int) -> None:
    driver = Driver(overlap, max_rows=1)
    driver.simple(0, [9], 8)
    driver.tick()
    driver.simple(1, [1], 3)
    driver.send(OpenRun(2, priority=-1), OpenStream((2, 0)), Append((2, 0), np.array([2], np.int32)))
    driver.send(Generate(key=(2, 0), node=(2, 0), max_tokens=3, **greedy()))
    while (1, 0) not in driver.done:
        driver.tick()
    assert (2, 0) in driver.done


def test_a_short_pool_retracts_the_youngest_and_all_finish(overlap: int) -> None:
    """Four rows of up to 90 tokens on 120 slots: they cannot all stay, and every one of them comes out right."""
    driver = Driver(overlap, slots=120, max_rows=4, headroom=1)
    for run in range(4):
        driver.simple(run, [run, run], 80)
    driver.drain()
    for run in range(4):
        assert driver.ids((run, 0)) == oracle([run, run], 80)
    retractions = [driver.done[run, 0].usage.retractions for run in range(4)]
    assert retractions[0] == 0, "the oldest is never retracted"
    assert sum(retractions) > 0
    assert max(retractions) <= driver.core.config.retraction_limit


def test_retractions_are_bounded_on_every_pool_size(overlap: int) -> None:
    for slots in range(45, 140, 7):
        driver = Driver(overlap, slots=slots, max_rows=8, headroom=1, step_tokens=32, chunk_tokens=8)
        for run in range(8):
            driver.simple(run, [run, 7, run], 38)
        driver.drain()
        assert len(driver.done) == 8
        for run in range(8):
            assert driver.ids((run, 0)) == oracle([run, 7, run], 38)
            assert driver.done[run, 0].usage.retractions <= driver.core.config.retraction_limit


def test_what_never_fits_is_refused_at_once_and_harms_nobody(overlap: int) -> None:
    driver = Driver(overlap, slots=64, max_length=100)
    driver.simple(1, list(range(50)), 30)  # 50 + 30 + spare > 64
    driver.simple(2, [i % 60 for i in range(100)], 1)  # the context is 100
    driver.simple(3, [1, 2], 10)
    driver.send(OpenRun(4), OpenStream((4, 0)), Generate(key=(4, 0), node=(4, 0), **greedy()))
    driver.drain()
    assert driver.failed[1, 0].error.code == "NeverFits"
    assert driver.failed[2, 0].error.code == "ContextOverflow"
    assert driver.failed[4, 0].error.code == "InvalidRequest"
    assert "max_tokens" in driver.failed[1, 0].error.hint
    assert driver.ids((3, 0)) == oracle([1, 2], 10)


def test_what_follows_a_refused_gen_on_its_stream_fails_with_it(overlap: int) -> None:
    driver = Driver(overlap, slots=64, max_length=100)
    driver.simple(1, list(range(50)), 30)
    driver.send(Generate(key=(1, 0), node=(1, 1), max_tokens=1, **greedy()))
    driver.drain()
    assert driver.failed[1, 0].error == driver.failed[1, 1].error


def test_without_max_tokens_a_gen_ends_at_the_context(overlap: int) -> None:
    driver = Driver(overlap, slots=512, max_length=40)
    driver.simple(1, [1, 2, 3], None)  # type: ignore[arg-type]
    driver.drain()
    assert driver.ids((1, 0)) == oracle([1, 2, 3], 37)


def test_a_full_queue_refuses_the_next_gen(overlap: int) -> None:
    driver = Driver(overlap, max_rows=1, max_waiting=3)
    for run in range(10):
        driver.simple(run, [run], 5)
    driver.drain()
    refused = [node for node, failed in driver.failed.items() if failed.error.code == "Overloaded"]
    assert len(refused) + len(driver.done) == 10
    assert len(driver.done) >= 3
    assert refused


@pytest.mark.parametrize("deadline", [0.5, 3.5, 7.5])
def test_a_deadline_fails_what_is_left_of_its_run(overlap: int, deadline: float) -> None:
    driver = Driver(overlap)
    driver.send(OpenRun(1, deadline=deadline), OpenStream((1, 0)), Append((1, 0), np.array([1, 2], np.int32)))
    driver.send(Generate(key=(1, 0), node=(1, 0), max_tokens=200, **greedy()))
    driver.send(Generate(key=(1, 0), node=(1, 1), max_tokens=2, **greedy()))
    driver.simple(2, [3], 20)
    driver.drain()
    assert driver.failed[1, 0].error.code == "DeadlineExceeded"
    assert driver.failed[1, 1].error.code == "DeadlineExceeded"
    assert driver.ids((2, 0)) == oracle([3], 20)
    assert driver.core.next_deadline is None


@pytest.mark.parametrize("failing", range(8))
def test_a_failed_step_fails_its_rows_and_no_others(overlap: int, failing: int) -> None:
    driver = Driver(overlap, max_rows=2, fails=frozenset({failing}), step_tokens=16, chunk_tokens=8)
    for run in range(6):
        driver.simple(run, [run] * 12, 6)
    driver.drain()
    assert len(driver.done) + len(driver.failed) == 6
    assert {failed.error.code for failed in driver.failed.values()} <= {"WorkerError"}
    assert 1 <= len(driver.failed) <= 2
    for run, _ in driver.done:
        assert driver.ids((run, 0)) == oracle([run] * 12, 6)


@pytest.mark.parametrize("failing", [0, 1])
def test_what_a_failed_step_planned_is_computed_again(overlap: int, failing: int) -> None:
    """Its tokens were in the tree as pending; whoever needs the same prompt later must not take them for KV."""
    driver = Driver(overlap, fails=frozenset({failing}), step_tokens=16, chunk_tokens=8)
    prompt = list(range(20))
    driver.simple(1, prompt, 4)
    driver.drain()
    assert driver.failed[1, 0].error.code == "WorkerError"
    driver.simple(2, prompt, 4)
    driver.drain()
    assert driver.ids((2, 0)) == oracle(prompt, 4)
