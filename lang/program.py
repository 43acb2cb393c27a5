"""`@function`: a Python function that takes a state becomes a program, which can be bound to an engine and run."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import msgspec

from ..errors import InvalidRequest, NodeError, RamifyError
from ..runtime.protocol.graph import RunOptions
from .batch import Item, Journal, return_type, run_batch
from .engines import Linked, find_link
from .events import EventQueue
from .expr import Argument
from .hub import current_run, shared_hub
from .link import Link
from .run import Run
from .site import call_site
from .state import State
from .value import Value, not_decoded

P = ParamSpec("P")
R = TypeVar("R")


class ProgramOptions(msgspec.Struct, frozen=True):
    """Options of a program's runs: see `Program.on`."""

    engine: Linked | str | None = None
    timeout: float | None = None
    seed: int = 0
    tenant: str = ""
    priority: int = 0
    events: bool = False


class Program(Generic[P, R]):
    """A program: a function of a `State` and arguments, `def` or `async def`.

    Made by `function`. It does nothing until it is bound to an engine and run:

        triage.on("seedling").run(ticket=text)

    Inside another program, calling it starts a child run on the same engine and gives its `Value` at once.
    """

    def __init__(self, body: Callable[Concatenate[State, P], Any], options: ProgramOptions | None = None) -> None:
        functools.update_wrapper(self, body)
        self._body = body
        self._options = options or ProgramOptions()
        self.name = body.__qualname__.replace(".<locals>", "")

    def on(
        self,
        engine: Linked | str | None = None,
        *,
        timeout: float | None = None,
        seed: int = 0,
        tenant: str = "",
        priority: int = 0,
        events: bool = False,
    ) -> Program[P, R]:
        """The same program, bound.

        Args:
            engine: an `Engine`, "seedling", a model directory, or a `testing.Scripted`; None takes the environment's
                RAMIFY_ENGINE.
            timeout: seconds for a whole run; what is left fails with `DeadlineExceeded`.
            seed: key of everything random in a run; a node's draws depend on it and on the node's path alone.
            tenant: runs of different tenants never share KV.
            priority: lower goes first.
            events: `Run.events()` tells what happens as it happens.
        """
        if timeout is not None and not timeout > 0:
            raise InvalidRequest(f"timeout is {timeout}", where=self.name, hint="give seconds above 0")
        return Program(self._body, ProgramOptions(engine, timeout, seed, tenant, priority, events))

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run to the end and return the result; Ctrl-C cancels the run.

        Raises:
            NodeError: a node failed and the program did not catch it.
            ExceptionGroup: nodes failed that the program never looked at.
            EngineUnavailable: no engine was named, or it has gone.
        """
        run = self.start(*args, **kwargs)
        try:
            return run.result()
        except KeyboardInterrupt:
            run.cancel()
            raise

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start a run and return at once."""
        return self.launch(find_link(self._options.engine, shared_hub()), *args, **kwargs)

    def batch(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        key: Callable[[Mapping[str, Any]], str] | None = None,
        window: int = 256,
        journal: str | os.PathLike[str] | None = None,
    ) -> Iterator[Item[R]]:
        """Run the program once for each row and give the items as they end.

        Args:
            rows: the keyword arguments of each run; read as runs are started.
            key: names a row, for the journal; its place in `rows` by default.
            window: rows on the engine at once.
            journal: a file that remembers what is done, so that the same call goes on where it stopped.

        Raises:
            InvalidRequest: two rows have one key, or the file is not a journal.
        """
        link = find_link(self._options.engine, shared_hub())
        done = Journal(None if journal is None else Path(journal), return_type(self._body))
        return run_batch(self.launch, link, rows, key, window, done)

    def launch(self, link: Link, /, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """`start` on a given line to an engine: what simulations use."""
        options = self._options
        run_options = RunOptions(options.tenant, options.timeout, options.priority)
        if link.hub.inside:
            return self._begin(link, self.name, options.seed, run_options, args, kwargs)
        made: Future[Run[R]] = Future()
        link.hub.call(lambda: made.set_result(self._begin(link, self.name, options.seed, run_options, args, kwargs)))
        return made.result()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Value[R]:
        """Inside a program: start a child run on the same engine. Its value may be passed on before it is there."""
        parent = current_run.get()
        if parent is None:
            raise InvalidRequest(
                f"{self.name} is a program and can be called only inside another one",
                hint=f'{self.name}.on("seedling").run(...)',
            )
        child: ChildValue[R] = self.child(parent, args, kwargs)
        child.start()
        return child

    def child(self, parent: Run[Any], args: Any, kwargs: Any) -> ChildValue[R]:
        """A child run that has its path and begins when it is told to."""
        path = parent.call_path(self.name)

        def begin() -> Run[R]:
            return self._begin(parent.link, path, parent.node_seed(path), parent.options, args, kwargs)

        return ChildValue(parent, begin, self.name, path, call_site())

    def _begin(self, link: Link, path: str, seed: int, options: RunOptions, args: Any, kwargs: Any) -> Run[R]:
        run: Run[R] = Run(link, path, seed, options, EventQueue() if self._options.events else None)
        state = State(run, 0, path)
        given = [_argument(value) for value in args]
        named = {name: _argument(value) for name, value in kwargs.items()}
        if inspect.iscoroutinefunction(self._body):
            program = self._body(state, *given, **named)
        else:

            def body() -> R:
                current_run.set(run)  # a greenlet has a context of its own
                result: R = self._body(state, *given, **named)
                return result

            program = link.hub.in_greenlet(body)
        link.hub.start(run.execute(program))
        return run

    def __repr__(self) -> str:
        return f"<Program {self.name}>"


class ChildValue(Value[R]):
    """The result of a child run."""

    _is_node = False

    def __init__(self, parent: Run[Any], begin: Callable[[], Run[R]], name: str, path: str, site: str) -> None:
        super().__init__(parent, -1, name, path, site, decode=not_decoded)
        self._begin = begin
        self._listeners: list[Callable[[], None]] = []
        parent.add_checked(self)

    def start(self) -> None:
        """Begin the run; on the hub's thread, once."""
        child = self._begin()
        child.on_done(lambda: self._finish(child))

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the hub's loop when the run has ended."""
        self._listeners.append(callback)

    def _finish(self, child: Run[R]) -> None:
        error = child._future.exception()
        if error is None:
            self._value = child._future.result()
            self._finished = True
        else:
            self._error = error if isinstance(error, NodeError) else NodeError(self.path, self.site, _as_ours(error))
        self._run.wake()
        for callback in self._listeners:
            callback()


def _as_ours(error: BaseException) -> RamifyError:
    """`error` as the cause of a `NodeError`; an exception of the program's own stays visible behind it."""
    if isinstance(error, RamifyError):
        return error
    wrapped = RamifyError(f"{type(error).__name__}: {error}", hint="the child program raised it")
    wrapped.__cause__ = error
    return wrapped


@overload
def function(body: Callable[Concatenate[State, P], Coroutine[Any, Any, R]]) -> Program[P, R]: ...
@overload
def function(body: Callable[Concatenate[State, P], R]) -> Program[P, R]: ...
def function(body: Callable[Concatenate[State, P], Any]) -> Program[P, Any]:
    """Make a program of a function, `def` or `async def`, whose first parameter is the `State`."""
    return Program(body)


def _argument(value: Any) -> Any:
    """Strings from outside are marked, so that reports and control tokens treat them as such."""
    return Argument(value) if type(value) is str else value
