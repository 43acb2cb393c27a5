"""Many branches: `map` runs a program over items, `best` and `first` choose between states, `concat` joins them.

All of them are for the inside of a program, and work in `def` and in `async def`: what they give is a `Value`, which is
waited for when it is looked at.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast, overload

from ..errors import InvalidRequest, NodeError
from .expr import Expr, Part
from .hub import current_greenlet, current_run
from .program import Program
from .run import Run
from .state import State
from .value import Value, not_decoded

T = TypeVar("T")
R = TypeVar("R")
R2 = TypeVar("R2")


@overload
def map(program: Program[Any, R], items: Iterable[Any], *, limit: int | None = None) -> list[Value[R]]: ...
@overload
def map(
    program: Program[Any, R],
    items: Iterable[Any],
    *,
    limit: int | None = None,
    on_error: Callable[[NodeError], R2] | None,
) -> list[Value[R | R2]]: ...
def map(
    program: Program[Any, Any],
    items: Iterable[Any],
    *,
    limit: int | None = None,
    on_error: Callable[[NodeError], Any] | None = None,
) -> list[Value[Any]]:
    """A child run for each item, side by side; the values in the order of the items.

    Args:
        program: takes one item.
        items: its arguments.
        limit: child runs at once at most; None starts them all.
        on_error: called with the failure of an item's child run, whose `cause` says why; what it returns is the value
            of the item, and what it raises is its failure. It is a plain function, also in `async def`. None leaves
            the value failed: looking at it raises.

    Raises:
        InvalidRequest: outside of a program, `limit` is below 1, or `on_error` is an `async def` function.
    """
    run = _require_run("map")
    if limit is not None and limit < 1:
        raise InvalidRequest(f"limit is {limit}", where=run.path, hint="use 1 or more, or None")
    if inspect.iscoroutinefunction(on_error):
        raise InvalidRequest("on_error is an async def function", where=run.path, hint="use a plain one")
    children = [program.child(run, (item,), {}, on_error) for item in items]
    waiting = iter(children)

    def start_next() -> None:
        child = next(waiting, None)
        if child is not None:
            child.when_ready(start_next)
            child.start()

    for _ in range(len(children) if limit is None else min(limit, len(children))):
        start_next()
    return list[Value[Any]](children)


class Chosen(Value[list[State]]):
    """States that are chosen when enough is known of all of them: `k` of `states`."""

    _is_node = False

    def __init__(
        self,
        run: Run[Any],
        name: str,
        states: Sequence[State],
        k: int,
        known: Callable[[], bool],
        choose: Callable[[], list[State]],
    ) -> None:
        super().__init__(run, -1, name, f"{run.path}/{name}", "", decode=not_decoded)
        self.states = states
        self.k = k
        self._known = known
        self._choose = choose

    @property
    def ready(self) -> bool:
        if not self._finished and self._known():
            self._value, self._finished = self._choose(), True
        return self._finished


def first(states: Sequence[State], k: int = 1) -> Value[list[State]]:
    """The first `k` states on which everything that was appended is done; the others are cancelled.

    Raises:
        InvalidRequest: outside of a program, or `k` is not between 1 and the number of states.
    """
    run = _require_run("first")
    _check_k(k, states, run)
    order: list[State] = []

    def known() -> bool:
        order.extend(state for state in states if state not in order and _settled(state))
        return len(order) >= k

    def choose() -> list[State]:
        chosen = order[:k]
        for state in states:
            if state not in chosen and not _settled(state):
                state.cancel()
                for value in _values(state):
                    value._observed = True  # its failure is what was asked for
        return chosen

    return Chosen(run, "first", states, k, known, choose)


def best(states: Sequence[State], score: Callable[[State], Any], k: int = 1) -> Value[list[State]]:
    """The `k` states with the highest scores, highest first; of equal scores the earlier state.

    Args:
        states: siblings.
        score: gives a number, or a `Value` of one: `lambda s: judge(s["answer"])` has a program score each.
        k: how many.

    Raises:
        InvalidRequest: outside of a program, or `k` is not between 1 and the number of states.
    """
    run = _require_run("best")
    _check_k(k, states, run)
    scores = [score(state) for state in states]

    def known() -> bool:
        return all(not isinstance(s, Value) or s.ready for s in scores)

    def choose() -> list[State]:
        numbers = [float(s._look() if isinstance(s, Value) else s) for s in scores]
        ranked = sorted(range(len(states)), key=lambda i: -numbers[i])
        return [states[i] for i in ranked[:k]]

    return Chosen(run, "best", states, k, known, choose)


def concat(states: Sequence[State], separator: str = "\n") -> Expr:
    """What was appended to each state since it was forked, text and values, with `separator` between states."""
    parts: list[Part] = []
    for state in states:
        if parts:
            parts.append(separator)
        parts.extend(state._own)
    return Expr(tuple(parts))


def blocking(fn: Callable[..., T], *args: Any) -> T:
    """Call `fn(*args)` on another thread and wait for it, while other programs go on. For `def` programs.

    A run that is cancelled meanwhile ends; the function itself cannot be interrupted.

    Raises:
        InvalidRequest: outside of a `def` program; in `async def`, use `ablocking`.
    """
    greenlet, run = current_greenlet(), current_run.get()
    if greenlet is None or run is None:
        raise InvalidRequest("blocking is for def programs", hint="await rf.ablocking(fn, ...) in async def")
    run.flush()
    with _tool(run, fn, args) as call:
        future = greenlet.hub.loop.run_in_executor(None, lambda: fn(*args))
        future.add_done_callback(lambda _: greenlet.wake())
        while not future.done():
            greenlet.park()
        call.result = future.result()
    return cast(T, call.result)


async def ablocking(fn: Callable[..., T], *args: Any) -> T:
    """`blocking` for `async def` programs: `await rf.ablocking(fn, ...)`. Raises InvalidRequest outside of one."""
    run = _require_run("ablocking")
    run.flush()
    with _tool(run, fn, args) as call:
        call.result = await asyncio.to_thread(fn, *args)
    return cast(T, call.result)


class _Call:
    result: Any = None


@contextmanager
def _tool(run: Run[Any], fn: Callable[..., Any], args: tuple[Any, ...]) -> Iterator[_Call]:
    """Tell in the run's events that `fn` is called, and what came of it."""
    name = getattr(fn, "__name__", type(fn).__name__)
    path, events, call = run.call_path(name), run._events, _Call()
    if events is not None:
        events.called(path, name, args)
    try:
        yield call
    except BaseException as error:
        if events is not None:
            events.raised(path, name, error)
        raise
    if events is not None:
        events.returned(path, name, call.result)


def _require_run(name: str) -> Run[Any]:
    run = current_run.get()
    if run is None:
        raise InvalidRequest(f"{name} is for the inside of a program", hint="call it in a function made by @function")
    return run


def _check_k(k: int, states: Sequence[State], run: Run[Any]) -> None:
    if not 1 <= k <= len(states):
        raise InvalidRequest(f"k is {k} of {len(states)} states", where=run.path, hint="use 1 to the number of states")


def _values(state: State) -> list[Value[Any]]:
    return [part for part in state._own if isinstance(part, Value)]


def _settled(state: State) -> bool:
    return all(value.ready for value in _values(state))
