"""Writes expressions as grammars for llguidance, in its Lark syntax, so that its parser has nothing to decide.

Only quoted strings, sets of code points, names and the operators `| * + ? ~ {}` are written. A part that would need
parentheses gets a definition of its own: the library's parser bounds nesting at 30, and equal sets are written once.
Names made here have a hyphen, which no name of Lark has.
"""

from __future__ import annotations

import json

from ..charset import Ranges
from ..expression import Alternatives, Anchor, Chars, Expression, Reference, Repeat, Sequence, Terminal
from ..lark_syntax import Grammar
from ..limits import GrammarLimits, beyond

# What the library forces it would force as canonical tokens alone; see llguidance.py.
_OPTIONS = '%llguidance {"no_forcing": true}'
_SHORT_SET = 4
_EMPTY = '""'


def write_expression(expression: Expression, limits: GrammarLimits) -> str:
    """A grammar whose text matches `expression`, as one terminal."""
    writer = Writer(limits)
    writer.define("start", Terminal(expression), in_rule=True)
    return writer.text()


def write_choices(options: list[str]) -> str:
    """A grammar whose text is one of `options`: flat, because the library builds its own trie of them."""
    return f"{_OPTIONS}\nstart: C-\nC-: " + " | ".join(map(quoted, options))


def write_grammar(grammar: Grammar, limits: GrammarLimits) -> str:
    """A grammar for the rules, terminals and ignored text of `grammar`."""
    writer = Writer(limits)
    for name, expression in grammar.terminals.items():
        writer.define(name, expression, in_rule=False)
    for name, expression in grammar.rules.items():
        writer.define(name, expression, in_rule=True)
    for expression in grammar.ignored:
        writer.ignore(expression)
    return writer.text()


class Writer:
    """Collects the definitions of one grammar."""

    def __init__(self, limits: GrammarLimits) -> None:
        self._limits = limits
        self._lines = [_OPTIONS]
        self._num_names = 0
        self._sets: dict[Ranges, str] = {}
        self._num_ranges = 0

    def text(self) -> str:
        return "\n".join(self._lines)

    def define(self, name: str, expression: Expression, *, in_rule: bool) -> None:
        self._lines.append(f"{name}: {self._expansions(expression, in_rule)}")

    def line(self, name: str, text: str) -> str:
        """Define a name by text in the library's syntax; the name."""
        self._lines.append(f"{name}: {text}")
        return name

    def ignore(self, expression: Expression) -> None:
        self._lines.append(f"%ignore {self._atom(expression, False)}")

    def _expansions(self, node: Expression, in_rule: bool) -> str:
        if isinstance(node, Alternatives):
            return " | ".join(self._expansion(option, in_rule) for option in node.options)
        return self._expansion(node, in_rule)

    def _expansion(self, node: Expression, in_rule: bool) -> str:
        """A sequence; neighbouring single characters become one string."""
        written: list[str] = []
        run = ""
        for part in node.parts if isinstance(node, Sequence) else (node,):
            if isinstance(part, Chars) and not in_rule and (character := _single(part)):
                run += character
                continue
            if run:
                written.append(quoted(run))
                run = ""
            written.append(self._repeated(part, in_rule))
        if run:
            written.append(quoted(run))
        return " ".join(written) or _EMPTY

    def _repeated(self, node: Expression, in_rule: bool) -> str:
        if not isinstance(node, Repeat):
            return self._atom(node, in_rule)
        atom = self._atom(node.part, in_rule)
        match node.minimum, node.maximum:
            case 0, None:
                return f"{atom}*"
            case 1, None:
                return f"{atom}+"
            case 0, 1:
                return f"{atom}?"
            case minimum, None:
                return f"{atom}{{{minimum},}}"
            case minimum, maximum:
                return f"{atom}~{minimum}..{maximum}"

    def _atom(self, node: Expression, in_rule: bool) -> str:
        """What an operator may follow."""
        match node:
            case Chars(ranges):
                return quoted(character) if (character := _single(node)) else self._set(ranges)
            case Reference(name):
                return name
            case Terminal(expression):
                return self._atom(expression, False)
            case Sequence(()):
                return _EMPTY
            case Sequence(parts) if not in_rule and all(isinstance(part, Chars) and _single(part) for part in parts):
                return self._expansion(node, in_rule)
            case Anchor():
                raise AssertionError("a pattern was not read to its end")
            case _:
                name = self.new_name("r" if in_rule else "T")
                self.define(name, node, in_rule=in_rule)
                return name

    def _set(self, ranges: Ranges) -> str:
        if (name := self._sets.get(ranges)) is not None:
            return name
        self._num_ranges += len(ranges)
        if self._num_ranges > self._limits.char_ranges:
            hint = r"use fewer different sets with \w, \d or \s in them"
            raise beyond(
                "character sets", self._num_ranges, "ranges", self._limits.char_ranges, "all sets together", hint
            )
        written = "/[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges) + "]/"
        if len(ranges) > _SHORT_SET:
            name = self.new_name("S")
            self._lines.append(f"{name}: {written}")
            written = name
        self._sets[ranges] = written
        return written

    def new_name(self, letter: str) -> str:
        self._num_names += 1
        return f"{letter}-{self._num_names}"


def _single(node: Chars) -> str:
    """The character of a set of one; "" for other sets."""
    low, high = node.ranges[0]
    return chr(low) if len(node.ranges) == 1 and low == high else ""


def quoted(text: str) -> str:
    """A string of the library's: JSON's, in which DEL must be escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")
