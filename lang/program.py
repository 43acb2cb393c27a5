"""`@function`: a Python function that takes a state becomes a program, which can be bound to an engine and run."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from ..errors import InvalidRequest, NodeError, RamifyError
from ..runtime.protocol.graph import RunOptions
from .batch import Item, return_type, run_batch
from .engines import Linked, find_link
from .events import EventQueue
from .expr import Argument
from .held import Watch, Watched
from .hub import current_run, shared_hub
from .journal import Journal, Stale
from .link import Link
from .run import Run
from .run_options import ProgramOptions
from .site import call_site
from .state import State
from .value import Value, not_decoded

if TYPE_CHECKING:
    from .explain import Plan
    from .program_graph import ProgramGraph

P = ParamSpec("P")
R = TypeVar("R")
R2 = TypeVar("R2")
K = TypeVar("K")

FINGERPRINT_SECONDS = 2.0
"""What the fingerprint in a journal may take; an ordinary program's takes some milliseconds."""


class Program(Generic[P, R]):
    """A program: a function of a `State` and arguments, `def` or `async def`.

    Made by `function`. It does nothing until it is bound to an engine and run:

        triage.on("seedling").run(ticket=text)

    Inside another program, calling it starts a child run on the same engine and gives its `Value` at once.
    """

    def __init__(
        self,
        body: Callable[Concatenate[State, P], Any],
        options: ProgramOptions | None = None,
        watch: Watch | None = None,
    ) -> None:
        functools.update_wrapper(self, body)
        self._body = body
        self._options = options or ProgramOptions()
        self._watch = watch or Watch(body)
        self.name = body.__qualname__.replace(".<locals>", "")

    def on(
        self,
        engine: Linked | str | None = None,
        *,
        timeout: float | None = None,
        budget: int | None = None,
        seed: int = 0,
        run_id: str = "",
        cache: bool = True,
        tenant: str = "",
        priority: int = 0,
        events: bool = False,
    ) -> Program[P, R]:
        """The same program, bound.

        Args:
            engine: an `Engine`, "seedling", a model directory, or a `testing.Scripted`; None takes the environment's
                RAMIFY_ENGINE.
            timeout: seconds for a whole run, its child runs included; what is left fails with `DeadlineExceeded`.
            budget: tokens that a run may generate, its child runs included. A gen is promised its `max_tokens` when it
                is recorded, cut to what is left (all of it if it names none); what it does not use comes back when it
                ends. With nothing left, a gen fails with `BudgetExceeded`. `Run.budget` says how much was used.
            seed: key of everything random in a run; a node's draws depend on it and on the node's path alone.
            run_id: a name for the run and its child runs: `Run.run_id`, `run` of every event, and the default journal
                of `batch`, `.ramify/<run_id>.jsonl` below the working directory. It changes no path and no draw.
            cache: False keeps the run's KV to itself: neither the run nor its child runs find anything that others
                computed, and nobody finds theirs.
            tenant: runs of different tenants never share KV.
            priority: lower goes first.
            events: `Run.events()` tells what happens as it happens.
        """
        options = ProgramOptions(
            engine=engine,
            timeout=timeout,
            budget=budget,
            seed=seed,
            run_id=run_id,
            cache=cache,
            tenant=tenant,
            priority=priority,
            events=events,
        )
        return Program(self._body, options.check(self.name), self._watch)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run to the end and return the result; Ctrl-C cancels the run.

        Raises:
            NodeError: a node failed and the program did not catch it.
            ExceptionGroup: nodes failed that the program never looked at.
            EngineUnavailable: no engine was named, or it has gone.
        """
        return self.start(*args, **kwargs).result()

    def start(self, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """Start a run and return at once."""
        return self.launch(find_link(self._options.engine, shared_hub()), *args, **kwargs)

    def batch(
        self,
        rows: Iterable[Mapping[str, Any]],
        *,
        key: Callable[[Mapping[str, Any]], str] | None = None,
        limit: int = 256,
        journal: str | os.PathLike[str] | None = None,
        stale: Stale = "refuse",
        progress: bool | None = None,
    ) -> Iterator[Item[R]]:
        """Run the program once for each row and give the items as they end.

        Args:
            rows: the keyword arguments of each run; read as runs are started.
            key: names a row, for the journal; its place in `rows` by default.
            limit: rows on the engine at once at most.
            journal: a file that remembers what is done, so that the same call goes on where it stopped; with a
                `run_id` it is `.ramify/<run_id>.jsonl` unless another is given. Its first line has the program's
                `fingerprint`, for which the program is executed dry before it begins, as for `graph`; it has none if
                that takes longer than two seconds.
            stale: what to do with a journal that a program of another fingerprint began, such as this one before its
                prompts were changed (or, if its graph is open, under another version of Python): "refuse" it, empty it
                and "rerun" every row, or "keep" what it has. With "keep" there is no dry run and no first line.
            progress: a bar on stderr where that is a terminal: rows done, failed and resumed, rows a second, prefill
                hits. None draws it unless RAMIFY_PROGRESS=0, True also then, False never.

        Closing the iterator, or Ctrl-C, cancels what is in flight and waits until it has ended.

        Raises:
            InvalidRequest: two rows have one key, the file is not a journal, or it is that of another fingerprint.
        """
        link = find_link(self._options.engine, shared_hub())
        if journal is None and self._options.run_id:
            journal = Path(".ramify", f"{self._options.run_id}.jsonl")
        path = None if journal is None else Path(journal)
        fingerprint = None if path is None or stale == "keep" else self._fingerprint_soon()
        done = Journal(path, return_type(self._body), self.name, fingerprint, stale)
        return run_batch(self.launch, link, rows, key, limit, done, progress)

    def launch(self, link: Link, /, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        """`start` on a given line to an engine: what simulations use."""
        seed, options = self._options.seed, self._options.of_a_run()

        def begin() -> Run[R]:
            return self._begin(link, self.name, seed, options, args, kwargs)

        return begin() if link.hub.inside else link.hub.from_outside(begin, parks=False, dropped=Run.cancel)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Value[R]:
        """Inside a program: start a child run on the same engine. Its value may be passed on before it is there.

        A child run has the time that is left, the budget, the tenant, the run_id and the events of the run that calls
        it, and ends with it; what `on` was told is for runs of the program's own.
        """
        parent = current_run.get()
        if parent is None:
            raise InvalidRequest(
                f"{self.name} is a program and can be called only inside another one",
                hint=f'{self.name}.on("seedling").run(...)',
            )
        child: ChildValue[R] = self.child(parent, args, kwargs)
        child.start()
        return child

    def child(
        self, parent: Run[Any], args: Any, kwargs: Any, on_error: Callable[[NodeError], Any] | None = None
    ) -> ChildValue[R]:
        """A child run that has its path and begins when it is told to; `on_error` is that of `map`."""
        symbolic = parent.symbolic_child(self, args, kwargs)
        if symbolic is not None:
            return symbolic
        path = parent.call_path(self.name)

        def begin() -> Run[R]:
            options = parent.child_options()
            child = self._begin(parent.link, path, parent.node_seed(path), options, args, kwargs, parent)
            parent.add_child(child)
            return child

        return ChildValue(parent, begin, self.name, path, call_site(), on_error)

    def _begin(
        self,
        link: Link,
        path: str,
        seed: int,
        options: RunOptions,
        args: Any,
        kwargs: Any,
        parent: Run[Any] | None = None,
    ) -> Run[R]:
        ours = self._options
        events = EventQueue(ours.run_id or path) if ours.events else None
        run: Run[R] = Run(link, path, seed, options, events, ours.new_budget(), ours.run_id, parent)
        state = State(run, 0, path)
        given = [_argument(value) for value in args]
        named = {name: _argument(value) for name, value in kwargs.items()}
        if inspect.iscoroutinefunction(self._body):
            program: Awaitable[R] = Watched(self._body(state, *given, **named), self._watch, link.hub.clock)
        else:

            def body() -> R:
                current_run.set(run)  # a greenlet has a context of its own
                result: R = self._body(state, *given, **named)
                return result

            program = link.hub.in_greenlet(body, self._watch)
        link.hub.start(run.execute(program))
        return run

    def graph(self, *args: object, **kwargs: object) -> ProgramGraph:
        """The request graph of a symbolic dry run, before anything runs and without an engine; print it.

        Arguments that are not given stay symbols. The program's own Python is executed, once for each way through the
        values that it looks at, and at most for ten seconds; tools behind `blocking` are not called, and connections
        and processes are not made. Raises TypeError for an argument that the program does not have.
        """
        from .explore import dry_run

        return dry_run(self, args, kwargs)

    def explain(self, *args: object, **kwargs: object) -> Plan:
        """The plan: nodes, tokens, shared prefix, critical path, every fence, and what the passes found; print it.

        Tokens are those of the model if the program is bound to one by name, characters otherwise. Arguments are as in
        `graph`. Raises ModelNotFound or UnsupportedModel if the model is named and its tokenizer cannot be loaded.
        """
        from .explain import explain

        return explain(self, self.graph(*args, **kwargs))

    @property
    def fingerprint(self) -> str:
        """A digest of the prompts, schemas, options and structure, the same in any process. Comments, moved code and
        renamed variables do not change it. It takes a dry run, as `graph` does; where that finds the graph open, the
        program's compiled code counts too, and with it the version of Python.
        """
        from .fingerprint import fingerprint_of

        return fingerprint_of(self)

    def _fingerprint_soon(self) -> str | None:
        from .fingerprint import fingerprint_within

        return fingerprint_within(self, FINGERPRINT_SECONDS)

    def __repr__(self) -> str:
        return f"<Program {self.name}>"


class ChildValue(Value[R]):
    """The result of a child run."""

    _is_node = False

    def __init__(
        self,
        parent: Run[Any],
        begin: Callable[[], Run[R]],
        name: str,
        path: str,
        site: str,
        on_error: Callable[[NodeError], R] | None = None,
    ) -> None:
        super().__init__(parent, -1, name, path, site, decode=not_decoded)
        self._begin = begin
        self._on_error = on_error
        self._listeners: list[Callable[[], None]] = []
        parent.add_checked(self)

    def start(self) -> None:
        """Begin the run; on the hub's thread, once. Nothing happens when the run that called it is over."""
        if self._run.over:
            return
        child = self._begin()
        child.on_done(lambda: self._finish(child))

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the hub's loop when the run has ended."""
        self._listeners.append(callback)

    def _finish(self, child: Run[R]) -> None:
        error, on_error, hub = child._future.exception(), self._on_error, self._run.link.hub
        if error is None:
            self._value, self._finished = child._future.result(), True
        else:
            failed = self._as_failed(error)
            if on_error is not None and not self._run.over:  # the user's own code, where a plain program may run
                hub.start(hub.in_greenlet(lambda: self._replace(on_error, failed)))
                return
            self._error = failed
        self._tell()

    def _replace(self, on_error: Callable[[NodeError], R], failed: NodeError) -> None:
        current_run.set(self._run)
        try:
            self._value, self._finished = on_error(failed), True
        except BaseException as error:
            self._error = self._as_failed(error)
        self._tell()

    def _tell(self) -> None:
        """Let go who waits."""
        self._run.wake()
        for callback in self._listeners:
            callback()

    def _as_failed(self, error: BaseException) -> NodeError:
        return error if isinstance(error, NodeError) else NodeError(self.path, self.site, _as_ours(error))


