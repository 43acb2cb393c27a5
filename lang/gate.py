"""Gates: recording goes on while a stream waits for something that only Python can decide.

A gen with a `check` may have to be tried again, and what follows it on its stream must stand behind the attempt that
passes. So the stream gets a gate: nodes recorded behind it are held, and leave when it opens. Forks of the stream stand
behind the same gate, other streams are not held up, and the program itself never waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import NodeError, RamifyError, to_info
from ..runtime.protocol.graph import Gen, GraphNode, Read

if TYPE_CHECKING:
    from .run import Run


def _nobody_asks() -> None: ...


class Gate:
    """Holds nodes until `open` or `fail`; then passes them on, to the gate around it or to the run."""

    def __init__(self, run: Run[Any], outer: Gate | None) -> None:
        self._run = run
        self._outer = outer
        self._held: list[tuple[GraphNode, Callable[[], object]]] = []
        self._closed = True
        self._error: RamifyError | None = None

    def emit(self, node: GraphNode, sent: Callable[[], object] = _nobody_asks) -> None:
        """Record `node` behind this gate; `sent` is called when the run has it."""
        if self._error is not None:
            self._refuse(node, self._error)
        elif self._closed:
            self._held.append((node, sent))
        else:
            self.around(node, sent)

    def around(self, node: GraphNode, sent: Callable[[], object] = _nobody_asks) -> None:
        """Record `node` in front of this gate."""
        if self._outer is not None:
            self._outer.emit(node, sent)
        else:
            self._run.record(node)
            sent()

    def open(self) -> None:
        """Let what is held go on."""
        self._closed = False
        held, self._held = self._held, []
        for node, sent in held:
            self.around(node, sent)

    def fail(self, error: RamifyError) -> None:
        """What is held will never run: its values fail with `error`."""
        if isinstance(error, NodeError):
            error = error.cause  # each value that is refused says its own path around it
        self._error = error
        held, self._held = self._held, []
        for node, _ in held:
            self._refuse(node, error)

    def _refuse(self, node: GraphNode, error: RamifyError) -> None:
        if isinstance(node, Gen | Read):
            self._run.refuse(node.node, to_info(error))
