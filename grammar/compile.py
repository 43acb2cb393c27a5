"""Compiles grammars off the caller's thread, once each, and keeps them.

`compile` returns at once. Equal grammars that are asked for while one is being compiled share that compilation (single
flight); compiled ones are kept, least recently used first out, within a number of entries and of bytes; refusals are
kept for a short while, so that a client which repeats a bad schema does not buy a compilation each time. What a
compiled grammar's report has to say goes to the log "ramify.grammar", once a grammar. Threads come only from the
`Executor` port and time only from the clock that is handed in, so the virtual clock can run it inline.

    compile(spec) --kept--> done future
                  --in flight--> one more waiter
                  --new--> vetted elsewhere, if need be; then executor.submit(job); the job settles every waiter

A waiter may be cancelled, and with the last one of a grammar its vetting is given up.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from ..errors import EngineUnavailable, ErrorInfo, Overloaded, RamifyError, from_info, to_info
from .report import GrammarReport, Note
from .spec import GrammarSpec
from .state import CompiledGrammar, GrammarBackend, GrammarPlan

log = logging.getLogger("ramify.grammar")

T = TypeVar("T")
_MAX_NOTES = 8
_MAX_TEXT = 2_000
"""Characters of each part of a refusal that is kept: a path may hold names as long as a schema."""


class Executor(Protocol):
    """Runs a function somewhere else; `concurrent.futures.Executor` is one."""

    def submit(self, fn: Callable[[], T], /) -> Future[T]: ...


class Vetting(Protocol):
    """Sees grammars before the backend does; `vetting.VettedBackend` is one."""

    def vet(self, spec: GrammarSpec, owner: str) -> Future[GrammarPlan] | None:
        """Begin to vet a grammar; None if the backend may compile it as it is. Never waits.

        Args:
            spec: the grammar.
            owner: whose it is; owners take turns.

        Raises:
            RamifyError: it is refused already.
        """
        ...

    def build(self, plan: GrammarPlan) -> CompiledGrammar:
        """Compile what was vetted; called on the executor's threads."""
        ...


class _Flight:
    """A compilation that is not done.

    Attributes:
        waiters: the futures that were given out.
        vetted: its vetting, while that lasts.
    """

    def __init__(self, waiter: Future[CompiledGrammar]) -> None:
        self.waiters = [waiter]
        self.vetted: Future[GrammarPlan] | None = None


@dataclass(frozen=True)
class CompileCacheLimits:
    """Bounds of the cache.

    Attributes:
        max_entries: compiled grammars, and apart from them refusals, kept at once.
        max_bytes: approximate bytes of all compiled grammars kept; one that is larger alone is handed out, not kept.
        max_in_flight: compilations submitted and not done; one more is refused.
        failure_seconds: how long a refusal is kept.
    """

    max_entries: int = 512
    max_bytes: int = 256 << 20
    max_in_flight: int = 256
    failure_seconds: float = 30.0


