"""An engine in a process of its own, reached over a local socket. The same messages as in this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq.asyncio

from ...errors import EngineUnavailable, RamifyError, from_info, to_info
from ..engine.options import EngineOptions
from ..protocol.graph import ClientMessage, EngineFailed, EngineReady, EngineReply, Goodbye, Hello
from ..protocol.wire import encode, engine_codec
from ..server.sockets import make_address, open_dealer
from .engine import LoopThread, gone
from .local import run_loop

START_SECONDS = 600.0


class ProcessEngine(LoopThread):
    """Starts the engine process and waits until its model is loaded.

    Args:
        options: how to build the engine.

    Raises:
        ModelNotFound, UnsupportedModel, WorkerError: the engine could not be built.
        EngineUnavailable: its process ended while it started.
    """

    def __init__(self, options: EngineOptions) -> None:
        super().__init__()
        self._address = make_address()
        arguments = [self._address, msgspec.json.encode(options).decode()]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ramify.runtime.server", *arguments], stdin=subprocess.PIPE
        )
        self._connections: list[ProcessConnection] = []
        self._lock = threading.Lock()
        self._gone: RamifyError | None = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._main, args=(started,), name="ramify-ipc", daemon=True)
        self._thread.start()
        started.wait()
        threading.Thread(target=self._watch, name="ramify-ipc-watch", daemon=True).start()
        first: list[EngineReply] = []
        answered = threading.Event()

        def greet(reply: EngineReply) -> None:
            first.append(reply)
            answered.set()

        greeting = self.connect(greet)
        answered.wait(START_SECONDS)
        greeting.close()
        reply = first[0] if first else None
        if not isinstance(reply, EngineReady):
            self.close()
            if isinstance(reply, EngineFailed):
                raise from_info(reply.error)
            raise EngineUnavailable(f"the engine process did not start in {START_SECONDS:.0f} s", where=options.model)
        self._info = reply

    @property
    def info(self) -> EngineReady:
        return self._info

    @property
    def pid(self) -> int:
        """The engine's process id."""
        return self._process.pid

    def connect(self, on_reply: Callable[[EngineReply], None]) -> ProcessConnection:
        with self._lock:
            if self._gone is not None:
                raise self._gone
            connection = ProcessConnection(self, on_reply)
            self._connections.append(connection)
        self.call(lambda: connection.open(self._address))
        return connection

    def close(self) -> None:
        self._fail(EngineUnavailable("the engine was closed", hint="start a new engine"))
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self.loop is not None
        self.call(self.loop.stop)
        self._thread.join()
        shutil.rmtree(Path(self._address.removeprefix("ipc://")).parent, ignore_errors=True)

    def forget(self, connection: ProcessConnection) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._connections.remove(connection)

    def _main(self, started: threading.Event) -> None:
        async def wait() -> None:
            self.loop = asyncio.get_running_loop()
            started.set()
            await asyncio.Event().wait()

        with contextlib.suppress(RuntimeError):  # `close` stops the loop under it
            run_loop(wait())

    def _watch(self) -> None:
        code = self._process.wait()
        self._fail(
            EngineUnavailable(f"the engine's process ended with code {code}", hint="start a new engine; see its log")
        )

    def _fail(self, error: RamifyError) -> None:
        with self._lock:
            if self._gone is not None:
                return
            self._gone = error
            connections = list(self._connections)
        for connection in connections:
            connection.on_reply(EngineFailed(to_info(error)))


class ProcessConnection:
    """One client of a `ProcessEngine`: a socket on the engine handle's loop."""

    def __init__(self, engine: ProcessEngine, on_reply: Callable[[EngineReply], None]) -> None:
        self.on_reply = on_reply
        self._engine = engine
        self._socket: zmq.asyncio.Socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Future[Any]] = set()  # the loop itself keeps only weak references

    def open(self, address: str) -> None:
        """On the loop: connect and greet."""
        self._socket = open_dealer(address)
        self._task = asyncio.ensure_future(self._receive(self._socket))
        self._send(Hello(os.getpid()))

    def send(self, message: ClientMessage) -> None:
        if not self._engine.call(lambda: self._send(message)):
            self.on_reply(gone())

    def close(self) -> None:
        self._engine.forget(self)
        self._engine.call(self._leave)

    def _send(self, message: ClientMessage | Hello | Goodbye) -> None:
        if self._socket is not None:
            sending = asyncio.ensure_future(self._socket.send(encode(message)))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _receive(self, socket: zmq.asyncio.Socket) -> None:
        codec = engine_codec()
        while True:
            self.on_reply(codec.decode(await socket.recv()))

    def _leave(self) -> None:
        if self._socket is not None:
            self._send(Goodbye())
            socket, self._socket = self._socket, None
            if self._task is not None:
                self._task.cancel()
            asyncio.get_running_loop().call_later(0.5, socket.close)
