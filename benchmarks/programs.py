"""Many programs at once in one process: memory of a run, threads, and the time the control plane takes for each.

    python benchmarks/programs.py [--runs 10000]

A fake worker answers on a virtual clock, so everything measured is ramify's own: recording, lowering, scheduling, the
radix tree and the values. Each kind runs in a process of its own; memory is the growth of its peak resident set.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time

import ramify as rf
from ramify import seedling
from ramify.lang.hub import Hub
from ramify.lang.link import Link
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.protocol.plan import WorkerInfo
from ramify.runtime.sim.line import SimLine
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts
from ramify.runtime.sim.world import World


@rf.function
def plain(s: rf.State, n: int) -> str:
    s += rf.user(f"program {n}") + rf.assistant(rf.gen("a", max_tokens=4, ignore_eos=True))
    if str(s["a"]):
        s += rf.user("more") + rf.assistant(rf.gen("b", max_tokens=4, ignore_eos=True))
    return s["b"]


@rf.function
async def coroutine(s: rf.State, n: int) -> str:
    s += rf.user(f"program {n}") + rf.assistant(rf.gen("a", max_tokens=4, ignore_eos=True))
    if await s["a"]:
        s += rf.user("more") + rf.assistant(rf.gen("b", max_tokens=4, ignore_eos=True))
    return await s["b"]


KINDS = {"def": plain, "async def": coroutine}


async def measure(kind: str, runs: int) -> None:
    parts = Parts.load(seedling.path())
    info = WorkerInfo(slots=100_000, max_rows=256, max_length=600, vocab_size=parts.vocab_size)
    world = World(1, parts.tokenizer, parts.template, parts.vocabulary, parts.backend, info, CoreConfig(), traced=False)
    link = Link(Hub(world.loop))
    link.attach(SimLine(world, link.on_reply))
    serving = world.loop.create_task(world.engine.run())
    threads, before = threading.active_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    started = [KINDS[kind].launch(link, n) for n in range(runs)]
    for each in started:
        await each
    elapsed = time.perf_counter() - begin
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"{kind:<10} {runs:6d} runs at once: {grown / runs:5.1f} KiB a run, "
        f"{threading.active_count() - threads} more threads, {1e6 * elapsed / runs:.0f} us a run of two gens"
    )
    serving.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--kind", choices=list(KINDS))
    options = parser.parse_args()
    if options.kind:
        run(measure(options.kind, options.runs))
        return
    for kind in KINDS:
        subprocess.run(
            [sys.executable, "-P", __file__, "--kind", kind, "--runs", str(options.runs)], check=True, text=True
        )
    print("goal: under 60 KiB a run, no thread a run")


if __name__ == "__main__":
    main()
