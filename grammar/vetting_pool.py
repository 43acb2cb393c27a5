"""The engine's side of vetting: one thread that talks to the vetting server, and futures.

The server is started when it is first needed and again if it is lost. Whoever asks gets a future at once; it ends
within the limits, because the server keeps them, and a server that does not answer is killed here.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import EngineUnavailable, ErrorInfo, InvalidSchema, OutputInvalid, Overloaded, RamifyError, from_info
from .limits import DEFAULT_LIMITS, DEFAULT_VETTING, GrammarLimits, VettingLimits
from .spec import GrammarSpec
from .state import GrammarPlan
from .vetting_wire import (
    Answer,
    Answered,
    Channel,
    Checked,
    Drop,
    Failed,
    FromServer,
    Job,
    Planned,
    Ready,
    Start,
    Task,
    encode,
)

if TYPE_CHECKING:
    from .vocabulary import Vocabulary

_COMMAND = (sys.executable, "-P", "-c", f"from {__package__}.vetting_server import main; main()")
_MAX_GRAMMAR = 1 << 20
_MAX_TEXT = 16 << 20
_PATIENCE = 2.0
"""Seconds beyond its own limits after which the server counts as stuck."""
_RESTART = 5.0
"""Seconds after which a server is started again that ended while it started."""
_GOODBYE = 2.0
"""Seconds that the server has to end its workers."""


class VettingPool:
    """Plans grammars over one vocabulary, and validates texts, in processes that may die. Thread-safe."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        backend: str,
        grammar_limits: GrammarLimits = DEFAULT_LIMITS,
        limits: VettingLimits = DEFAULT_VETTING,
    ) -> None:
        """
        Args:
            vocabulary: the tokenizer.
            backend: a name in `backends.BACKENDS`.
            grammar_limits: what a grammar may cost.
            limits: what vetting one may cost.
        """
        self._vocabulary = vocabulary
        self._backend = backend
        self._grammar_limits = grammar_limits
        self._limits = limits
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._closed = False

    @property
    def has_room(self) -> bool:
        """The server is ready, and a grammar sent now would be vetted at once."""
        server = self._server
        return server is not None and server.is_ready and server.num_pending < self._limits.slots

    def warm(self) -> None:
        """Start the server if that has not been done; it gets ready by itself. Raises EngineUnavailable."""
        with self._lock:
            self._started()

    def submit(self, spec: GrammarSpec, owner: str = "") -> Future[GrammarPlan]:
        """Plan a grammar. Cancelling the future gives its worker up.

        Args:
            spec: the grammar.
            owner: whose it is; owners take turns.

        Returns:
            The plan; or `InvalidSchema` (the grammar's own refusals, and a breach of the limits), `Overloaded` (it
            waited too long for a worker, or the server was lost), `EngineUnavailable` (the pool was closed).
        """
        future: Future[GrammarPlan] = Future()
        self._ask(Task(spec), owner, future)
        return future

    def check(self, spec: GrammarSpec, text: str, owner: str = "") -> Future[RamifyError | None]:
        """Validate a finished text in a worker; see `validate.check_value`.

        Args:
            spec: the grammar that the text was generated under.
            text: the whole text.
            owner: whose it is; owners take turns.

        Returns:
            What is wrong with it, None if nothing is. It never raises: a text that could not be validated is wrong.
        """
        outcome: Future[RamifyError | None] = Future()
        future: Future[RamifyError | None] = Future()

        def settle(found: Future[RamifyError | None]) -> None:
            error = found.exception()
            if error is None:
                outcome.set_result(found.result())
            else:
                hint = error.hint if isinstance(error, RamifyError) else ""
                outcome.set_result(OutputInvalid(f"the value was not validated: {error.args[0]}", hint=hint))

        self._ask(Task(spec, text), owner, future)
        future.add_done_callback(settle)
        return outcome

    def _ask(self, task: Task, owner: str, future: Future[Any]) -> None:
        """Send a task; whatever goes wrong goes into the future."""
        try:
            frame = encode(task)
            limit = _MAX_GRAMMAR if task.text is None else _MAX_TEXT
            if len(frame) > limit:
                raise InvalidSchema(
                    f"the grammar's text: {len(frame)} bytes, the limit is {limit}",
                    where="#",
                    hint="make it smaller",
                )
            with self._lock:
                self._started().ask(frame, owner, future)
        except UnicodeEncodeError:
            what = "the grammar is not Unicode text: it holds half of a surrogate pair"
            future.set_exception(InvalidSchema(what, where="#", hint="correct the text"))
        except RamifyError as error:
            future.set_exception(error)

    def plan(self, spec: GrammarSpec, owner: str = "") -> GrammarPlan:
        """`submit`, waiting for the answer on the caller's thread; raises what the future holds."""
        return self.submit(spec, owner).result()

    def close(self) -> None:
        """End the server and its workers. Who waits for one gets `EngineUnavailable`."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _started(self) -> _Server:
        """The server. The lock is held."""
        if self._closed:
            raise _closed()
        server = self._server
        if server is not None and server.did_not_start and time.monotonic() < server.gone_at + _RESTART:
            raise _fault("the process that vets grammars ended while it started")
        if self._server is None or self._server.is_gone:
            vocabulary = self._vocabulary
            start = Start(
                list(vocabulary.tokens),
                sorted(vocabulary.stop_ids),
                vocabulary.width,
                dict(vocabulary.control),
                self._backend,
                self._grammar_limits,
                self._limits,
            )
            try:
                self._server = _Server(encode(start), self._limits)
            except OSError as error:
                raise _fault(f"no process could be started to vet grammars: {error}") from error
        return self._server


class _Server:
    """The server's process, its socket, and the thread that reads it: who waits for which job.

    The thread alone touches the socket. Others put frames in `_outbox` and wake it.
    """

    def __init__(self, start: bytes, limits: VettingLimits) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._popen = subprocess.Popen(
                _COMMAND,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,  # an interrupt from the keyboard is for the engine
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.is_ready = False
        self.is_gone = False
        self.gone_at = 0.0
        self._limits = limits
        self._channel = Channel(ours)
        self._lock = threading.Lock()
        self._outbox = [start]
        self._pending: dict[int, tuple[Future[Any], float]] = {}  # and when the server counts as stuck
        self._numbers = itertools.count()
        self._is_closing = False
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="ramify-vetting", daemon=True)
        self._thread.start()

    @property
    def did_not_start(self) -> bool:
        return self.is_gone and not self.is_ready

    @property
    def num_pending(self) -> int:
        return len(self._pending)

    def ask(self, task: bytes, owner: str, future: Future[Any]) -> None:
        """Send a task; the future gets its end."""
        now = time.monotonic()
        patience = self._limits.queue_seconds + self._limits.wall_seconds + _PATIENCE
        if not self.is_ready:
            patience += self._limits.start_seconds
        number = next(self._numbers)
        with self._lock:
            gone = self.is_gone
            if not gone:
                self._pending[number] = future, now + patience
                self._outbox.append(encode(Job(number, owner, now, task)))
        if gone:
            future.set_exception(_lost())
            return
        future.add_done_callback(partial(self._drop, number))
        self._notify()

    def close(self) -> None:
        self._is_closing = True
        self._notify()
        self._thread.join()

    def _drop(self, number: int, future: Future[Any]) -> None:
        """A future is done; if it was cancelled, its job need not be."""
        if future.cancelled():
            with self._lock:
                if self._pending.pop(number, None) is None:
                    return
                self._outbox.append(encode(Drop(number)))
            self._notify()

    def _notify(self) -> None:
        with contextlib.suppress(OSError):  # awake already, or gone
            self._wake.send(b".")

    # ---- the thread ---------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        is_stuck = False
        with selectors.DefaultSelector() as selector, contextlib.suppress(EOFError):
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._is_closing and not is_stuck:
                self._send()
                blocked = selectors.EVENT_WRITE if self._channel.is_blocked else 0
                selector.modify(self._channel, selectors.EVENT_READ | blocked)
                for key, mask in selector.select(self._timeout()):
                    if key.fileobj is self._woken:
                        self._woken.recv(4096)
                    elif mask & selectors.EVENT_READ:
                        self._receive()
                is_stuck = self._timeout() == 0
        self._end(is_stuck)

    def _send(self) -> None:
        with self._lock:
            frames, self._outbox = self._outbox, []
        for frame in frames:
            self._channel.send(frame)
        self._channel.flush()

    def _timeout(self) -> float | None:
        with self._lock:
            earliest = min((deadline for _, deadline in self._pending.values()), default=None)
        return None if earliest is None else max(0.0, earliest - time.monotonic())

    def _receive(self) -> None:
        for frame in self._channel.receive():
            try:
                message = msgspec.msgpack.decode(frame, type=FromServer)
                answer = None if isinstance(message, Ready) else msgspec.msgpack.decode(message.answer, type=Answer)
            except msgspec.DecodeError as error:
                raise EOFError from error
            if isinstance(message, Answered) and answer is not None:
                with self._lock:
                    future, _ = self._pending.pop(message.number, (None, 0.0))
                if future is not None:
                    _settle(future, answer)
            else:
                self.is_ready = True

    def _end(self, is_stuck: bool) -> None:
        """The server has gone, is stuck, or is not needed any more: reap it, and tell who waits."""
        self._channel.close()  # it ends its workers and itself then
        if is_stuck:
            self._popen.kill()
        try:
            self._popen.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        with self._lock:
            self.is_gone, self.gone_at = True, time.monotonic()
            futures = [future for future, _ in self._pending.values()]
            self._pending.clear()
        self._wake.close()
        self._woken.close()
        for future in futures:
            _settle(future, _closed() if self._is_closing else _lost())


def _settle(future: Future[Any], outcome: Answer | RamifyError) -> None:
    """Give a future its end: a plan, what is wrong with a text, or an exception."""
    if not future.set_running_or_notify_cancel():
        return
    match outcome:
        case Planned(plan):
            future.set_result(plan)
        case Checked(error):
            future.set_result(None if error is None else from_info(ErrorInfo(*error)))
        case Failed(error):
            future.set_exception(from_info(ErrorInfo(*error)))
        case _:
            future.set_exception(outcome)


def _closed() -> EngineUnavailable:
    return EngineUnavailable("grammars are no longer compiled: the engine was closed", hint="start a new engine")


def _lost() -> Overloaded:
    return Overloaded("the process that vets grammars was lost", hint="try again")


def _fault(what: str) -> RamifyError:
    return EngineUnavailable(what, hint="see that Python processes can be started on this machine")
