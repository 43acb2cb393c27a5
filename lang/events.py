"""What happens in a run, as a bounded stream of tagged events, each with the path of its node."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..errors import RamifyError

if TYPE_CHECKING:
    from .value import Value

EVENT_BUFFER = 10_000


class NodeStarted(msgspec.Struct, frozen=True, tag=True):
    """A gen was recorded."""

    path: str
    name: str


class TextDelta(msgspec.Struct, frozen=True, tag=True):
    """More text of a gen."""

    path: str
    text: str


class NodeDone(msgspec.Struct, frozen=True, tag=True):
    """A gen ended well."""

    path: str
    text: str


class NodeFailed(msgspec.Struct, frozen=True, tag=True):
    """A gen ended badly."""

    path: str
    error: str


Event: TypeAlias = NodeStarted | TextDelta | NodeDone | NodeFailed


class EventQueue:
    """The events of one run, in order. Iterate from any thread, or `async for` in any event loop.

    Nothing in the run waits for a reader: with more than `buffer` events unread, new ones are counted in `dropped` and
    not kept.
    """

    def __init__(self, buffer: int = EVENT_BUFFER) -> None:
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._buffer = buffer
        self.dropped = 0

    def __iter__(self) -> Iterator[Event]:
        while (event := self._queue.get()) is not None:
            yield event
        self._queue.put(None)  # a second reader ends too

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await asyncio.to_thread(self._queue.get)) is not None:
            yield event
        self._queue.put(None)

    # ---- the run's side -----------------------------------------------------------------------------------------

    def started(self, value: Value[Any]) -> None:
        self._put(NodeStarted(value.path, value.name))

    def text(self, value: Value[Any], text: str) -> None:
        self._put(TextDelta(value.path, text))

    def ended(self, value: Value[Any]) -> None:
        error: RamifyError | None = value._error
        self._put(NodeDone(value.path, value._text) if error is None else NodeFailed(value.path, str(error)))

    def close(self) -> None:
        self._queue.put(None)

    def _put(self, event: Event) -> None:
        if self._queue.qsize() < self._buffer:
            self._queue.put(event)
        else:
            self.dropped += 1
