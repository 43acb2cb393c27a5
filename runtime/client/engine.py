"""What a client knows of an engine: it can be connected to, and messages pass. Where the engine runs is its own affair.

`client/local.py` runs one on a thread of this process, `client/ipc.py` reaches one in a process of its own. Both are
the same engine behind the same messages.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, Self

from ...errors import EngineUnavailable, to_info
from ..protocol.graph import ClientMessage, EngineFailed, EngineReady, EngineReply


class Connection(Protocol):
    """One client's line to an engine."""

    def send(self, message: ClientMessage) -> None:
        """Send a message; never blocks. If the engine is gone, `EngineFailed` comes back as a reply."""
        ...

    def close(self) -> None:
        """Leave: the runs of this connection are cancelled."""
        ...


class EngineHandle(Protocol):
    """A running engine."""

    @property
    def info(self) -> EngineReady:
        """What it serves."""
        ...

    def connect(self, on_reply: Callable[[EngineReply], None]) -> Connection:
        """Open a line. `on_reply` is called with each reply, on a thread of the engine's choice; it must not block.

        Raises:
            EngineUnavailable: the engine has been closed.
        """
        ...

    def close(self) -> None:
        """Stop the engine and free what it holds. Connected clients get `EngineFailed`."""
        ...


class LoopThread(ABC):
    """What the two engine handles share: an event loop on a thread of its own, and `with`."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None

    def call(self, callback: Callable[[], object]) -> bool:
        """Run `callback` on the loop soon, from any thread; False if the loop is gone."""
        assert self.loop is not None
        try:
            self.loop.call_soon_threadsafe(callback)
        except RuntimeError:
            return False
        return True

    @abstractmethod
    def close(self) -> None:
        """Stop the engine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def gone() -> EngineFailed:
    """What a client is told that writes to an engine that was closed."""
    return EngineFailed(to_info(EngineUnavailable("the engine was closed", hint="start a new engine")))
