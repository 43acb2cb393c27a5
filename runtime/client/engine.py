"""What a client knows of an engine: it can be connected to, and messages pass. Where the engine runs is its own affair.

`client/local.py` runs one on a thread of this process, `client/ipc.py` reaches one in a process of its own. Both are
the same engine behind the same messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..protocol.graph import ClientMessage, EngineReady, EngineReply


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
