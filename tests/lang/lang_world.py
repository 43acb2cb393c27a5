"""Programs on a simulated engine: the line between the two, each message a little late."""

from __future__ import annotations

from typing import Any

import ramify as rf
from ramify.lang.hub import Hub
from ramify.lang.link import Link
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.protocol.plan import WorkerInfo
from ramify.runtime.sim.line import SimLine
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts
from ramify.runtime.sim.world import World


def make_world(parts: Parts, seed: int, overlap: int) -> tuple[World, Link]:
    info = WorkerInfo(slots=4000, max_rows=16, max_length=600, vocab_size=parts.vocab_size)
    world = World(
        seed,
        parts.tokenizer,
        parts.template,
        parts.vocabulary,
        parts.backend,
        info,
        CoreConfig(overlap=overlap, check=True),
    )
    link = Link(Hub(world.loop))
    link.attach(SimLine(world, link.on_reply, latency=0.001))
    world.loop.create_task(world.engine.run())
    return world, link


def play(parts: Parts, program: rf.Program[Any, Any], *args: Any) -> Any:
    """The result of one run on an engine of its own, of which nothing is left afterwards."""

    async def main() -> Any:
        world, link = make_world(parts, 41, 1)
        result = await program.launch(link, *args)
        await world.settle()
        return result

    return run(main())
