"""Plain `def` programs side by side on one loop: on a virtual clock with the fake worker, without a thread for each."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import ramify as rf
from ramify import seedling
from ramify.errors import DeadlineExceeded, NodeError
from ramify.lang.hub import Hub
from ramify.lang.run import Link
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.protocol.graph import ClientMessage, EngineReply
from ramify.runtime.protocol.plan import WorkerInfo
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts
from ramify.runtime.sim.world import World


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts.load(seedling.path())


class SimConnection:
    """A line from programs to a simulated engine, each message a little late."""

    def __init__(self, world: World, link: Link) -> None:
        self.world = world
        self.link = link
        world.engine.connect(0, self)  # replies come back through our own `send`

    def send(self, message: Any) -> None:
        if isinstance(message, ClientMessage):
            self.world.loop.call_later(0.001, self.world.engine.receive, 0, message)
        else:
            reply: EngineReply = message
            self.link.on_reply(reply)

    def close(self) -> None:
        self.world.engine.disconnect(0)


def make_world(parts: Parts, seed: int, overlap: int) -> tuple[World, Hub, Link]:
    info = WorkerInfo(slots=4000, max_rows=16, max_length=600, vocab_size=parts.vocab_size)
    world = World(seed, parts.tokenizer, parts.template, parts.backend, info, CoreConfig(overlap=overlap))
    hub = Hub(world.loop)
    link = Link(hub)
    link.attach(SimConnection(world, link))
    world.loop.create_task(world.engine.run())
    return world, hub, link


@rf.function
def branching(s: rf.State, n: int) -> list[str]:
    s += f"program {n}" + rf.gen("a", max_tokens=4, ignore_eos=True, temperature=0)
    if len(str(s["a"])) % 2:  # a fence: what follows depends on the value
        s += " odd"
    branches = s.fork(2)
    for branch in branches:
        branch += rf.fmt(" so {a} and ", a=s["a"]) + rf.gen("b", max_tokens=3, ignore_eos=True, temperature=0)
    return [str(s["a"]), *(str(branch["b"]) for branch in branches)]


@pytest.mark.parametrize("overlap", [0, 1])
def test_two_hundred_programs_on_one_thread(parts: Parts, overlap: int) -> None:
    async def main() -> list[list[str]]:
        world, hub, link = make_world(parts, 1, overlap)
        before = threading.active_count()
        runs = [branching.launch(hub, link, n) for n in range(200)]
        results = await asyncio.gather(*(asyncio.wrap_future(each._future) for each in runs))
        assert threading.active_count() == before
        await world.settle()
        return list(results)

    together = run(main())

    async def alone(n: int) -> list[str]:
        _, hub, link = make_world(parts, 2, overlap)
        return await asyncio.wrap_future(branching.launch(hub, link, n)._future)

    for n in (0, 57, 199):
        assert together[n] == run(alone(n)), "a program's values do not depend on what runs beside it"


def test_a_fence_waits_in_virtual_time_and_a_timeout_of_one_look_leaves_the_node_running(parts: Parts) -> None:
    @rf.function
    def patient(s: rf.State) -> tuple[bool, str]:
        s += "a" + rf.gen("x", max_tokens=30, ignore_eos=True, temperature=0)
        late = False
        try:
            s["x"].get(timeout=0.0005)
        except TimeoutError:
            late = True
        return late, s["x"].get(timeout=3600)

    async def main() -> tuple[bool, str]:
        _, hub, link = make_world(parts, 3, 1)
        return await asyncio.wrap_future(patient.launch(hub, link)._future)

    late, text = run(main())
    assert late and isinstance(text, str)


def test_a_run_past_its_deadline_fails_and_the_others_finish(parts: Parts) -> None:
    @rf.function
    def slow(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
        return s["x"]

    async def main() -> list[Any]:
        world, hub, link = make_world(parts, 4, 1)
        runs = [slow.on(timeout=0.3).launch(hub, link), branching.launch(hub, link, 5)]
        results = await asyncio.gather(*(asyncio.wrap_future(each._future) for each in runs), return_exceptions=True)
        await world.settle()
        return results

    failed, fine = run(main())
    assert isinstance(failed, NodeError) and isinstance(failed.__cause__, DeadlineExceeded)
    assert len(fine) == 3


def test_a_program_inside_a_program_parks_the_outer_one(parts: Parts) -> None:
    async def main() -> str:
        _, hub, link = make_world(parts, 5, 1)

        @rf.function
        def inner(s: rf.State) -> str:
            s += "inner" + rf.gen("x", max_tokens=3, ignore_eos=True)
            return s["x"]

        @rf.function
        def outer(s: rf.State) -> str:
            s += "outer " + inner.launch(hub, link).result() + rf.gen("y", max_tokens=3, ignore_eos=True)
            return s["y"]

        return await asyncio.wrap_future(outer.launch(hub, link)._future)

    assert isinstance(run(main()), str)
