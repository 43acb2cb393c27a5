"""A client's line to a simulated engine, for programs of `lang` and for anything else that speaks the protocol."""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.graph import ClientMessage, EngineReply
from .world import World


class SimLine:
    """A `Connection` to the engine of `world`; what is sent arrives `latency` virtual seconds later.

    Args:
        number: the client's; one line each.
        on_reply: called with each reply, at once.
    """

    def __init__(
        self, world: World, on_reply: Callable[[EngineReply], None], number: int = 0, latency: float = 0.0
    ) -> None:
        self._world = world
        self._number = number
        self._latency = latency
        world.engine.connect(number, _Sink(on_reply))

    def send(self, message: ClientMessage) -> None:
        self._world.loop.call_later(self._latency, self._world.engine.receive, self._number, message)

    def close(self) -> None:
        self._world.engine.disconnect(self._number)


class _Sink:
    """The engine's end of the line."""

    def __init__(self, on_reply: Callable[[EngineReply], None]) -> None:
        self.send = on_reply
