"""`State`: the face of one stream inside a program.

s += rf.user(question)                  # text: nothing is sent yet
s += rf.assistant(rf.gen("answer"))     # still nothing waits
branches = s.fork(3)                    # three streams that share everything so far
s["answer"]                             # a Value; looking at it is the fence
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InvalidRequest, InvalidType, UnknownName
from ..runtime.protocol import graph
from ..runtime.protocol.int32 import to_list
from ..runtime.protocol.validate import check_gen
from .check import Attempts
from .expr import Argument, Control, Expr, GenExpr, Part, RoleExpr
from .gate import Gate
from .site import call_site
from .types import grammar_of
from .value import ReadValue, Value

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")

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
        self._turns: list[tuple[str, list[str | Value[Any]]]] = []
        self._own: list[str | Value[Any]] = []
        self._forks = 0
        self._gate: Gate | None = None
        self.path = path

    # ---- appending ----------------------------------------------------------------------------------------------

    def __iadd__(self, part: Part) -> State:
        """Append text, a value, a gen, a role, or an expression of them."""
        self._append(part, call_site())
        return self

    def gen(self, name: str, **options: Any) -> Value[Any]:
        """Append `ramify.gen(name, ...)` and give back its value, which is not waited for."""
        from .primitives import gen

        self._append(gen(name, **options), call_site())
        return self._names[name][-1]

    def _emit(self, node: graph.GraphNode) -> None:
        """Record a node, behind the gate if the stream has one."""
        if self._gate is not None:
            self._gate.emit(node)
        else:
            self._run.record(node)

    def _append(self, part: Part, site: str, turn: list[str | Value[Any]] | None = None) -> None:
        stream = self._stream
        match part:
            case Argument():
                self._emit(graph.Argument(stream=stream, site=site, text=str(part)))
                self._note(turn, str(part))
            case str():
                if part:
                    self._emit(graph.Text(stream=stream, site=site, text=part))
                    self._note(turn, part)
            case Value():
                self._append_value(part, site, turn)
            case GenExpr():
                self._append_gen(part, site, turn)
            case Control():
                self._emit(graph.Text(stream=stream, site=site, text=part.text, control=True))
                self._note(turn, part.text)
            case Expr():
                for inner in part.parts:
                    self._append(inner, site, turn)
            case RoleExpr():
                if turn is not None:
                    raise InvalidRequest(f"a {part.role} turn inside another turn", where=site, hint="put it behind it")
                self._turns.append((part.role, []))
                self._emit(graph.OpenRole(stream=stream, site=site, role=part.role))
                for inner in part.parts:
                    self._append(inner, site, self._turns[-1][1])
                self._emit(graph.CloseRole(stream=stream, site=site))
            case _:
                raise InvalidType(
                    f"{type(part).__name__} cannot be appended to a state",
                    where=site,
                    hint="append str, a Value, gen(...), a role or an expression of them; use str(x) for other objects",
                )

    def _append_value(self, value: Value[Any], site: str, turn: list[str | Value[Any]] | None) -> None:
        if value._run is self._run and isinstance(value, Attempts) and not value._is_node:
            self._append_later(value, site)
        elif value._run is self._run and value._is_node:
            self._emit(graph.ValueEdge(stream=self._stream, site=site, source=value._node))
        else:  # a child's, a look at a stream, or of another run: this waits until it is there
            self._emit(graph.Argument(stream=self._stream, site=site, text=str(value)))
        self._note(turn, value)

    def _append_later(self, value: Attempts[Any], site: str) -> None:
        """Splice a value whose attempt is not known yet: what follows here stands behind a gate until it is."""
        gate = self._gate = Gate(self._run, self._gate)

        def decided() -> None:
            if value._error is not None:
                gate.fail(value._error)
            else:
                gate.around(graph.ValueEdge(stream=self._stream, site=site, source=value._node))
                gate.open()

        value.when_ready(decided)

    def _append_gen(self, expr: GenExpr, site: str, turn: list[str | Value[Any]] | None) -> None:
        count = self._counts.get(expr.name, 0)
        self._counts[expr.name] = count + 1
        path = f"{self.path}/{expr.name}[{count}]"
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
        value: Value[Any]
        if expr.check is None:
            value = Value(self._run, node.node, expr.name, path, site, decode)
            self._run.add_value(node.node, value)
            self._emit(node)
        else:
            self._gate = Gate(self._run, self._gate)
            role = self._turns[-1][0] if turn is not None else None
            value = Attempts(self._run, node, decode, expr.check, expr.retries, role, self._gate)
            self._run.add_checked(value)
        self._names.setdefault(expr.name, []).append(value)
        self._note(turn, value)

    # ---- forking ------------------------------------------------------------------------------------------------

    def fork(self, n: int = 1) -> list[State]:
        """`n` states that go on from here. They share all KV so far; nothing is copied and nothing waits."""
        if not 1 <= n <= MAX_FORKS:
            raise InvalidRequest(f"fork({n})", where=self.path, hint=f"fork into 1 to {MAX_FORKS} states")
        index, self._forks = self._forks, self._forks + 1
        site = call_site()
        return [self._child(f"{self.path}/fork[{index}][{i}]", site) for i in range(n)]

    def _child(self, path: str, site: str) -> State:
        child = State(self._run, self._run.new_stream(), path)
        self._emit(graph.Fork(stream=self._stream, site=site, child=child._stream))
        child._gate = self._gate
        child._names = {name: list(values) for name, values in self._names.items()}
        child._turns = [(role, list(parts)) for role, parts in self._turns]
        return child

    def cancel(self) -> None:
        """End what runs on this state and refuse what is queued on it."""
        self._emit(graph.CancelStream(stream=self._stream, site=call_site()))

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

    def messages(self) -> list[dict[str, str]]:
        """The chat so far as `{"role": ..., "content": ...}`. Waits for the values in it."""
        return [{"role": role, "content": "".join(map(str, parts))} for role, parts in self._turns]

    def _read(self, name: str, pick: Callable[[graph.StreamIds], T]) -> Value[T]:
        node, site = self._run.new_node(), call_site()
        value = ReadValue(self._run, node, name, f"{self.path}/{name}", site, pick)
        self._run.add_read(node, value)
        self._emit(graph.Read(stream=self._stream, site=site, node=node))
        return value

    def _note(self, turn: list[str | Value[Any]] | None, part: str | Value[Any]) -> None:
        self._own.append(part)
        if turn is not None:
            turn.append(part)

    def __repr__(self) -> str:
        return f"<State {self.path}>"
