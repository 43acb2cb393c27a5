"""Compiles grammars off the caller's thread, once each, and keeps them.

`compile` returns at once. Equal grammars that are asked for while one is being compiled share that compilation (single
flight); compiled ones are kept, least recently used first out, within a number of entries and of bytes; refusals are
kept for a short while, so that a client which repeats a bad schema does not buy a compilation each time. What a
compiled grammar's report has to say goes to the log "ramify.grammar", once a grammar. Threads come only from the
`Executor` port and time only from the clock that is handed in, so the virtual clock can run it inline.

    compile(spec) --kept--> done future
                  --in flight--> one more waiter
                  --new--> executor.submit(job); the job settles every waiter
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..errors import EngineUnavailable, Overloaded, RamifyError, from_info, to_info
from .report import GrammarReport, Note
from .spec import GrammarSpec
from .state import CompiledGrammar, GrammarBackend

log = logging.getLogger("ramify.grammar")

T = TypeVar("T")
_MAX_NOTES = 8


class Executor(Protocol):
    """Runs a function somewhere else; `concurrent.futures.Executor` is one."""

    def submit(self, fn: Callable[[], T], /) -> Future[T]: ...


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
    ) -> None:
        """
        Args:
            backend: compiles a spec; its `compile` is called on the executor's threads.
            executor: where compilations run.
            clock: monotonic seconds.
            limits: bounds of the cache.
        """
        self._backend = backend
        self._executor = executor
        self._clock = clock
        self._limits = limits
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, CompiledGrammar] = OrderedDict()  # least recently used first
        self._kept_bytes = 0
        self._failures: OrderedDict[str, tuple[RamifyError, float]] = OrderedDict()  # soonest to expire first
        self._in_flight: dict[str, list[Future[CompiledGrammar]]] = {}
        self._told: OrderedDict[str, None] = OrderedDict()  # whose notes were logged; the oldest first

    @property
    def num_entries(self) -> int:
        """Number of compiled grammars kept."""
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        """Approximate bytes of the compiled grammars kept."""
        return self._kept_bytes

    def compile(self, spec: GrammarSpec) -> Future[CompiledGrammar]:
        """The compiled grammar of `spec`, in a future that is the caller's own: cancelling it cancels no one else.

        Instead of a grammar the future may hold `InvalidSchema`, `UnenforceableSchema`, `Overloaded` (too many
        compilations in flight) or `EngineUnavailable` (the executor was shut down).
        """
        waiter: Future[CompiledGrammar] = Future()
        key = f"{self._backend.name}:{spec.key()}"
        with self._lock:
            found = self._find(key)
            if found is None:
                if (waiters := self._in_flight.get(key)) is not None:
                    waiters.append(waiter)
                    return waiter
                if len(self._in_flight) < self._limits.max_in_flight:
                    self._in_flight[key] = [waiter]
                else:
                    found = Overloaded(
                        f"{self._limits.max_in_flight} grammars are being compiled, the limit", hint="try again later"
                    )
        if found is not None:
            _settle([waiter], found)
            return waiter
        try:
            self._executor.submit(lambda: self._run(key, spec))
        except RuntimeError as error:
            stopped = EngineUnavailable(f"grammars are no longer compiled: {error}", hint="start a new engine")
            self._finish(key, stopped, keep=False)
        return waiter

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

    def _run(self, key: str, spec: GrammarSpec) -> None:
        """The job: compile and settle. Nothing escapes from here, or the waiters would wait for ever."""
        try:
            outcome: CompiledGrammar | RamifyError = self._backend.compile(spec)
        except RamifyError as error:
            outcome = error
        except BaseException as error:  # a panic in native code is no Exception
            outcome = RamifyError(
                f"{self._backend.name} failed on a grammar: {type(error).__name__}: {error}",
                hint="this is a fault in ramify: please report it with the schema",
            )
            outcome.__cause__ = error
        self._finish(key, outcome, keep=True)

    def _finish(self, key: str, outcome: CompiledGrammar | RamifyError, *, keep: bool) -> None:
        with self._lock:
            if keep:
                self._keep(key, outcome)
            waiters = self._in_flight.pop(key)
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
            self._failures[key] = (outcome, self._clock() + self._limits.failure_seconds)
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
