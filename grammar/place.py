"""Where a JSON text stands in its schema: a key that is equal only where the same texts may follow.

A mask says which tokens lead on to a whole value, so it depends on nothing but the texts that may follow. No backend
says whether two places are alike; for plain schemas the text says it. Where no keyword looks from one value at another,
a value that is complete has no say any more, and inside a string with a length and nothing else only the room that is
left has:

    {"name": "Anna", "tags": ["x", "lat      ->  root {name, tags}; array, 1 before; string, room 9 of 12

Such schemas are made of objects with listed properties, arrays of one kind of item, local references, and values that
are neither (of these anything may be asked: their text is compared as it is until it is complete). For all others
there is no place, and nothing is remembered of their masks.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .schema import SchemaNode

_NOTES = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$defs", "x-guidance"}
)
"""Keywords that allow and forbid nothing."""
_OBJECT = frozenset({"type", "properties", "required", "additionalProperties"})
_ARRAY = frozenset({"type", "items", "minItems", "maxItems"})
_STRING = frozenset({"type", "minLength", "maxLength"})
_SCALARS = frozenset({"string", "integer", "number", "boolean", "null"})
_DIGITS = 2
"""Longer beginnings of numbers are too many to remember, and cheap."""
_QUOTE, _BACKSLASH, _SPACE, _DELETE = 0x22, 0x5C, 0x20, 0x7F


class ObjectShape:
    """An object of listed properties: the number and the shape of each."""

    __slots__ = ("properties",)

    def __init__(self) -> None:
        self.properties: dict[str, tuple[int, Shape]] = {}


class ArrayShape:
    """An array; `items` is set when it is known."""

    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items: Shape = self


class ScalarShape:
    """A value without parts. `plain`: a string with a length and nothing else."""

    __slots__ = ("longest", "plain", "shortest")

    def __init__(self, plain: bool = False, shortest: int = 0, longest: int | None = None) -> None:
        self.plain = plain
        self.shortest = shortest
        self.longest = longest


Shape: TypeAlias = ObjectShape | ArrayShape | ScalarShape


class _NoShape(Exception):
    """The schema has a keyword that looks from one value at another, or leaves open what comes."""


def read_shape(schema: SchemaNode) -> Shape | None:
    """The shape of a schema; None if places in it cannot be told."""
    try:
        return _Reader(schema).shape(schema)
    except _NoShape:
        return None


class _Reader:
    def __init__(self, root: SchemaNode) -> None:
        self._root = root
        self._references: dict[str, Shape] = {}
        self._open: set[str] = set()

    def shape(self, node: SchemaNode, name: str = "") -> Shape:
        if not isinstance(node, dict):
            raise _NoShape
        keywords = node.keys() - _NOTES
        if keywords == {"$ref"}:
            return self._referenced(node["$ref"])
        if node.get("type") == "object" and keywords <= _OBJECT and node.get("additionalProperties") is False:
            made = ObjectShape()
            self._name(name, made)
            for index, (key, part) in enumerate(node.get("properties", {}).items()):
                made.properties[key] = (index, self.shape(part))
            return made
        if node.get("type") == "array" and keywords <= _ARRAY and "items" in node:
            array = ArrayShape()
            self._name(name, array)
            array.items = self.shape(node["items"])
            return array
        if _is_scalar(node):
            plain = node.get("type") == "string" and keywords <= _STRING
            return ScalarShape(plain, node.get("minLength", 0), node.get("maxLength"))
        raise _NoShape

    def _referenced(self, pointer: str) -> Shape:
        if pointer not in self._references:
            if not isinstance(self._root, dict) or not pointer.startswith("#/$defs/") or pointer in self._open:
                raise _NoShape
            self._open.add(pointer)
            part = self._root.get("$defs", {}).get(pointer.removeprefix("#/$defs/"))
            self._references[pointer] = self.shape(part, pointer)
        return self._references[pointer]

    def _name(self, pointer: str, shape: Shape) -> None:
        """Known before its parts are, which may refer to it."""
        if pointer:
            self._references[pointer] = shape


def _is_scalar(node: Mapping[str, Any]) -> bool:
    """Whether no value of a schema has parts."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in node:
            return all(isinstance(part, dict) and _is_scalar(part) for part in node[keyword])
    if "enum" in node or "const" in node:
        return not any(isinstance(value, dict | list) for value in node.get("enum", [node.get("const")]))
    types = node.get("type", [])
    return bool(types) and {types} <= _SCALARS if isinstance(types, str) else bool(types) and set(types) <= _SCALARS


# What the next byte belongs to.
_VALUE, _PLAIN, _QUOTED, _BARE, _BETWEEN, _KEY, _ESCAPED, _LOST = range(8)


