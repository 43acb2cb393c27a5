"""`Run[R]`: one execution of a program. It records nodes, sends them as deltas, and hands replies to values.

What is recorded goes out when the program fences, or a moment later by a timer, so that a program that computes on its
own does not hold back work that the engine could begin.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

import msgspec

from ..errors import Cancelled, EngineUnavailable, ErrorInfo, InvalidRequest, Overloaded, RamifyError, from_info
from ..runtime.protocol.graph import (
    CloseRun,
    Gen,
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
from .budget import Budget
from .events import EventQueue
from .hub import current_greenlet, current_run
from .link import Link
from .value import ReadValue, Value

if TYPE_CHECKING:
    from .program import ChildValue, Program

R = TypeVar("R")
T = TypeVar("T")

FLUSH_SECONDS = 0.001
FLUSH_NODES = 1_000
"""A delta has so many nodes at most, so that its message has a bound."""
MAX_UNFINISHED = 10_000
"""Gens and selects of one run in flight; a program that records more waits for some to end."""


class Readable(Protocol):
    """Something a program can wait for."""

    @property
    def ready(self) -> bool: ...


class Run(Generic[R]):
    """One execution of a program. Awaitable in any event loop.

    Attributes:
        path: the program's qualified name, or its place in the run that called it: first part of every node's path.
        seed: key of everything random in the run.
        run_id: what the user calls it: its path if nothing else was given. A child run has its parent's.
        budget: the tokens that it may generate, and how many it has; None without a limit.
        awaits: it belongs to `async with open(...)`: looks from outside of the hub must be awaited.
    """

    def __init__(
        self,
        link: Link,
        path: str,
        seed: int,
        options: RunOptions,
        events: EventQueue | None = None,
        budget: Budget | None = None,
        run_id: str = "",
        parent: Run[Any] | None = None,
    ) -> None:
        self.path = path
        self.seed = seed
        self.run_id: str = run_id or path
        self.budget: Budget | None = budget
        self._events: EventQueue | None = events
        self._is_child = parent is not None
        if parent is not None:
            self.run_id, self.budget, self._events = parent.run_id, parent.budget, parent._events
        self.awaits = False
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
        self._next_node = 0
        self._next_stream = 1
        self._closed: RunClosed | None = None
        self._failure: RamifyError | None = link.failed
        self._program: asyncio.Task[Any] | None = None
        self._children: set[Run[Any]] = set()
        self._unfinished = 0
        self._began = link.hub.loop.time()
        self._future: Future[R] = Future()
        self._future.set_running_or_notify_cancel()  # a run is cancelled by `cancel`, not by who waits for it
        self._number = link.add(self)
        self._end_events_of_a_lost_engine()

    # ---- for the caller -----------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> R:
        """Wait for what the program returns; Ctrl-C cancels the run.

        Raises:
            NodeError: a node failed and the program did not catch it.
            ExceptionGroup: nodes failed that nobody looked at.
            TimeoutError: the program was not done in time; it goes on.
        """
        greenlet = current_greenlet()
        if greenlet is None:
            if self._hub.inside and not self._future.done():
                raise InvalidRequest(f"waiting for {self.path} here would stop every program", hint="await the run")
            try:
                return self._future.result(timeout)
            except KeyboardInterrupt:
                self.cancel()
                raise
        while not self._future.done():  # inside another program, on the thread that must run ours
            self._future.add_done_callback(lambda _: greenlet.hub.call(greenlet.wake))
            if not greenlet.park(timeout):
                raise TimeoutError(f"{self.path} was not done in {timeout} s")
        return self._future.result()

    def __await__(self) -> Generator[Any, None, R]:
        """The same for any event loop; cancelling the task that waits cancels the run."""
        return self._awaited().__await__()

    async def _awaited(self) -> R:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def tell(_: Future[R]) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                loop.call_soon_threadsafe(settle, ended)

        self._future.add_done_callback(tell)
        try:
            await ended
        except asyncio.CancelledError:
            self.cancel()
            raise
        return self._future.result()

    @property
    def done(self) -> bool:
        """Whether `result` would not wait."""
        return self._future.done()

    @property
    def over(self) -> bool:
        """Nothing that is recorded now would run."""
        return self._failure is not None or self._future.done()

    def cancel(self) -> None:
        """End the run and its child runs now; `result` raises `Cancelled`. Safe from any thread, and after the end."""
        self._hub.call(self._cancel)

    def events(self, buffer: int | None = None) -> EventQueue:
        """What happens in the run and its child runs, as it happens; iterate over it, or `async for`.

        Args:
            buffer: events kept for a reader who is behind, from now on; `EventQueue.dropped` counts the others.

        They end with the run, or when the engine is lost.

        Raises:
            InvalidRequest: the program was not bound with `events=True`, or `buffer` is below 1.
        """
        if self._events is None:
            raise InvalidRequest("this run records no events", where=self.path, hint="bind it with .on(events=True)")
        if buffer is not None:
            self._events.limit(buffer)
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

    def here(self, action: Callable[[], T]) -> T:
        """Do something to the run on the hub's thread; a caller on another thread blocks until it is done."""
        return action() if self._hub.inside else self._hub.from_outside(action, parks=not self.awaits)

    def record(self, node: GraphNode) -> None:
        """Add a node to the next delta."""
        if self._failure is not None:
            raise self._failure
        if self._closed is not None or self._future.done():
            raise Cancelled("the run is over", where=self.path, hint="append inside the program")
        self._pending.append(node)
        if len(self._pending) >= FLUSH_NODES:
            self.flush()
        elif self._timer is None:
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

    def symbolic_child(self, program: Program[..., Any], args: Any, kwargs: Any) -> ChildValue[Any] | None:
        """A child run's value in a symbolic dry run; None in a run that is executed."""
        return None

    def node_seed(self, path: str) -> int:
        """The seed of a node's draws: a digest of the run's seed and the node's path, never of the order of things."""
        data = f"{self.seed}\x00{path}".encode()
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")

    @property
    def wants_events(self) -> bool:
        return self._events is not None

    def add_child(self, child: Run[Any]) -> None:
        """A run that ends when this one is cancelled or fails."""
        self._children.add(child)
        child.on_done(lambda: self._children.discard(child))

    def child_options(self) -> RunOptions:
        """The options of a child run: those of this one, with what is left of its time."""
        timeout = self.options.timeout
        if timeout is None:
            return self.options
        left = timeout - (self._hub.loop.time() - self._began)
        return msgspec.structs.replace(self.options, timeout=max(left, 0.001))

    def promise(self, gen: Gen, value: Value[Any]) -> Gen:
        """The gen with what the budget leaves it. Raises BudgetExceeded."""
        if self.budget is None:
            return gen
        value._promised = self.budget.promise(gen.max_tokens, f"{value.path} ({value.site})")
        value._cut = value._promised != gen.max_tokens
        return msgspec.structs.replace(gen, max_tokens=value._promised)

    def make_room(self, where: str) -> None:
        """Called before a gen is recorded: with `MAX_UNFINISHED` of them in flight, a plain program waits here.

        Raises:
            Overloaded: it is an `async def` program, which can only wait where it awaits.
        """
        if self._unfinished < MAX_UNFINISHED:
            return
        if current_greenlet() is None and self._hub.inside:
            raise Overloaded(
                f"{self._unfinished} gens are in flight", where=where, hint="await some of the values before going on"
            )
        self.wait_for(_Room(self))

    def add_value(self, node: int, value: Value[Any]) -> None:
        self._values[node] = value
        self._unfinished += 1
        if self._events is not None:
            self._events.started(value)

    def add_checked(self, value: Value[Any]) -> None:
        """A value that stands for several nodes: the run does not end before it is decided."""
        self._checked.append(value)

    def refuse(self, node: int, error: ErrorInfo) -> None:
        """A recorded node will never be sent."""
        read = self._reads.pop(node, None)
        value = self._values[node] if read is None else read
        value._fail(error)
        value._place(False)
        if read is None:
            self._ended(value)
        self.wake()

    def add_read(self, node: int, read: ReadValue[Any]) -> None:
        self._reads[node] = read

    def wait_for(self, what: Readable, timeout: float | None = None) -> None:
        """A fence: stop the program until `what` is ready. Raises TimeoutError, or the failure of the whole run."""
        if not self._hub.inside:
            self.here(lambda: self.wait_for(what, timeout))
            return
        greenlet = current_greenlet()
        if greenlet is None:
            raise InvalidRequest("an async program cannot look at a value without waiting for it", hint="await it")
        self.flush()
        while not what.ready:
            self._require_alive()
            waiter = (what, greenlet.wake)
            self._waiters.append(waiter)
            woken = greenlet.park(timeout)
            if not woken:
                self._waiters.remove(waiter)
                raise TimeoutError(f"{getattr(what, 'path', self.path)} was not done in {timeout} s")

    async def until(self, what: Readable) -> None:
        """The same fence for `async def`, in the program or in another event loop."""
        if not self._hub.inside:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.until(what), self._hub.loop))
            return
        self.flush()
        while not what.ready:
            self._require_alive()
            future: asyncio.Future[None] = self._hub.loop.create_future()
            self._waiters.append((what, partial(settle, future)))
            await future

    def _require_alive(self) -> None:
        """Raises the run's failure, or Cancelled if it has ended: what is not there yet will never be."""
        if self._failure is not None:
            raise self._failure
        if self._future.done():
            raise Cancelled("the run is over", where=self.path, hint="look inside the program, or return the value")

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
            for child in list(self._children):  # after an error: nobody will look at what they give
                child._cancel()
            self.link.remove(self._number)
            if self._events is not None and not self._is_child:
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
                self._waiters.append((_NEVER, partial(settle, future)))
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
            for child in list(self._children):
                child._cancel()

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
        self._unfinished -= 1
        if self.budget is not None and value._promised:
            error = None if value._done is not None or value._error is None else value._error.cause
            tokens = 0 if value._done is None else value._done.usage.decoded
            self.budget.settle(value._promised, tokens if error is None else error)
            value._promised = 0
        if self._events is not None:
            self._events.ended(value)

    def fail(self, error: RamifyError) -> None:
        """The whole run is lost: whoever waits in it gets this error."""
        self._failure = self._failure or error
        self.wake()
        self._end_events_of_a_lost_engine()

    def _end_events_of_a_lost_engine(self) -> None:
        """Nothing more will come: who reads events must not wait for the program's end, which may never be."""
        if self.link.failed is not None and self._events is not None:
            self._events.close()

    def wake(self) -> None:
        """Let everybody go on whose answer is there."""
        waiting, self._waiters = self._waiters, []
        for what, wake in waiting:
            if what.ready or self._failure is not None or (what is _NEVER and self._closed is not None):
                wake()
            else:
                self._waiters.append((what, wake))


def settle(future: asyncio.Future[None]) -> None:
    """Let go who waits for `future`; he may have been let go already."""
    if not future.done():
        future.set_result(None)


class _Never:
    ready = False


class _Room:
    """Ready when a tenth of the gens in flight have ended, so that the program does not wake for each."""

    def __init__(self, run: Run[Any]) -> None:
        self._run = run

    @property
    def ready(self) -> bool:
        return self._run._unfinished <= MAX_UNFINISHED * 9 // 10


_NEVER = _Never()
