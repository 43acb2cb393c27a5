"""The vetting server: a process that has the backends loaded, and forks the workers that grammars are vetted in.

    engine ==== one socket ====> server ---- fork ----> worker   nice, limited in CPU time, memory and wall time
                                   |--------- fork ----> worker   ready before it is needed

It owns the queue, the clock and the workers' lives: a breach of wall time is answered and killed at its moment, and
whoever waits too long for a worker is told so. Forking takes milliseconds where starting Python and loading a
vocabulary takes seconds, and memory is shared until it is written to. The server itself never looks into a grammar and
never waits: one thread, one selector. When the engine's end of the socket closes, it ends its workers and itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from .backends import BACKENDS, make_backend
from .charset import python_class
from .limits import GrammarLimits, VettingLimits
from .router import Router
from .state import PlanningBackend
from .vetting_queue import FairQueue, Waiting
from .vetting_wire import Answer, Answered, Channel, Drop, Failed, Job, Ready, Start, ToServer, encode
from .vetting_worker import serve
from .vocabulary import Vocabulary

_REAP_SECONDS = 0.02
_FORK_SECONDS = 0.5
_CPU_SIGNALS = (signal.SIGXCPU, signal.SIGPROF)
_VALIDATORS = ("jsonschema", "regex", "referencing.exceptions")
"""What `validate.py` imports when it is called: too late in a worker, whose time is limited."""
_SIMPLER = "make the grammar smaller or simpler"


@dataclass(eq=False)
class _Worker:
    """A forked process. `job` is what it works at, with `deadline`; None while it waits."""

    pid: int
    channel: Channel
    job: int | None = None
    deadline: float = 0.0
    num_jobs: int = 0


def main() -> None:
    """Serve until the engine closes the socket, which is standard input."""
    control = Channel(socket.socket(fileno=os.dup(0)))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # a library that prints must not write to anything of ours
        os.dup2(nothing, descriptor)
    frames: list[bytes] = []
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(control, selectors.EVENT_READ)
            while not frames:
                selector.select()
                frames += control.receive()
        start = msgspec.msgpack.decode(frames.pop(0), type=Start)
        backend = _loaded(start)
        _Server(control, backend, start.limits).run(frames)
    except EOFError:
        pass


def _loaded(start: Start) -> PlanningBackend:
    """The backends, all of them loaded, by a thread that gives way to the engine; it is gone before the first fork."""
    loaded: list[PlanningBackend] = []

    def load() -> None:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), start.limits.niceness)
        for name in _VALIDATORS:
            importlib.import_module(name)
        for letter in "dDsSwW":
            python_class(letter)  # kept: it takes 50 ms, and every fork would do it again
        vocabulary = Vocabulary(tuple(start.tokens), frozenset(start.stop_ids), start.width, start.control)
        loaded.append(_backend(vocabulary, start.backend, start.grammar_limits))

    loader = threading.Thread(target=load)
    loader.start()
    loader.join()
    if not loaded:
        raise EOFError
    gc.collect()
    gc.freeze()  # the collector writes to what it looks at, and so would copy the pages that workers share
    return loaded[0]


def _backend(vocabulary: Vocabulary, name: str, limits: GrammarLimits) -> PlanningBackend:
    if name != "auto":
        return make_backend(vocabulary, name, limits)
    made = {each: make_backend(vocabulary, each, limits) for each in BACKENDS if each != "auto"}
    return Router(made.__getitem__, limits)


class _Server:
    def __init__(self, control: Channel, backend: PlanningBackend, limits: VettingLimits) -> None:
        self._control = control
        self._backend = backend
        self._limits = limits
        self._queue = FairQueue()
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}  # by the number of the job
        self._dying: set[int] = set()  # killed, not yet reaped
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._since = time.monotonic()
        self._fork_at = 0.0  # not before: a fork failed, or a worker died without a job

    def run(self, frames: list[bytes]) -> None:
        """Serve; `frames` came before the backends were loaded. Raises EOFError when the engine has gone."""
        try:
            self._fill()
            self._control.send(encode(Ready()))
            self._received(frames)
            while True:
                self._turn()
        finally:
            for worker in (*self._idle, *self._busy.values()):
                self._end(worker)
            for pid in self._dying:
                os.waitpid(pid, 0)

    def _turn(self) -> None:
        self._expire(time.monotonic())
        self._fill()
        self._dispatch()
        self._reap()
        self._watch(self._control)
        events = self._selector.select(self._timeout())
        for key, mask in events:
            if key.fileobj is not self._control:
                self._worker_event(key.data, mask)
        for key, mask in events:
            if key.fileobj is self._control:
                if mask & selectors.EVENT_WRITE:
                    self._control.flush()
                if mask & selectors.EVENT_READ:
                    self._received(self._control.receive())

    def _timeout(self) -> float | None:
        """Seconds until something must be done although nothing arrives."""
        deadlines = [worker.deadline for worker in self._busy.values()]
        if (waiting := self._queue.next_deadline) is not None:
            deadlines.append(waiting)
        if self._dying:
            deadlines.append(time.monotonic() + _REAP_SECONDS)
        if self._num_missing:
            deadlines.append(self._fork_at)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _received(self, frames: list[bytes]) -> None:
        for frame in frames:
            message: ToServer = msgspec.msgpack.decode(frame, type=ToServer)
            if isinstance(message, Job):
                deadline = max(message.asked, self._since) + self._limits.queue_seconds
                self._queue.push(message.owner, Waiting(message.number, message.task, deadline))
            elif isinstance(message, Drop) and not self._queue.remove(message.number):
                worker = self._busy.pop(message.number, None)
                if worker is not None:
                    self._end(worker)

    # ---- jobs ---------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        while len(self._queue) and self._idle and len(self._busy) < self._limits.slots:
            job, worker = self._queue.pop(), self._idle.pop(0)
            worker.job, worker.num_jobs = job.number, worker.num_jobs + 1
            worker.deadline = time.monotonic() + self._limits.wall_seconds
            self._busy[job.number] = worker
            with contextlib.suppress(EOFError):  # it died while it waited: its socket says so next
                worker.channel.send(job.task)
            self._watch(worker.channel, worker)

    def _expire(self, now: float) -> None:
        for job in self._queue.expire(now):
            what = f"other grammars were being vetted for {self._limits.queue_seconds:g} s"
            self._answer(job.number, Failed(("Overloaded", what, "", "try again later")))
        for worker in [worker for worker in self._busy.values() if worker.deadline <= now]:
            self._fail(worker, f"{self._limits.wall_seconds:g} s")

    def _fail(self, worker: _Worker, limit: str) -> None:
        """Answer first, then kill: an engine waits for the one and not for the other."""
        if worker.job is not None:
            del self._busy[worker.job]
            what = f"this grammar took more than {limit}"
            self._answer(worker.job, Failed(("InvalidSchema", what, "#", _SIMPLER)))
        self._end(worker)

    def _answer(self, number: int, answer: Answer) -> None:
        self._control.send(encode(Answered(number, encode(answer))))

    # ---- workers ------------------------------------------------------------------------------------------------

    def _worker_event(self, worker: _Worker, mask: int) -> None:
        if worker.pid in self._dying:  # ended in this turn
            return
        try:
            if mask & selectors.EVENT_WRITE:
                worker.channel.flush()
                self._watch(worker.channel, worker)
            frames = worker.channel.receive() if mask & selectors.EVENT_READ else []
        except EOFError:
            self._died(worker)
            return
        if not frames:
            return
        try:
            (answer,) = frames
            if worker.job is None:
                raise ValueError("an answer without a job")
            msgspec.msgpack.decode(answer, type=Answer)
        except (ValueError, msgspec.DecodeError):  # what writes anything else has gone wrong
            self._fail(worker, "it may: its process went wrong")
            return
        del self._busy[worker.job]
        self._control.send(encode(Answered(worker.job, answer)))
        worker.job = None
        if worker.num_jobs < self._limits.jobs:
            self._idle.append(worker)
        else:
            self._end(worker)

    def _died(self, worker: _Worker) -> None:
        """Its socket is closed: say why, from its exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)  # no change for a process that is on its way out
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        self._forget(worker)
        if worker.job is None:
            self._fork_at = time.monotonic() + _FORK_SECONDS
            return
        limit = f"{self._limits.memory_bytes >> 20} MiB, or ended its process (exit code {code})"
        if -code in _CPU_SIGNALS:
            limit = f"{self._limits.cpu_seconds:g} s of processor time"
        self._fail(worker, limit)

    def _end(self, worker: _Worker) -> None:
        """Kill a worker; it is reaped when its memory is freed."""
        if self._forget(worker):
            os.kill(worker.pid, signal.SIGKILL)
            self._dying.add(worker.pid)

    def _forget(self, worker: _Worker) -> bool:
        """Take leave of a worker's socket; False if that was done."""
        if worker.channel.fileno() < 0:
            return False
        self._selector.unregister(worker.channel)
        worker.channel.close()
        if worker in self._idle:
            self._idle.remove(worker)
        return True

    def _reap(self) -> None:
        for pid in list(self._dying):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._dying.discard(pid)

    @property
    def _num_missing(self) -> int:
        """Workers to fork: they are as many as may be busy, and one."""
        return self._limits.slots + 1 - len(self._idle) - len(self._busy)

    def _fill(self) -> None:
        while self._num_missing > 0 and time.monotonic() >= self._fork_at:
            ours, theirs = socket.socketpair()
            try:
                pid = os.fork()
            except OSError:  # no memory, or too many processes: grammars wait for the workers that there are
                ours.close()
                theirs.close()
                self._fork_at = time.monotonic() + _FORK_SECONDS
                return
            if pid == 0:
                self._become_worker(ours, theirs)
            theirs.close()
            worker = _Worker(pid, Channel(ours))
            self._selector.register(worker.channel, selectors.EVENT_READ, worker)
            self._idle.append(worker)

    def _become_worker(self, ours: socket.socket, theirs: socket.socket) -> NoReturn:
        """In the fork: leave everything that is the server's, or its end would not be seen by the others."""
        code = 1
        try:
            ours.close()
            self._selector.close()
            for worker in (*self._idle, *self._busy.values()):
                worker.channel.close()
            self._control.close()
            serve(theirs, self._backend, self._limits)
            code = 0
        finally:
            os._exit(code)

    def _watch(self, channel: Channel, worker: _Worker | None = None) -> None:
        blocked = selectors.EVENT_WRITE if channel.is_blocked else 0
        self._selector.modify(channel, selectors.EVENT_READ | blocked, worker)


if __name__ == "__main__":
    main()
