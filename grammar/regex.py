r"""Reads regular expressions in the dialect of Python's `re`, and refuses by name what cannot be enforced exactly.

Every backend has a dialect of its own and drops or bends what it does not know: one reads `a*+` as `(a*)+`, one
`[a&&b]` as an intersection, one ignores look-ahead. So patterns are read here, once, into nodes that mean one thing.
A pattern is accepted only if Python accepts it, and then stands for the texts that `re.fullmatch` matches.

`UnenforceableSchema` says that a construct is Python's but not ours, `InvalidSchema` that it is no regular expression;
both name the construct and the character where it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

from ..errors import InvalidSchema, UnenforceableSchema
from .charset import LAST, Ranges, charset, complement, python_class
from .expression import Alternatives, Anchor, Chars, Expression, Repeat, Sequence, alternatives, repeat, sequence
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond, encoded_size

_NEWLINE = ((10, 10),)
_CONTROLS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_HEX_DIGITS = {"x": 2, "u": 4, "U": 8}
_SIMPLER = "make the pattern smaller"
_EXTENSIONS = (
    ("?=", "look-ahead"),
    ("?!", "look-ahead"),
    ("?<=", "look-behind"),
    ("?<!", "look-behind"),
    ("?P=", "a back-reference"),
    ("?(", "a conditional group"),
    ("?>", "an atomic group"),
    ("?#", "a comment"),
)


def _character(offset: int) -> str:
    return f"character {offset}"


def parse_regex(
    pattern: str,
    limits: GrammarLimits = DEFAULT_LIMITS,
    *,
    place: Callable[[int], str] = _character,
    dot_all: bool = False,
    lazy: bool = True,
) -> Expression:
    """The texts that `re.fullmatch(pattern, text)` matches, as an expression.

    Args:
        pattern: the regular expression.
        limits: bounds on its size, its groups and its repetitions.
        place: how an offset in the pattern is called in an error.
        dot_all: `.` matches a newline too, as under `re.DOTALL`.
        lazy: lazy quantifiers are allowed, for the whole text: there they match what greedy ones match.

    Raises:
        InvalidSchema: not a regular expression, or beyond a limit.
        UnenforceableSchema: a construct that is not enforced exactly.
    """
    if (size := encoded_size(pattern, limits.pattern_bytes)) > limits.pattern_bytes:
        raise beyond("a pattern", size, "bytes", limits.pattern_bytes, place(0), _SIMPLER)
    return PatternParser(pattern, limits, place, dot_all, lazy).parse()


class _Part(NamedTuple):
    """An expression, and how often the innermost part of it is repeated by the counts inside it, multiplied."""

    node: Expression
    repeats: int


class PatternParser:
    """Recursive descent; the limit on groups bounds the depth. `ecma.py` overrides what it reads otherwise."""

    syntax = "Python's re"
    anchors = "AZ"  # letters of escapes
    references = "123456789"

    def __init__(
        self, pattern: str, limits: GrammarLimits, place: Callable[[int], str], dot_all: bool, lazy: bool
    ) -> None:
        self._pattern = pattern
        self._limits = limits
        self._place = place
        self._dot_all = dot_all
        self._lazy = lazy
        self._offset = 0
        self._depth = 0
        self._names: set[str] = set()

    def parse(self) -> Expression:
        node = self._alternatives().node
        if self._offset < len(self._pattern):
            self._invalid("an unbalanced parenthesis", self._offset)
        return self._without_anchors(node, True, True)

    # -- structure

    def _alternatives(self) -> _Part:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return _Part(alternatives([option.node for option in options]), max(option.repeats for option in options))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._offset < len(self._pattern) and self._next() not in "|)":
            parts.append(self._quantified())
        return _Part(sequence([part.node for part in parts]), max((part.repeats for part in parts), default=1))

    def _quantified(self) -> _Part:
        begin = self._offset
        if self._quantifier() is not None:
            self._invalid("nothing to repeat before a quantifier", begin)
        node, repeats = self._atom()
        begin = self._offset
        bounds = self._quantifier()
        if bounds is None:
            return _Part(node, repeats)
        if isinstance(node, Anchor):
            self._invalid("nothing to repeat before a quantifier", begin)
        minimum, maximum = bounds
        repeats *= max(1, minimum, maximum or 0)
        if repeats > self._limits.repetition:
            raise beyond(
                "a pattern", min(repeats, 10**9), "repetitions", self._limits.repetition, self._place(begin), _SIMPLER
            )
        if self._next() == "?":
            if not self._lazy:
                self._refuse("a lazy quantifier in a terminal", begin, 'exclude what ends it: /"[^"]*"/, not /".*?"/')
            self._offset += 1
        elif self._next() == "+":
            self._refuse("a possessive quantifier", begin, "use the plain quantifier")
        begin = self._offset
        if self._quantifier() is not None:
            self._invalid("a quantifier after a quantifier", begin)
        return _Part(repeat(node, minimum, maximum), repeats)

    def _quantifier(self) -> tuple[int, int | None] | None:
        """Step over a quantifier, without its suffix; None, and stay, if there is none: `{` may be a literal."""
        begin = self._offset
        character = self._next()
        if character and character in "*+?":
            self._offset += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[character]
        if not self._take("{") or self._next() == "}":
            self._offset = begin
            return None
        low = self._digits()
        high = self._digits() if self._take(",") else low
        if not self._take("}"):
            self._offset = begin
            return None
        minimum, maximum = int(low or 0), int(high) if high else None
        if maximum is not None and maximum < minimum:
            self._invalid("a repetition whose minimum is above its maximum", begin)
        return minimum, maximum

    def _digits(self) -> str:
        begin = self._offset
        while self._next() and self._next() in "0123456789":
            self._offset += 1
        return self._pattern[begin : self._offset]

    def _atom(self) -> _Part:
        begin = self._offset
        character = self._pattern[begin]
        if character == "(":
            return self._group()
        if character == "[":
            return _Part(self._set(), 1)
        if character == "\\":
            return _Part(self._escape(), 1)
        self._offset += 1
        if character in "^$":
            return _Part(Anchor(character == "$", begin), 1)
        return _Part(self._chars(self._atom_character(character), begin), 1)

    def _atom_character(self, character: str) -> Ranges:
        """The characters that one character outside a set stands for."""
        if character == ".":
            return charset([(0, LAST)]) if self._dot_all else complement(_NEWLINE)
        return ((ord(character), ord(character)),)

    def _group(self) -> _Part:
        begin = self._offset
        self._offset += 1
        if self._next() == "?":
            self._group_head(begin)
        self._depth += 1
        if self._depth > self._limits.pattern_groups:
            raise beyond(
                "a pattern",
                self._depth,
                "nested groups or more",
                self._limits.pattern_groups,
                self._place(begin),
                _SIMPLER,
            )
        inner = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            self._invalid("a group that is not closed", begin)
        # A bare anchor cannot be repeated, a group around one can.
        return inner._replace(node=Sequence((inner.node,))) if isinstance(inner.node, Anchor) else inner

    def _group_head(self, begin: int) -> None:
        """Step over `?:` or `?P<name>`."""
        if self._take("?:"):
            return
        for head, name in _EXTENSIONS:
            if self._pattern.startswith(head, self._offset):
                self._refuse(name, begin, "write the pattern without it")
        if self._take("?P<"):
            end = self._pattern.find(">", self._offset)
            name = self._pattern[self._offset : max(end, self._offset)]
            if not name.isidentifier() or name in self._names:
                self._invalid("a group name that is no name, or is there twice", begin)
            self._names.add(name)
            self._offset = end + 1
            return
        flag = self._pattern[self._offset + 1 : self._offset + 2]
        if flag and flag in "aiLmsux-":
            self._refuse("an inline flag", begin, "write the pattern without flags, as in [Aa] or [\\s\\S]")
        self._invalid("an unknown extension of a group", begin)

    # -- characters

    def _escape(self) -> Expression:
        """An escape outside a set."""
        begin = self._offset
        letter = self._pattern[begin + 1 : begin + 2]
        if letter and letter in self.anchors:
            self._offset += 2
            return Anchor(letter == "Z", begin)
        if letter and letter in "bB":
            self._refuse("a word boundary", begin, "write what stands on either side")
        if letter and letter in self.references:
            self._refuse("a back-reference", begin, "write the pattern without it")
        return self._chars(self._escaped(), begin)

    def _escaped(self) -> Ranges:
        """The characters that an escape stands for, in or outside a set."""
        begin = self._offset
        letter = self._pattern[begin + 1 : begin + 2]
        self._offset += 2
        if not letter:
            self._invalid("a backslash at the end", begin)
        if letter in "dDsSwW":
            return python_class(letter)
        if letter in _CONTROLS:
            return ((_CONTROLS[letter], _CONTROLS[letter]),)
        if letter in _HEX_DIGITS:
            code = self._hex(_HEX_DIGITS[letter], begin)
            return ((code, code),)
        if letter in "0123456789":
            self._refuse("an octal escape", begin, r"write \xhh")
        if letter in "pP":
            self._refuse("a Unicode property", begin, "list the characters or ranges")
        if letter == "N":
            self._refuse("a character by its name", begin, r"write \uhhhh")
        if letter.isascii() and letter.isalpha():
            self._invalid(f"an unknown escape \\{letter}", begin)
        return ((ord(letter), ord(letter)),)

    def _hex(self, count: int, begin: int) -> int:
        digits = self._pattern[self._offset : self._offset + count]
        self._offset += count
        if len(digits) < count or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self._invalid("an incomplete escape", begin)
        if int(digits, 16) > LAST:
            self._invalid("an escape beyond the last character", begin)
        return int(digits, 16)

    def _set(self) -> Expression:
        begin = self._offset
        self._offset += 1
        negated = self._take("^")
        if self._next() == "[":
            self._refuse("a set inside a set, or a POSIX class", self._offset, r"write \[ for a bracket")
        members: list[tuple[int, int]] = []
        first = True
        while first or self._next() != "]":
            first = False
            members.extend(self._member(begin, bool(members)))
        self._offset += 1
        ranges = charset(members)
        return self._chars(complement(ranges) if negated else ranges, begin)

    def _member(self, begin: int, is_later: bool) -> Ranges:
        """One member of a set: a character, a range or a class."""
        offset = self._offset
        low = self._set_character(begin, is_later)
        if self._next() != "-" or self._pattern[self._offset + 1 : self._offset + 2] == "]":
            return low
        self._offset += 1
        if self._next() == "-":
            self._refuse("a set operation", offset, r"write \- for a hyphen")
        high = self._set_character(begin, False)
        if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1] or low > high:
            self._invalid("a range that does not run from one character up to another", offset)
        return ((low[0][0], high[0][0]),)

    def _set_character(self, begin: int, is_later: bool) -> Ranges:
        offset = self._offset
        character = self._next()
        if not character:
            self._invalid("a set that is not closed", begin)
        if self._take("\\b"):
            return ((8, 8),)
        if character == "\\":
            return self._escaped()
        if is_later and character in "-&~|" and self._pattern.startswith(character * 2, offset):
            self._refuse("a set operation", offset, f"write \\{character} for the character itself")
        self._offset += 1
        return ((ord(character), ord(character)),)

    def _chars(self, ranges: Ranges, begin: int) -> Chars:
        if len(ranges) == 1:  # maybe a surrogate; longer ones are in their one form already
            ranges = charset(ranges)
        if not ranges:
            self._invalid("a set without a character (halves of surrogate pairs are none)", begin)
        return Chars(ranges)

    # -- anchors

    def _without_anchors(self, node: Expression, first: bool, last: bool) -> Expression:
        """Take out the anchors that hold anyway, and refuse the others.

        Args:
            node: a part of the pattern.
            first: nothing can stand before it.
            last: nothing can stand after it.
        """
        match node:
            case Anchor(is_end, offset):
                if not (last if is_end else first):
                    self._refuse("an anchor inside the pattern", offset, "the whole text is matched: leave it out")
                return Sequence(())
            case Sequence(parts):
                filled = [i for i, part in enumerate(parts) if not _is_empty(part)]
                head, tail = (filled[0], filled[-1]) if filled else (len(parts), 0)
                return Sequence(
                    tuple(
                        self._without_anchors(part, first and i <= head, last and i >= tail)
                        for i, part in enumerate(parts)
                    )
                )
            case Alternatives(options):
                return Alternatives(tuple(self._without_anchors(option, first, last) for option in options))
            case Repeat(part, minimum, maximum):
                once = maximum == 1
                return Repeat(self._without_anchors(part, first and once, last and once), minimum, maximum)
            case _:
                return node

    # -- text and errors

    def _next(self) -> str:
        """The next character; "" at the end."""
        return self._pattern[self._offset : self._offset + 1]

    def _take(self, text: str) -> bool:
        """Step over `text` if it comes next."""
        if not self._pattern.startswith(text, self._offset):
            return False
        self._offset += len(text)
        return True

    def _refuse(self, what: str, offset: int, hint: str) -> NoReturn:
        raise UnenforceableSchema(
            f"{what} in a pattern is not enforced: {self._excerpt(offset)}", where=self._place(offset), hint=hint
        )

    def _invalid(self, what: str, offset: int) -> NoReturn:
        raise InvalidSchema(
            f"not a regular expression: {what}: {self._excerpt(offset)}",
            where=self._place(offset),
            hint=f"correct the pattern; the syntax is that of {self.syntax}",
        )

    def _excerpt(self, offset: int) -> str:
        return repr(self._pattern[offset : offset + 20])


def _is_empty(node: Expression) -> bool:
    """Anchors and empty groups alone: no character stands here."""
    match node:
        case Anchor():
            return True
        case Sequence(parts):
            return all(_is_empty(part) for part in parts)
        case Alternatives(options):
            return all(_is_empty(option) for option in options)
        case Repeat(part):
            return _is_empty(part)
        case _:
            return False
