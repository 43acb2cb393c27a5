"""The few nodes that regular expressions, choices and context-free grammars are all read into.

A front end (`regex.py`, `lark_syntax.py`) turns a syntax into these and refuses the rest by name; a backend writes
them in its own notation. Nothing of the user's text reaches a backend's parser, so nothing in it can mean something
else there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .charset import Ranges


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of a set that is not empty."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """One after the other; no parts: the empty text."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of several; at least one."""

    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`part` from `minimum` to `maximum` times; None: without end."""

    part: Expression
    minimum: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class Anchor:
    """The beginning or the end of the text, at an offset in the pattern. None is left once a pattern is read."""

    is_end: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A rule or a terminal of a grammar by its name, used at an offset in the grammar's text."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal without a name, inside a rule: a string or a regular expression."""

    expression: Expression


Expression: TypeAlias = Chars | Sequence | Alternatives | Repeat | Anchor | Reference | Terminal

EMPTY = Sequence(())


def literal(text: str) -> Sequence:
    """The expression of exactly `text`."""
    return Sequence(tuple(Chars(((ord(character), ord(character)),)) for character in text))


def alternatives(options: list[Expression]) -> Expression:
    """`options` as one expression."""
    return options[0] if len(options) == 1 else Alternatives(tuple(options))


def sequence(parts: list[Expression]) -> Expression:
    """`parts` as one expression."""
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


def repeat(part: Expression, minimum: int, maximum: int | None) -> Expression:
    """`part` repeated; no times is the empty text."""
    return EMPTY if maximum == 0 else Repeat(part, minimum, maximum)


def children(node: Expression) -> tuple[Expression, ...]:
    """The expressions directly inside `node`."""
    match node:
        case Sequence(parts):
            return parts
        case Alternatives(options):
            return options
        case Repeat(part):
            return (part,)
        case Terminal(expression):
            return (expression,)
        case _:
            return ()
