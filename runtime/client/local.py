"""An engine on a thread of this process: for a CPU, for notebooks, for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from ...errors import EngineUnavailable
from ..engine.options import EngineOptions
from ..protocol.graph import ClientMessage, EngineReady, EngineReply
from .engine import LoopThread, gone


class LocalEngine(LoopThread):
    """Starts the engine's thread and waits until the model is loaded.

    Args:
        options: how to build it.

    Raises:
        ModelNotFound, UnsupportedModel, WorkerError: the engine could not be built.
    """

    def __init__(self, options: EngineOptions) -> None:
        super().__init__()
        self._ready = threading.Event()
        self._info: EngineReady | None = None
        self._error: BaseException | None = None
        self._stop: asyncio.Event | None = None
        self._serve: Callable[[int, LocalConnection], None] | None = None
        self._lock = threading.Lock()
        self._next_client = 0
        self._closed = False
        self._thread = threading.Thread(target=self._main, args=(options,), name="ramify-engine", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            raise self._error

    @property
    def info(self) -> EngineReady:
        assert self._info is not None
        return self._info

    def connect(self, on_reply: Callable[[EngineReply], None]) -> LocalConnection:
        with self._lock:
            if self._closed:
                raise EngineUnavailable("the engine was closed", hint="start a new engine")
            number, self._next_client = self._next_client, self._next_client + 1
        connection = LocalConnection(self, number, on_reply)
        self.call(connection.join)
        return connection

    def close(self) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            assert self._stop is not None
            self.call(self._stop.set)
            self._thread.join()

    def _main(self, options: EngineOptions) -> None:
        try:
            run_loop(self._run(options))
        except BaseException as error:
            self._error = error
        finally:
            self._closed = True
            self._ready.set()

    async def _run(self, options: EngineOptions) -> None:
        from ..engine.build import build_engine  # torch is loaded here, when an engine starts, and not before

        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        engine = build_engine(options)
        self.engine_loop = engine.loop
        self._info = engine.info
        task = asyncio.create_task(engine.loop.run())
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            engine.close()
            await task


class LocalConnection:
    """One client of a `LocalEngine`."""

    def __init__(self, engine: LocalEngine, number: int, on_reply: Callable[[EngineReply], None]) -> None:
        self._engine = engine
        self._number = number
        self._on_reply = on_reply

    def join(self) -> None:
        """On the engine's loop: begin to take replies."""
        self._engine.engine_loop.connect(self._number, _Sink(self._on_reply))

    def send(self, message: ClientMessage) -> None:
        if not self._engine.call(lambda: self._engine.engine_loop.receive(self._number, message)):
            self._on_reply(gone())

    def close(self) -> None:
        self._engine.call(lambda: self._engine.engine_loop.disconnect(self._number))


class _Sink:
    def __init__(self, on_reply: Callable[[EngineReply], None]) -> None:
        self.send = on_reply


def run_loop(main: object) -> None:
    """Run a coroutine to its end on a uvloop where there is one, else on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)  # type: ignore[arg-type]
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)  # type: ignore[arg-type]
