r"""Reads the patterns of JSON Schema: regular expressions of ECMA-262, found anywhere in the text unless anchored.

Backends read `pattern` in dialects of their own: `\s` without some blanks, `.` with a carriage return, `[a&&b]` as an
intersection, `{2` as an error. Here a pattern is read once, as JSON Schema 2020-12 (section 6.4) means it, into the
texts that hold a match: `a$|^b` becomes "ends in a, or begins with b". What needs more than a regular language
(look-around, back-references, word boundaries) is refused by name.

Of the dialect's two modes the patterns of the wild are written in both: a brace that opens no quantifier and an escaped
punctuation mark stand for themselves, as in the mode without `u`; characters beyond U+FFFF are one, as in the mode with
it. An escape that is nothing in ECMA-262 but an anchor elsewhere (`\A`, `\z`, `\Z`) is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from ..errors import InvalidSchema
from .charset import LAST, Ranges, charset, complement
from .expression import EMPTY, Alternatives, Anchor, Chars, Expression, Repeat, Sequence, alternatives
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond, encoded_size
from .regex import PatternParser

_DIGIT = charset([(0x30, 0x39)])
_WORD = charset([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
_SPACE = charset(
    [(9, 13), (0x2000, 0x200A), (0x2028, 0x2029)]
    + [(code, code) for code in (0x20, 0xA0, 0x1680, 0x202F, 0x205F, 0x3000, 0xFEFF)]
)
_CLASSES = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_LINE_ENDS = charset([(10, 10), (13, 13), (0x2028, 0x2029)])
_CONTROLS = {"f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "0": 0}
ANY_CHARACTER = Chars(charset([(0, LAST)]))
ANY_TEXT = Repeat(ANY_CHARACTER, 0, None)


def search_expression(pattern: str, where: str = "", limits: GrammarLimits = DEFAULT_LIMITS) -> Expression | None:
    """The texts in which `new RegExp(pattern)` finds a match, as an expression of whole texts.

    Args:
        pattern: the regular expression.
        where: path of the keyword, for errors.
        limits: bounds on its size, its groups and its repetitions.

    Returns:
        None if it matches in no text at all (`b^a`).

    Raises:
        InvalidSchema: not a regular expression, or beyond a limit.
        UnenforceableSchema: a construct that is not enforced exactly.
    """
    if (size := encoded_size(pattern, limits.pattern_bytes)) > limits.pattern_bytes:
        raise beyond("a pattern", size, "bytes", limits.pattern_bytes, where)
    try:
        return _searched(pattern, limits)
    except InvalidSchema:
        if not where:
            raise

    def place(offset: int) -> str:
        return f"{where}, character {offset}"

    return _EcmaParser(pattern, limits, place, dot_all=False, lazy=True).search()


@lru_cache(maxsize=256)
def _searched(pattern: str, limits: GrammarLimits) -> Expression | None:
    """A pattern is looked at by each step on the way to a backend, and often stands in many places."""
    return _EcmaParser(pattern, limits, "character {}".format, dot_all=False, lazy=True).search()


class _EcmaParser(PatternParser):
    syntax = "ECMA-262"
    anchors = ""
    references = "123456789k"

    def search(self) -> Expression | None:
        node = self._alternatives().node
        if self._offset < len(self._pattern):
            self._invalid("an unbalanced parenthesis", self._offset)
        whole = [
            Sequence((*(() if found.at_begin else (ANY_TEXT,)), found.node, *(() if found.at_end else (ANY_TEXT,))))
            for found in _found(node, self._nested_anchor)
        ]
        return alternatives(list(whole)) if whole else None

    def _nested_anchor(self, offset: int) -> None:
        self._refuse("an anchor inside a repetition", offset, "write the pattern without it")

    def _quantifier(self) -> tuple[int, int | None] | None:
        following = self._pattern[self._offset + 1 : self._offset + 2]
        if self._next() == "{" and (not following or following not in "0123456789"):
            return None
        return super()._quantifier()

    def _atom_character(self, character: str) -> Ranges:
        return complement(_LINE_ENDS) if character == "." else ((ord(character), ord(character)),)

    def _group_head(self, begin: int) -> None:
        # Named groups are written with P in Python, where many of these patterns come from: there is no other reading.
        if self._pattern.startswith("?<", self._offset) and self._pattern[self._offset + 2 : self._offset + 3] not in (
            "=",
            "!",
        ):
            end = self._pattern.find(">", self._offset)
            name = self._pattern[self._offset + 2 : max(end, self._offset)]
            if not name.isidentifier() or name in self._names:
                self._invalid("a group name that is no name, or is there twice", begin)
            self._names.add(name)
            self._offset = end + 1
            return
        super()._group_head(begin)

    def _escaped(self) -> Ranges:
        begin = self._offset
        letter = self._pattern[begin + 1 : begin + 2]
        self._offset += 2
        if not letter:
            self._invalid("a backslash at the end", begin)
        if letter in "dswDSW":
            ranges = _CLASSES[letter.lower()]
            return complement(ranges) if letter.isupper() else ranges
        if letter in _CONTROLS:
            if letter == "0" and self._next() and self._next() in "0123456789":
                self._refuse("an octal escape", begin, r"write \xhh")
            return ((_CONTROLS[letter], _CONTROLS[letter]),)
        if letter == "c" and self._next().isascii() and self._next().isalpha():
            self._offset += 1
            code = ord(self._pattern[self._offset - 1]) % 32
            return ((code, code),)
        if letter == "x":
            code = self._hex(2, begin)
            return ((code, code),)
        if letter == "u":
            code = self._code_point(begin)
            return ((code, code),)
        if letter in "123456789":
            self._refuse("an octal escape", begin, r"write \xhh")
        if letter in "pP":
            self._refuse("a Unicode property", begin, "list the characters or ranges")
        if letter.isascii() and letter.isalpha():
            self._refuse(f"the escape \\{letter}, which ECMA-262 does not have,", begin, "write the character itself")
        return ((ord(letter), ord(letter)),)

    def _code_point(self, begin: int) -> int:
        r"""After `\u`: four digits, a surrogate pair of two such escapes, or digits in braces."""
        if self._take("{"):
            end = self._pattern.find("}", self._offset)
            if not 1 <= end - self._offset <= 6:
                self._invalid("an incomplete escape", begin)
            code = self._hex(end - self._offset, begin)
            self._offset += 1
            return code
        code = self._hex(4, begin)
        if 0xD800 <= code < 0xDC00 and self._take("\\u"):
            low = self._hex(4, begin)
            if not 0xDC00 <= low < 0xE000:
                self._invalid("half of a surrogate pair", begin)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        return code

    def _set(self) -> Expression:
        begin = self._offset
        self._offset += 1
        negated = self._take("^")
        members: list[tuple[int, int]] = []
        while not self._take("]"):
            members.extend(self._member(begin, bool(members)))
        ranges = charset(members)
        return self._chars(complement(ranges) if negated else ranges, begin)

    def _member(self, begin: int, is_later: bool) -> Ranges:
        offset = self._offset
        low = self._set_character(begin, is_later)
        if self._next() != "-" or self._pattern[self._offset + 1 : self._offset + 2] in ("]", ""):
            return low
        self._offset += 1
        high = self._set_character(begin, is_later)
        if len(low) != 1 or low[0][0] != low[0][1] or len(high) != 1 or high[0][0] != high[0][1]:
            return (*low, (0x2D, 0x2D), *high)  # beside a class the hyphen is itself
        if low > high:
            self._invalid("a range that does not run from one character up to another", offset)
        return ((low[0][0], high[0][0]),)

    def _set_character(self, begin: int, is_later: bool) -> Ranges:
        character = self._next()
        if not character:
            self._invalid("a set that is not closed", begin)
        if self._take("\\b"):
            return ((8, 8),)
        if character == "\\":
            return self._escaped()
        self._offset += 1
        return ((ord(character), ord(character)),)


class _Found(NamedTuple):
    """A way to match: an expression without anchors, and whether it must begin or end where the text does."""

    at_begin: bool
    at_end: bool
    node: Expression


def _found(node: Expression, refuse: Callable[[int], None]) -> list[_Found]:
    """The ways in which `node` matches, at most four; no anchor is left in them."""
    match node:
        case Anchor(is_end):
            return [_Found(not is_end, is_end, EMPTY)]
        case Alternatives(options):
            return _joined([found for option in options for found in _found(option, refuse)])
        case Sequence(parts):
            ways = [_Found(False, False, EMPTY)]
            for part in parts:
                ways = _joined(
                    [way for left in ways for right in _found(part, refuse) if (way := _then(left, right)) is not None]
                )
            return ways
        case Repeat(part, minimum, maximum):
            if (offset := _first_anchor(part)) is None:
                return [_Found(False, False, node)]
            if maximum is None and minimum <= 1:
                return _repeated(_found(part, refuse), minimum)
            if maximum != 1:
                refuse(offset)
            ways = _found(part, refuse)
            return _joined([*ways, _Found(False, False, EMPTY)]) if minimum == 0 else ways
        case _:
            return [_Found(False, False, node)]


def _repeated(ways: list[_Found], minimum: int) -> list[_Found]:
    """`*` or `+` of ways to match: one that begins the text can only come first, one that ends it only last."""
    free = [way for way in ways if not way.at_begin and not way.at_end]
    nothing = _Found(False, False, EMPTY)
    some = [_Found(False, False, Repeat(way.node, 0, None)) for way in free] or [nothing]
    found = [_Found(False, False, Repeat(way.node, minimum, None)) for way in free]
    for first in [nothing, *(way for way in ways if way.at_begin)]:
        for last in [nothing, *(way for way in ways if way.at_end and not way.at_begin)]:
            begun = _then(first, some[0])
            whole = None if begun is None else _then(begun, last)
            if whole is not None and (first is not nothing or last is not nothing):
                found.append(whole)
    return _joined([*found, nothing] if minimum == 0 else found)


def _then(left: _Found, right: _Found) -> _Found | None:
    """One way after another; None if an anchor between them cannot hold."""
    first, second = left.node, right.node
    if right.at_begin:
        if not _may_be_empty(first):
            return None
        first = EMPTY
    if left.at_end:
        if not _may_be_empty(second):
            return None
        second = EMPTY
    node = Sequence((*_parts(first), *_parts(second)))
    # An anchor at the end that only empty text follows still stands at the end; so too at the beginning.
    return _Found(left.at_begin or right.at_begin, left.at_end or right.at_end, node)


def _joined(ways: list[_Found]) -> list[_Found]:
    """Ways with the same anchors as one."""
    grouped: dict[tuple[bool, bool], list[Expression]] = {}
    for way in ways:
        grouped.setdefault((way.at_begin, way.at_end), []).append(way.node)
    return [_Found(*anchors, alternatives(list(dict.fromkeys(nodes)))) for anchors, nodes in grouped.items()]


def _parts(node: Expression) -> tuple[Expression, ...]:
    return node.parts if isinstance(node, Sequence) else (node,)


def _may_be_empty(node: Expression) -> bool:
    match node:
        case Sequence(parts):
            return all(_may_be_empty(part) for part in parts)
        case Alternatives(options):
            return any(_may_be_empty(option) for option in options)
        case Repeat(part, minimum):
            return minimum == 0 or _may_be_empty(part)
        case _:
            return False


def _first_anchor(node: Expression) -> int | None:
    """Offset of an anchor inside; None if there is none."""
    match node:
        case Anchor(_, offset):
            return offset
        case Sequence(parts) | Alternatives(parts):
            return next((found for part in parts if (found := _first_anchor(part)) is not None), None)
        case Repeat(part):
            return _first_anchor(part)
        case _:
            return None
