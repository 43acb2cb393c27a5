"""Explores a program: executes it once for each way through its fences, and puts the ways together to one graph.

Python cannot be resumed twice at one place, so an arm is explored by executing the program again from its start with
the decisions that lead there (as in concolic testing). Arms are taken breadth first, so that a loop on a value does not
use up the budget before anything else has been seen. Child runs are explored on their own, with the alternatives of
their arguments; what they may return is what their arms return.

It always ends: arms, nodes, nesting and time each have a bound, and reaching one leaves the graph open there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import sys
import threading
import time
import typing
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ..runtime.sim.loop import Stalled
from .dry_run import DryLoop, DryRun, Pending, Stop
from .hub import Hub, Parkable, current_run
from .program import Program, _argument
from .program_graph import Arm, Branch, Open, ProgramGraph, Raised, Returned, Segment, Step
from .site import ours
from .state import State
from .symbols import Alternative, SymbolicArgument, alternatives_of_type, label_of
from .value import Value

MAX_DEPTH = 16
"""Child runs inside one another."""


class DryRunBudget(msgspec.Struct, frozen=True):
    """What a dry run may cost.

    Attributes:
        arms: arms of each program, and alternatives of a value at most.
        nodes: nodes of the whole graph, child runs included.
        seconds: time for all of it; only a program that computes or loops on its own takes any.
    """

    arms: int = 64
    nodes: int = 10_000
    seconds: float = 10.0


DEFAULT_BUDGET = DryRunBudget()


class _OutOfTime(BaseException):
    """Raised in the thread of a program that does not come to an end."""


class Spending:
    """What is left of a budget, for a program and its child runs.

    Attributes:
        threads: the threads of the nested executions; the last one is at work.
        late: where the program was when the time was over; None before.
    """

    def __init__(self, budget: DryRunBudget) -> None:
        self.arms = budget.arms
        self.nodes = budget.nodes
        self.seconds = budget.seconds
        self.threads: list[int] = []
        self.late: str | None = None
        self._left = budget.nodes
        self._deadline = time.monotonic() + budget.seconds

    def spend(self) -> bool:
        """Take one node; False if there is none left."""
        self._left -= 1
        return self._left >= 0

    @property
    def over(self) -> bool:
        """Whether nothing more should be executed."""
        return self._left < 0 or self.late is not None or time.monotonic() > self._deadline

    def end(self, site: str) -> Open:
        """The end of what could not be explored any more."""
        if self._left < 0:
            return Open(f"the budget of {self.nodes} nodes is spent", site)
        return Open(f"the dry run took more than {self.seconds:g} s", self.late or site)


class Explored(NamedTuple):
    """A program's graph, and what it may return if that is a short list."""

    graph: ProgramGraph
    alternatives: tuple[Alternative, ...] | None


class _Way(NamedTuple):
    """One execution: what it recorded behind its last decision, how it ended, and what it returned."""

    steps: tuple[Step, ...]
    end: Pending | Returned | Raised | Open
    result: tuple[Alternative, ...] | None