class Place:
    """A place in a shape. Immutable: `after` gives the next one.

    `frames` are the open objects (with the set of keys written, as bits) and arrays (with the number of commas);
    `shape` is that of the value that begins or goes on; `text` is what was written since the last thing that counts.
    """

    __slots__ = ("_count", "_frames", "_mode", "_shape", "_text")

    def __init__(self, shape: Shape) -> None:
        self._frames: tuple[tuple[Shape, int], ...] = ()
        self._shape = shape
        self._mode = _VALUE
        self._text = b""
        self._count = 0

    def key(self, reach: int) -> Hashable | None:
        """Equal for two places of one shape only if tokens of at most `reach` bytes may follow in both or in neither;
        None where that is not known."""
        mode = self._mode
        if mode == _PLAIN:
            shape = self._shape
            assert isinstance(shape, ScalarShape)
            room = reach if shape.longest is None else min(reach, shape.longest - self._count)
            missing = min(reach + 1, max(0, shape.shortest - self._count))
            return (self._frames, shape, room, missing, self._text)
        if mode >= _ESCAPED or (mode == _BARE and len(self._text) > _DIGITS):
            return None
        return (self._frames, self._shape, mode, self._text)

    def after(self, token: bytes, characters: int) -> Place:
        """The place behind a token; `characters`: see `plain_characters`."""
        place = Place.__new__(Place)
        place._frames, place._shape, place._mode = self._frames, self._shape, self._mode
        place._text, place._count = self._text, self._count
        if place._mode == _PLAIN and characters and not place._text:
            place._count += characters
        elif place._mode != _LOST:
            for byte in token:
                place._step(byte)
        return place

    def _step(self, byte: int) -> None:
        match self._mode:
            case 0:  # _VALUE
                self._begin(byte)
            case 1:  # _PLAIN
                self._plain(byte)
            case 2:  # _QUOTED
                self._text += bytes((byte,))
                if byte == _QUOTE and _closes(self._text):
                    self._complete()
            case 3:  # _BARE
                if byte in b",]}":
                    self._complete()
                    self._between(byte)
                else:
                    self._text += bytes((byte,))
            case 4:  # _BETWEEN
                self._between(byte)
            case 5:  # _KEY
                self._text += bytes((byte,))
                if byte == _QUOTE and _closes(self._text):
                    self._name_key()
            case 6:  # _ESCAPED
                self._text += bytes((byte,))
                if byte == _QUOTE and _closes(self._text):
                    self._complete()

    def _begin(self, byte: int) -> None:
        shape = self._shape
        if byte == _SPACE:
            self._text += b" "
        elif byte == _QUOTE and isinstance(shape, ScalarShape):
            self._mode = _PLAIN if shape.plain else _QUOTED
            self._text = b"" if shape.plain else b'"'
            self._count = 0
        elif byte == 0x7B and isinstance(shape, ObjectShape):
            self._frames += ((shape, 0),)
            self._mode, self._text = _BETWEEN, b"{"
        elif byte == 0x5B and isinstance(shape, ArrayShape):
            self._frames += ((shape, 0),)
            self._shape, self._text = shape.items, b"["
        elif byte == 0x5D and self._text == b"[":
            self._leave(byte)
        elif isinstance(shape, ScalarShape):
            self._mode, self._text = _BARE, bytes((byte,))
        else:
            self._mode = _LOST

    def _plain(self, byte: int) -> None:
        if self._text:  # inside a character
            self._text += bytes((byte,))
            if len(self._text) == _character_length(self._text[0]):
                self._text = b""
                self._count += 1
        elif byte == _QUOTE:
            self._complete()
        elif byte in (_BACKSLASH, _DELETE) or byte < _SPACE:
            # How much room an escape takes is the backend's affair: nothing is known until the string ends.
            self._mode, self._text = _ESCAPED, b'"' + bytes((byte,))
        elif byte < 0x80:
            self._count += 1
        else:
            self._text = bytes((byte,))

    def _between(self, byte: int) -> None:
        """Behind a value, behind the opening of an object, or behind a key."""
        if byte in b"}]":
            self._leave(byte)
            return
        in_array = bool(self._frames) and isinstance(self._frames[-1][0], ArrayShape)
        if byte == 0x2C and in_array:
            array, commas = self._frames[-1]
            assert isinstance(array, ArrayShape)
            self._frames = (*self._frames[:-1], (array, commas + 1))
            self._mode, self._shape, self._text = _VALUE, array.items, b","
        elif byte == 0x3A and self._text.endswith(b'"'):
            self._mode, self._text = _VALUE, b":"
        elif byte == _QUOTE and not in_array:
            self._mode, self._text = _KEY, b'"'
        else:
            self._text += bytes((byte,))

    def _name_key(self) -> None:
        shape, written = self._frames[-1]
        name = _loads(self._text)
        if not isinstance(shape, ObjectShape) or name not in shape.properties:
            self._mode = _LOST
            return
        index, self._shape = shape.properties[name]
        self._frames = (*self._frames[:-1], (shape, written | 1 << index))
        self._mode, self._text = _BETWEEN, b'"'

    def _leave(self, byte: int) -> None:
        """An object or an array ends."""
        if not self._frames or isinstance(self._frames[-1][0], ObjectShape) != (byte == 0x7D):
            self._mode = _LOST
            return
        self._frames = self._frames[:-1]
        self._complete()

    def _complete(self) -> None:
        """A value is complete: it has no say any more."""
        self._mode, self._text, self._count = _BETWEEN, b"", 0
        if self._frames:
            self._shape = self._frames[-1][0]


def plain_characters(token: bytes) -> int:
    """Characters of a token that is plain text of a JSON string from end to end, else 0."""
    if _QUOTE in token or _BACKSLASH in token or _DELETE in token or (token and min(token) < _SPACE):
        return 0
    try:
        return len(token.decode())
    except UnicodeDecodeError:
        return 0


def _closes(text: bytes) -> bool:
    """Whether the quote at the end of `text` is not escaped, nor the one at its start."""
    before = text[1:-1]
    return len(text) > 1 and (len(before) - len(before.rstrip(b"\\"))) % 2 == 0


def _character_length(lead: int) -> int:
    return 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _loads(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
