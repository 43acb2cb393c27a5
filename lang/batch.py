"""`Program.batch`: one program over many rows, some at a time, resumable by key.

Each row is a run of its own, so one that fails is an `Item` with its error and the others go on. With a journal, what
is done is written as it is done, one JSON line an item; starting the same batch again gives those items from the
journal and runs the rest. Only `limit` rows are ever on the engine at once, however long `rows` is.
"""

from __future__ import annotations

import queue
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, Generic, TypeVar

import msgspec

from ..errors import InvalidRequest
from ..runtime.progress import BatchProgress
from ..runtime.protocol.graph import GenNotes
from .hub import Hub, current_greenlet
from .journal import Journal
from .link import Link
from .run import Run

R = TypeVar("R")
T = TypeVar("T")


class Item(msgspec.Struct, Generic[R], frozen=True):
    """One row's outcome.

    Attributes:
        key: the row's key.
        index: its place in `rows`.
        value: what the program returned; None if it failed.
        error: why it failed; a `NodeError` has the node's path and source line.
        resumed: the value comes from the journal, nothing was run.
        notes: what of its gens' types was not enforced as it is written.
    """

    key: str
    index: int
    value: R | None = None
    error: BaseException | None = None
    resumed: bool = False
    notes: tuple[GenNotes, ...] = ()

    @property
    def ok(self) -> bool:
        return self.error is None


def run_batch(
    launch: Callable[..., Run[R]],
    link: Link,
    rows: Iterable[Mapping[str, Any]],
    key: Callable[[Mapping[str, Any]], str] | None,
    limit: int,
    journal: Journal,
    progress: bool | None = None,
) -> Iterator[Item[R]]:
    """Items in the order in which their runs end; closing the iterator cancels what is in flight."""
    if limit < 1:
        raise InvalidRequest(f"limit is {limit}", hint="run at least one row at a time")
    ended: _Ended[tuple[int, str, Run[R]]] = _Ended(link.hub)
    running: dict[int, Run[R]] = {}
    seen: set[str] = set()
    shown = BatchProgress(len(rows) if isinstance(rows, Sized) else None, progress)

    def collect() -> Item[R]:
        index, name, run = ended.get()
        del running[index]
        error = run._future.exception()
        report = None if run._closed is None else run._closed.report
        shown.row_ended(failed=error is not None, report=report)
        notes = () if report is None else report.notes
        if error is not None:
            return Item(name, index, error=error, notes=notes)
        value = run._future.result()
        journal.add(name, value)
        return Item(name, index, value, notes=notes)

    try:
        for index, row in enumerate(rows):
            name = str(index) if key is None else key(row)
            if name in seen:
                raise InvalidRequest(
                    f"two rows have the key {name!r}", where=f"row {index}", hint="keys name one row each"
                )
            seen.add(name)
            done, value = journal.find(name)
            if done:
                shown.row_resumed()
                yield Item(name, index, value, resumed=True)
                continue
            while len(running) >= limit:
                yield collect()
            run = running[index] = launch(link, **row)
            run._future.add_done_callback(lambda _, entry=(index, name, run): ended.put(entry))  # type: ignore[misc]
        while running:
            yield collect()
    finally:  # also on Ctrl-C: nothing of the batch is on the engine when this returns
        shown.close()
        for run in running.values():
            run.cancel()
        while running:
            index, _, _ = ended.get()
            del running[index]


class _Ended(Generic[T]):
    """A queue that blocks its thread, or parks its program if it is read in one."""

    def __init__(self, hub: Hub) -> None:
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._hub = hub
        self._reader = current_greenlet()

    def put(self, item: T) -> None:
        self._queue.put(item)
        if self._reader is not None:
            self._hub.call(self._reader.wake)

    def get(self) -> T:
        while self._reader is not None and self._queue.empty():
            self._reader.park()
        return self._queue.get()


def return_type(body: Callable[..., Any]) -> Any:
    """The annotated return type, by which values from a journal are revived; None without one."""
    try:
        return typing.get_type_hints(body).get("return")
    except (NameError, TypeError):
        return None
