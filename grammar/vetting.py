"""Compiles grammars from strangers in processes that may die, before the engine compiles them itself.

    engine thread                        warm process, limited in CPU time, memory and wall time
    spec  ---- one frame over a pipe --->  check, rewrite, route, compile
    plan or error <---- one frame -------  answers and waits for the next; a breach kills it, and it is replaced
    build(plan)                           the last, native step again, known to end

A grammar under small stated bounds (`is_small`) skips the process: what it can cost was measured. Frames are msgpack
of closed types over the process's own pipes; nothing is ever unpickled. A process is single-threaded towards us: one
job at a time, no queue inside.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ..errors import EngineUnavailable, ErrorInfo, InvalidSchema, RamifyError, from_info
from .limits import DEFAULT_LIMITS, GrammarLimits, check_text_size
from .spec import Choices, GrammarSpec, JsonSchema, Regex
from .state import CompiledGrammar, GrammarPlan, PlanningBackend
from .vetting_wire import Answer, Failed, Job, Loading, Planned, Start, encode, read_exactly

if TYPE_CHECKING:
    from .vocabulary import Vocabulary


@dataclass(frozen=True)
class VettingLimits:
    """What one grammar may cost in its process.

    Attributes:
        cpu_seconds: processor time.
        wall_seconds: time, on a machine that has other things to do.
        memory_bytes: address space beyond what the process has when it waits.
        start_seconds: for a process to be ready, and for a backend's library to be loaded.
        processes: warm processes; as many grammars are vetted at once.
        jobs: grammars after which a process is replaced, so that nothing piles up in it.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 4.0
    memory_bytes: int = 512 << 20
    start_seconds: float = 60.0
    processes: int = 2
    jobs: int = 500


_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_BRANCHING = re.compile(r'"(?:allOf|anyOf|oneOf|not|if|dependencies|dependentSchemas|\$ref|uniqueItems)"')
_LENGTHS = re.compile(r'"(?:min|max)(?:Length|Items|Properties)"\s*:\s*(\d{5,})')
_PATTERN = re.compile(r'"pattern"\s*:\s*"((?:[^"\\]|\\.)*)"')


def is_small(spec: GrammarSpec) -> bool:
    """Whether a grammar is under bounds within which compiling was never seen to take long.

    A schema of at most 8 KiB with at most 32 keywords that branch or refer, at most 16 patterns of at most 128
    characters (of 1,300 it took 15 s), no count of five digits and no counted quantifier above 64; an expression of at
    most 64 characters with no counted quantifier above 64 and no group; at most 256 choices in 8 KiB.
    """
    match spec:
        case JsonSchema(schema):
            return (
                len(schema) <= 8 * 1024
                and schema.count("{") <= 400
                and len(_BRANCHING.findall(schema)) <= 32
                and _patterns_are_small(schema)
                and _LENGTHS.search(schema) is None
                and "patternProperties" not in schema
                and _counts_are_small(schema)
            )
        case Regex(pattern):
            return len(pattern) <= 64 and "(" not in pattern and _counts_are_small(pattern)
        case Choices(options):
            return len(options) <= 256 and sum(map(len, options)) <= 8 * 1024
        case _:
            return False


def _patterns_are_small(schema: str) -> bool:
    patterns = _PATTERN.findall(schema)
    return schema.count('"pattern"') == len(patterns) <= 16 and all(len(pattern) <= 128 for pattern in patterns)


def _counts_are_small(text: str) -> bool:
    return all(
        len(low) <= 2 and len(high) <= 2 and max(int(low), int(high or 0)) <= 64 for low, high in _COUNTED.findall(text)
    )


class VettedBackend:
    """A backend whose grammars are vetted first; see `GrammarBackend`."""

    def __init__(self, backend: PlanningBackend, pool: VettingPool, limits: GrammarLimits = DEFAULT_LIMITS) -> None:
        """
        Args:
            backend: compiles what was vetted; the pool's processes have one of the same name.
            pool: vets.
            limits: what a grammar may cost; texts beyond them are not even sent.
        """
        self.name = backend.name
        self._backend = backend
        self._pool = pool
        self._limits = limits

    def compile(self, spec: GrammarSpec) -> CompiledGrammar:
        self._pool.warm()
        if isinstance(spec, JsonSchema):
            check_text_size(spec, self._limits)
        if is_small(spec):
            return self._backend.compile(spec)
        return self._backend.build(self._pool.plan(spec))


