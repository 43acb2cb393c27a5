"""Structures with Python types in them, and the segments that their texts are read into.

    reply = s.gen("reply", type=rf.StructuralTag(rf.Sequence((
        rf.tag("", str, "</think>", name="think"),
        rf.TriggeredTags(("<call",), (rf.tag("<call>", Search, "</call>", name="search"),)),
    ))))
    for part in reply:         # Segment("think", "..."), Segment("", "..."), Segment("search", Search(...))
        if part.tag == "search": ...

What goes over the wire is the structure with a grammar in the place of each type (`grammar/spec.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from ..errors import InvalidType
from ..grammar import segments
from ..grammar.spec import (
    AnyText,
    Choices,
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

MAX_DEPTH = 16


class Segment(msgspec.Struct, frozen=True):
    """One part of a structured text.

    Attributes:
        tag: the tag's name, or its `begin` without one; "" for what stands outside of tags.
        value: what is in it: a value of the tag's type, the text, or the segments of a structure inside.
        text: the same as text, without the tag's `begin` and `end`.
        begin, end: its place in the whole text, in characters.
    """

    tag: str
    value: Any
    text: str
    begin: int
    end: int


def tag(begin: str, type: Any, end: str, *, name: str = "") -> Tag:
    """A tag whose content is of any type that `gen` takes: `begin`, the content, `end`.

    Args:
        begin: text in front; control tokens that it spells are meant. Empty where nothing else can stand there.
        type: a Python type, a JSON Schema as a dict, a grammar, or a structure; `str` is free text up to `end`.
        end: text behind.
        name: what segments and events call it.
    """
    return Tag(begin, cast(Format, type), end, name)


def structure_of(
    spec: StructuralTag, grammar_of: Callable[[Any], tuple[Any, Callable[[str], Any]]]
) -> tuple[StructuralTag, SegmentDecoder]:
    """The structure with grammars in the place of types, and the function from its text to segments.

    Args:
        spec: as the program wrote it.
        grammar_of: from a type to its grammar and decoder.

    Raises:
        InvalidType: a part that is no type; `where` is its place.
    """
    decoders: dict[int, Callable[[str], Any]] = {}

    def plain(part: Any, place: str) -> Any:
        if place.count(".") > MAX_DEPTH:
            what = f"a structure of more than {MAX_DEPTH} parts inside one another"
            raise InvalidType(what, where=place, hint="put parts side by side")
        match part:
            case Tag():
                return Tag(str(part.begin), plain(part.content, f"{place}.content"), str(part.end), str(part.name))
            case TriggeredTags():
                tags = tuple(plain(tag, f"{place}.tags[{index}]") for index, tag in enumerate(part.tags))
                excludes = tuple(map(str, part.excludes))
                triggers = tuple(map(str, part.triggers))
                return TriggeredTags(triggers, tags, part.at_least_one, part.stop_after_first, excludes)
            case TagsWithSeparator():
                tags = tuple(plain(tag, f"{place}.tags[{index}]") for index, tag in enumerate(part.tags))
                return TagsWithSeparator(tags, str(part.separator), part.at_least_one, part.stop_after_first)
            case Sequence(parts):
                return Sequence(tuple(plain(inner, f"{place}.parts[{index}]") for index, inner in enumerate(parts)))
            case Or(options):
                return Or(tuple(plain(inner, f"{place}.options[{index}]") for index, inner in enumerate(options)))
            case Optional(inner):
                return Optional(plain(inner, f"{place}.part"))
            case AnyText(excludes):
                return AnyText(tuple(map(str, excludes)))
            case StructuralTag(inner):
                return plain(inner, place)
        try:
            grammar, decode = grammar_of(part)
        except InvalidType as error:
            raise InvalidType(error.what, where=place, hint=error.hint) from None
        grammar = AnyText() if grammar is None else msgspec.structs.replace(grammar)  # an object of its own
        decoders[id(grammar)] = decode
        return grammar

    whole = StructuralTag(plain(spec.format, "format"))

    return whole, SegmentDecoder(whole, decoders)


class SegmentDecoder:
    """Makes segments of the text of one structure."""

    def __init__(self, spec: StructuralTag, decoders: dict[int, Callable[[str], Any]]) -> None:
        self._spec = spec
        self._decoders = decoders  # by the identity of the grammars in `spec`

    def __call__(self, text: str) -> list[Segment]:
        """The segments of a whole text. Raises OutputInvalid, or what a type's own validator raises."""
        return [self.typed(segment) for segment in segments.read_segments(self._spec, text)]

    def typed(self, segment: segments.Segment) -> Segment:
        """A segment that was read, with its value. Raises what a type's own validator raises."""
        value: Any
        if isinstance(segment.content, JsonSchema | Regex | Choices | Lark):
            value = self._decoders[id(segment.content)](segment.text)
        else:
            value = segment.text if segment.content is not None else [self.typed(inner) for inner in segment.inside]
        return Segment(segment.tag, value, segment.text, segment.begin, segment.end)
