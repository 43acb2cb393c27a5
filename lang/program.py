"""`@function`: a Python function that takes a state becomes a program, which can be bound to an engine and run."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

import msgspec

from ..errors import EngineUnavailable, InvalidRequest
from ..runtime.protocol.graph import RunOptions
from .expr import Argument
from .hub import Hub, current_task, shared_hub
from .run import Run
from .state import State

if TYPE_CHECKING:
    from .engines import Engine
    from .run import Link

P = ParamSpec("P")
R = TypeVar("R")


class ProgramOptions(msgspec.Struct, frozen=True):
    """Options of a program's runs: see `Program.on`."""

    engine: Engine | str | None = None
    timeout: float | None = None
    seed: int = 0
    tenant: str = ""
    priority: int = 0


class Program(Generic[P, R]):
    """A program: a function of a `State` and arguments.

    Made by `function`. It does nothing until it is bound to an engine and run:

        triage.on("seedling").run(ticket=text)
    """

    def __init__(self, body: Callable[Concatenate[State, P], R], options: ProgramOptions | None = None) -> None:
        if inspect.iscoroutinefunction(body):
            raise InvalidRequest(
                f"{body.__qualname__} is async", hint="write it with def; its values wait by themselves"
            )
        functools.update_wrapper(self, body)
        self._body = body
        self._options = options or ProgramOptions()
        self.name = body.__qualname__.replace(".<locals>", "")

    def on(
        self,
        engine: Engine | str | None = None,
        *,
        timeout: float | None = None,
        seed: int = 0,
        tenant: str = "",
        priority: int = 0,
    ) -> Program[P, R]:
        """The same program, bound.

        Args:
            engine: an `Engine`, "seedling" or a model directory; None takes the environment's RAMIFY_ENGINE.
            timeout: seconds for a whole run; what is left fails with `DeadlineExceeded`.
            seed: key of everything random in a run; a node's draws depend on it and on the node's path alone.
            tenant: runs of different tenants never share KV.
            priority: lower goes first.
        """
        if timeout is not None and not timeout > 0:
            raise InvalidRequest(f"timeout is {timeout}", where=self.name, hint="give seconds above 0")
        return Program(self._body, ProgramOptions(engine, timeout, seed, tenant, priority))

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
        from .engines import find_link

        hub = shared_hub()
        return self.launch(hub, find_link(self._options.engine, hub), *args, **kwargs)

    def launch(self, hub: Hub, link: Link, /, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """`start` on a given loop and line: what simulations use."""
        options = self._options
        made: list[Run[R]] = []
        ready = threading.Event()

        def begin() -> None:
            run: Run[R] = Run(
                hub, link, self.name, options.seed, RunOptions(options.tenant, options.timeout, options.priority)
            )
            made.append(run)
            ready.set()

        def body() -> None:
            task = current_task()
            assert task is not None
            run = made[0]
            state = State(run, 0, self.name)
            given = [_argument(value) for value in args]
            named = {name: _argument(value) for name, value in kwargs.items()}
            run.execute(task, lambda: self._body(state, *given, **named))  # type: ignore[arg-type]

        if hub.inside:
            begin()
        else:
            hub.call(begin)
            ready.wait()
        hub.spawn(body)
        return made[0]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise InvalidRequest(
            f"{self.name} is a program and cannot be called like a function",
            hint=f'{self.name}.on("seedling").run(...)',
        )

    def __repr__(self) -> str:
        return f"<Program {self.name}>"


def function(body: Callable[Concatenate[State, P], R]) -> Program[P, R]:
    """Make a program of a function whose first parameter is the `State`."""
    return Program(body)


def _argument(value: Any) -> Any:
    """Strings from outside are marked, so that reports and control tokens treat them as such."""
    return Argument(value) if type(value) is str else value


def engine_from_environment() -> str:
    """The engine that RAMIFY_ENGINE names. Raises EngineUnavailable if it names none."""
    name = os.environ.get("RAMIFY_ENGINE", "")
    if not name:
        raise EngineUnavailable(
            "no engine was named",
            hint='bind the program with .on("seedling") or .on(Engine(...)), or set RAMIFY_ENGINE to a model directory',
        )
    return name
