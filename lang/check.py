"""`check=` and `retries=`: a value is accepted by its type and the program's own function, or the model is told why
and tries again.

    assistant: {"total": 12}                      <- attempt 1, its turn is closed
    user:      total must be the sum, which is 21 <- the text of the ValueError
    assistant: {"total": 21}                      <- attempt 2, which passes: the rest of the turn stands behind it

The failed attempt and the error stay as turns, so the model sees both and the prefix stays cached. A text that
`max_tokens` cut is not tried again: the next attempt would be cut as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..errors import BudgetExceeded, NodeError, OutputInvalid, to_info
from ..runtime.protocol import graph
from .gate import Gate
from .hub import current_run
from .value import Value

if TYPE_CHECKING:
    from .run import Run

T = TypeVar("T")


class Attempts(Value[T]):
    """The value of a gen with a check or with retries: that of the attempt that passes."""

    def __init__(
        self,
        run: Run[Any],
        first: graph.Gen,
        decode: Callable[[str], T],
        check: Callable[[T], object] | None,
        retries: int,
        role: str | None,
        gate: Gate,
        type_: Any,
    ) -> None:
        super().__init__(run, first.node, first.name, first.path, first.site, decode)
        self._type, self._grammar = type_, first.grammar
        self.attempts = 0
        self.failed: list[tuple[str, str]] = []  # the text of each attempt that did not pass, and what it was told
        self._check = check
        self._retries = retries
        self._role = role
        self._gate = gate
        self._first = first
        self._try(first)

    @property
    def _is_node(self) -> bool:  # type: ignore[override]
        """Which node it is is known when an attempt has passed."""
        return self._done is not None

    def _try(self, gen: graph.Gen) -> None:
        self.attempts += 1
        attempt = _Attempt(self._run, gen, self._decode, self._judge)
        attempt._type, attempt._grammar = self._type, self._grammar
        self._run.add_value(gen.node, attempt)
        try:
            gen = self._run.promise(gen, attempt)
        except BudgetExceeded as error:
            self._run.refuse(gen.node, to_info(error))  # the attempt ends with it, and is judged
        else:
            self._gate.around(gen)

    def _judge(self, attempt: _Attempt[T]) -> None:
        """An attempt has ended: check it where a plain program may run."""
        self._run.link.hub.start(self._run.link.hub.in_greenlet(lambda: self._decide(attempt)))

    def _decide(self, attempt: _Attempt[T]) -> None:
        current_run.set(self._run)
        cause = None if attempt._error is None else attempt._error.cause
        problem = ""
        if cause is None:
            try:
                if self._check is not None:
                    self._check(attempt._look())
            except ValueError as error:
                problem = str(error)
            except Exception as error:
                self._end(NodeError(self.path, self.site, _broken_check(self.path, error)))
                return
        elif isinstance(cause, OutputInvalid) and not attempt._was_cut:
            problem = str(cause.__cause__ or cause.what)
        elif isinstance(cause, OutputInvalid):
            self._end(NodeError(self.path, self.site, _cut(cause)))
            return
        else:  # the engine refused it: trying again would not help
            self._end(attempt._error)
            return
        if not problem:
            self._node, self._done, self._value = attempt._node, attempt._done, attempt._value
            self._end(None)
        elif self.attempts > self._retries:
            what = f"no value passed in {self.attempts} {'attempt' if self.attempts == 1 else 'attempts'}: {problem}"
            self._end(NodeError(self.path, self.site, OutputInvalid(what, where=self.path, hint="raise retries=")))
        else:
            self.failed.append((attempt._text, problem))
            self._try_again(problem)

    def _try_again(self, problem: str) -> None:
        stream, site = self._first.stream, self._first.site
        for node in _feedback(stream, site, self._role, problem):
            self._gate.around(node)
        path = f"{self.path}/retry[{self.attempts}]"
        seed = self._run.node_seed(path)
        self._try(msgspec.structs.replace(self._first, node=self._run.new_node(), path=path, seed=seed))

    def _end(self, error: NodeError | None) -> None:
        self._error = error
        self._finished = True
        if error is None:
            self._gate.open()
        else:
            self._gate.fail(error)
        self._place(error is None)
        self._run.wake()


class _Attempt(Value[T]):
    """One attempt; the program never sees it."""

    def __init__(
        self,
        run: Run[Any],
        gen: graph.Gen,
        decode: Callable[[str], T],
        judge: Callable[[_Attempt[T]], None],
    ) -> None:
        super().__init__(run, gen.node, gen.name, gen.path, gen.site, decode)
        self._observed = True  # its failure is the business of `Attempts`
        self._judge = judge

    def _settle(self, done: graph.NodeDone) -> None:
        super()._settle(done)
        self._judge(self)

    def _fail(self, error: Any) -> None:
        super()._fail(error)
        self._judge(self)


def _feedback(stream: int, site: str, role: str | None, problem: str) -> list[graph.GraphNode]:
    """What stands between a failed attempt and the next: the error as a user turn, or as text without roles."""
    text = graph.Argument(stream=stream, site=site, text=problem if role else f"\n{problem}\n")
    if role is None:
        return [text]
    return [
        graph.CloseRole(stream=stream, site=site),
        graph.OpenRole(stream=stream, site=site, role="user"),
        text,
        graph.CloseRole(stream=stream, site=site),
        graph.OpenRole(stream=stream, site=site, role=role),
    ]


def _cut(cause: OutputInvalid) -> OutputInvalid:
    """Why an attempt that `max_tokens` cut was the last."""
    what = f"{cause.what}; it was not tried again, because the next attempt would be cut as well"
    ended = OutputInvalid(what, where=cause.where, hint=cause.hint)
    ended.__cause__ = cause.__cause__
    return ended


def _broken_check(path: str, error: Exception) -> OutputInvalid:
    broken = OutputInvalid(
        f"the check itself failed: {type(error).__name__}: {error}",
        where=path,
        hint="raise ValueError to have the model try again",
    )
    broken.__cause__ = error
    return broken
