"""How long the shortest text of a grammar is, from below: a gen whose `max_tokens` cannot hold it is refused at once.

Exact for choices and regular expressions. In a grammar of rules the names are followed some levels deep. A JSON Schema
is read keyword by keyword, each a bound that holds by itself; what is not read (patterns of names, `not`, references
that come back to themselves) bounds nothing. JSON is counted as it is at its shortest, without blanks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from ..errors import InvalidSchema
from .ecma import search_expression
from .expression import Alternatives, Chars, Expression, Reference, Repeat, Terminal
from .expression import Sequence as InSequence
from .lark_check import read_lark
from .limits import DEFAULT_LIMITS, GrammarLimits
from .regex import parse_regex
from .schema import SchemaNode, resolve
from .spec import (
    AnyText,
    Choices,
    Format,
    GrammarSpec,
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

_BY_TYPE = {"null": 4, "boolean": 4, "object": 2, "array": 2, "string": 2, "number": 1, "integer": 1}
_MAX_PARTS = 20_000
"""Parts of a schema that are looked at: through references one part may be met many times."""

_ROUNDS = 16
_MAX_REFERENCES = 32


def _utf8(text: str) -> int:
    return len(text.encode(errors="replace"))


def shortest_bytes(
    spec: GrammarSpec | AnyText, limits: GrammarLimits = DEFAULT_LIMITS, mark_bytes: Callable[[str], int] = _utf8
) -> int:
    """UTF-8 bytes that every text of a grammar has, at least.

    Args:
        spec: a grammar that compiles under `limits`.
        limits: what it was checked against.
        mark_bytes: what a fixed text of a structure counts; its control tokens are no bytes.
    """
    match spec:
        case JsonSchema(schema):
            return _JsonBound(msgspec.json.decode(schema), limits).of()
        case Regex(pattern):
            return _of_expression(parse_regex(pattern, limits), {})
        case Choices(options):
            return min(map(_utf8, options), default=0)
        case Lark(grammar):
            return _of_lark(grammar, limits)
        case StructuralTag(format_):
            return _of_format(format_, partial(shortest_bytes, limits=limits, mark_bytes=mark_bytes), mark_bytes)
        case AnyText():
            return 0


def _of_format(format_: Format, of_content: Callable[..., int], mark_bytes: Callable[[str], int]) -> int:
    """The bound of a part of a structure. Recursive: the limits have bounded its depth."""

    def of(part: Format) -> int:
        return _of_format(part, of_content, mark_bytes)

    match format_:
        case Tag():
            return mark_bytes(format_.begin) + of(format_.content) + mark_bytes(format_.end)
        case TriggeredTags() | TagsWithSeparator():
            return min(map(of, format_.tags)) if format_.at_least_one else 0
        case Sequence(parts):
            return sum(map(of, parts))
        case Or(options):
            return min(map(of, options))
        case Optional():
            return 0
        case _:
            return of_content(format_)


def _of_expression(node: Expression, named: dict[str, int]) -> int:
    """Exact, given the lengths of the names in it. Recursive: the limits have bounded the depth of patterns."""
    match node:
        case Chars(ranges):
            return len(chr(ranges[0][0]).encode(errors="replace"))
        case InSequence(parts):
            return sum(_of_expression(part, named) for part in parts)
        case Alternatives(options):
            return min(_of_expression(option, named) for option in options)
        case Repeat(part, minimum, _):
            return minimum * _of_expression(part, named) if minimum else 0
        case Reference(name):
            return named[name]
        case Terminal(expression):
            return _of_expression(expression, named)
        case _:
            return 0


def _of_lark(text: str, limits: GrammarLimits) -> int:
    """From below: after each round the length of a name is that of its shortest text, down to a depth of names."""
    grammar = read_lark(text, limits)
    definitions = grammar.rules | grammar.terminals
    lengths = dict.fromkeys(definitions, 0)
    for _ in range(_ROUNDS):
        found = {name: _of_expression(node, lengths) for name, node in definitions.items()}
        if found == lengths:
            break
        lengths = found
    return lengths["start"]


class _JsonBound:
    """The bound of one schema."""

    def __init__(self, root: SchemaNode, limits: GrammarLimits) -> None:
        self._root = root
        self._limits = limits
        self._left = _MAX_PARTS

    def of(self) -> int:
        return self._of(self._root, ())

    def _of(self, node: SchemaNode, seen: tuple[str, ...]) -> int:
        """The largest of what the keywords of one part ask for."""
        self._left -= 1
        if not isinstance(node, dict) or self._left < 0:
            return 1
        bounds = [1]
        types = node.get("type")
        if types is not None:
            names = [types] if isinstance(types, str) else types
            bounds.append(min((self._of_type(name, node, seen) for name in names), default=1))
        if "const" in node:
            bounds.append(_written(node["const"]))
        if "enum" in node:
            bounds.append(min(map(_written, node["enum"]), default=1))
        for keyword in ("anyOf", "oneOf"):
            if options := node.get(keyword):
                bounds.append(min(self._of(option, seen) for option in options))
        bounds += [self._of(part, seen) for part in node.get("allOf", ())]
        reference = node.get("$ref")
        if isinstance(reference, str) and reference not in seen and len(seen) <= _MAX_REFERENCES:
            target = resolve(self._root, reference)
            bounds += [] if target is None else [self._of(target.node, (*seen, reference))]
        return max(bounds)

    def _of_type(self, name: str, node: dict[str, Any], seen: tuple[str, ...]) -> int:
        if name == "string":
            return 2 + max(int(node.get("minLength", 0)), self._of_pattern(node.get("pattern")))
        if name == "array":
            first = node.get("prefixItems", ())
            rest = node.get("items", True)
            count = int(node.get("minItems", 0))
            items = [self._of(part, seen) for part in first[:count]]
            if len(items) < count and not isinstance(rest, list):
                items.append((count - len(items)) * self._of(rest, seen))
            return 2 + sum(items) + max(0, count - 1)
        if name == "object":
            properties = node.get("properties", {})
            required = dict.fromkeys(node.get("required", ()))
            members = [_written(key) + 1 + self._of(properties.get(key, True), seen) for key in required]
            return 2 + sum(members) + max(0, len(members) - 1)
        return _BY_TYPE.get(name, 1)

    def _of_pattern(self, pattern: Any) -> int:
        try:
            expression = search_expression(pattern, "#", self._limits) if isinstance(pattern, str) else None
        except InvalidSchema:
            return 0
        return 0 if expression is None else _of_expression(expression, {})


def _written(value: Any) -> int:
    """Bytes of a value as the shortest JSON; a number may be written in other ways, and counts one."""
    match value:
        case str():
            return 2 + sum(map(_in_string, value))
        case bool() | None:
            return 5 if value is False else 4
        case list():
            return 2 + sum(map(_written, value)) + max(0, len(value) - 1)
        case dict():
            return 2 + _members(value.items()) + max(0, len(value) - 1)
        case _:
            return 1


def _members(items: Iterable[tuple[str, Any]]) -> int:
    return sum(_written(key) + 1 + _written(value) for key, value in items)


def _in_string(character: str) -> int:
    """Bytes of a character in a JSON string."""
    if character in '"\\\b\f\n\r\t':
        return 2
    return 6 if character < " " or "\ud800" <= character <= "\udfff" else len(character.encode())
