"""`State`: the face of one stream inside a program.

s += rf.user(question)                  # text: nothing is sent yet
s += rf.assistant(rf.gen("answer"))     # still nothing waits
with s.user():                          # a turn may be a block too
    s += rf.fmt("Why {answer}?", answer=s["answer"])
branches = s.fork(3)                    # three streams that share everything so far
s["answer"]                             # a Value; looking at it is the fence
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, overload

from ..errors import BudgetExceeded, InvalidRequest, InvalidType, UnknownName, to_info
from ..grammar.spec import Choices, Lark, Regex, StructuralTag
from ..runtime.protocol import graph
from ..runtime.protocol.fields import FieldPath
from ..runtime.protocol.int32 import to_list
from ..runtime.protocol.validate import check_gen, check_select
from .check import Attempts
from .expr import Argument, Control, Expr, GenExpr, Part, RoleExpr, SelectExpr
from .field import FieldValue
from .gate import Gate
from .options import GenOptions
from .select import Selected, select
from .site import call_site
from .structure import Segment
from .turns import Messages, OpenTurn, Tried, Turn, require_no_turn
from .types import grammar_of
from .value import Behind, ReadValue, Value

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)
L = TypeVar("L", bound=str)

MAX_FORKS = 4096


class State:
    """One stream of a run. Made by the program's call and by `fork`, never directly.

    Attributes:
        path: structural path of the stream in the run.
    """

    def __init__(self, run: Run[Any], stream: int, path: str) -> None:
        self._run = run
        self._stream = stream
        self._names: dict[str, list[Value[Any]]] = {}
        self._counts: dict[str, int] = {}
        self._turns: list[Turn] = []
        self._turn: Turn | None = None  # the open one, which is the last of `_turns`
        self._own: list[str | Value[Any]] = []
        self._forks = 0
        self._gate: Gate | None = None
        self._behind: Behind | None = None
        self.path = path

    # ---- appending ----------------------------------------------------------------------------------------------

    def __iadd__(self, part: Part) -> Self:
        """Append text, a value, a gen, a role, or an expression of them."""
        site = call_site()
        self._do(lambda: self._append(part, site))
        return self

    @overload
    def gen(
        self,
        name: str,
        *,
        type: type[T],
        check: Callable[[T], object] | None = None,
        **options: Unpack[GenOptions],
    ) -> Value[T]: ...
    @overload
    def gen(
        self,
        name: str,
        *,
        type: Regex | Choices | Lark | None = None,
        check: Callable[[str], object] | None = None,
        **options: Unpack[GenOptions],
    ) -> Value[str]: ...
    @overload
    def gen(
        self,
        name: str,
        *,
        type: StructuralTag,
        check: Callable[[list[Segment]], object] | None = None,
        **options: Unpack[GenOptions],
    ) -> Value[list[Segment]]: ...
    @overload
    def gen(
        self, name: str, *, type: Any, check: Callable[[Any], object] | None = None, **options: Unpack[GenOptions]
    ) -> Value[Any]: ...
    def gen(
        self,
        name: str,
        *,
        type: Any = None,
        check: Callable[[Any], object] | None = None,
        **options: Unpack[GenOptions],
    ) -> Value[Any]:
        """Append `ramify.gen(name, ...)` and give back its value, which is not waited for.

        Type checkers see a `Value[T]` for a class `T` (and what `list[int]` and the like stand for), a `Value[str]`
        for free text and text grammars, a `Value[list[Segment]]` for structures, and a `Value[Any]` for what Python has
        no type of types for yet: `Literal`, `Annotated`, unions, and JSON Schemas.
        """
        from .primitives import gen

        self += gen(name, type=type, check=check, **options)
        return self._names[name][-1]

    @overload
    def select(self, name: str, choices: type[E], *, temperature: float = 0.0) -> Selected[E]: ...
    @overload
    def select(self, name: str, choices: Sequence[L], *, temperature: float = 0.0) -> Selected[L]: ...
    @overload
    def select(self, name: str, choices: Any, *, temperature: float = 0.0) -> Selected[Any]: ...
    def select(self, name: str, choices: Any, *, temperature: float = 0.0) -> Selected[Any]:
        """Append `ramify.select(name, choices)` and give back its value, which is not waited for."""
        self += select(name, choices, temperature=temperature)
        return cast(Selected[Any], self._names[name][-1])

    def system(self) -> OpenTurn:
        """A system turn as a block: `with s.system(): s += ...`."""
        return OpenTurn(self, "system")

    def user(self) -> OpenTurn:
        """A user turn as a block: `with s.user(): s += ...`."""
        return OpenTurn(self, "user")

    def assistant(self) -> OpenTurn:
        """An assistant turn as a block: `with s.assistant(): s += rf.gen(...)`."""
        return OpenTurn(self, "assistant")

    def tool(self) -> OpenTurn:
        """A turn that carries a tool's result, as a block."""
        return OpenTurn(self, "tool")

    def _do(self, action: Callable[[], T]) -> T:
        """Do something to the state where its run lives: see `Run.here`."""
        return self._run.here(action)

    def _emit(self, node: graph.GraphNode, value: Value[Any] | None = None) -> None:
        """Record a node, behind the gate if the stream has one. `value` is what the node gives."""
        if self._gate is not None:
            self._gate.emit(node, *(() if value is None else (partial(value._place, True),)))
        else:
            self._run.record(node)
            if value is not None:
                value._place(True)

    def _append(self, part: Part, site: str) -> None:
        stream = self._stream
        match part:
            case Argument():
                self._emit(graph.Argument(stream=stream, site=site, text=str(part)))
                self._note(str(part))
            case str():
                if part:
                    self._emit(graph.Text(stream=stream, site=site, text=part))
                    self._note(part)
            case Value():
                self._append_value(part, site)
            case GenExpr():
                self._append_gen(part, site)
            case SelectExpr():
                self._append_select(part, site)
            case Control():
                self._emit(graph.Text(stream=stream, site=site, text=part.text, control=True))
                self._note(part.text)
            case Expr():
                for inner in part.parts:
                    self._append(inner, site)
            case RoleExpr():
                self._open_turn(part.role, site)
                try:
                    for inner in part.parts:
                        self._append(inner, site)
                finally:
                    self._close_turn(site)
            case _:
                raise InvalidType(
                    f"{type(part).__name__} cannot be appended to a state",
                    where=site,
                    hint="append str, a Value, gen(...), a role or an expression of them; use str(x) for other objects",
                )

    def _open_turn(self, role: str, site: str) -> None:
        """A turn begins. Raises InvalidRequest inside another one."""
        if self._turn is not None and self._turn.inherited:
            self._close_turn(site)
        require_no_turn(self._turn, role, site)
        self._emit(graph.OpenRole(stream=self._stream, site=site, role=role))
        self._turn = Turn(role, site, [])
        self._turns.append(self._turn)

    def _close_turn(self, site: str) -> None:
        self._turn = None
        self._emit(graph.CloseRole(stream=self._stream, site=site))

    def _append_value(self, value: Value[Any], site: str) -> None:
        base, field = (value.base, value.field_path) if isinstance(value, FieldValue) else (value, ())
        if base._run is not self._run or not base._has_text:
            # A child's, a look at a stream, or of another run: this waits until it is there.
            self._emit(graph.Argument(stream=self._stream, site=site, text=value._spliced()))
        elif base._placed or (isinstance(base, Attempts) and base._is_node):
            self._emit(graph.ValueEdge(stream=self._stream, site=site, source=base._node, field=field))
        else:
            self._append_later(base, field, site)
        self._note(value)

    def _append_later(self, base: Value[Any], field: FieldPath, site: str) -> None:
        """Splice a value whose node the engine does not have yet, because it stands behind a gate or its attempt is
        not known: what follows here stands behind a gate until it has."""
        gate = self._gate = Gate(self._run, self._gate)

        def placed() -> None:
            if base._placed:
                gate.around(graph.ValueEdge(stream=self._stream, site=site, source=base._node, field=field))
                gate.open()
            else:
                assert base._error is not None
                gate.fail(base._error)

        base._when_placed(placed)

    def _append_gen(self, expr: GenExpr, site: str) -> None:
        path = self._next_path(expr.name)
        try:
            grammar, decode = grammar_of(expr.type)
        except InvalidType as error:
            raise InvalidType(error.what, where=f"{path} ({site})", hint=error.hint) from None
        node = graph.Gen(
            stream=self._stream,
            site=site,
            node=self._run.new_node(),
            name=expr.name,
            path=path,
            max_tokens=expr.max_tokens,
            stop=expr.stop,
            stop_ids=expr.stop_ids,
            ignore_eos=expr.ignore_eos,
            sampling=expr.sampling,
            seed=self._run.node_seed(path),
            grammar=grammar,
            logprobs=expr.logprobs,
            events=self._run.wants_events,
        )
        check_gen(node)
        self._run.make_room(path)
        value: Value[Any]
        if expr.check is None and not expr.retries:
            value = Value(self._run, node.node, expr.name, path, site, decode)
            value._type, value._grammar = expr.type, grammar
            self._run.add_value(node.node, value)
            try:
                self._emit(self._run.promise(node, value), value)
            except BudgetExceeded as error:  # as any node that fails: looking raises, and so does what follows it here
                self._gate = Gate(self._run, self._gate)
                self._gate.fail(error)
                self._run.refuse(node.node, to_info(error))
        else:
            self._gate = Gate(self._run, self._gate)
            role = None if self._turn is None else self._turn.role
            value = Attempts(self._run, node, decode, expr.check, expr.retries, role, self._gate, expr.type)
            self._run.add_checked(value)
        self._names.setdefault(expr.name, []).append(value)
        self._note(value, generated=True)

    def _next_path(self, name: str) -> str:
        """The structural path of the next value called `name` on this stream."""
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        return f"{self.path}/{name}[{count}]"

    def _append_select(self, expr: SelectExpr, site: str) -> None:
        path = self._next_path(expr.name)
        node = graph.Select(
            stream=self._stream,
            site=site,
            node=self._run.new_node(),
            name=expr.name,
            path=path,
            choices=expr.choices,
            temperature=expr.temperature,
            seed=self._run.node_seed(path),
            events=self._run.wants_events,
        )
        check_select(node)
        self._run.make_room(path)
        value = Selected(self._run, node.node, expr.name, path, site, expr.choices, expr.values)
        self._run.add_value(node.node, value)
        self._emit(node, value)
        self._names.setdefault(expr.name, []).append(value)
        self._note(value, generated=True)

    # ---- forking ------------------------------------------------------------------------------------------------

    def fork(self, n: int = 1) -> list[State]:
        """`n` states that go on from here. They share all KV so far; nothing is copied and nothing waits.

        Inside a turn, each of them goes on inside that turn; the next turn on it ends the inherited one.
        """
        if not 1 <= n <= MAX_FORKS:
            raise InvalidRequest(f"fork({n})", where=self.path, hint=f"fork into 1 to {MAX_FORKS} states")
        index, self._forks = self._forks, self._forks + 1
        site = call_site()
        paths = [f"{self.path}/fork[{index}][{i}]" for i in range(n)]
        return self._do(lambda: [self._child(path, site) for path in paths])

    def _child(self, path: str, site: str) -> State:
        child = State(self._run, self._run.new_stream(), path)
        self._emit(graph.Fork(stream=self._stream, site=site, child=child._stream))
        child._gate, child._behind = self._gate, self._behind
        child._names = {name: list(values) for name, values in self._names.items()}
        child._turns = list(self._turns)
        if self._turn is not None:
            child._turn = child._turns[-1] = self._turn.snapshot(inherited=True)
        return child

    def cancel(self) -> None:
        """End what runs on this state and refuse what is queued on it."""
        site = call_site()
        self._do(lambda: self._emit(graph.CancelStream(stream=self._stream, site=site)))

    # ---- looking ------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        """The last value called `name`: a `Value`, which is waited for when it is looked at."""
        return self.all(name)[-1]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def all(self, name: str) -> list[Value[Any]]:
        """Every value called `name` on this state, oldest first. Raises UnknownName."""
        values = self._names.get(name)
        if values is None:
            known = ", ".join(sorted(self._names)) or "none yet"
            raise UnknownName(
                f"no value is called {name!r} on this state",
                where=f"{self.path} ({call_site()})",
                hint=f"values here: {known}",
            )
        return values

    def tokens(self) -> Value[list[int]]:
        """The ids of the stream so far, as the model sees them. A seam: the text run before it is closed."""
        return self._read("tokens", lambda reply: to_list(reply.ids))

    def text(self) -> Value[str]:
        """The text of `tokens()`, control tokens spelled out. A seam too."""
        return self._read("text", lambda reply: reply.text)

    def messages(self) -> Value[list[dict[str, str]]]:
        """The chat so far as `{"role": ..., "content": ...}`, as the model saw it: with failed attempts and what they
        were told. Text outside of turns is not part of it."""
        turns = [*self._turns[:-1], *(turn.snapshot() for turn in self._turns[-1:])]
        return Messages(self._run, f"{self.path}/messages", call_site(), turns)

    def _read(self, name: str, pick: Callable[[graph.StreamIds], T]) -> Value[T]:
        site = call_site()

        def ask() -> Value[T]:
            node = self._run.new_node()
            value = ReadValue(self._run, node, name, f"{self.path}/{name}", site, pick)
            value._behind = self._behind
            self._run.add_read(node, value)
            self._emit(graph.Read(stream=self._stream, site=site, node=node))
            return value

        return self._do(ask)

    def _note(self, part: str | Value[Any], generated: bool = False) -> None:
        self._own.append(part)
        if isinstance(part, Value):
            if generated:
                part._behind = self._behind
            self._behind = Behind(part.base if isinstance(part, FieldValue) else part, self._behind)
        if self._turn is not None:
            tried = generated and isinstance(part, Attempts)
            self._turn.parts.append(Tried(part) if tried else part)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<State {self.path}>"
