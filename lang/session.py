"""`open`: a state to use by hand, in a notebook, a chat loop or a plain script, without a program around it.

    with rf.open("seedling") as s:
        s += rf.user("hi") + rf.assistant(rf.gen("a"))
        print(s["a"])                                   # blocks this thread, as a look in a program would

There is one rule for threads: whatever is done to a run is done on the hub's thread. A program is there already; a
call from any other thread is handed over and blocks its caller until it is done, and a look at a value takes a greenlet
there which parks as a program would. In `async with`, looks are awaited instead, in the caller's own event loop.

The run begins when the state is opened and ends when it is closed. As with a program, closing waits for every gen, and
raises failures that nobody looked at; an exception in the block cancels the run.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

from ..errors import InvalidRequest
from .engines import Linked, find_link
from .events import EventQueue
from .expr import Argument, RoleExpr
from .hub import shared_hub
from .link import Link
from .run import Run, settle
from .run_options import ProgramOptions
from .site import call_site
from .state import State


class Session(State):
    """An open state; made by `open`.

    Attributes:
        run: the run behind it, for `events`, `report`, `budget` and `cancel`.
    """

    def __init__(self, link: Link, options: ProgramOptions, history: Iterable[Mapping[str, str]]) -> None:
        turns = [_turn(message, index) for index, message in enumerate(history)]
        site = call_site()
        closing: asyncio.Future[None] = link.hub.loop.create_future()
        self._closing = closing
        self._closed = False

        def begin() -> Run[None]:
            events = EventQueue(options.run_id or "session") if options.events else None
            run: Run[None] = Run(
                link, "session", options.seed, options.of_a_run(), events, options.new_budget(), options.run_id
            )
            link.hub.start(run.execute(closing))
            return run

        outside = not link.hub.inside
        self.run = link.hub.from_outside(begin, parks=False, dropped=Run.cancel) if outside else begin()
        super().__init__(self.run, 0, self.run.path)
        for turn in turns:
            self._do(lambda turn=turn: self._append(turn, site))  # type: ignore[misc]
        # A session that is dropped without being closed ends too.
        weakref.finalize(self, self.run.cancel).atexit = False

    def close(self) -> None:
        """Wait for what was appended, and end the run. The second time nothing happens.

        Raises:
            ExceptionGroup: gens failed that nobody looked at.
            EngineUnavailable, Cancelled: the run has failed.
        """
        if self._end():
            self.run.result()

    async def aclose(self) -> None:
        """`close` for `async` code."""
        if self._end():
            await self.run

    def _end(self) -> bool:
        first, self._closed = not self._closed, True
        if first:
            self.run.link.hub.call(partial(settle, self._closing))
        return first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if error is None:
            self.close()
        elif not self._closed:
            self._closed = True
            self.run.cancel()
        return False

    async def __aenter__(self) -> Self:
        self.run.awaits = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if error is None:
            await self.aclose()
        elif not self._closed:
            self._closed = True
            self.run.cancel()
        return False

    def __repr__(self) -> str:
        return f"<Session {self.run.run_id}{', closed' if self._closed else ''}>"


def open(
    engine: Linked | str | None = None,
    *,
    history: Iterable[Mapping[str, str]] = (),
    timeout: float | None = None,
    budget: int | None = None,
    seed: int = 0,
    run_id: str = "",
    cache: bool = True,
    tenant: str = "",
    priority: int = 0,
    events: bool = False,
) -> Session:
    """A state to use by hand: `with open(...) as s`, `async with open(...) as s`, or call `close` yourself.

    Args:
        engine: an `Engine`, "seedling", a model directory, or a `testing.Scripted`; None takes the environment's
            RAMIFY_ENGINE. One that is named is loaded here, which takes a while: in `async` code make an `Engine`
            first.
        history: the chat so far, as `{"role": ..., "content": ...}`; what `messages()` gives can be opened again. Its
            text is that of others: control tokens in it are ordinary text.
        timeout, budget, seed, run_id, cache, tenant, priority, events: see `Program.on`.

    Raises:
        InvalidRequest: an option is out of its bounds, or `history` holds something else than messages.
        EngineUnavailable: no engine was named, or it has gone.
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
    return Session(find_link(engine, shared_hub()), options.check("open"), history)


def _turn(message: Any, index: int) -> RoleExpr:
    """One message of a history as a turn. Raises InvalidRequest."""
    where = f"history[{index}]"
    if not isinstance(message, Mapping) or message.keys() != {"role", "content"}:
        raise InvalidRequest(
            f"{message!r} is not a message", where=where, hint='give {"role": "user", "content": "..."}'
        )
    role, content = message["role"], message["content"]
    if not isinstance(role, str) or not isinstance(content, str):
        raise InvalidRequest(f"{message!r} is not a message", where=where, hint="role and content are strings")
    return RoleExpr(role, (Argument(content),))
