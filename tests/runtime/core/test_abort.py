"""Abort is legal in every state, frees everything by the end of the step in flight, and is answered exactly once."""

from __future__ import annotations

import random

import numpy as np
import pytest
from core_driver import ABORTED, Driver, greedy, oracle
from ramify.errors import ErrorInfo
from ramify.runtime.core.messages import (
    AbortNode,
    AbortStream,
    Append,
    CloseRun,
    ForkStream,
    Generate,
    GrammarReady,
    OpenRun,
    OpenStream,
    RunEnded,
)
from ramify.runtime.protocol.tokens import unpack


@pytest.mark.parametrize("after", range(14))
def test_abort_after_any_number_of_steps(overlap: int, after: int) -> None:
    """Waiting, partly prefilled, sampling, decoding, in flight: the neighbour never notices."""
    driver = Driver(overlap, step_tokens=16, chunk_tokens=8)
    prompt = list(range(40))
    driver.simple(1, prompt, 10)
    driver.send(Generate(key=(1, 0), node=(1, 1), max_tokens=3, **greedy()))
    driver.simple(2, [*prompt[:30], 60, 61], 10)
    for _ in range(after):
        driver.tick()
    driver.send(AbortNode((1, 0), ABORTED))
    driver.drain()
    assert ((1, 0) in driver.failed) != ((1, 0) in driver.done)
    assert ((1, 1) in driver.failed) == ((1, 0) in driver.failed), "what stands behind a failed gen fails with it"
    assert driver.ids((2, 0)) == oracle([*prompt[:30], 60, 61], 10)
    driver.send(CloseRun(1, ABORTED), CloseRun(2, ABORTED))
    driver.drain()
    driver.assert_whole()


def test_a_row_that_leaves_is_void_in_the_step_in_flight() -> None:
    """At depth 1 its next token is being computed already; the worker is told not to draw it."""
    driver = Driver(overlap=1)
    driver.simple(1, [1, 2], 20)
    driver.simple(2, [3, 4], 20)
    for _ in range(4):
        driver.tick()
    driver.send(AbortNode((1, 0), ABORTED))
    before = len(driver.masks)
    driver.tick()
    (masks,) = driver.masks[before:]
    plan = driver.plans[masks.step]
    assert unpack(plan.sample_rows)[unpack(masks.void)].tolist() == [0]


def test_abort_while_queued_behind_another_gen(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, [1, 2], 20)
    driver.send(Generate(key=(1, 0), node=(1, 1), max_tokens=5, **greedy()))
    driver.send(Generate(key=(1, 0), node=(1, 2), max_tokens=5, **greedy()))
    driver.tick()
    driver.send(AbortNode((1, 1), ABORTED))
    driver.drain()
    assert driver.ids((1, 0)) == oracle([1, 2], 20)
    assert driver.failed[1, 1].error == ABORTED
    assert driver.failed[1, 2].error == ABORTED  # what follows a failed node on its stream fails with it


def test_abort_while_the_grammar_compiles(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, [1, 2], 20, grammar=True)
    driver.tick()
    assert len(driver.core.scheduler.table) == 0, "a gen that waits for its grammar holds no row"
    driver.send(AbortNode((1, 0), ABORTED))
    driver.tick()
    driver.send(GrammarReady((1, 0), None, ErrorInfo("InvalidSchema", "late", "", "")))
    driver.drain()
    assert driver.failed[1, 0].error == ABORTED


def test_a_grammar_that_cannot_be_compiled_fails_its_gen_only(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, [1, 2], 5, grammar=True)
    driver.simple(2, [1, 2], 5)
    bad = ErrorInfo("InvalidSchema", "no", "$.type", "fix it")
    driver.send(GrammarReady((1, 0), None, bad))
    driver.drain()
    assert driver.failed[1, 0].error == bad
    assert driver.ids((2, 0)) == oracle([1, 2], 5)


def test_a_grammar_may_be_ready_before_its_gen_arrives(overlap: int) -> None:
    driver = Driver(overlap)
    bad = ErrorInfo("InvalidSchema", "no", "$.type", "fix it")
    driver.send(
        OpenRun(1), OpenStream((1, 0)), Append((1, 0), np.array([1], np.int32)), GrammarReady((1, 0), None, bad)
    )
    driver.tick()
    driver.send(Generate(key=(1, 0), node=(1, 0), max_tokens=5, grammar=True, **greedy()))
    driver.drain()
    assert driver.failed[1, 0].error == bad


def test_abort_of_a_stream_reaches_its_forks(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, [1, 2], 30)
    driver.send(ForkStream((1, 0), (1, 1)), Generate(key=(1, 1), node=(1, 1), max_tokens=5, **greedy()))
    driver.tick()
    driver.send(AbortStream((1, 0), ABORTED))
    driver.drain()
    assert set(driver.failed) == {(1, 0), (1, 1)}


def test_abort_of_a_fork_leaves_its_parent(overlap: int) -> None:
    driver = Driver(overlap)
    driver.simple(1, [1, 2], 30)
    driver.send(ForkStream((1, 0), (1, 1)), Generate(key=(1, 1), node=(1, 1), max_tokens=5, **greedy()))
    driver.tick()
    driver.send(AbortStream((1, 1), ABORTED))
    driver.drain()
    assert driver.ids((1, 0)) == oracle([1, 2], 30)
    assert driver.failed[1, 1].error == ABORTED


def test_aborting_the_owner_hands_its_pending_prompt_to_the_follower(overlap: int) -> None:
    driver = Driver(overlap, step_tokens=64, chunk_tokens=16)
    prompt = list(range(48))
    driver.simple(1, prompt, 5)
    driver.simple(2, prompt, 5)
    driver.tick()  # both share the first chunks, which only one of them computes
    driver.send(AbortNode((1, 0), ABORTED))
    driver.drain()
    assert driver.ids((2, 0)) == oracle(prompt, 5)
    assert driver.core.scheduler.counters.computed <= len(prompt) + 1


def test_ten_thousand_requests_with_random_aborts_on_512_slots(overlap: int) -> None:
    """Exactly one terminal event each (the driver asserts it), the proof of ownership after each step, and the pool
    whole at the end."""
    rng = random.Random(overlap)
    driver = Driver(overlap, slots=512, max_rows=32, step_tokens=256, chunk_tokens=64)
    sent = 10_000
    for run in range(sent):
        shared = [rng.randrange(3)] * rng.randrange(0, 30)
        prompt = [*shared, *(rng.randrange(64) for _ in range(rng.randrange(1, 20)))]
        driver.simple(run, prompt, rng.randrange(1, 40), stop_ids=(rng.randrange(64),))
        if rng.random() < 0.3:
            victim = rng.randrange(max(0, run - 60), run + 1)
            driver.send(
                rng.choice(
                    (AbortNode((victim, 0), ABORTED), AbortStream((victim, 0), ABORTED), CloseRun(victim, ABORTED))
                )
            )
        while run % 6 == 0:
            driver.tick()
            driver.close_ended()
            if driver.core.scheduler.n_waiting < 40:
                break
    driver.drain()
    terminal = set(driver.done) | set(driver.failed)
    assert terminal == {(run, 0) for run in range(sent)}
    assert len(driver.done) > sent // 2
    assert len(driver.failed) > sent // 20
    driver.close_ended()
    driver.drain()
    assert sorted(reply.run for reply in driver.others if isinstance(reply, RunEnded)) == list(range(sent))
    driver.assert_whole()
