"""Masks that are late: nobody else waits for them, nothing leaks, and the outputs are what they always are."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from core_driver import ABORTED, Driver, ScriptedFiller
from ramify.runtime.core.messages import AbortNode, CloseRun, GrammarReady
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.worker.fake import next_token, prefix_hashes

VOCABULARY = 64


class Changing:
    """A grammar of which tokens are allowed: it changes with the tokens so far, and has no end."""

    completed = False
    terminated = False

    def __init__(self) -> None:
        self._sum = 0
        self.num_accepted = 0

    @staticmethod
    def allowed(total: int) -> list[int]:
        return [token for token in range(VOCABULARY) if (token + total) % 3]

    def fill_mask(self, row: np.ndarray) -> bool:
        row[:] = mask_of(self.allowed(self._sum))
        return True

    def accept(self, token_id: int) -> bool:
        if token_id not in self.allowed(self._sum):
            return False
        self._sum += token_id
        self.num_accepted += 1
        return True


def mask_of(tokens: list[int]) -> np.ndarray:
    bits = np.zeros(VOCABULARY, np.uint8)
    bits[tokens] = 1
    return np.packbits(bits, bitorder="little").view(np.int32)


def masked_oracle(prompt: list[int], max_tokens: int) -> list[int]:
    ids, total = list(prompt), 0
    for _ in range(max_tokens):
        hashes = prefix_hashes(np.array(ids, np.int32))
        mask = mask_of(Changing.allowed(total))
        token = next_token(int(hashes[-1]), RowSampling(temperature=0.0), VOCABULARY, mask)
        ids.append(token)
        total += token
    return ids[len(prompt) :]


def start(driver: Driver, run: int, prompt: list[int], max_tokens: int) -> None:
    driver.simple(run, prompt, max_tokens, grammar=True)
    driver.send(GrammarReady((run, 0), Changing()))  # type: ignore[arg-type]


def finish(driver: Driver) -> None:
    driver.drain()
    driver.close_ended()
    driver.drain()
    driver.assert_whole()


@pytest.mark.parametrize("seed", range(25))
def test_outputs_do_not_depend_on_when_masks_are_made(overlap: int, seed: int) -> None:
    rng = random.Random(seed)
    table = {(run, number): rng.choice((0, 0, 1, 2, 9)) for run in range(6) for number in range(64)}
    filler = ScriptedFiller(lambda key, number: table[key[0], number % 64])
    driver = Driver(overlap, filler=filler, slots=rng.choice((90, 512)), max_rows=rng.choice((3, 8)), step_tokens=16)
    prompts = {run: [rng.randrange(VOCABULARY) for _ in range(rng.randrange(1, 12))] for run in range(6)}
    for run, prompt in prompts.items():
        start(driver, run, prompt, 4 + run)
    finish(driver)
    assert filler.late
    for run, prompt in prompts.items():
        assert driver.ids((run, 0)) == masked_oracle(prompt, 4 + run)


def ticks_until(driver: Driver, run: int) -> int:
    ticks = 0
    while (run, 0) not in driver.done:
        driver.tick()
        ticks += 1
    return ticks


@pytest.mark.parametrize("when", ["the first mask", "one mask", "every mask"])
def test_a_slow_mask_holds_no_other_row(overlap: int, when: str) -> None:
    slow: dict[str, Callable[[int], bool]] = {
        "the first mask": lambda number: number == 0,
        "one mask": lambda number: number == 4,
        "every mask": lambda number: True,
    }
    ends = []
    for ticks in (0, 100):
        driver = Driver(
            overlap, filler=ScriptedFiller(lambda key, n, ticks=ticks: ticks * (key[0] == 1 and slow[when](n)))
        )
        start(driver, 1, [1, 2, 3], 10)
        start(driver, 2, [4, 5], 30)
        driver.simple(3, [6], 30)
        ends.append((ticks_until(driver, 2), ticks_until(driver, 3)))
        finish(driver)
        assert driver.ids((1, 0)) == masked_oracle([1, 2, 3], 10)
        assert driver.ids((2, 0)) == masked_oracle([4, 5], 30)
    assert ends[0] == ends[1]


def test_a_row_that_is_always_slow_computes_each_token_once_more_at_most(overlap: int) -> None:
    """It loses its row when that is found out; from then on it sits out the steps in which its masks are made."""
    filler = ScriptedFiller(lambda key, number: 3)
    driver = Driver(overlap, filler=filler)
    start(driver, 1, [1, 2, 3], 20)
    finish(driver)
    assert driver.ids((1, 0)) == masked_oracle([1, 2, 3], 20)
    assert (filler.late, filler.begun) == (1, 19)
    assert driver.worker.computed_tokens == 3 + 1 + 19  # the prompt, its last token again, all but the last token


def test_a_row_that_is_fast_again_comes_back_to_the_steps(overlap: int) -> None:
    filler = ScriptedFiller(lambda key, number: 5 * (number in (3, 4)))
    driver = Driver(overlap, filler=filler)
    start(driver, 1, [1, 2, 3], 20)
    finish(driver)
    assert driver.ids((1, 0)) == masked_oracle([1, 2, 3], 20)
    assert (filler.late, filler.begun) == (1, 2)


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("every", [False, True])
def test_abort_while_the_mask_is_made_frees_everything(overlap: int, number: int, every: bool) -> None:
    """Parked after a first late mask, or held in its row; the mask comes later and finds nobody."""
    filler = ScriptedFiller(lambda key, n: 50 * (key[0] == 1 and (n == number or (every and n == number + 1))))
    driver = Driver(overlap, filler=filler)
    start(driver, 1, [1, 2, 3], 20)
    start(driver, 2, [4, 5], 30)
    for _ in range(20 + 60 * every):
        driver.tick()
    assert filler.making
    assert len(driver.core.scheduler.table) <= 1 + every
    driver.send(AbortNode((1, 0), ABORTED))
    driver.tick()
    assert (1, 0) in driver.failed
    driver.send(CloseRun(1, ABORTED))
    finish(driver)
    assert driver.ids((2, 0)) == masked_oracle([4, 5], 30)


def test_a_mask_that_takes_too_long_ends_its_gen_by_name(overlap: int) -> None:
    filler = ScriptedFiller(lambda key, number: 500 * (key[0] == 1 and number == 2))
    driver = Driver(overlap, filler=filler, mask_timeout=20.0)
    start(driver, 1, [1, 2, 3], 20)
    start(driver, 2, [4, 5], 30)
    while (1, 0) not in driver.failed:
        deadline = driver.core.next_deadline
        driver.tick()
    assert deadline is not None and deadline < driver.now <= deadline + 2, "the core asked to be woken in time"
    assert driver.failed[1, 0].error.code == "InvalidSchema"
    assert "within 20 s" in driver.failed[1, 0].error.what
    finish(driver)
    assert driver.ids((2, 0)) == masked_oracle([4, 5], 30)
    assert driver.core.next_deadline is None