def _as_ours(error: BaseException) -> RamifyError:
    """`error` as the cause of a `NodeError`; an exception of the program's own stays visible behind it."""
    if isinstance(error, RamifyError):
        return error
    wrapped = RamifyError(f"{type(error).__name__}: {error}", hint="the child program raised it")
    wrapped.__cause__ = error
    return wrapped


# What a function returns is resolved for the caller (`Run._resolve`), so its program is typed by what is left of it.
@overload
def function(body: Callable[Concatenate[State, P], Coroutine[Any, Any, Value[R]]]) -> Program[P, R]: ...
@overload
def function(body: Callable[Concatenate[State, P], Coroutine[Any, Any, list[Value[R]]]]) -> Program[P, list[R]]: ...
@overload
def function(
    body: Callable[Concatenate[State, P], Coroutine[Any, Any, dict[K, Value[R]]]],
) -> Program[P, dict[K, R]]: ...
@overload
def function(
    body: Callable[Concatenate[State, P], Coroutine[Any, Any, tuple[Value[R], Value[R2]]]],
) -> Program[P, tuple[R, R2]]: ...
@overload
def function(body: Callable[Concatenate[State, P], Coroutine[Any, Any, R]]) -> Program[P, R]: ...
@overload
def function(body: Callable[Concatenate[State, P], Value[R]]) -> Program[P, R]: ...
@overload
def function(body: Callable[Concatenate[State, P], list[Value[R]]]) -> Program[P, list[R]]: ...
@overload
def function(body: Callable[Concatenate[State, P], dict[K, Value[R]]]) -> Program[P, dict[K, R]]: ...
@overload
def function(body: Callable[Concatenate[State, P], tuple[Value[R], Value[R2]]]) -> Program[P, tuple[R, R2]]: ...
@overload
def function(body: Callable[Concatenate[State, P], R]) -> Program[P, R]: ...
def function(body: Callable[Concatenate[State, P], Any]) -> Program[P, Any]:
    """Make a program of a function, `def` or `async def`, whose first parameter is the `State`.

    Values in what it returns, through lists, tuples and dicts, are resolved for the caller. Type checkers see it for
    `Value[R]`, `list[Value[R]]`, `dict[K, Value[R]]` and a pair of values; annotate other shapes with what the caller
    gets.
    """
    return Program(body)


def _argument(value: Any) -> Any:
    """Strings from outside are marked, so that reports and control tokens treat them as such."""
    return Argument(value) if type(value) is str else value
