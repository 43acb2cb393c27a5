"""One symbolic execution of a program: a `Run` without an engine, which records steps and decides what Python sees.

The program's own code runs, on the same `State` and `Run` as always; only the answers are made up. Nothing waits: a
look at a value of a finite domain is answered with the alternative that this execution was told to take, and at
anything else the execution ends. `explore.py` executes the program once for each way through.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import math
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from ..runtime.protocol import graph as protocol
from ..runtime.protocol.graph import GraphNode, NodeDone, RunOptions, Usage
from ..runtime.sim.loop import VirtualLoop
from .check import Attempts
from .domain import finite_texts
from .field import FieldValue, _member
from .hub import Hub, current_greenlet, current_run
from .link import Link
from .parallel import Chosen
from .program_graph import Call, Check, Fence, Open, Raised, Returned, Step
from .run import Readable, Run
from .select import Selected
from .site import call_site, ours
from .symbols import Alternative, SymbolicArgument, SymbolicChild, label_of, split_marks
from .value import ReadValue, Value

if TYPE_CHECKING:
    from .explore import Exploration
    from .program import Program

_LAZY = "rf.fmt and + splice the value without looking at it"
_HOW = {
    "__str__": ("str", _LAZY),
    "__format__": ("format", _LAZY),
    "__bool__": ("bool", ""),
    "__int__": ("int", ""),
    "__float__": ("float", ""),
    "__len__": ("len", ""),
    "__iter__": ("iteration", ""),
    "__contains__": ("in", ""),
    "__getitem__": ("[...]", ""),
    "__eq__": ("==", ""),
    "__hash__": ("hash", ""),
    "__lt__": ("<", ""),
    "__gt__": (">", ""),
    "__le__": ("<=", ""),
    "__ge__": (">=", ""),
    "_wait": ("await", ""),
    "__getattr__": ("attribute", ""),
    "messages": ("messages", ""),
    "_spliced": ("appended", ""),
}
_MEASURED = ("usage", "finish_reason", "logprobs", "probabilities")
_ASYNCIO = str(Path(asyncio.__file__).parent)
_STDLIB = sysconfig.get_path("stdlib")


class Stop(BaseException):
    """Unwinds the program when its dry run has ended; not an `Exception`, so that no handler of the program's own
    takes it for an error."""


class Pending(msgspec.Struct, frozen=True):
    """The execution ended at a fence that it was not told about."""

    fence: Fence
    labels: tuple[str, ...]


class DryRun(Run[Any]):
    """One execution.

    Args:
        exploration: what it is a part of.
        hub: of the thread that executes it.
        decisions: the alternative to take at each fence, in order; the first fence beyond them ends the execution.

    Attributes:
        steps: what was recorded behind the last decision.
        end: how it ended, None until then.
        result: what the program returned.
        turn: how many decisions have been taken.
        coroutine: the program's coroutine if it is `async def`.
    """

    def __init__(self, exploration: Exploration, hub: Hub, decisions: tuple[int, ...]) -> None:
        super().__init__(Link(hub), exploration.path, 0, RunOptions())
        self.steps: list[Step] = []
        self.end: Pending | Returned | Raised | Open | None = None
        self.result: Any = None
        self.turn = 0
        self.coroutine: CoroutineType[Any, Any, Any] | None = None
        self._exploration = exploration
        self._decisions = decisions
        self._gens: dict[int, protocol.Gen] = {}

    # ---- recording --------------------------------------------------------------------------------------------------

    def record(self, node: GraphNode) -> None:
        """Keep a node as a step, cut where a symbol stands in its text."""
        if isinstance(node, protocol.Text | protocol.Argument):
            for piece in split_marks(node):
                self.add_step(piece)
            return
        if isinstance(node, protocol.Gen):
            self._gens[node.node] = node
        self.add_step(node)

    def add_step(self, step: Step) -> None:
        """Keep a step. Raises Stop when the execution has ended, or the budget has."""
        if self.end is not None:
            raise Stop
        if self.turn == len(self._decisions) and not self._exploration.budget.spend():
            self.stop(Open(f"the budget of {self._exploration.budget.nodes} nodes is spent", self._site()))
        self.steps.append(step)

    def flush(self) -> None:
        """There is no engine to send to."""

    def make_room(self, where: str) -> None:
        """Nothing is in flight; the budget of nodes is the limit."""

    def add_checked(self, value: Value[Any]) -> None:
        """The first attempt is taken to pass: what is recorded behind it is not held back."""
        if isinstance(value, Attempts):
            check = value._check
            name = "its type" if check is None else getattr(check, "__qualname__", repr(check)).replace(".<locals>", "")
            stream = value._first.stream
            self.add_step(Check(stream=stream, site=value.site, node=value._node, check=name, retries=value._retries))
            value._done = _done(value, "")
            value._gate.open()

    def symbolic_child(self, program: Program[..., Any], args: Any, kwargs: Any) -> SymbolicChild:
        """Explore a child run now, as a graph of its own."""
        if self.end is not None:
            raise Stop
        path, site = self.call_path(program.name), call_site()
        child = self._exploration.child(self, program, path, args, kwargs)
        self.add_step(Call(path, site, child.graph))
        return SymbolicChild(self, program.name, path, site, child.alternatives)

    # ---- looking ----------------------------------------------------------------------------------------------------

    def wait_for(self, what: Readable, timeout: float | None = None) -> None:
        """A fence: take the next decision, or end here."""
        if current_greenlet() is None:
            super().wait_for(what, timeout)  # an implicit fence in an async program is an error, as in a real run
        self._look(what)

    async def until(self, what: Readable) -> None:
        """The same for `async def` programs."""
        self._look(what)

    def wait_to_splice(self, value: SymbolicChild) -> None:
        """Python waits here for a child's text, and does not see it."""
        self.add_step(Fence(value.path, "appended", self._site()))

    def _splice_field(self, field: FieldValue) -> None:
        """A field of a symbol is appended: leave a mark where `FieldValue` looks for it."""
        spliced: Any = field.base._spliced()
        for key in reversed(field.field_path):
            spliced = {key: spliced}
        field.base._value = spliced

    def _look(self, what: Readable) -> None:
        if self.end is not None:
            raise Stop
        if not isinstance(what, Value):
            self.stop(Open("waits for another run", self._site()))
        how, hint, measured = _way_of_looking()
        if isinstance(what, FieldValue) and how == "appended":
            self._splice_field(what)
            return
        path, what = what.path, what.base if isinstance(what, FieldValue) else what
        waits = not isinstance(what, SymbolicArgument) or what.waits
        if not waits:
            hint = f"give {what.name}= to see what it does here"
        fence = Fence(path, how, self._site(), waits, hint)
        if measured:
            self.stop(Open(f"depends on the {measured} of {what.path}", fence.site, fence))
        most = self._exploration.budget.arms
        alternatives = self.alternatives(what, most)
        if alternatives is None:
            self.stop(Open(_why_open(what, most), fence.site, fence))
        self._take(what, alternatives[self._decide(fence, alternatives)])

    def _decide(self, fence: Fence, alternatives: tuple[Alternative, ...]) -> int:
        if len(alternatives) == 1:
            self.add_step(fence)
            return 0
        if self.turn == len(self._decisions):
            self.stop(Pending(fence, tuple(alternative.label for alternative in alternatives)))
        index = self._decisions[self.turn]
        if self._exploration.fence_before(self._decisions[: self.turn + 1]) != fence:
            self.stop(Open("the program did something else when it was executed again", fence.site, fence))
        self.turn += 1
        self.steps = []
        return index

    def _take(self, value: Value[Any], chosen: Alternative) -> None:
        """From here on the value is this alternative."""
        if chosen.text is not None:
            value._settle(_done(value, chosen.text))
            return
        value._value, value._finished = chosen.value, True
        if isinstance(value, Chosen) and value.name == "first":
            for state in value.states:
                if state not in chosen.value:
                    state.cancel()

    def alternatives(self, value: Value[Any], most: int) -> tuple[Alternative, ...] | None:
        """What a value may be, if these are at most `most` things; None otherwise."""
        if isinstance(value, FieldValue):
            whole = self.alternatives(value.base, most)
            if whole is None:
                return None
            members = [_member(alternative.value, value.field_path) for alternative in whole]
            return tuple(Alternative(label_of(member), member) for member in members)
        if value._finished:
            return (Alternative(label_of(value._value), value._value),)
        if isinstance(value, SymbolicArgument | SymbolicChild):
            return value.alternatives
        if isinstance(value, Chosen):
            if math.perm(len(value.states), value.k) > most:
                return None
            return tuple(
                Alternative(", ".join(state.path.rpartition("/")[2] for state in chosen), list(chosen))
                for chosen in itertools.permutations(value.states, value.k)
            )
        texts: tuple[str, ...] | None = None
        if isinstance(value, Selected):
            texts = value.choices if len(value.choices) <= most else None
        elif value._is_node and value._node in self._gens:
            texts = finite_texts(self._gens[value._node].grammar, most)
        if texts is None:
            return None
        decoded = [value._decode(text) for text in texts]
        return tuple(Alternative(label_of(v), v, text) for v, text in zip(decoded, texts, strict=True))

    # ---- the end ----------------------------------------------------------------------------------------------------

    def stop(self, end: Pending | Open) -> NoReturn:
        """End the execution here. Raises Stop."""
        self.end = self.end or end
        raise Stop

    def ended(self, result: Any) -> None:
        """The program has returned."""
        self.result = result
        constant = label_of(result) if isinstance(result, str | int | float | enum.Enum) else ""
        self.end = self.end or Returned(tuple(dict.fromkeys(_paths(result))), constant)

    def failed(self, error: BaseException) -> None:
        """The program has raised. A symbol that code of the program's own cannot take is no fault of the program."""
        site = _site_of(error)
        what = f"{type(error).__name__}: {getattr(error, 'what', error)}"
        if isinstance(error, TypeError) and SymbolicArgument.__name__ in what:
            self.end = self.end or Open(f"Python cannot go on without the argument: {what}", site)
        else:
            self.end = self.end or Raised(what, site)

    def _site(self) -> str:
        """The source line that is being executed; of a task that asyncio made, where the program waits for it."""
        site = call_site()
        return (self.waits_at or site) if site.startswith(_ASYNCIO) else site

    @property
    def waits_at(self) -> str:
        """The source line at which the coroutine of an `async def` program is suspended; "" if it is not."""
        frame = None if self.coroutine is None else self.coroutine.cr_frame
        return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


