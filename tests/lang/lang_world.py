"""Programs on a simulated engine: the line between the two, each message a little late."""

from __future__ import annotations

from typing import Any

from ramify.lang.hub import Hub
from ramify.lang.link import Link
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.protocol.graph import ClientMessage, EngineReply
from ramify.runtime.protocol.plan import WorkerInfo
from ramify.runtime.sim.simulation import Parts
from ramify.runtime.sim.world import World


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


def make_world(parts: Parts, seed: int, overlap: int) -> tuple[World, Link]:
    info = WorkerInfo(slots=4000, max_rows=16, max_length=600, vocab_size=parts.vocab_size)
    world = World(seed, parts.tokenizer, parts.template, parts.backend, info, CoreConfig(overlap=overlap, check=True))
    hub = Hub(world.loop)
    link = Link(hub)
    link.attach(SimConnection(world, link))
    world.loop.create_task(world.engine.run())
    return world, link
