"""What is complete in the text of a structure, as it comes: tags, and the fields of the JSON in the open one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import OutputInvalid
from ..grammar.segments import SegmentReader
from ..grammar.spec import JsonSchema, StructuralTag
from .closed import Closed, JsonReader
from .structure import SegmentDecoder


@dataclass(frozen=True)
class ClosedTag:
    """A tag whose end is there.

    Attributes:
        tag: its name, or its `begin` without one.
        index: how many tags were closed before it.
        begin, end: of its content, in bytes of the whole text.
        value: its content, of its type.
    """

    tag: str
    index: int
    begin: int
    end: int
    value: Any


class StructureReader:
    """Reads the text of one structured gen as it comes.

    Args:
        spec: the structure.
        decoder: makes values of what is in the tags.
    """

    def __init__(self, spec: StructuralTag, decoder: SegmentDecoder) -> None:
        self._reader = SegmentReader(spec)
        self._decoder = decoder
        self._text = ""
        self._num_tags = 0
        self._is_broken = False
        self._json = JsonReader()
        self._json_begin = self._json_fed = -1
        self._counted = (0, 0)  # a place in characters, and the same in bytes

    def feed(self, text: str) -> list[ClosedTag | Closed]:
        """Read more text; what it completed, in order."""
        if self._is_broken:
            return []
        self._text += text
        out: list[ClosedTag | Closed] = []
        try:
            closed = self._reader.feed(text)
        except OutputInvalid:  # the gen itself will say so
            self._is_broken = True
            return []
        for segment in closed:
            if isinstance(segment.content, JsonSchema):
                out += self._fields(segment.begin, segment.end)
            if segment.tag:
                begin, end = self._bytes(segment.begin), self._bytes(segment.end)
                try:
                    value = self._decoder.typed(segment).value
                except Exception:  # a validator of the program's: the gen fails with it, or is tried again
                    self._is_broken = True
                    return out
                out.append(ClosedTag(segment.tag, self._num_tags, begin, end, value))
                self._num_tags += 1
        if self._reader.json_begin is not None:
            out += self._fields(self._reader.json_begin, len(self._text))
        return out

    def _fields(self, begin: int, end: int) -> list[Closed]:
        """The fields that are complete in the JSON from `begin` on, of which there is text up to `end`."""
        if begin != self._json_begin:
            self._json, self._json_begin, self._json_fed = JsonReader(), begin, begin
        text, self._json_fed = self._text[self._json_fed : end], end
        base = self._bytes(begin)
        return [
            Closed(where, base + first, base + last)
            for _, fields in self._json.feed(text)
            for where, first, last in fields
        ]

    def _bytes(self, place: int) -> int:
        """A place in characters, in bytes. Places seldom go back, so little is counted twice."""
        at, counted = self._counted if self._counted[0] <= place else (0, 0)
        counted += len(self._text[at:place].encode())
        self._counted = place, counted
        return counted
