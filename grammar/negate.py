"""The complement of a schema, where keywords can say it: what `not`, `if` and overlapping `oneOf` are rewritten with.

A schema is the conjunction of its keywords, and each of them constrains values of one type alone. So its complement is
an `anyOf` over the keywords, one alternative for each: a value of that type which this keyword refuses.

    not {type: object, required: [a]}   ==   anyOf: [{type: [all but object]}, {type: object, properties: {a: false}}]

Some complements no keyword can say (a number that is no integer, an object with a key beyond those listed, an array
with one item of a kind): `CannotNegate` is raised, and the schema stays as it is. Often something is known of the value
already, because the complement stands beside another schema: then fewer of them are needed. Of two kinds of array, for
one, the second kind's complement beside the first is "not empty" if no item can be of both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from ..errors import RamifyError
from .automaton import TooLarge, texts
from .compose import NARROWER, Resolve, Work, all_of, any_of, common_types, conjuncts, item_of, named_types, property_of
from .disjoint import shared_types
from .ecma import search_expression
from .schema import SchemaNode
from .shapes import TYPES
from .values import are_equal, type_of

_MAX_WORDS_TEXT = 2_000
_MAX_PATTERN = 4_000
_MAX_DEPTH = 30
_MAX_PARTS = 400
_MAX_PARTS_IF_NARROWER = 60
_MAX_PLACES = 8
_MAX_WORDS = 64
_LOOKS_AROUND = frozenset({"additionalProperties", "contains", "else", "if", "items", "then"})
_OF_TYPE = {
    **dict.fromkeys(("additionalProperties", "patternProperties", "properties", "propertyNames", "required"), "object"),
    **dict.fromkeys(("contains", "items", "prefixItems", "uniqueItems"), "array"),
    **dict.fromkeys(("format", "pattern"), "string"),
}
_ANY_TEXT = r"[^]*"
_OPPOSITE = {
    "minimum": ("number", "exclusiveMaximum"),
    "maximum": ("number", "exclusiveMinimum"),
    "exclusiveMinimum": ("number", "maximum"),
    "exclusiveMaximum": ("number", "minimum"),
}
_COUNTED = {
    "minLength": ("string", "maxLength", -1),
    "maxLength": ("string", "minLength", 1),
    "minItems": ("array", "maxItems", -1),
    "maxItems": ("array", "minItems", 1),
    "minProperties": ("object", "maxProperties", -1),
    "maxProperties": ("object", "minProperties", 1),
}


class CannotNegate(Exception):
    """No keywords say the complement."""


@dataclass(frozen=True)
class Known:
    """What holds of a value already, so that a complement need not tell such values apart from others.

    Attributes:
        types: the types that it can have; "integer" wherever "number" is.
        parts: schemas that it satisfies, taken apart (`conjuncts`).
    """

    types: frozenset[str] = TYPES
    parts: tuple[dict[str, Any], ...] = ()


NOTHING_KNOWN = Known()


def known_of(nodes: Iterable[SchemaNode], resolve: Resolve) -> Known | None:
    """What is known of a value that satisfies all of the schemas; None if there is no such value."""
    parts = conjuncts(nodes, resolve)
    return None if parts is None else Known(common_types(parts), tuple(parts))


def negate(
    node: SchemaNode,
    resolve: Resolve,
    known: Known = NOTHING_KNOWN,
    *,
    may_narrow: bool = False,
    work: Work | None = None,
) -> SchemaNode:
    """The schema of the values that `node` refuses, of those of which `known` holds; of others it may say anything.

    Args:
        node: a rewritten schema.
        resolve: looks references up.
        known: what holds of the value anyway.
        may_narrow: leave out the values that no keyword can say; the result then holds the mark `NARROWER`.
        work: what may be spent on proofs.

    Raises:
        CannotNegate: no keywords say it, or none but a part of it.
    """
    negation = _Negation(resolve, may_narrow, work or Work())
    complement = negation.negate(node, known, 0)
    if not negation.is_narrower or complement is True:
        return complement
    if not isinstance(complement, dict):
        raise CannotNegate
    return {**complement, NARROWER: True}


class _Negation:
    """One complement, with a bound on its size."""

    def __init__(self, resolve: Resolve, may_narrow: bool, work: Work) -> None:
        self.resolve = resolve
        self.work = work
        self.is_narrower = False
        self._may_narrow = may_narrow
        self._parts_left = _MAX_PARTS_IF_NARROWER if may_narrow else _MAX_PARTS

    def negate(self, node: SchemaNode, known: Known, depth: int) -> SchemaNode:
        if isinstance(node, bool):
            return not node
        self._parts_left -= 1
        if depth > _MAX_DEPTH or self._parts_left < 0 or NARROWER in node:
            raise CannotNegate
        if any(are_equal(node, part) for part in known.parts):
            return False
        options: list[SchemaNode] = []
        types = known.types
        # Values of other types are refused by `type` already: the keywords need not be looked at for them.
        if "type" in node:
            options.append(self._of_other_types(named_types(node), types))
            types &= common_types([node])
        complement = _Complement(self, node, Known(types, known.parts), depth)
        for keyword, value in node.items():
            if keyword != "type" and not any(_says_alike(keyword, value, part) for part in known.parts):
                options.extend(self._left_out_if_unsaid(partial(complement.of, keyword, value)))
        return any_of(options)

    def _of_other_types(self, named: frozenset[str], types: frozenset[str]) -> SchemaNode:
        """A value of `types` but not of those named."""
        rest = set(types - named)
        if "integer" in named and "number" in rest:  # the numbers that are no integers
            if not self._may_narrow:
                raise CannotNegate
            self.is_narrower = True
            rest.discard("number")
        if rest & {"number"} or "number" in named:
            rest.discard("integer")
        return {"type": sorted(rest)} if rest else False

    def _left_out_if_unsaid(self, options: Callable[[], list[SchemaNode]]) -> list[SchemaNode]:
        try:
            return options()
        except CannotNegate:
            if not self._may_narrow:
                raise
            self.is_narrower = True
            return []


def _says_alike(keyword: str, value: Any, part: dict[str, Any]) -> bool:
    """Whether a part that holds has the same keyword, which means the same wherever it stands."""
    return keyword not in _LOOKS_AROUND and keyword in part and are_equal(part[keyword], value)


class _Complement:
    """The complement of one schema, keyword by keyword: the alternatives in which that keyword refuses the value."""

    def __init__(self, whole: _Negation, node: dict[str, Any], known: Known, depth: int) -> None:
        self._whole = whole
        self._resolve = whole.resolve
        self._node = node
        self._known = known
        self._types = known.types
        self._depth = depth

    def of(self, keyword: str, value: Any) -> list[SchemaNode]:
        if keyword in _OPPOSITE:
            kind, opposite = _OPPOSITE[keyword]
            return [{"type": "number", opposite: value}] if self._types & {"number", "integer"} else []
        if keyword in _COUNTED:
            kind, opposite, step = _COUNTED[keyword]
            return [{"type": kind, opposite: value + step}] if kind in self._types and value + step >= 0 else []
        match keyword:
            case "anyOf":
                return [all_of([self._negate(part, self._known) for part in value])]
            case "allOf":
                return [self._negate(part, self._known) for part in value]
            case "not":
                return [value]
            case "$ref":
                if (target := self._resolve(value)) is None:
                    raise CannotNegate
                return [self._negate(target, self._known)]
            case "const" | "enum":
                return self._not_in([value] if keyword == "const" else value)
            case _ if keyword in _OF_TYPE and _OF_TYPE[keyword] not in self._types:
                return []
            case "pattern":
                return [_no_text_of(value)]
            case "required":
                return [{"type": "object", "properties": {name: False}} for name in value if not self._has(name)]
            case "properties":
                return self._properties(value)
            case "additionalProperties":
                return [] if value is True or value == {} else self._additional_properties(value)
            case "prefixItems":
                return [option for index, part in enumerate(value) for option in self._with_item(index, part)]
            case "items":
                return [] if value is True or value == {} else self._items(value)
            case "contains" if not self._node.keys() & {"minContains", "maxContains"}:
                return [{"type": "array", "items": self._negate(value, NOTHING_KNOWN)}]
            case _:
                raise CannotNegate

    def _negate(self, node: SchemaNode, known: Known) -> SchemaNode:
        return self._whole.negate(node, known, self._depth + 1)

    # -- objects

    def _has(self, name: str) -> bool:
        """Whether the object is known to have this property."""
        return any(name in part.get("required", ()) for part in self._known.parts)

    def _of_property(self, name: str) -> Known | None:
        """What is known of a property, if it is there; None if it cannot be."""
        return known_of([property_of(part, name) for part in self._known.parts], self._resolve)

    def _properties(self, value: dict[str, SchemaNode]) -> list[SchemaNode]:
        options: list[SchemaNode] = []
        for name, node in value.items():
            if (known := self._of_property(name)) is None:
                continue
            if known.parts and not shared_types([node, *known.parts], self._resolve, self._whole.work):
                options.append({"type": "object", "required": [name]})
            elif (part := self._negate(node, known)) is not False:
                options.append({"type": "object", "properties": {name: part}, "required": [name]})
        return options

    def _additional_properties(self, value: SchemaNode) -> list[SchemaNode]:
        """Only where the object is known to have no keys but some that are listed."""
        closed = [
            part.get("properties", {})
            for part in self._known.parts
            if part.get("additionalProperties") is False and not part.get("patternProperties")
        ]
        if not closed or self._node.get("patternProperties"):
            raise CannotNegate
        others = dict.fromkeys(name for name in closed[0] if name not in self._node.get("properties", {}))
        return self._properties(dict.fromkeys(others, value))

    # -- arrays

    def _with_item(self, index: int, node: SchemaNode) -> list[SchemaNode]:
        """Arrays whose item at a place is refused by a schema; none if that cannot be."""
        known = known_of([item_of(part, index) for part in self._known.parts], self._resolve)
        if known is None or (part := self._negate(node, known)) is False:
            return []
        return [{"type": "array", "prefixItems": [*[{}] * index, part], "minItems": index + 1}]

    def _items(self, value: SchemaNode) -> list[SchemaNode]:
        """Arrays with an item, behind those listed, that is refused."""
        begin = len(self._node.get("prefixItems", ()))
        known = [item_of(part, begin) for part in self._known.parts]
        if value is False or not shared_types([value, *known], self._resolve, self._whole.work):
            return [{"type": "array", "minItems": begin + 1}]
        end = min((int(part["maxItems"]) for part in self._known.parts if "maxItems" in part), default=begin + 99)
        if end - begin > _MAX_PLACES:
            raise CannotNegate
        return [option for index in range(begin, end) for option in self._with_item(index, value)]

    # -- values

    def _not_in(self, values: list[Any]) -> list[SchemaNode]:
        by_type: dict[str, list[Any]] = {}
        for value in values:
            name = type_of(value)
            by_type.setdefault("number" if name == "integer" else name, []).append(value)
        options = _plain_not_in(by_type, self._types)
        for name in ("array", "object"):
            if name in by_type and name in self._types:
                known = Known(frozenset({name}), self._known.parts)
                others = [self._negate(_written_out(value), known) for value in by_type[name]]
                options.append(all_of([{"type": name}, *others]))
        return options


def _written_out(value: list[Any] | dict[str, Any]) -> SchemaNode:
    """The schema of exactly one array or object."""
    if isinstance(value, list):
        listed = {"prefixItems": [{"const": item} for item in value]} if value else {}
        return {"type": "array", **listed, "minItems": len(value), "maxItems": len(value)}
    properties = {name: {"const": member} for name, member in value.items()}
    return {"type": "object", "properties": properties, "required": list(value), "additionalProperties": False}


def _no_text_of(pattern: str) -> SchemaNode:
    """The texts that a pattern does not match, if it matches only a few."""
    try:
        expression = search_expression(pattern)
        words = [] if expression is None else texts(expression, _MAX_WORDS)
    except (RamifyError, TooLarge):
        raise CannotNegate from None
    if words is None:
        raise CannotNegate
    return {"type": "string", "pattern": _none_of(words)} if words else {"type": "string"}


def _plain_not_in(by_type: dict[str, list[Any]], types: frozenset[str]) -> list[SchemaNode]:
    """A value of `types`, no array and no object if such are listed, that is none of those listed by type."""
    options: list[SchemaNode] = []
    if untouched := [name for name in types if name not in by_type and not (name == "integer" and "number" in by_type)]:
        plain = [name for name in untouched if name != "integer" or "number" not in untouched]
        options.append({"type": sorted(plain)})
    if "string" in types and "string" in by_type:
        options.append({"type": "string", "pattern": _none_of(by_type["string"])})
    if "boolean" in types and "boolean" in by_type:
        others = [value for value in (False, True) if value not in by_type["boolean"]]
        options.extend({"const": value} for value in others)
    if "number" in by_type and types & {"number", "integer"}:
        kind = "number" if "number" in types else "integer"
        bounds = sorted(set(by_type["number"]))
        options.append({"type": kind, "exclusiveMaximum": bounds[0]})
        options.extend(
            {"type": kind, "exclusiveMinimum": low, "exclusiveMaximum": high}
            for low, high in pairwise(bounds)
            if not (float(low).is_integer() and high == low + 1 and kind == "integer")
        )
        options.append({"type": kind, "exclusiveMinimum": bounds[-1]})
    return options


def _none_of(words: list[str]) -> str:
    """A pattern of every text but `words`: one alternative for each way to leave the tree of their beginnings."""
    following: dict[str, set[str]] = {"": set()}
    for word in words:
        for length, character in enumerate(word):
            following.setdefault(word[:length], set()).add(character)
            following.setdefault(word[: length + 1], set())
    if sum(map(len, following)) > _MAX_WORDS_TEXT:
        raise CannotNegate
    options: list[str] = []
    for begin in sorted(following):
        spelled = "".join(map(_spelled, begin))
        if begin not in words:
            options.append(spelled)
        others = "".join(map(_spelled, sorted(following[begin])))
        options.append(f"{spelled}[^{others}]{_ANY_TEXT}")
    pattern = f"^(?:{'|'.join(options)})$"
    if len(pattern) > _MAX_PATTERN:
        raise CannotNegate
    return pattern


def _spelled(character: str) -> str:
    return re.escape(character) if ord(character) > 0x20 and character not in "-&~|" else f"\\u{ord(character):04x}"