class VettingPool:
    """Warm processes that plan grammars over one vocabulary. Thread-safe."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        backend: str,
        grammar_limits: GrammarLimits = DEFAULT_LIMITS,
        limits: VettingLimits = VettingLimits(),
    ) -> None:
        """
        Args:
            vocabulary: the tokenizer.
            backend: a name in `backends.BACKENDS`.
            grammar_limits: what a grammar may cost.
            limits: what vetting one may cost.
        """
        tokens = list(vocabulary.tokens)
        self._start = encode(
            Start(
                tokens,
                sorted(vocabulary.stop_ids),
                vocabulary.width,
                backend,
                grammar_limits,
                limits.memory_bytes,
                dict(vocabulary.control),
            )
        )
        self._limits = limits
        self._lock = threading.Condition()
        self._idle: deque[_Process] = deque()
        self._closed = False
        self._all: set[_Process] = set()

    @property
    def num_processes(self) -> int:
        """Processes that live, or are being started."""
        return len(self._all)

    def plan(self, spec: GrammarSpec) -> GrammarPlan:
        """Plan a grammar in one of the processes; the caller's thread waits, without the interpreter lock.

        Raises:
            InvalidSchema: the grammar's own refusals, and a breach of the limits.
            EngineUnavailable: the pool was closed.
        """
        try:
            job = encode(Job(spec, self._limits.cpu_seconds))
        except UnicodeEncodeError:
            raise InvalidSchema(
                "the grammar is not Unicode text: it holds half of a surrogate pair", where="#", hint="correct the text"
            ) from None
        self.warm()
        process = self._take()
        try:
            answer = process.ask(job, self._limits)
        except _Died as death:
            self._replace(process)
            if self._closed:
                raise _closed() from None
            raise death.error from None
        except BaseException:
            self._replace(process)
            raise
        if process.num_jobs >= self._limits.jobs:
            self._replace(process)
        else:
            self._give(process)
        if isinstance(answer, Planned):
            return answer.plan
        raise from_info(ErrorInfo(*answer.error))

    def warm(self) -> None:
        """Start the processes if that has not been done; they get ready by themselves."""
        with self._lock:
            while len(self._all) < self._limits.processes and not self._closed:
                self._spawn()

    def close(self) -> None:
        """Kill the processes. Who waits for one gets `EngineUnavailable`."""
        with self._lock:
            self._closed = True
            processes, self._all = self._all, set()
            idle = set(self._idle)
            self._idle.clear()
            self._lock.notify_all()
        for process in processes:
            process.end()
            if process in idle:
                process.kill()  # the pipes of the others are closed by the threads that read them

    def _take(self) -> _Process:
        with self._lock:
            while not self._idle and not self._closed:
                self._lock.wait()
            if self._closed:
                raise _closed()
            return self._idle.popleft()

    def _give(self, process: _Process) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(process)
                self._lock.notify()

    def _replace(self, process: _Process) -> None:
        process.kill()
        with self._lock:
            self._all.discard(process)
            if not self._closed:
                self._spawn()
                self._lock.notify()

    def _spawn(self) -> None:
        """Start a process. The lock is held."""
        try:
            process = _Process(self._start)
        except OSError as error:
            raise _fault(f"no process could be started to vet grammars: {error}") from error
        self._all.add(process)
        self._idle.append(process)


def _closed() -> EngineUnavailable:
    return EngineUnavailable("grammars are no longer compiled: the engine was closed", hint="start a new engine")


class _Died(Exception):
    """The process is gone, or was killed; `error` is what the grammar's request is told."""

    def __init__(self, error: RamifyError) -> None:
        self.error = error


class _Process:
    """One process and its pipes."""

    def __init__(self, start: bytes) -> None:
        package = __package__
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {package}.vetting_process import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt from the keyboard is for the engine
            env={**os.environ, "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"},
        )
        self.num_jobs = 0
        # Sent by a thread of its own: a pipe holds less than a vocabulary, and the process reads when Python is up.
        self._starter = threading.Thread(target=self._send_start, args=(start,), daemon=True)
        self._starter.start()
        self._ready = False

    def ask(self, job: bytes, limits: VettingLimits) -> Planned | Failed:
        """Send a job's frame and wait for the answer.

        Raises:
            _Died: it died, or did not answer in time.
        """
        self.num_jobs += 1
        try:
            if not self._ready:
                self._starter.join(limits.start_seconds)
                self._read(limits.start_seconds, start=True)
                self._ready = True
            self._write(job)
            answer = self._read(limits.wall_seconds)
            while isinstance(answer, Loading):
                answer = self._read(limits.start_seconds if answer.begins else limits.wall_seconds)
            return answer
        except TimeoutError:
            raise _Died(_breach(f"{limits.wall_seconds:g} s")) from None
        except (OSError, EOFError):
            raise _Died(self._cause(limits)) from None

    @property
    def pid(self) -> int:
        return self._popen.pid

    def hang_up(self) -> None:
        """Close the pipe to the process, as the end of the engine does; it then ends by itself."""
        if self._popen.stdin is not None:
            self._popen.stdin.close()

    def wait(self, seconds: float) -> int:
        """The exit code."""
        return self._popen.wait(seconds)

    def end(self) -> None:
        """End the process at once, and reap it."""
        self._popen.kill()
        self._popen.wait()

    def kill(self) -> None:
        """End the process and close its pipes; nobody else may be reading them."""
        self.end()
        self._starter.join()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _send_start(self, frame: bytes) -> None:
        with contextlib.suppress(OSError, EOFError, ValueError):  # it died, or was killed: who asks it finds out
            self._write(frame)

    def _write(self, frame: bytes) -> None:
        pipe = self._popen.stdin
        if pipe is None:
            raise EOFError
        pipe.write(frame)
        pipe.flush()

    def _read(self, seconds: float, *, start: bool = False) -> Answer:
        pipe = self._popen.stdout
        if pipe is None:
            raise EOFError
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)

            def wait() -> None:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise _Died(_fault("the vetting process did not start")) if start else TimeoutError

            frame = read_exactly(pipe.fileno(), wait)
        answer: Answer = msgspec.msgpack.decode(frame, type=Answer)
        return answer

    def _cause(self, limits: VettingLimits) -> RamifyError:
        """Why the process ended, from its exit code."""
        try:
            code = self._popen.wait(1.0)
        except subprocess.TimeoutExpired:
            code = 0
        if -code in _CPU_SIGNALS:
            return _breach(f"{limits.cpu_seconds:g} s of processor time")
        return _breach(f"{limits.memory_bytes >> 20} MiB, or ended its process (exit code {code})")


_CPU_SIGNALS = (24, 27)  # SIGXCPU, SIGPROF


def _breach(what: str) -> InvalidSchema:
    return InvalidSchema(
        f"compiling this grammar took more than {what}", where="#", hint="make the grammar smaller or simpler"
    )


def _fault(what: str) -> RamifyError:
    return EngineUnavailable(what, hint="see that Python processes can be started on this machine")