class Exploration:
    """One program with its arguments.

    Args:
        budget: shared with the program that called it.
        program: what to execute.
        path: of its run.
        arguments: by parameter; for each execution they are made anew by `prepare`.
        depth: child runs around it.
        caller: the execution that called it, None for the program itself.
    """

    def __init__(
        self,
        budget: Spending,
        program: Program[..., Any],
        path: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        depth: int = 0,
        caller: DryRun | None = None,
    ) -> None:
        self.budget = budget
        self.path = path
        self._program = program
        self._depth = depth
        self._caller = caller
        self._signature = inspect.signature(program._body)
        self._given = self._signature.bind_partial(None, *args, **kwargs)
        self._missing = [
            parameter
            for name, parameter in list(self._signature.parameters.items())[1:]
            if name not in self._given.arguments
            and parameter.default is parameter.empty
            and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        self.parameters = tuple(parameter.name for parameter in self._missing)
        self._types = _types_of(program._body)
        self._ways: dict[tuple[int, ...], _Way] = {}
        self._children: dict[tuple[tuple[int, ...], str], Explored] = {}
        self._arms = 0

    def explore(self) -> None:
        """Execute every way that the budget allows."""
        waiting: deque[tuple[int, ...]] = deque([()])
        while waiting and not self.budget.over:
            decisions = waiting.popleft()
            run = self._execute(decisions)
            end = run.end or self.budget.end("")
            steps = tuple(run.steps)
            if run.turn < len(decisions):
                steps = ()
                if not isinstance(end, Open):
                    end = Open("the program did something else when it was executed again", "")
            if isinstance(end, Pending):
                if self._arms + len(end.labels) > self.budget.arms:
                    end = Open(f"the budget of {self.budget.arms} arms is spent", end.fence.site, end.fence)
                else:
                    self._arms += len(end.labels)
                    waiting.extend((*decisions, index) for index in range(len(end.labels)))
            returned = self._returned(run) if isinstance(end, Returned) else None
            self._ways[decisions] = _Way(steps, end, returned)

    def explored(self) -> Explored:
        """What has been found, put together."""
        graph = ProgramGraph(self._program.name, self.path, self.parameters, self._segment(()))
        merged: list[Alternative] = []
        for way in self._ways.values():
            if isinstance(way.end, Pending):
                continue
            if way.result is None:
                return Explored(graph, None)
            merged.extend(a for a in way.result if not any(_same(a.value, b.value) for b in merged))
        if not merged or len(merged) > self.budget.arms:
            return Explored(graph, None)
        return Explored(graph, tuple(merged))

    def fence_before(self, decisions: tuple[int, ...]) -> Any:
        """The fence at which the last of these decisions is taken."""
        way = self._ways[decisions[:-1]]
        return way.end.fence if isinstance(way.end, Pending) else None

    def child(
        self, run: DryRun, program: Program[..., Any], path: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Explored:
        """The graph of a child run; when the caller is executed again up to here, it is there already."""
        key = (run._decisions[: run.turn], path)
        found = self._children.get(key)
        if found is None:
            exploration = Exploration(self.budget, program, path, args, kwargs, self._depth + 1, run)
            if self._depth + 1 > MAX_DEPTH:
                end = Open(f"calls are nested deeper than {MAX_DEPTH}", run._site())
                found = Explored(ProgramGraph(program.name, path, exploration.parameters, Segment((), end)), None)
            else:
                exploration.explore()
                found = exploration.explored()
            self._children[key] = found
        return found

    def _segment(self, decisions: tuple[int, ...]) -> Segment:
        way = self._ways.get(decisions)
        if way is None:
            return Segment((), self.budget.end(""))
        if isinstance(way.end, Pending):
            arms: list[Arm] = []
            for index, label in enumerate(way.end.labels):
                body = self._segment((*decisions, index))
                same = next((i for i, arm in enumerate(arms) if arm.body == body), None)
                if same is None:
                    arms.append(Arm((label,), body))
                else:  # Python does the same whichever of them it sees
                    arms[same] = Arm((*arms[same].labels, label), body)
            return Segment(way.steps, Branch(way.end.fence, tuple(arms)))
        return Segment(way.steps, way.end)

    def _returned(self, run: DryRun) -> tuple[Alternative, ...] | None:
        if isinstance(run.result, Value):
            return run.alternatives(run.result, self.budget.arms)
        return (Alternative(label_of(run.result), run.result),) if _is_plain(run.result) else None

    # ---- executing --------------------------------------------------------------------------------------------------

    def _execute(self, decisions: tuple[int, ...]) -> DryRun:
        if inspect.iscoroutinefunction(self._program._body):
            return self._execute_async(decisions)
        run = DryRun(self, Hub(DryLoop()), decisions)

        def body() -> None:
            current_run.set(run)  # a greenlet has a context of its own
            with self._ending(run):
                run.ended(self._call(run))

        try:
            Parkable(run.link.hub, body).switch()
        finally:
            run.link.hub.loop.close()
        return run

    def _execute_async(self, decisions: tuple[int, ...]) -> DryRun:
        """On a thread of its own, because a thread runs one loop at a time and the caller may be on one."""
        runs: list[DryRun] = []

        async def main(run: DryRun) -> None:
            current_run.set(run)
            run.coroutine = self._call(run)
            run.ended(await run.coroutine)

        def serve() -> None:
            loop = DryLoop()
            loop.set_exception_handler(lambda *_: None)  # what ends an execution is kept by the execution
            run = DryRun(self, Hub(loop), decisions)
            runs.append(run)
            with self._ending(run):
                loop.run_until_complete(main(run))
            with contextlib.suppress(Exception, Stop):
                rest = asyncio.all_tasks(loop)
                for task in rest:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            loop.close()

        thread = threading.Thread(target=serve, name="ramify-dry-run", daemon=True)
        thread.start()
        thread.join()
        return runs[0]

    @contextlib.contextmanager
    def _ending(self, run: DryRun) -> typing.Iterator[None]:
        """However the program ends, the execution knows how."""
        self.budget.threads.append(threading.get_ident())
        try:
            yield
        except (Stop, _OutOfTime):
            pass
        except Stalled:
            run.end = run.end or Open("waits for something outside of the program", run.waits_at)
        except BaseException as error:
            run.failed(error)
        finally:
            self.budget.threads.pop()
        if self.budget.late is not None and run.end is None:
            run.end = self.budget.end("")

    def _call(self, run: DryRun) -> Any:
        arguments = dict(self._given.arguments)
        arguments[next(iter(self._signature.parameters))] = State(run, 0, self.path)
        bound = inspect.BoundArguments(self._signature, arguments)  # type: ignore[arg-type]
        for name, value in list(bound.arguments.items()):
            bound.arguments[name] = self._prepare(run, value)
        for parameter in self._missing:
            alternatives = alternatives_of_type(self._types.get(parameter.name), self.budget.arms)
            bound.arguments[parameter.name] = SymbolicArgument(run, parameter.name, alternatives)
        ordered = {name: bound.arguments[name] for name in self._signature.parameters if name in bound.arguments}
        bound = inspect.BoundArguments(self._signature, ordered)  # type: ignore[arg-type]
        return self._program._body(*bound.args, **bound.kwargs)

    def _prepare(self, run: DryRun, value: Any) -> Any:
        """An argument as this execution gets it: a value of the caller is a symbol here."""
        if isinstance(value, Value):
            assert self._caller is not None
            alternatives = self._caller.alternatives(value, self.budget.arms)
            if isinstance(value, SymbolicArgument):
                return SymbolicArgument(run, value.name, alternatives, value.waits)
            return SymbolicArgument(run, value.path, alternatives, waits=True)
        if type(value) in (list, tuple):
            return type(value)(self._prepare(run, item) for item in value)
        if type(value) is dict:
            return {key: self._prepare(run, item) for key, item in value.items()}
        return _argument(value)


def dry_run(
    program: Program[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    budget: DryRunBudget = DEFAULT_BUDGET,
) -> ProgramGraph:
    """The request graph of a program, without an engine; arguments that are not given stay symbols.

    The program's own Python is executed, several times if it looks at values; tools behind `blocking` or another
    thread, connections and processes are not.

    Raises:
        TypeError: an argument that the program does not have.
    """
    spending = Spending(budget)
    exploration = Exploration(spending, program, program.name, args, kwargs or {})
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            exploration.explore()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=serve, name="ramify-dry-run", daemon=True)
    thread.start()
    try:
        thread.join(budget.seconds)
    finally:
        if thread.is_alive():
            _interrupt(spending)
            thread.join(1.0)
    if failures and not isinstance(failures[0], _OutOfTime):
        raise failures[0]
    return exploration.explored().graph


def _interrupt(spending: Spending) -> None:
    """Raise in the thread that does not end; it is heard when Python code runs there again."""
    if not spending.threads:
        spending.late = ""
        return
    ident = spending.threads[-1]
    frame = sys._current_frames().get(ident)
    while frame is not None and ours(frame.f_code.co_filename):
        frame = frame.f_back
    spending.late = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(_OutOfTime))


def _types_of(body: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(body)
    except (NameError, TypeError):
        return {}


def _is_plain(value: Any) -> bool:
    """Whether no value is left inside."""
    if isinstance(value, list | tuple | set):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_is_plain(item) for item in value.values())
    return not isinstance(value, Value | State)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)