class GrammarCompiler:
    """One backend's compile cache. Thread-safe."""

    def __init__(
        self,
        backend: GrammarBackend,
        executor: Executor,
        *,
        clock: Callable[[], float],
        limits: CompileCacheLimits = CompileCacheLimits(),
        vetting: Vetting | None = None,
    ) -> None:
        """
        Args:
            backend: compiles a spec; its `compile` is called on the executor's threads.
            executor: where compilations run.
            clock: monotonic seconds.
            limits: bounds of the cache.
            vetting: sees every grammar first.
        """
        self._backend = backend
        self._executor = executor
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, CompiledGrammar] = OrderedDict()  # least recently used first
        self._kept_bytes = 0
        self._failures: OrderedDict[str, tuple[RamifyError, float]] = OrderedDict()  # soonest to expire first
        self._vetting = vetting
        self._in_flight: dict[str, _Flight] = {}
        self._told: OrderedDict[str, None] = OrderedDict()  # whose notes were logged; the oldest first

    @property
    def num_entries(self) -> int:
        """Number of compiled grammars kept."""
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        """Approximate bytes of the compiled grammars kept."""
        return self._kept_bytes

    @property
    def num_in_flight(self) -> int:
        """Number of compilations that are not done."""
        return len(self._in_flight)

    def compile(self, spec: GrammarSpec, owner: str = "") -> Future[CompiledGrammar]:
        """The compiled grammar of `spec`, in a future that is the caller's own: cancelling it cancels no one else.

        Costs its caller a digest of the text, so call it where that delays nobody.

        Instead of a grammar the future may hold `InvalidSchema`, `UnenforceableSchema`, `Overloaded` (too many
        compilations in flight, or too long a wait for vetting) or `EngineUnavailable` (the engine was closed).

        Args:
            spec: the grammar.
            owner: whose it is; owners take turns.
        """
        waiter: Future[CompiledGrammar] = Future()
        key = f"{self._backend.name}:{spec.key()}"
        with self._lock:
            found = self._find(key)
            if found is None:
                if (flight := self._in_flight.get(key)) is not None:
                    flight.waiters.append(waiter)
                elif len(self._in_flight) < self._limits.max_in_flight:
                    self._in_flight[key] = _Flight(waiter)
                else:
                    found = Overloaded(
                        f"{self._limits.max_in_flight} grammars are being compiled, the limit", hint="try again later"
                    )
        if found is not None:
            _settle([waiter], found)
            return waiter
        waiter.add_done_callback(partial(self._left, key))
        if flight is None:
            self._begin(key, spec, owner)
        return waiter

    def _begin(self, key: str, spec: GrammarSpec, owner: str) -> None:
        """Vet a grammar and then compile it, or compile it at once."""
        try:
            vetted = self._vetting.vet(spec, owner) if self._vetting is not None else None
        except RamifyError as error:
            self._finish(key, error)
            return
        if vetted is None:
            self._submit(key, lambda: self._backend.compile(spec))
            return
        with self._lock:
            if (flight := self._in_flight.get(key)) is not None:
                flight.vetted = vetted
        vetted.add_done_callback(partial(self._vetted, key))

    def _vetted(self, key: str, vetted: Future[GrammarPlan]) -> None:
        if vetted.cancelled() or self._vetting is None:
            return
        error, build = vetted.exception(), self._vetting.build
        if error is not None:
            self._finish(key, _named(self._backend.name, error))
        else:
            self._submit(key, lambda: build(vetted.result()))

    def _left(self, key: str, waiter: Future[CompiledGrammar]) -> None:
        """A waiter is done. If it was cancelled, and was the last one, nobody needs the vetting."""
        if not waiter.cancelled():
            return
        with self._lock:
            flight = self._in_flight.get(key)
            if flight is None or waiter not in flight.waiters:
                return
            if (
                flight.vetted is not None
                and all(each.cancelled() for each in flight.waiters)
                and flight.vetted.cancel()
            ):
                del self._in_flight[key]

    def _submit(self, key: str, compile_: Callable[[], CompiledGrammar]) -> None:
        try:
            self._executor.submit(lambda: self._run(key, compile_))
        except RuntimeError as error:
            self._finish(key, EngineUnavailable(f"grammars are no longer compiled: {error}", hint="start a new engine"))

    def _find(self, key: str) -> CompiledGrammar | RamifyError | None:
        """What is kept for `key`, grammar or refusal. The lock is held."""
        grammar = self._kept.get(key)
        if grammar is not None:
            if grammar.healthy:
                self._kept.move_to_end(key)
                return grammar
            self._drop(key)
        now = self._clock()
        while self._failures and next(iter(self._failures.values()))[1] <= now:
            self._failures.popitem(last=False)
        failure = self._failures.get(key)
        return failure[0] if failure else None

    def _run(self, key: str, compile_: Callable[[], CompiledGrammar]) -> None:
        """The job: compile and settle. Nothing escapes from here, or the waiters would wait for ever."""
        try:
            outcome: CompiledGrammar | RamifyError = compile_()
        except BaseException as error:  # a panic in native code is no Exception
            outcome = _named(self._backend.name, error)
        self._finish(key, outcome)

    def _finish(self, key: str, outcome: CompiledGrammar | RamifyError) -> None:
        with self._lock:
            if not isinstance(outcome, Overloaded | EngineUnavailable):  # those are about the engine
                self._keep(key, outcome)
            waiters = self._in_flight.pop(key).waiters
            is_news = not isinstance(outcome, RamifyError) and self._is_news(key)
        _settle(waiters, outcome)
        if is_news and not isinstance(outcome, RamifyError):
            _log_notes(outcome.key, outcome.report)

    def _is_news(self, key: str) -> bool:
        """Whether a grammar's notes were not logged yet: it may be compiled again. The lock is held."""
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > self._limits.max_entries:
            self._told.popitem(last=False)
        return True

    def _keep(self, key: str, outcome: CompiledGrammar | RamifyError) -> None:
        """Put a result in the cache and make room. The lock is held."""
        if isinstance(outcome, RamifyError):
            self._failures[key] = (_clipped(outcome), self._clock() + self._limits.failure_seconds)
            if len(self._failures) > self._limits.max_entries:
                self._failures.popitem(last=False)
            return
        if outcome.num_bytes > self._limits.max_bytes:
            return
        self._kept[key] = outcome
        self._kept_bytes += outcome.num_bytes
        while len(self._kept) > self._limits.max_entries or self._kept_bytes > self._limits.max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        self._kept_bytes -= self._kept.pop(key).num_bytes


def _named(backend: str, error: BaseException) -> RamifyError:
    """An error of ours for whatever went wrong."""
    if isinstance(error, RamifyError):
        return error
    fault = RamifyError(
        f"{backend} failed on a grammar: {type(error).__name__}: {error}",
        hint="this is a fault in ramify: please report it with the schema",
    )
    fault.__cause__ = error
    return fault


def _clipped(error: RamifyError) -> RamifyError:
    """An error as it is kept: its texts cut, and without the traceback, which holds the schema."""
    code, *texts = to_info(error)
    return from_info(ErrorInfo(code, *(text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..." for text in texts)))


def _settle(waiters: list[Future[CompiledGrammar]], outcome: CompiledGrammar | RamifyError) -> None:
    """Give every waiter the outcome; each its own copy of an error, because raising one writes a traceback into it."""
    for waiter in waiters:
        if not waiter.set_running_or_notify_cancel():
            continue
        if isinstance(outcome, RamifyError):
            error = from_info(to_info(outcome))
            error.__cause__ = outcome.__cause__
            waiter.set_exception(error)
        else:
            waiter.set_result(outcome)


def _log_notes(key: str, report: GrammarReport) -> None:
    """Tell the engine's log what of a grammar is not enforced as written, and what is left out of it."""
    loose = [note for note in report.notes if note.kind != "narrowed"]
    narrowed = [note for note in report.notes if note.kind == "narrowed"]
    if loose:
        log.warning("grammar %s (%s): %s", key[:12], report.backend, _listed(loose))
    if narrowed:
        log.info("grammar %s (%s): %s", key[:12], report.backend, _listed(narrowed))


def _listed(notes: list[Note]) -> str:
    """The first few, a pointer as a literal: a property's name may hold a line break."""
    texts = [f"{note.kind} at {note.where!a}: {note.what}" for note in notes[:_MAX_NOTES]]
    return "; ".join(texts) + (f"; and {len(notes) - _MAX_NOTES} more" if len(notes) > _MAX_NOTES else "")
