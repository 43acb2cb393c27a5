"""The whole control plane on a virtual clock: every check of `sim.programs` over many seeds, and equal traces."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest
from ramify import seedling
from ramify.runtime.sim.loop import Stalled, run
from ramify.runtime.sim.simulation import Outcome, Parts, simulate

SEEDS = 200


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts.load(seedling.path())


def test_two_hundred_seeds(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.perf_counter()
    outcomes = [simulate(seed, parts) for seed in range(SEEDS)]
    elapsed = time.perf_counter() - begin
    with capsys.disabled():
        print(f"\n{SEEDS} seeds, {SEEDS / elapsed:.1f} seeds/s, {sum(o.steps for o in outcomes)} steps")
    # The seeds must reach what they are there for: values, failures, retractions, evictions and late masks.
    assert sum(o.done for o in outcomes) > 10 * SEEDS
    assert sum(o.failed for o in outcomes) > SEEDS
    assert sum(o.retractions for o in outcomes) > 0
    assert sum(o.evicted for o in outcomes) > SEEDS
    assert sum(o.late_masks for o in outcomes) > SEEDS


def test_same_seed_same_trace_in_another_process(parts: Parts) -> None:
    here = [simulate(seed, parts).trace for seed in (3, 4)]
    script = (
        "from ramify import seedling\n"
        "from ramify.runtime.sim.simulation import Parts, simulate\n"
        "parts = Parts.load(seedling.path())\n"
        "print(*[simulate(seed, parts).trace for seed in (3, 4)])\n"
    )
    there = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here


def test_another_seed_gives_another_trace(parts: Parts) -> None:
    outcomes: list[Outcome] = [simulate(seed, parts) for seed in (1, 3, 5)]
    assert len({outcome.trace for outcome in outcomes}) == 3


def test_virtual_time_jumps_to_the_next_timer() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(3600.0)
        return loop.time()

    begin = time.perf_counter()
    assert run(main()) == 3600.0
    assert time.perf_counter() - begin < 60


def test_a_hang_is_an_error() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stalled):
        run(main())


def test_a_failing_callback_is_the_error_that_is_raised() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(1.0, lambda: 1 // 0)
        await loop.create_future()

    with pytest.raises(ZeroDivisionError):
        run(main())
