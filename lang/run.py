"""`Run[R]`: one execution of a program. It records nodes, sends them as deltas, and hands replies to values.

What is recorded goes out when the program fences, or a moment later by a timer, so that a program that computes on its
own does not hold back work that the engine could begin.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar, cast

from ..errors import Cancelled, EngineUnavailable, ErrorInfo, InvalidRequest, RamifyError, from_info
from ..runtime.protocol.graph import (
    CloseRun,
    GraphDelta,
    GraphNode,
    NodeDone,
    NodeFailed,
    RunClosed,
    RunOptions,
    RunReport,
    StreamIds,
    TextDelta,
)
from .events import EventQueue
from .hub import current_greenlet, current_run
from .link import Link
from .value import ReadValue, Value

R = TypeVar("R")

FLUSH_SECONDS = 0.001


class Readable(Protocol):
    """Something a program can wait for."""

    @property
    def ready(self) -> bool: ...


class Run(Generic[R]):
    """One execution of a program. Awaitable in any event loop.

    Attributes:
        path: the program's qualified name, or its place in the run that called it: first part of every node's path.
        seed: key of everything random in the run.
    """

    def __init__(self, link: Link, path: str, seed: int, options: RunOptions, events: EventQueue | None = None) -> None:
        self.path = path
        self.seed = seed
        self.link = link
        self.options = options
        self._hub = link.hub
        self._opened = False
        self._pending: list[GraphNode] = []
        self._timer: asyncio.TimerHandle | None = None
        self._values: dict[int, Value[Any]] = {}
        self._checked: list[Value[Any]] = []
        self._reads: dict[int, ReadValue[Any]] = {}
        self._waiters: list[tuple[Readable, Callable[[], None]]] = []
        self._calls: dict[str, int] = {}
        self._events = events
        self._next_node = 0
        self._next_stream = 1
        self._closed: RunClosed | None = None
        self._failure: RamifyError | None = link.failed
        self._program: asyncio.Task[Any] | None = None
        self._future: Future[R] = Future()
        self._number = link.add(self)

    # ---- for the caller -----------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> R:
        """Wait for what the program returns.

        Raises:
            NodeError: a node failed and the program did not catch it.
            ExceptionGroup: nodes failed that nobody looked at.
            TimeoutError: the program was not done in time; it goes on.
        """
        greenlet = current_greenlet()
        if greenlet is None:
            if self._hub.inside and not self._future.done():
                raise InvalidRequest(f"waiting for {self.path} here would stop every program", hint="await the run")
            return self._future.result(timeout)
        while not self._future.done():  # inside another program, on the thread that must run ours
            self._future.add_done_callback(lambda _: greenlet.hub.call(greenlet.wake))
            if not greenlet.park(timeout):
                raise TimeoutError(f"{self.path} was not done in {timeout} s")
        return self._future.result()

    def __await__(self) -> Generator[Any, None, R]:
        return asyncio.wrap_future(self._future).__await__()

    @property
    def done(self) -> bool:
        """Whether `result` would not wait."""
        return self._future.done()

    def cancel(self) -> None:
        """End the run now; `result` raises `Cancelled`. Safe from any thread, and after the end."""
        self._hub.call(self._cancel)

    def events(self) -> EventQueue:
        """What happens in the run, as it happens; iterate over it, or `async for`.

        Raises:
            InvalidRequest: the program was not bound with `events=True`.
        """
        if self._events is None:
            raise InvalidRequest("this run records no events", where=self.path, hint="bind it with .on(events=True)")
        return self._events

    def report(self) -> RunReport:
        """What the run cost. Waits for its end. Raises EngineUnavailable if the engine went away first."""
        if current_greenlet() is None and not self._hub.inside:
            self._future.exception()
        if self._closed is None or self._closed.report is None:
            raise EngineUnavailable("the run has no report", hint="the engine stopped, or the run has not ended")
        return self._closed.report

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the hub's loop when the run has ended."""
        self._future.add_done_callback(lambda _: self._hub.call(callback))

    # ---- for states and values ----------------------------------------------------------------------------------

    def record(self, node: GraphNode) -> None:
        """Add a node to the next delta."""
        if self._failure is not None:
            raise self._failure
        if self._closed is not None or self._future.done():
            raise Cancelled("the run is over", where=self.path, hint="append inside the program")
        self._pending.append(node)
        if self._timer is None:
            self._timer = self._hub.loop.call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Send what has been recorded as one delta."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            nodes, self._pending = self._pending, []
            self.link.send(GraphDelta(self._number, nodes, None if self._opened else self.options))
            self._opened = True

    def new_node(self) -> int:
        number, self._next_node = self._next_node, self._next_node + 1
        return number

    def new_stream(self) -> int:
        number, self._next_stream = self._next_stream, self._next_stream + 1
        return number

    def call_path(self, name: str) -> str:
        """The path of the next child run called `name`."""
        count = self._calls.get(name, 0)
        self._calls[name] = count + 1
        return f"{self.path}/{name}[{count}]"

    def node_seed(self, path: str) -> int:
        """The seed of a node's draws: a digest of the run's seed and the node's path, never of the order of things."""
        data = f"{self.seed}\x00{path}".encode()
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")

    @property
    def wants_events(self) -> bool:
        return self._events is not None

    def add_value(self, node: int, value: Value[Any]) -> None:
        self._values[node] = value
        if self._events is not None:
            self._events.started(value)

    def add_checked(self, value: Value[Any]) -> None:
        """A value that stands for several nodes: the run does not end before it is decided."""
        self._checked.append(value)

    def refuse(self, node: int, error: ErrorInfo) -> None:
        """A recorded node will never be sent."""
        value = self._reads.pop(node, None) or self._values[node]
        value._fail(error)
        self.wake()

    def add_read(self, node: int, read: ReadValue[Any]) -> None:
        self._reads[node] = read

    def wait_for(self, what: Readable, timeout: float | None = None) -> None:
        """A fence: stop the program until `what` is ready. Raises TimeoutError, or the failure of the whole run."""
        greenlet = current_greenlet()
        if greenlet is None:
            if self._hub.inside:
                raise InvalidRequest("an async program cannot look at a value without waiting for it", hint="await it")
            raise InvalidRequest("a value can only be waited for inside its program", hint="return it from the program")
        self.flush()
        while not what.ready:
            if self._failure is not None:
                raise self._failure
            waiter = (what, greenlet.wake)
            self._waiters.append(waiter)
            woken = greenlet.park(timeout)
            if not woken:
                self._waiters.remove(waiter)
                raise TimeoutError(f"{getattr(what, 'path', self.path)} was not done in {timeout} s")

    async def until(self, what: Readable) -> None:
        """The same fence for `async def` programs."""
        self.flush()
        while not what.ready:
            if self._failure is not None:
                raise self._failure
            future: asyncio.Future[None] = self._hub.loop.create_future()
            self._waiters.append((what, lambda future=future: future.done() or future.set_result(None)))  # type: ignore[misc]
            await future

    # ---- the program's life -------------------------------------------------------------------------------------

    async def execute(self, program: Awaitable[R]) -> None:
        """Run the program to its end, settle every node, close the run, and give the result to whoever waits."""
        current_run.set(self)
        self._program = asyncio.current_task()
        try:
            result = cast(R, await self._resolve(await program))
            for value in self._checked:  # a retry adds values, so first what decides about retries
                await self.until(value)
            for value in list(self._values.values()):
                await self.until(value)
            self._raise_unobserved()
        except BaseException as error:
            await self._close()
            self._future.set_exception(self._why(error))
        else:
            await self._close()
            self._future.set_result(result)
        finally:
            self._program = None
            self.link.remove(self._number)
            if self._events is not None:
                self._events.close()

    def _raise_unobserved(self) -> None:
        values = [*self._values.values(), *self._checked]
        errors = [v._error for v in values if v._error is not None and not v._observed]
        if errors:
            raise ExceptionGroup(f"{self.path}: {len(errors)} nodes failed that nobody looked at", errors)

    async def _close(self) -> None:
        """End the run on the engine and wait for its account; an engine that is gone has none."""
        if self.link.failed is not None or self._closed is not None:
            return
        self._program = None  # from here on nothing is left to cancel
        self.flush()
        if self._opened:
            self.link.send(CloseRun(self._number, report=True))
            while self._closed is None and self.link.failed is None:
                future: asyncio.Future[None] = self._hub.loop.create_future()
                self._waiters.append((_NEVER, lambda future=future: future.done() or future.set_result(None)))  # type: ignore[misc]
                await future

    def _why(self, error: BaseException) -> BaseException:
        """A run that was cancelled or lost its engine fails with that, however the program noticed."""
        if self._failure is not None and isinstance(error, RamifyError | asyncio.CancelledError):
            return self._failure
        return error

    def _cancel(self) -> None:
        if self._failure is None and not self._future.done():
            self.fail(Cancelled("the run was cancelled", where=self.path))
            if self._program is not None:
                self._program.cancel()

    async def _resolve(self, result: Any) -> Any:
        """`result` with every value in it replaced by what it is, through lists, tuples and dicts."""
        if isinstance(result, Value):
            return await result
        if type(result) in (list, tuple):
            return type(result)([await self._resolve(item) for item in result])
        if type(result) is dict:
            return {key: await self._resolve(item) for key, item in result.items()}
        return result

    # ---- replies, on the hub's thread ---------------------------------------------------------------------------

    def receive(self, reply: NodeDone | NodeFailed | TextDelta | StreamIds | RunClosed) -> None:
        """A reply of the engine for this run."""
        match reply:
            case NodeDone():
                self._values[reply.node]._settle(reply)
                self._ended(self._values[reply.node])
            case NodeFailed():
                if reply.node in self._reads:
                    self._reads.pop(reply.node)._fail(reply.error)
                else:
                    self._values[reply.node]._fail(reply.error)
                    self._ended(self._values[reply.node])
            case StreamIds():
                self._reads.pop(reply.node)._answer(reply)
            case RunClosed():
                self._closed = reply
                if reply.error is not None:
                    self._failure = from_info(reply.error)
            case TextDelta():
                if self._events is not None:
                    self._events.text(self._values[reply.node], reply.text)
                return
        self.wake()

    def _ended(self, value: Value[Any]) -> None:
        if self._events is not None:
            self._events.ended(value)

    def fail(self, error: RamifyError) -> None:
        """The whole run is lost: whoever waits in it gets this error."""
        self._failure = self._failure or error
        self.wake()

    def wake(self) -> None:
        """Let everybody go on whose answer is there."""
        waiting, self._waiters = self._waiters, []
        for what, wake in waiting:
            if what.ready or self._failure is not None or (what is _NEVER and self._closed is not None):
                wake()
            else:
                self._waiters.append((what, wake))


class _Never:
    ready = False


_NEVER = _Never()
