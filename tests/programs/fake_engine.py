"""A whole engine without a model, on a thread of its own: real lowering and scheduling over the fake worker."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from ramify.lang.hub import Hub
from ramify.lang.link import Link
from ramify.runtime.core.config import CoreConfig
from ramify.runtime.protocol.graph import ClientMessage, EngineReply
from ramify.runtime.protocol.plan import WorkerInfo
from ramify.runtime.sim.simulation import Parts
from ramify.runtime.sim.world import World


class FakeEngine:
    """What `Program.on` takes. Close it: that proves that nothing is left of any run."""

    def __init__(self, parts: Parts, max_rows: int = 256, slots: int = 40_000) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-engine", daemon=True)
        self._thread.start()
        info = WorkerInfo(slots=slots, max_rows=max_rows, max_length=600, vocab_size=parts.vocab_size)

        async def start() -> World:
            config = CoreConfig(overlap=1)
            world = World(
                0, parts.tokenizer, parts.template, parts.vocabulary, parts.backend, info, config, traced=False
            )
            self._engine = self._loop.create_task(world.engine.run())
            return world

        self.world = asyncio.run_coroutine_threadsafe(start(), self._loop).result()
        self._clients = 0

    def link(self, hub: Hub) -> Link:
        link = Link(hub)
        link.attach(_Line(self.world, link.on_reply, self._clients))
        self._clients += 1
        return link

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.world.settle(), self._loop).result()
        self._loop.call_soon_threadsafe(self._engine.cancel)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class _Line:
    """Messages between the programs' thread and the engine's."""

    def __init__(self, world: World, on_reply: Callable[[EngineReply], None], number: int) -> None:
        self._world = world
        self._number = number
        world.loop.call_soon_threadsafe(world.engine.connect, number, _Sink(on_reply))

    def send(self, message: ClientMessage) -> None:
        self._world.loop.call_soon_threadsafe(self._world.engine.receive, self._number, message)

    def close(self) -> None:
        self._world.loop.call_soon_threadsafe(self._world.engine.disconnect, self._number)


class _Sink:
    """The engine's end of the line."""

    def __init__(self, on_reply: Callable[[EngineReply], None]) -> None:
        self.send = on_reply
