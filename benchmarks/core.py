"""CPU time of the engine core: one `step` with no device behind it, and one tree operation.

    python benchmarks/core.py [--steps 400]

The device is a stub that answers each step with random ids, outside of the timed part. Overlap depth 1. The goals stand
beside the figures; they are for a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import deque
from collections.abc import Iterator

import numpy as np
from ramify.radix_cache.pool import SlotPool
from ramify.radix_cache.tree import RadixTree
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.core.messages import Append, CoreInput, Generate, OpenRun, OpenStream
from ramify.runtime.core.step import Core
from ramify.runtime.protocol.plan import StepMasks, StepPlan, StepResult, WorkerInfo
from ramify.runtime.protocol.sampling import RowSampling
from ramify.runtime.protocol.tokens import pack, unpack

VOCAB = 131_072


class StubDevice:
    """Answers every sampled step, one call later, with ids drawn beforehand."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.plans: deque[StepPlan] = deque()
        self.answers: deque[StepResult] = deque()

    def submit(self, command: StepPlan | StepMasks) -> None:
        if isinstance(command, StepPlan):
            self.plans.append(command)
        else:
            rows = len(unpack(self.plans.popleft().sample_rows))
            self.answers.append(StepResult(command.step, pack(self.rng.integers(10, VOCAB, rows, np.int32))))


def program(run: int, prompt: np.ndarray, max_tokens: int) -> list[CoreInput]:
    return [
        OpenRun(run),
        OpenStream((run, 0)),
        Append((run, 0), prompt),
        Generate(
            key=(run, 0), node=(run, 0), sampling=RowSampling(temperature=0.0), max_tokens=max_tokens, stop_ids=(2,)
        ),
    ]


def decode_steps(batch: int, steps: int, turnover: bool, seed: int = 0) -> list[float]:
    """Seconds of each `step` in the steady state: `batch` rows decode; with turnover, gens of 64 to 192 tokens end and
    new ones with prompts of 256 tokens take their rows."""
    rng = np.random.default_rng(seed)
    core = Core(
        CoreConfig(overlap=1, step_tokens=8192),
        WorkerInfo(slots=1_000_000, max_rows=batch, max_length=100_000, vocab_size=VOCAB),
    )
    device = StubDevice(seed)

    def fresh() -> Iterator[list[CoreInput]]:
        run = 0
        while True:
            length = int(rng.integers(64, 192)) if turnover else 50_000
            yield program(run, rng.integers(10, VOCAB, 256, np.int32), length)
            run += 1

    programs = fresh()
    inbox: list[CoreInput] = [message for _ in range(2 * batch) for message in next(programs)]
    times: list[float] = []
    for index in range(steps + 100):
        if device.answers:
            inbox.append(device.answers.popleft())
        begin = time.perf_counter()
        out = core.step(float(index), inbox)
        times.append(time.perf_counter() - begin)
        inbox = []
        for message in out:
            if isinstance(message, StepPlan | StepMasks):
                device.submit(message)
            else:
                inbox.extend(next(programs))
    return times[100:]


def tree_operation(rounds: int = 200, seed: int = 0) -> list[float]:
    """Seconds of match + extend of a 4K prompt that shares 3K, in a tree of a million tokens."""
    rng = np.random.default_rng(seed)
    pool = SlotPool(4_000_000)
    tree = RadixTree(pool)
    root = tree.root("")
    shared = [rng.integers(0, VOCAB, 3072, np.int32) for _ in range(64)]

    def insert(ids: np.ndarray) -> float:
        cursor = tree.open(root)
        begin = time.perf_counter()
        matched = tree.match(cursor, ids, 0)
        tree.lease(cursor, 0)
        tree.extend(cursor, ids[matched:], pool.allocate(len(ids) - matched), -1, 0)
        elapsed = time.perf_counter() - begin
        tree.release(cursor, -1, 0)
        return elapsed

    while tree.used < 1_000_000:
        insert(np.concatenate([shared[int(rng.integers(64))], rng.integers(0, VOCAB, 1024, np.int32)]))
    return [
        insert(np.concatenate([shared[int(rng.integers(64))], rng.integers(0, VOCAB, 1024, np.int32)]))
        for _ in range(rounds)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    steps = parser.parse_args().steps
    print("core.step, CPU, device part removed, overlap depth 1 (milliseconds)")
    print(f"{'batch':>6} {'decode p50':>11} {'p99':>7} {'us/row':>7}   {'turnover p50':>13} {'mean':>7} {'p99':>7}")
    for batch in (1, 16, 64, 128, 256, 512):
        plain = [1e3 * t for t in decode_steps(batch, steps, turnover=False)]
        busy = [1e3 * t for t in decode_steps(batch, steps, turnover=True)]
        p50 = statistics.median(plain)
        print(
            f"{batch:>6} {p50:>11.3f} {np.percentile(plain, 99):>7.3f} {1e3 * p50 / batch:>7.2f}   "
            f"{statistics.median(busy):>13.3f} {statistics.mean(busy):>7.3f} {np.percentile(busy, 99):>7.3f}"
        )
    print("goal: batch 256 under 1.5 ms, linear in the batch")
    times = [1e6 * t for t in tree_operation()]
    print(
        f"\nmatch + extend, 4K prompt sharing 3K, tree of 1M tokens: p50 {statistics.median(times):.0f} us, "
        f"p99 {np.percentile(times, 99):.0f} us (goal: p50 under 200 us)"
    )


if __name__ == "__main__":
    main()