class DryLoop(VirtualLoop):
    """The event loop of a dry run: sleeps take no time, and what reaches outside of the program ends the run."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> NoReturn:
        """`blocking`, `asyncio.to_thread` and name resolution: tools are not called."""
        _leave("calls a tool, which a dry run does not")

    async def sock_connect(self, sock: Any, address: Any) -> NoReturn:
        """Connections are not made."""
        _leave("opens a connection, which a dry run does not")

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Processes are not started."""
        _leave("starts a process, which a dry run does not")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Processes are not started."""
        _leave("starts a process, which a dry run does not")


def _leave(reason: str) -> NoReturn:
    run = current_run.get()
    if isinstance(run, DryRun):
        run.stop(Open(reason, run._site()))
    raise Stop


def _done(value: Value[Any], text: str) -> NodeDone:
    return NodeDone(0, value._node, text, b"", "stop", Usage(0, 0, 0, 0))


def _way_of_looking() -> tuple[str, str, str]:
    """How the program looks at a value: in a word, what would avoid it, and the measured figure that it looks at."""
    frame, name, names = sys._getframe(2), "", []
    while frame is not None and ours(frame.f_code.co_filename):
        name = frame.f_code.co_name
        names.append(name)
        if frame.f_back is None:
            break
        frame = frame.f_back
    measured = next((name for name in names if name in _MEASURED), "")
    known = next((_HOW[name] for name in reversed(names) if name in _HOW), ("get", ""))
    return (*known, measured)


def _why_open(value: Value[Any], most: int) -> str:
    if isinstance(value, SymbolicArgument):
        return f"depends on {value.path}" if value.waits else f"depends on the argument {value.path}"
    if isinstance(value, SymbolicChild):
        return f"depends on what {value.path} returns"
    if isinstance(value, ReadValue):
        return f"depends on the {value.name} of a stream"
    if isinstance(value, Chosen):
        return f"{value.name} of {len(value.states)} states has more than {most} outcomes"
    return f"depends on {value.path}, which may be more than {most} things"


def _site_of(error: BaseException) -> str:
    """The innermost line of the program's own in a traceback."""
    site, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not ours(name) and not name.startswith(_STDLIB):
            site = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return site


def _paths(result: Any) -> list[str]:
    """The values in what a program returns, as `Run._resolve` finds them."""
    if isinstance(result, Value):
        return [result.path]
    if type(result) in (list, tuple):
        return [path for item in result for path in _paths(item)]
    if type(result) is dict:
        return [path for item in result.values() for path in _paths(item)]
    return []
