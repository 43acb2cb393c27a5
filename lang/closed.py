"""Where the fields of a JSON text end, as it comes: for readers who act on a field before the whole is there.

ijson says that a field is over; where it began and ended is known because it is given the text in pieces, cut at every
mark and blank of JSON. Inside of a string such a cut means nothing to it.

    pieces     {  "  city  "  :     "  Rome  "  ,    ...
    ijson      start      map_key        string              each while it reads the piece that is over it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

EVERY_MEMBER = 256
"""Members of one object or array that are told one by one."""

_PIECES = re.compile(r"""[{}\[\]:,"\s]|[^{}\[\]:,"\s]+""")
_BETWEEN = frozenset({b":", b",", b" ", b"\t", b"\r", b"\n", b"}", b"]"})
"""No value begins with these, and no number goes on."""

_SCALARS = frozenset({"number", "boolean", "null", "integer", "double"})

JsonEvent: TypeAlias = tuple[str, Any]
"""Name and value, as ijson gives them."""


class Closed(NamedTuple):
    """A field or an item whose text is complete.

    Attributes:
        where: names of fields and places of items, from the root.
        begin, end: of its value, in bytes of the whole text.
    """

    where: tuple[str | int, ...]
    begin: int
    end: int


class _Container:
    """An open object or array: where it began, how many members it had, and the name or place of the one that comes."""

    __slots__ = ("begin", "count", "key")

    def __init__(self, begin: int, key: str | int) -> None:
        self.begin = begin
        self.count = 0
        self.key = key


class JsonReader:
    """Parses one JSON text as it comes. ijson looks at each character once and keeps no text.

    Attributes:
        is_broken: what came is not JSON, or came behind its end; nothing more is read.
    """

    def __init__(self) -> None:
        import ijson

        self.is_broken = False
        self._invalid: type[Exception] = ijson.JSONError
        self._events: list[JsonEvent] = []
        self._parser = ijson.basic_parse_coro(_Sink(self._events), use_float=True)
        self._open: list[_Container] = []
        self._at = 0
        self._begin = -1  # of the value that is being read
        self._scalar_end = 0

    def feed(self, text: str) -> Iterator[tuple[list[JsonEvent], list[Closed]]]:
        """Read more text: wherever something was over, ijson's events and the fields that they close."""
        for match in _PIECES.finditer(text):
            if self.is_broken:
                return
            piece = match[0].encode()
            try:
                self._parser.send(piece)
            except self._invalid:
                self.is_broken = True
            events = self._events.copy()
            self._events.clear()
            closed = self._take(piece, events)
            if events:
                yield events, closed

    def _take(self, piece: bytes, events: list[JsonEvent]) -> list[Closed]:
        """The fields that a piece has closed."""
        begin, self._at = self._at, self._at + len(piece)
        closed: list[Closed] = []
        if piece not in _BETWEEN:
            self._begin = begin if self._begin < 0 else self._begin
            self._scalar_end = self._at
        for event, value in events:
            if event in ("start_map", "start_array"):
                self._open.append(_Container(self._begin, 0))
            elif event == "map_key":
                self._open[-1].key = value
            elif event in ("end_map", "end_array"):
                closed += self._close(self._open.pop().begin, self._at)
            else:
                closed += self._close(self._begin, self._scalar_end if event in _SCALARS else self._at)
            self._begin = -1
        return closed

    def _close(self, begin: int, end: int) -> list[Closed]:
        """A value is over: a member of what is open, or the root."""
        if not self._open:
            return [Closed((), begin, end)]
        around = self._open[-1]
        where = tuple(container.key for container in self._open)
        around.count += 1
        if isinstance(around.key, int):
            around.key += 1
        return [Closed(where, begin, end)] if around.count <= EVERY_MEMBER else []


class _Sink:
    """The end of the parser's chain."""

    def __init__(self, events: list[JsonEvent]) -> None:
        self.send = events.append
