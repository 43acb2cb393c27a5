"""Progress on a terminal: the weights of a model as they load, the rows of a batch as they end.

Bars are drawn on stderr and only where that is a terminal, so pipes, logs and tests never see one; `RAMIFY_PROGRESS=0`
turns them off. rich is imported when the first bar is drawn and not before. An engine process has the stderr of the
process that started it, so it draws the bar of its own weights; nothing about progress travels over its socket.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .protocol.graph import RunReport

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

VARIABLE = "RAMIFY_PROGRESS"


def wanted(asked: bool | None = None) -> bool:
    """Whether a bar is to be drawn.

    Args:
        asked: False never; None unless `RAMIFY_PROGRESS=0`; True also then. Without a terminal there is none at all.
    """
    if asked is False or sys.stderr is None or not sys.stderr.isatty():
        return False
    return asked is True or os.environ.get(VARIABLE, "1") != "0"


@contextmanager
def loading_weights(files: Sequence[Path]) -> Iterator[Callable[[Path, int], None]]:
    """A bar over the bytes of weight files, which goes away when they are loaded.

    Args:
        files: in the order in which they are read.

    Yields:
        A function to call for each tensor that was loaded, with its file and its bytes.
    """
    if not wanted():
        yield lambda path, loaded: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    sizes = {path: path.stat().st_size for path in files}
    places = {path: f"loading weights, file {i} of {len(files)}" for i, path in enumerate(files, 1)}
    with _progress(*columns, transient=True) as progress:
        task = progress.add_task("loading weights", total=sum(sizes.values()))

        def loaded(path: Path, count: int) -> None:
            description = places[path] if len(files) > 1 else "loading weights"
            progress.update(task, advance=count, description=description)

        yield loaded


class BatchProgress:
    """Counts the rows of a batch and, where that is wanted, draws them.

    Args:
        total: rows in all; None if nobody knows.
        asked: see `wanted`.

    Attributes:
        done: rows that were run and ended well.
        failed: rows that were run and failed.
        resumed: rows that a journal had.
    """

    def __init__(self, total: int | None, asked: bool | None = None) -> None:
        self.done = 0
        self.failed = 0
        self.resumed = 0
        self._prefill = 0
        self._uncached = 0
        self._began = time.monotonic()
        self._drawn: tuple[Progress, TaskID] | None = None
        if wanted(asked):
            self._drawn = self._draw(total)

    @property
    def hit_rate(self) -> float | None:
        """Part of the prompts that was not computed: 1 - prefill / uncached prefill. None before the first report.

        It covers the gens of the rows themselves and not those of their child runs, which have reports of their own.
        """
        return 1 - self._prefill / self._uncached if self._uncached else None

    @property
    def status(self) -> str:
        """The counts in words."""
        ran = self.done + self.failed
        parts = [f"{self.done} done", f"{self.failed} failed", f"{self.resumed} resumed"]
        parts.append(f"{ran / max(time.monotonic() - self._began, 1e-9):.1f} rows/s")
        if self.hit_rate is not None:
            parts.append(f"{self.hit_rate:.0%} prefill hits")
        return ", ".join(parts)

    def row_resumed(self) -> None:
        """A row was found in the journal."""
        self.resumed += 1
        self._advance()

    def row_ended(self, *, failed: bool, report: RunReport | None) -> None:
        """A row's run has ended. `report` is None if the engine went away first."""
        if failed:
            self.failed += 1
        else:
            self.done += 1
        if report is not None:
            self._prefill += report.prefill
            self._uncached += report.uncached_prefill
        self._advance()

    def close(self) -> None:
        """Leave the last state of the bar on the terminal. The second time nothing happens."""
        if self._drawn is not None:
            progress, _ = self._drawn
            self._drawn = None
            progress.stop()

    def _advance(self) -> None:
        if self._drawn is not None:
            progress, task = self._drawn
            progress.update(task, advance=1, status=self.status)

    def _draw(self, total: int | None) -> tuple[Progress, TaskID]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        progress = _progress(
            TextColumn("rows"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[status]}"),
        )
        task = progress.add_task("rows", total=total, status=self.status)
        progress.start()
        return progress, task


def _progress(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """A rich progress display on stderr. What is printed meanwhile goes where it would have gone without it."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns,
        console=Console(stderr=True),
        transient=transient,
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
    )
