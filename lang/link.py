"""`Link`: the runs of this process on one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import RamifyError, from_info
from ..runtime.client.engine import Connection
from ..runtime.protocol.graph import CloseRun, EngineFailed, EngineReady, EngineReply, GraphDelta
from .hub import Hub

if TYPE_CHECKING:
    from .run import Run


class Link:
    """Numbers the runs and gives each its replies. Its methods run on the hub's thread, but for `on_reply`."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.failed: RamifyError | None = None
        self._connection: Connection | None = None
        self._runs: dict[int, Run[Any]] = {}
        self._next_run = 0

    def attach(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, run: Run[Any]) -> int:
        number, self._next_run = self._next_run, self._next_run + 1
        self._runs[number] = run
        return number

    def remove(self, number: int) -> None:
        self._runs.pop(number, None)

    def send(self, message: GraphDelta | CloseRun) -> None:
        assert self._connection is not None
        self._connection.send(message)

    def on_reply(self, reply: EngineReply) -> None:
        """Called by the connection, on any thread."""
        self.hub.call(lambda: self._receive(reply))

    def _receive(self, reply: EngineReply) -> None:
        if isinstance(reply, EngineFailed):
            self.failed = from_info(reply.error)
            for run in list(self._runs.values()):
                run.fail(self.failed)
        elif not isinstance(reply, EngineReady):
            found = self._runs.get(reply.run)
            if found is not None:
                found.receive(reply)
