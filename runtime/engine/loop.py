"""The engine's event loop: carries messages between clients, lowering, the core and the worker. It decides nothing.

    client --> receive --> lowering (executor) --> inbox --> core.step --> worker
    client <-- sink    <-- lowering (executor) <-- replies <----'   ^------- replies

Lowering handles one batch at a time, in order, so its state needs no lock; while it works, the core keeps stepping.
The same code runs on a uvloop beside a real worker and on a virtual clock beside a fake one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import NamedTuple

from ...errors import EngineUnavailable, ErrorInfo, RamifyError, to_info
from ...grammar.compile import GrammarCompiler
from ...grammar.fill import MaskMade
from ...grammar.spec import GrammarSpec
from ...grammar.state import CompiledGrammar
from ...grammar.validate import check_value
from ..core.messages import CoreInput, CoreReply, GrammarReady, NodeKey, RunEnded
from ..core.step import Core
from ..lowering.events import Checked, FromClient, GrammarNotes, Lowered, LoweringEvent
from ..lowering.lowering import Lowering
from ..protocol.graph import ClientMessage, EngineFailed
from ..protocol.plan import StepMasks, StepPlan, Worker, WorkerReply
from .ports import ReplySink

log = logging.getLogger("ramify.engine")

Checker = Callable[[GrammarSpec, str, str], Future[RamifyError | None]]
"""Validates a finished text (grammar, text, whose it is): what is wrong with it, or None. Never raises."""


class _Handled(NamedTuple):
    """What lowering made of a batch, and the grammars and validations that its gens wait for."""

    lowered: Lowered
    compiles: list[tuple[NodeKey, Future[CompiledGrammar]]]
    checks: list[tuple[NodeKey, Future[RamifyError | None]]]


def check_here(spec: GrammarSpec, text: str, owner: str) -> Future[RamifyError | None]:
    """A `Checker` for schemas that are trusted to end."""
    future: Future[RamifyError | None] = Future()
    future.set_result(check_value(spec, text))
    return future


Observer = Callable[[float, list[CoreInput], list[object]], None]
"""Sees each step's time, inbox and outbox; the simulation hashes them."""


