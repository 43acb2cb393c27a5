"""Reads a text by its structure, as it comes: which part is free text, which is in which tag, where each ends.

The reading is the one that `structure.py` promises: marks before text, text to the first place where it can end. What
is inside a tag is judged by the library that knows it (`json`, `re`), at each place where the tag's end is spelled. The
reader is a generator that stops where more text must come; nothing is read twice but what such an end divides. Light:
clients read with it what engines have enforced.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Generator, Iterable
from typing import NoReturn, TypeAlias

import msgspec

from ..errors import OutputInvalid
from .spec import (
    AnyText,
    Choices,
    Content,
    Format,
    JsonSchema,
    Lark,
    Optional,
    Or,
    Regex,
    Sequence,
    StructuralTag,
    Tag,
    TagsWithSeparator,
    TriggeredTags,
)
from .structure import first_marks, fixed_options, may_be_empty, may_be_open

_Reading: TypeAlias = Generator[None, None, None]


class Segment(msgspec.Struct, frozen=True):
    """One part of a text, closed: nothing that follows changes it.

    Attributes:
        tag: the tag's name, or its `begin` without one; "" for text and grammars outside of tags.
        text: what is in it, without the tag's `begin` and `end`.
        begin, end: its place in the whole text, in characters, without the tag's `begin` and `end`.
        content: what it was read as.
        inside: the segments of a tag whose content is a structure.
    """

    tag: str
    text: str
    begin: int
    end: int
    content: Content | AnyText | None = None
    inside: tuple[Segment, ...] = ()


FullMatch: TypeAlias = Callable[[str, str], object]
"""From a pattern and a text to a match of all of it, or None."""


def read_segments(spec: StructuralTag, text: str, fullmatch: FullMatch = re.fullmatch) -> tuple[Segment, ...]:
    """The segments of a whole text.

    Args:
        spec: the structure.
        text: the text.
        fullmatch: matches the patterns in the structure; one that gives up, for patterns of strangers.

    Raises:
        OutputInvalid: the text is not of this structure. What the grammars in it ask beyond being JSON, or beyond a
            pattern, is not looked at.
    """
    reader = SegmentReader(spec, fullmatch)
    reader.finish(text)
    return tuple(reader.segments)


class SegmentReader:
    """Reads a text that comes in pieces.

    Attributes:
        segments: the segments that are closed, those inside of an open tag apart.
        json_begin: where the JSON began that is being read, in characters; None outside of JSON.
    """

    def __init__(self, spec: StructuralTag, fullmatch: FullMatch = re.fullmatch) -> None:
        self._fullmatch = fullmatch
        self.segments: list[Segment] = []
        self.json_begin: int | None = None
        self._text = ""
        self._at = 0
        self._ended = False
        self._is_done = False
        self._closed: list[Segment] = []
        self._reading = self._read(spec.format, (), True, self.segments)
        self._go_on()

    def feed(self, text: str) -> list[Segment]:
        """Read more text; the segments that it closed, at whatever depth, in the order in which they closed.

        Raises:
            OutputInvalid: the text so far begins no text of this structure.
        """
        self._text += text
        self._go_on()
        closed, self._closed = self._closed, []
        return closed

    def finish(self, text: str = "") -> list[Segment]:
        """Read the last text; the segments that it and the end closed. Raises OutputInvalid."""
        self._ended = True
        return self.feed(text)

    def _go_on(self) -> None:
        if not self._is_done:
            try:
                next(self._reading)
            except StopIteration:
                self._is_done = True
        if self._is_done and self._at < len(self._text):
            self._fail("text behind the end of the structure")
        if self._ended and not self._is_done:
            self._fail("the text ends inside of a part")

    # ---- the text in front

    def _follows(self, marks: Iterable[str]) -> Generator[None, None, str | None]:
        """The mark that stands here, None if none does."""
        marks = tuple(marks)
        while True:
            for mark in marks:
                if self._text.startswith(mark, self._at):
                    return mark
            left = len(self._text) - self._at
            if self._ended or not any(mark.startswith(self._text[self._at :]) for mark in marks if len(mark) > left):
                return None
            yield

    def _expect(self, mark: str) -> _Reading:
        if mark and (yield from self._follows((mark,))) is None:
            self._fail(f"expected {mark!r}")
        self._at += len(mark)

    def _fail(self, what: str) -> NoReturn:
        raise OutputInvalid(
            f"the text is not of its structure: {what}",
            where=f"character {self._at}: {self._text[self._at : self._at + 40]!r}",
            hint="raise max_tokens= if the text was cut",
        )

    # ---- parts

    def _read(self, format_: Format, follow: tuple[str, ...], ends: bool, out: list[Segment]) -> _Reading:
        """Read a format that is there.

        Args:
            format_: what to read.
            follow: the marks that may stand behind it.
            ends: the text may end behind it.
            out: where its segments go.
        """
        match format_:
            case Tag():
                yield from self._tag(format_, follow, ends, out)
            case Sequence():
                for index, part in enumerate(format_.parts):
                    rest = Sequence(format_.parts[index + 1 :])
                    is_last = may_be_empty(rest)
                    behind = (*first_marks(rest), *(follow if is_last else ()))
                    yield from self._read(part, behind, ends and is_last, out)
            case Or():
                mark = yield from self._follows(first_marks(format_))
                for option in format_.options:
                    if may_be_open(option) if mark is None else mark in first_marks(option):
                        yield from self._read(option, follow, ends, out)
                        return
                self._fail("none of the options")
            case Optional():
                if (yield from self._follows(first_marks(format_))) is not None:
                    yield from self._read(format_.part, follow, ends, out)
            case TriggeredTags():
                yield from self._triggered(format_, follow, ends, out)
            case TagsWithSeparator():
                yield from self._separated(format_, follow, ends, out)
            case _:
                begin = self._at
                yield from self._content(format_, follow, ends)
                self._close(begin, format_, out)

    def _tag(self, tag: Tag, follow: tuple[str, ...], ends: bool, out: list[Segment]) -> _Reading:
        yield from self._expect(tag.begin)
        begin = self._at
        inside: list[Segment] = []
        marks, may_end = ((tag.end,), False) if tag.end else (follow, ends)
        content = tag.content if isinstance(tag.content, JsonSchema | Regex | Choices | Lark | AnyText) else None
        if content is None:
            yield from self._read(tag.content, marks, may_end, inside)
        else:
            yield from self._content(content, marks, may_end)
        end = self._at
        yield from self._expect(tag.end)
        segment = Segment(tag.name or tag.begin, self._text[begin:end], begin, end, content, tuple(inside))
        out.append(segment)
        self._closed.append(segment)

    def _triggered(self, format_: TriggeredTags, follow: tuple[str, ...], ends: bool, out: list[Segment]) -> _Reading:
        text = AnyText(format_.excludes)
        may_end = not format_.at_least_one
        while True:
            marks = (*format_.triggers, *(follow if may_end else ()))
            begin = self._at
            yield from self._content(text, marks, ends and may_end)
            self._close(begin, text, out)
            if (yield from self._follows(marks)) not in format_.triggers:
                return
            if format_.stop_after_first:
                yield from self._one_of(format_.tags, follow, ends, out)
                return
            yield from self._one_of(format_.tags, (), False, out)
            may_end = True

    def _separated(
        self, format_: TagsWithSeparator, follow: tuple[str, ...], ends: bool, out: list[Segment]
    ) -> _Reading:
        begins = tuple(tag.begin for tag in format_.tags)
        separators = (format_.separator,) if format_.separator else begins
        if not format_.at_least_one and (yield from self._follows(begins)) is None:
            return
        if format_.stop_after_first:
            yield from self._one_of(format_.tags, follow, ends, out)
            return
        while True:
            yield from self._one_of(format_.tags, (), False, out)
            if (yield from self._follows(separators)) is None:
                return
            self._at += len(format_.separator)

    def _one_of(self, tags: tuple[Tag, ...], follow: tuple[str, ...], ends: bool, out: list[Segment]) -> _Reading:
        mark = yield from self._follows(tag.begin for tag in tags)
        for tag in tags:
            if tag.begin == mark:
                yield from self._tag(tag, follow, ends, out)
                return
        self._fail("none of the tags")

    # ---- texts

    def _content(self, content: Content | AnyText, follow: tuple[str, ...], ends: bool) -> _Reading:
        """A text of its own: to the first mark of `follow` that leaves it whole, or to the end."""
        begin = self._at
        self.json_begin = begin if isinstance(content, JsonSchema) else None
        yield from self._content_from(begin, content, follow, ends)
        self.json_begin = None

    def _content_from(self, begin: int, content: Content | AnyText, follow: tuple[str, ...], ends: bool) -> _Reading:
        if isinstance(content, Choices) and fixed_options(content):
            if (mark := (yield from self._follows(content.options))) is None:
                self._fail("none of the choices")
            self._at += len(mark)
            return
        marks = re.compile("|".join(map(re.escape, follow)) or r"(?!)")
        if isinstance(content, JsonSchema):
            yield from self._json(marks if follow or ends else re.compile('[]}"]'))
            return
        longest = max(map(len, follow), default=1)
        looked = begin
        while True:
            for match in _overlapping(marks, self._text, looked):
                if self._is_whole(content, self._text[begin : match.start()]):
                    self._at = match.start()
                    return
            looked = max(looked, len(self._text) - longest + 1)
            if self._ended:
                break
            yield
        if not ends or not self._is_whole(content, self._text[begin:]):
            self._fail("a part that does not end, or is not what it must be")
        self._at = len(self._text)

    def _json(self, hints: re.Pattern[str]) -> _Reading:
        """One JSON value; it is looked for again where a hint says that it may be whole."""
        looked = self._at
        while True:
            hint = hints.search(self._text, looked)
            if hint is not None or self._ended:
                with contextlib.suppress(ValueError, RecursionError):
                    _, self._at = json.JSONDecoder().raw_decode(self._text, self._at)
                    return
            if hint is not None:
                looked = hint.start() + 1
            elif self._ended:
                self._fail("JSON that does not end")
            else:
                yield

    def _is_whole(self, content: Regex | Choices | Lark | AnyText, text: str) -> bool:
        """Whether a text is a whole `content`."""
        match content:
            case Regex(pattern):
                return self._fullmatch(pattern, text) is not None
            case Choices(options):
                return text in options
            case Lark():  # `structure.py` has seen to it that no such text holds what follows
                return True
            case AnyText(excludes):
                return not any(excluded in text for excluded in excludes)

    def _close(self, begin: int, content: Content | AnyText, out: list[Segment]) -> None:
        """A part outside of tags is over. Free text that holds nothing is no segment."""
        if begin < self._at or not isinstance(content, AnyText):
            segment = Segment("", self._text[begin : self._at], begin, self._at, content)
            out.append(segment)
            self._closed.append(segment)


def _overlapping(pattern: re.Pattern[str], text: str, begin: int) -> Generator[re.Match[str], None, None]:
    """Every place from `begin` on where the pattern matches."""
    while (match := pattern.search(text, begin)) is not None:
        yield match
        begin = match.start() + 1
