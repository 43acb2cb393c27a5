"""Text as it is generated, on stderr while a run goes on; it goes away when the result is printed.

Several gens write at the same time, so each has its own lines under its path. Only the last lines of a text are kept
and only the last few gens are shown: a terminal has no room for more.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from ..lang.events import Event, NodeDone, NodeFailed, NodeStarted, TextDelta
from .output import shown

if TYPE_CHECKING:
    from rich.console import Group

KEPT_CHARACTERS = 800
SHOWN_GENS = 6


class LiveText:
    """A context in which `show` draws."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._texts: dict[str, str] = {}
        self._live = Live(
            get_renderable=self._render,
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=8,
            redirect_stdout=sys.stdout.isatty(),
        )

    def show(self, event: Event) -> None:
        """Take in what has happened; it is drawn with the next refresh."""
        match event:
            case NodeStarted():
                self._texts[event.path] = ""
            case TextDelta():
                self._texts[event.path] = (self._texts.get(event.path, "") + event.text)[-KEPT_CHARACTERS:]
            case NodeDone() | NodeFailed():
                self._texts.pop(event.path, None)

    def refresh(self) -> None:
        """Draw now."""
        self._live.refresh()

    def _render(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        writing = [(path, text) for path, text in list(self._texts.items()) if text][-SHOWN_GENS:]
        return Group(*(Text.assemble((f"{path}\n", "dim"), shown(text)) for path, text in writing))

    def __enter__(self) -> LiveText:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
