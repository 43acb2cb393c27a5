"""`Run[R]`: one execution of a program. It records nodes, sends them as deltas, and hands replies to values.

What is recorded goes out when the program fences, or a moment later by a timer, so that a program that computes on its
own does not hold back work that the engine could begin.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import Future
from typing import Any, Generic, TypeVar, cast

from ..errors import Cancelled, EngineUnavailable, NodeError, RamifyError, from_info
from ..runtime.client.engine import Connection
from ..runtime.protocol.graph import (
    CloseRun,
    EngineFailed,
    EngineReady,
    EngineReply,
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
from .hub import Hub, Task, current_task
from .value import Value

R = TypeVar("R")

FLUSH_SECONDS = 0.001


class ReadBack:
    """The answer to one look at a stream's ids."""

    def __init__(self) -> None:
        self.reply: StreamIds | None = None
        self.error: RamifyError | None = None

    @property
    def ready(self) -> bool:
        return self.reply is not None or self.error is not None


class Run(Generic[R]):
    """One execution of a program.

    Attributes:
        path: the program's qualified name, the first part of every node's path.
        seed: key of everything random in the run.
    """

    def __init__(self, hub: Hub, link: Link, path: str, seed: int, options: RunOptions) -> None:
        self.path = path
        self.seed = seed
        self._hub = hub
        self._link = link
        self._options: RunOptions | None = options
        self._pending: list[GraphNode] = []
        self._timer: asyncio.TimerHandle | None = None
        self._values: dict[int, Value[Any]] = {}
        self._reads: dict[int, ReadBack] = {}
        self._waiting: tuple[Task, Value[Any] | ReadBack | None] | None = None
        self._task: Task | None = None
        self._next_node = 0
        self._next_stream = 1
        self._closed: RunClosed | None = None
        self._failure: RamifyError | None = None
        self._cancelled = False
        self._future: Future[R] = Future()
        self._report: RunReport | None = None
        self._number = link.add(self)  # last: if the engine is gone, this fails the run

    # ---- for the caller -----------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> R:
        """Wait for what the program returns.

        Raises:
            NodeError: a node failed and the program did not catch it.
            ExceptionGroup: nodes failed that nobody looked at.
            TimeoutError: the program was not done in time; it goes on.
        """
        task = current_task()
        if task is None:
            return self._future.result(timeout)
        while not self._future.done():  # inside another program: its thread is the one that must run ours
            self._future.add_done_callback(lambda _: task.hub.call(task.wake))
            if not task.park(timeout):
                raise TimeoutError(f"{self.path} was not done in {timeout} s")
        return self._future.result()

    def cancel(self) -> None:
        """End the run now; `result` raises `Cancelled`. Safe from any thread, and after the end."""
        self._hub.call(self._cancel)

    def report(self) -> RunReport:
        """What the run cost. Waits for its end; raises EngineUnavailable if the engine went away first."""
        if current_task() is None:
            _wait_done(self._future)
        if self._report is None:
            raise EngineUnavailable("the run has no report", hint="the engine stopped, or the run has not ended")
        return self._report

    # ---- for the program ----------------------------------------------------------------------------------------

    def record(self, node: GraphNode) -> None:
        """Add a node to the next delta."""
        if self._failure is not None:
            raise self._failure
        if self._closed is not None:
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
            options, self._options = self._options, None
            self._link.send(GraphDelta(self._number, nodes, options))

    def new_node(self) -> int:
        number, self._next_node = self._next_node, self._next_node + 1
        return number

    def new_stream(self) -> int:
        number, self._next_stream = self._next_stream, self._next_stream + 1
        return number

    def node_seed(self, path: str) -> int:
        """The seed of a node's draws: a digest of the run's seed and the node's path, never of the order of things."""
        data = f"{self.seed}\x00{path}".encode()
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")

    def add_value(self, node: int, value: Value[Any]) -> None:
        self._values[node] = value

    def read_back(self, node: int) -> ReadBack:
        read = self._reads[node] = ReadBack()
        return read

    def wait_for(self, what: Value[Any] | ReadBack, timeout: float | None = None) -> None:
        """A fence: stop the program until `what` is ready. Raises TimeoutError, or the failure of the whole run."""
        task = current_task()
        if task is None:
            raise Cancelled("this value can only be waited for inside its program", hint="return it from the program")
        self.flush()
        while not what.ready:
            if self._failure is not None:
                raise self._failure
            self._waiting = (task, what)
            woken = task.park(timeout)
            self._waiting = None
            if not woken:
                raise TimeoutError(f"{getattr(what, 'path', self.path)} was not done in {timeout} s")

    # ---- the program's life -------------------------------------------------------------------------------------

    def execute(self, task: Task, body: Any) -> None:
        """Run the program to its end, settle every node, close the run, and give the result to whoever waits."""
        self._task = task
        try:
            result = resolve(body())
            self._settle_all(task)
            self._raise_unobserved()
        except BaseException as error:
            self._close(task)
            self._future.set_exception(self._why(error))
        else:
            self._close(task)
            self._future.set_result(cast(R, result))
        finally:
            self._task = None
            self._link.remove(self._number)

    def _settle_all(self, task: Task) -> None:
        """Wait for the nodes that the program did not look at: their work was asked for."""
        for value in list(self._values.values()):
            if not value.ready:
                self.wait_for(value)

    def _raise_unobserved(self) -> None:
        errors = [v._error for v in self._values.values() if v._error is not None and not v._observed]
        if errors:
            raise ExceptionGroup(f"{self.path}: {len(errors)} nodes failed that nobody looked at", errors)

    def _close(self, task: Task) -> None:
        """End the run on the engine and wait for its account; an engine that is gone has none."""
        if self._failure is None and not self._link.failed:
            self.flush()
            if self._options is None:  # something was sent, so the engine knows the run
                self._link.send(CloseRun(self._number, report=True))
                while self._closed is None and not self._link.failed:
                    self._waiting = (task, None)
                    task.park()
                    self._waiting = None

    def _why(self, error: BaseException) -> BaseException:
        return self._failure if self._failure is not None and isinstance(error, NodeError | Cancelled) else error

    def _cancel(self) -> None:
        if self._cancelled or self._future.done() or self._task is None:
            return
        self._cancelled = True
        self._task.interrupt(Cancelled("the run was cancelled", where=self.path))

    # ---- replies, on the hub's thread ---------------------------------------------------------------------------

    def receive(self, reply: EngineReply) -> None:
        """A reply of the engine for this run."""
        match reply:
            case NodeDone():
                self._values[reply.node]._settle(reply)
            case NodeFailed():
                if reply.node in self._reads:
                    self._reads[reply.node].error = from_info(reply.error)
                else:
                    self._values[reply.node]._fail(reply.error)
            case StreamIds():
                self._reads[reply.node].reply = reply
            case RunClosed():
                self._closed = reply
                self._report = reply.report
                if reply.error is not None:
                    self._failure = from_info(reply.error)
            case TextDelta() | EngineReady() | EngineFailed():
                return
        self._wake()

    def fail(self, error: RamifyError) -> None:
        """The engine is gone."""
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None:
            task, what = self._waiting
            if what is None or what.ready or self._failure is not None:
                task.wake()