class EngineLoop:
    """One engine on the running event loop.

    Args:
        core: the scheduler.
        worker: answers through `on_worker_reply`; it may be set later, but before the first message.
        lowering: text on one side, ids on the other.
        compiler: compiles grammars off this loop.
        executor: runs lowering; at most one job at a time is submitted.
        observer: sees every step.
        check: validates finished texts whose masks do not enforce all of their grammar.
    """

    def __init__(
        self,
        core: Core,
        worker: Worker,
        lowering: Lowering,
        compiler: GrammarCompiler,
        executor: Executor,
        observer: Observer | None = None,
        check: Checker = check_here,
    ) -> None:
        self._core = core
        self._worker = worker
        self._lowering = lowering
        self._compiler = compiler
        self._executor = executor
        self._observer = observer
        self._check = check
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._inbox: list[CoreInput] = []
        self._events: list[LoweringEvent] = []
        self._lowering_busy = False
        self._sinks: dict[int, ReplySink] = {}
        self._compiles: dict[int, dict[NodeKey, Future[CompiledGrammar]]] = {}  # of each run, those not done
        self._failed: ErrorInfo | None = None
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- clients ------------------------------------------------------------------------------------------------

    def connect(self, client: int, sink: ReplySink) -> None:
        """A client joins. Its number is the engine's, never the client's own name for itself."""
        self._sinks[client] = sink
        if self._failed is not None:
            sink.send(EngineFailed(self._failed))

    def disconnect(self, client: int) -> None:
        """The client has gone: its runs are cancelled."""
        self._sinks.pop(client, None)
        self._lower(FromClient(client, None, self._loop.time()))

    def receive(self, client: int, message: ClientMessage) -> None:
        """A message from a client, on this loop's thread."""
        if self._failed is not None:
            self._sinks[client].send(EngineFailed(self._failed))
            return
        self._lower(FromClient(client, message, self._loop.time()))

    # ---- worker -------------------------------------------------------------------------------------------------

    def on_worker_reply(self, reply: WorkerReply) -> None:
        """A step has ended, on this loop's thread."""
        self._inbox.append(reply)
        self._wake.set()

    def on_mask_made(self, made: MaskMade) -> None:
        """A mask that was late is there, on this loop's thread."""
        self._inbox.append(made)
        self._wake.set()

    # ---- lowering -----------------------------------------------------------------------------------------------

    def _lower(self, *events: LoweringEvent) -> None:
        self._events.extend(events)
        if self._events and not self._lowering_busy and not self._closing:
            self._lowering_busy = True
            batch, self._events = self._events, []
            future = self._executor.submit(self._handle, batch)
            future.add_done_callback(partial(self._call, self._lowered))

    def _handle(self, batch: list[LoweringEvent]) -> _Handled:
        """On the executor: lower, and ask for grammars, whose texts are read and digested here and not on the loop."""
        lowered = self._lowering.handle(batch)
        compiles = [(node, self._compiler.compile(spec, owner)) for node, spec, owner in lowered.compiles]
        checks = [(node, self._check(spec, text, owner)) for node, spec, text, owner in lowered.checks]
        return _Handled(lowered, compiles, checks)

    def _call(self, callback: Callable[[Future[_Handled]], None], future: Future[_Handled]) -> None:
        """Bring a finished job back to the loop; the loop may be closed already when the engine stops."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, future)

    def _lowered(self, future: Future[_Handled]) -> None:
        self._lowering_busy = False
        try:
            lowered, compiles, checks = future.result()
        except Exception as error:  # lowering guards each run by itself, so this is a fault of the engine
            self._fail(error)
            return
        for client, reply in lowered.replies:
            sink = self._sinks.get(client)
            if sink is not None:
                sink.send(reply)
        for node, compiled in compiles:
            self._compiles.setdefault(node[0], {})[node] = compiled
            compiled.add_done_callback(partial(self._grammar_done, node))
        for node, checked in checks:
            checked.add_done_callback(partial(self._check_done, node))
        if lowered.core:
            self._inbox.extend(lowered.core)
            self._wake.set()
        self._lower()

    def _check_done(self, node: NodeKey, future: Future[RamifyError | None]) -> None:
        error = future.result()
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._lower, Checked(node, None if error is None else to_info(error)))

    def _grammar_done(self, node: NodeKey, future: Future[CompiledGrammar]) -> None:
        if future.cancelled():
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._grammar_ready, node, future)

    def _grammar_ready(self, node: NodeKey, future: Future[CompiledGrammar]) -> None:
        self._compiles.get(node[0], {}).pop(node, None)
        try:
            grammar = future.result()
            message = GrammarReady(node, grammar.state(), min_tokens=grammar.min_tokens)
            if notes := grammar.report.told():
                self._lower(GrammarNotes(node, notes))
        except Exception as error:
            message = GrammarReady(node, None, to_info(error))
        self._inbox.append(message)
        self._wake.set()

    # ---- the loop -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Step whenever something has arrived, until `close`. Returns early if the engine fails."""
        while not self._closing and self._failed is None:
            await self._wake.wait()
            self._wake.clear()
            try:
                self._turn()
            except Exception as error:  # the closed list of what may end an engine: a fault in the core itself
                self._fail(error)
            await asyncio.sleep(0)

    def _turn(self) -> None:
        inbox, self._inbox = self._inbox, []
        now = self._loop.time()
        outbox = self._core.step(now, inbox)
        replies: list[CoreReply] = []
        for message in outbox:
            if isinstance(message, StepPlan | StepMasks):
                self._worker.submit(message)
            else:
                replies.append(message)
            if isinstance(message, RunEnded):
                for compiled in self._compiles.pop(message.run, {}).values():
                    compiled.cancel()  # nobody needs it any more
        if self._observer is not None:
            self._observer(now, inbox, list(outbox))
        self._lower(*replies)
        self._arm()

    def _arm(self) -> None:
        """Wake at the next deadline even if nothing arrives."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._core.next_deadline
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._wake.set)

    def _fail(self, error: Exception) -> None:
        """The engine cannot go on. Every client is told, so that nobody waits for ever."""
        log.exception("the engine failed", exc_info=error)
        what = error.what if isinstance(error, RamifyError) else f"{type(error).__name__}: {error}"
        failure = EngineUnavailable(f"the engine stopped on a fault: {what}", hint="start a new engine; see its log")
        self._failed = to_info(failure)
        for sink in self._sinks.values():
            sink.send(EngineFailed(self._failed))
        self._wake.set()

    def close(self) -> None:
        """Stop stepping; clients that are still connected are told."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._failed is None:
            self._failed = to_info(EngineUnavailable("the engine was closed", hint="start a new engine"))
            for sink in self._sinks.values():
                sink.send(EngineFailed(self._failed))
        self._wake.set()
