r"""Writes expressions as regular expressions that every reader takes alike: sets of code points, groups, `|`, counts.

Only `(?:...)`, `|`, `*`, `+`, `?`, `{m,n}`, sets of plain ranges and escaped characters are written, anchored at both
ends, so that no dialect has a choice. `json=True` writes what the text looks like inside a JSON string: a quote, a
backslash and the control characters are written as `json.dumps` escapes them; for backends that match a pattern against
the JSON text instead of the string.
"""

from __future__ import annotations

from .charset import Ranges
from .expression import Alternatives, Chars, Expression, Repeat, Sequence

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _,:;'\"!@#%&=<>~`")
_JSON_ESCAPED = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def write_regex(node: Expression, *, json: bool = False) -> str:
    """`node` as a pattern that the whole text matches. It may hold no anchor and no reference."""
    return f"^(?:{_alternatives(node, json)})$"


def _alternatives(node: Expression, json: bool) -> str:
    options = node.options if isinstance(node, Alternatives) else (node,)
    return "|".join(_sequence(option, json) for option in options)


def _sequence(node: Expression, json: bool) -> str:
    parts = node.parts if isinstance(node, Sequence) else (node,)
    return "".join(_repeated(part, json) for part in parts)


def _repeated(node: Expression, json: bool) -> str:
    match node:
        case Repeat(part, minimum, maximum):
            return _atom(part, json) + _count(minimum, maximum)
        case Sequence() if not node.parts:
            return ""
        case Sequence():
            return _sequence(node, json)
        case _:
            return _atom(node, json)


def _count(minimum: int, maximum: int | None) -> str:
    match minimum, maximum:
        case 0, None:
            return "*"
        case 1, None:
            return "+"
        case 0, 1:
            return "?"
        case _, None:
            return f"{{{minimum},}}"
        case _:
            return f"{{{minimum},{maximum}}}"


def _atom(node: Expression, json: bool) -> str:
    """What a quantifier may follow."""
    match node:
        case Chars(ranges):
            return _json_set(ranges) if json else _set(ranges)
        case _:
            return f"(?:{_alternatives(node, json)})"


def _set(ranges: Ranges) -> str:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _character(ranges[0][0])
    return "[" + "".join(_range(low, high) for low, high in ranges) + "]"


def _range(low: int, high: int) -> str:
    return _character(low) if low == high else f"{_character(low)}-{_character(high)}"


def _character(code: int) -> str:
    """One character, in a set or outside, that is read the same by ECMA-262, Python, Rust and xgrammar."""
    if (character := chr(code)) in _PLAIN or code > 0xFFFF:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _json_set(ranges: Ranges) -> str:
    """The characters as JSON writes them: most as they are, some as escapes of two or six characters."""
    plain = [part for low, high in ranges for part in _without_escaped(low, high)]
    codes = [
        code for low, high in ranges for code in (*range(low, min(high, 0x1F) + 1), 0x22, 0x5C) if low <= code <= high
    ]
    escapes = [_JSON_ESCAPED.get(chr(code), f"\\u{code:04x}") for code in dict.fromkeys(codes)]
    options = [_set(tuple(plain))] if plain else []
    options += ["".join(_character(ord(character)) for character in escape) for escape in escapes]
    return options[0] if len(options) == 1 and plain else f"(?:{'|'.join(options)})"


def _without_escaped(low: int, high: int) -> list[tuple[int, int]]:
    """The parts of a range that JSON writes as they are."""
    parts: list[tuple[int, int]] = []
    begin = max(low, 0x20)
    for escaped in (0x22, 0x5C):
        if begin <= escaped <= high:
            if begin < escaped:
                parts.append((begin, escaped - 1))
            begin = escaped + 1
    if begin <= high:
        parts.append((begin, high))
    return parts