class Link:
    """The runs of this process on one engine. Its methods run on the hub's thread, but for `on_reply`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._connection: Connection | None = None
        self._runs: dict[int, Run[Any]] = {}
        self._next_run = 0
        self.failed: RamifyError | None = None

    def attach(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, run: Run[Any]) -> int:
        number, self._next_run = self._next_run, self._next_run + 1
        self._runs[number] = run
        if self.failed is not None:
            run.fail(self.failed)
        return number

    def remove(self, number: int) -> None:
        self._runs.pop(number, None)

    def send(self, message: GraphDelta | CloseRun) -> None:
        assert self._connection is not None
        self._connection.send(message)

    def on_reply(self, reply: EngineReply) -> None:
        """Called by the connection, on any thread."""
        self._hub.call(lambda: self._receive(reply))

    def _receive(self, reply: EngineReply) -> None:
        if isinstance(reply, EngineFailed):
            self.failed = from_info(reply.error)
            for run in list(self._runs.values()):
                run.fail(self.failed)
        elif not isinstance(reply, EngineReady):
            run_or_none = self._runs.get(reply.run)
            if run_or_none is not None:
                run_or_none.receive(reply)


def resolve(result: Any) -> Any:
    """`result` with every value in it replaced by what it is, through lists, tuples and dicts."""
    if isinstance(result, Value):
        return result.get()
    if type(result) in (list, tuple):
        return type(result)(resolve(item) for item in result)
    if type(result) is dict:
        return {key: resolve(item) for key, item in result.items()}
    return result


def _wait_done(future: Future[Any]) -> None:
    try:
        future.exception()
    except BaseException as error:
        raise EngineUnavailable(f"the run did not end: {error}", hint="start it again") from error
