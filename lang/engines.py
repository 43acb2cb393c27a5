"""`Engine`: what a user opens to run programs on, here or in a process of its own; and the engines opened by name."""

from __future__ import annotations

import os
import threading
from typing import Any, Literal, Protocol

from ..errors import EngineUnavailable
from ..runtime.client.engine import EngineHandle
from ..runtime.engine.options import EngineOptions
from ..runtime.protocol.graph import EngineReady
from .hub import Hub
from .link import Link


class Engine:
    """A running engine. Use it as a context manager, or close it; a program's end does not.

    Args:
        model: "seedling", the bundled model, or a model directory.
        process: run it in a process of its own, reached over a local socket; otherwise on a thread of this one.
        options: the fields of `EngineOptions`: device, dtype, slots, max_rows, overlap, grammar, ...

    Raises:
        ModelNotFound, UnsupportedModel, WorkerError: it could not be started.
        TypeError: an option is unknown.
    """

    def __init__(self, model: str = "seedling", *, process: bool = False, **options: Any) -> None:
        settings = EngineOptions(model=str(model), **options)
        self._handle: EngineHandle
        if process:
            from ..runtime.client.ipc import ProcessEngine

            self._handle = ProcessEngine(settings)
        else:
            from ..runtime.client.local import LocalEngine

            self._handle = LocalEngine(settings)
        self._link: Link | None = None
        self._lock = threading.Lock()

    @property
    def info(self) -> EngineReady:
        """What it serves: model, context, KV slots."""
        return self._handle.info

    def link(self, hub: Hub) -> Link:
        """The line of this process's programs to the engine, made once."""
        with self._lock:
            if self._link is None:
                link = Link(hub)
                link.attach(self._handle.connect(link.on_reply))
                self._link = link
            return self._link

    def close(self) -> None:
        """Stop it; runs that are left fail with `EngineUnavailable`."""
        self._handle.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.close()
        return False

    def __repr__(self) -> str:
        return f"<Engine {self.info.model}>"


class _Named:
    """Engines opened by a name in `.on(...)`: one for each name and process, opened when first needed."""

    def __init__(self) -> None:
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Engine:
        with self._lock:
            engine = self._engines.get(name)
            if engine is None:
                engine = self._engines[name] = Engine(name)
            return engine


_named = _Named()


class Linked(Protocol):
    """What `Program.on` takes besides a name: an `Engine`, or `testing.Scripted`."""

    def link(self, hub: Hub) -> Link:
        """The line of this process's programs to the engine."""
        ...


def find_link(engine: Linked | str | None, hub: Hub) -> Link:
    """The line to `engine`, which may be a name; None takes RAMIFY_ENGINE. Raises EngineUnavailable without one."""
    if engine is None:
        engine = _from_environment()
    return (_named.get(engine) if isinstance(engine, str) else engine).link(hub)


def _from_environment() -> str:
    """The engine that RAMIFY_ENGINE names. Raises EngineUnavailable if it names none."""
    name = os.environ.get("RAMIFY_ENGINE", "")
    if not name:
        raise EngineUnavailable(
            "no engine was named",
            hint='bind the program with .on("seedling") or .on(Engine(...)), or set RAMIFY_ENGINE to a model directory',
        )
    return name
