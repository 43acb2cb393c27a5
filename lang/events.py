"""What happens in a run, as a bounded stream of tagged events, each with the path of its node."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from ..errors import InvalidRequest, RamifyError
from ..grammar.report import Note
from ..grammar.spec import JsonSchema, StructuralTag
from .closed import Closed
from .partial import PartialReader
from .structure import SegmentDecoder
from .structure_events import ClosedTag, StructureReader

if TYPE_CHECKING:
    from .value import Value

EVENT_BUFFER = 10_000
MAX_REPR = 1_000
"""Characters of an argument or a result in an event."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all events have.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
    """

    run: str
    path: str


class NodeStarted(_Event, frozen=True):
    """A gen or a select was recorded.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        name: what the program calls it.
    """

    name: str


class TextDelta(_Event, frozen=True):
    """More text of a gen.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        text: what came since the last one.
    """

    text: str


class PartialValue(_Event, frozen=True):
    """More of a typed gen is finished. A field is finished when nothing that follows can change it: half a string or
    half a number is never shown.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        value: each finished field of an object by its name, or the finished items of an array, as values of their
            types.
    """

    value: dict[str, Any] | list[Any]


class FieldClosed(_Event, frozen=True):
    """A field of an object or an item of an array is complete, at whatever depth, in a gen of JSON or in a tag's. Of
    each object or array the first 256 members are told.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        where: names of fields and places of items, from the root of the JSON; empty for the root itself.
        begin, end: of its text, in bytes of the gen's text in UTF-8.
    """

    where: tuple[str | int, ...]
    begin: int
    end: int


class TagClosed(_Event, frozen=True):
    """A tag of a structured gen is complete: a tool call may start while the rest is generated.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        tag: the tag's name, or its `begin` without one.
        index: how many tags of the gen were closed before it.
        begin, end: of its content, in bytes of the gen's text in UTF-8.
        value: its content, of its type.
    """

    tag: str
    index: int
    begin: int
    end: int
    value: Any


class NodeDone(_Event, frozen=True):
    """A gen or a select ended well.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        text: all of it.
        notes: every place of its type's schema that was not enforced as it is written.
    """

    text: str
    notes: tuple[Note, ...] = ()


class NodeFailed(_Event, frozen=True):
    """A gen or a select ended badly.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the node.
        error: what was wrong, where, and what to do.
    """

    error: str


class ToolCall(_Event, frozen=True):
    """`blocking` calls a function.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the call.
        name: of the function.
        arguments: the `repr` of each, at most 1,000 characters of it.
    """

    name: str
    arguments: tuple[str, ...]


class ToolResult(_Event, frozen=True):
    """The function has returned or raised.

    Attributes:
        run: the `run_id` of the run.
        path: structural path of the call.
        name: of the function.
        result: the `repr` of what it returned, at most 1,000 characters of it; None if it raised.
        error: what it raised; None if it returned.
    """

    name: str
    result: str | None = None
    error: str | None = None


Event: TypeAlias = (
    NodeStarted | TextDelta | PartialValue | FieldClosed | TagClosed | NodeDone | NodeFailed | ToolCall | ToolResult
)


class EventQueue:
    """The events of one run and its child runs, in order. Iterate from any thread, or `async for` in any event loop.

    Nothing in the run waits for a reader: with more than `buffer` events unread, new ones are counted in `dropped` and
    not kept.
    """

    def __init__(self, run: str = "") -> None:
        self.dropped = 0
        self._run = run
        self._buffer = EVENT_BUFFER
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._wakers: list[Callable[[], object]] = []
        self._readers: dict[int, PartialReader | StructureReader] = {}

    def __iter__(self) -> Iterator[Event]:
        while True:
            with self._changed:
                while not self._events and not self._closed:
                    self._changed.wait()
                if not self._events:
                    return
                event = self._events.popleft()
            yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        loop = asyncio.get_running_loop()
        while True:
            with self._changed:
                event = self._events.popleft() if self._events else None
                if event is None:
                    if self._closed:
                        return
                    woken = asyncio.Event()
                    self._wakers.append(lambda woken=woken: loop.call_soon_threadsafe(woken.set))  # type: ignore[misc]
            if event is None:
                await woken.wait()
            else:
                yield event

    def limit(self, buffer: int) -> None:
        """Keep at most `buffer` unread events from now on. Raises InvalidRequest."""
        if buffer < 1:
            raise InvalidRequest(f"buffer is {buffer}", hint="keep at least one event")
        self._buffer = buffer

    # ---- the run's side -----------------------------------------------------------------------------------------

    def started(self, value: Value[Any]) -> None:
        self._put(NodeStarted(run=self._run, path=value.path, name=value.name))

    def text(self, value: Value[Any], text: str) -> None:
        self._put(TextDelta(run=self._run, path=value.path, text=text))
        reader = self._readers.get(id(value))
        if reader is None:
            if isinstance(value._grammar, JsonSchema):
                reader = PartialReader(value._type)
            elif isinstance(value._grammar, StructuralTag) and isinstance(value._decode, SegmentDecoder):
                reader = StructureReader(value._grammar, value._decode)
            else:
                return
            self._readers[id(value)] = reader
        if isinstance(reader, StructureReader):
            for closed in reader.feed(text):
                self._tell(value.path, closed)
            return
        partial = reader.feed(text)
        for field in reader.closed:
            self._tell(value.path, field)
        reader.closed.clear()
        if partial is not None:
            self._put(PartialValue(run=self._run, path=value.path, value=partial))

    def _tell(self, path: str, closed: Closed | ClosedTag) -> None:
        if isinstance(closed, ClosedTag):
            tag, index, value = closed.tag, closed.index, closed.value
            place = {"begin": closed.begin, "end": closed.end}
            self._put(TagClosed(run=self._run, path=path, tag=tag, index=index, value=value, **place))
        else:
            where, begin, end = closed
            self._put(FieldClosed(run=self._run, path=path, where=where, begin=begin, end=end))

    def ended(self, value: Value[Any]) -> None:
        self._readers.pop(id(value), None)
        error: RamifyError | None = value._error
        if error is None:
            self._put(NodeDone(run=self._run, path=value.path, text=value._text, notes=value._notes))
        else:
            self._put(NodeFailed(run=self._run, path=value.path, error=str(error)))

    def called(self, path: str, name: str, arguments: tuple[Any, ...]) -> None:
        self._put(ToolCall(run=self._run, path=path, name=name, arguments=tuple(map(_shown, arguments))))

    def returned(self, path: str, name: str, result: Any) -> None:
        self._put(ToolResult(run=self._run, path=path, name=name, result=_shown(result)))

    def raised(self, path: str, name: str, error: BaseException) -> None:
        self._put(ToolResult(run=self._run, path=path, name=name, error=f"{type(error).__name__}: {error}"[:MAX_REPR]))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._wake()

    def _put(self, event: Event) -> None:
        with self._changed:
            if len(self._events) < self._buffer:
                self._events.append(event)
                self._wake()
            else:
                self.dropped += 1

    def _wake(self) -> None:
        self._changed.notify_all()
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            with suppress(RuntimeError):  # the reader's loop was closed
                wake()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_REPR else f"{text[:MAX_REPR]}..."
