"""Reads a grammar in Lark syntax into expressions; what is refused, and why, is in `spec.Lark`.

Only what Lark and every backend understand alike is read. What shapes parse trees (`?rule`, `!rule`, `-> alias`) is
stepped over: no tree is ever made. Names, recursion and depth are checked afterwards, in `lark_check.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .expression import (
    Chars,
    Expression,
    Reference,
    Sequence,
    Terminal,
    alternatives,
    literal,
    repeat,
    sequence,
)
from .lark_common import COMMON
from .lark_tokens import Source, Token
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond, encoded_size
from .regex import parse_regex

_SMALLER = "make the grammar smaller"


@dataclass
class Grammar:
    """A grammar as it was read.

    Attributes:
        rules: what each rule stands for, by its name, which is in lower case.
        terminals: what each terminal stands for, by its name, which is in upper case. No rule occurs in one.
        ignored: terminals that may stand between any two.
        defined: the offset of each definition.
    """

    rules: dict[str, Expression] = field(default_factory=dict)
    terminals: dict[str, Expression] = field(default_factory=dict)
    ignored: list[Expression] = field(default_factory=list)
    defined: dict[str, int] = field(default_factory=dict)


def parse_lark(source: Source, text: str, limits: GrammarLimits = DEFAULT_LIMITS) -> Grammar:
    """Read a whole grammar.

    Raises:
        InvalidSchema: not a grammar, or beyond a limit; `where` is the line and column.
        UnenforceableSchema: a construct that is not enforced exactly.
    """
    if (size := encoded_size(text, limits.lark_bytes)) > limits.lark_bytes:
        raise beyond("a grammar", size, "bytes", limits.lark_bytes, "line 1, column 1", _SMALLER)
    return _Parser(source, limits).parse()


class _Parser:
    """Recursive descent; the limit on groups bounds the depth."""

    def __init__(self, source: Source, limits: GrammarLimits) -> None:
        self._source = source
        self._limits = limits
        self._tokens = list(source.tokens())
        self._position = 0
        self._depth = 0
        self._in_rule = False
        self._grammar = Grammar()

    def parse(self) -> Grammar:
        while self._token.kind != "end":
            token = self._step()
            if token.kind == "directive":
                self._directive(token)
            elif token.kind != "newline":
                self._definition(token)
        return self._grammar

    # -- definitions

    def _definition(self, token: Token) -> None:
        while token.text in ("?", "!"):
            token = self._step()
        in_rule = self._is_rule(token)
        if self._token.text == "{":
            self._source.refuse("a template", token.offset, "write one rule for each use")
        if self._token.text == ".":
            self._source.refuse("a priority", token.offset, "write the alternatives so that they exclude one another")
        if self._token.text == "[":
            self._source.refuse("a rule attribute", token.offset, "leave it out")
        self._expect(":")
        self._in_rule = in_rule
        self._define(token.text, self._expansions()[0], token.offset)

    def _define(self, name: str, expression: Expression, offset: int) -> None:
        if name in self._grammar.defined:
            self._source.invalid(f"{name} is defined twice", offset)
        self._grammar.defined[name] = offset
        (self._grammar.rules if self._in_rule else self._grammar.terminals)[name] = expression

    def _directive(self, token: Token) -> None:
        self._in_rule = False
        if token.text == "%ignore":
            self._grammar.ignored.append(self._expansions()[0])
        elif token.text == "%import":
            self._import()
        else:
            self._source.refuse(f"the directive {token.text}", token.offset, "use %ignore and %import common alone")

    def _import(self) -> None:
        begin = self._step()
        if begin.text != "common" or not (self._take(".") or self._token.text == "("):
            self._source.refuse(f"an import of {begin.text!r}", begin.offset, "import from common, or write it out")
        if self._take("("):
            names = [self._step()]
            while self._take(","):
                names.append(self._step())
            self._expect(")")
            imported = [(name, name) for name in names]
        else:
            name = self._step()
            imported = [(name, self._step() if self._take("->") else name)]
        for name, local in imported:
            if name.text not in COMMON:
                self._source.refuse(f"common.{name.text}", name.offset, f"choose one of {', '.join(sorted(COMMON))}")
            if self._is_rule(local):
                self._source.invalid("a terminal is imported under the name of a rule", local.offset)
            self._define(local.text, parse_regex(COMMON[name.text]), local.offset)

    # -- expressions; each with the most that its innermost part is repeated

    def _expansions(self) -> tuple[Expression, int]:
        options = [self._expansion()]
        while self._take("|") or (self._token.kind == "newline" and self._take("|", ahead=1)):
            options.append(self._expansion())
        return alternatives([node for node, _ in options]), max(repeats for _, repeats in options)

    def _expansion(self) -> tuple[Expression, int]:
        parts: list[tuple[Expression, int]] = []
        while self._token.kind != "newline" and self._token.text not in ("|", ")", "]", "->"):
            parts.append(self._repeated())
        if self._take("->"):
            self._is_rule(self._step())
        return sequence([node for node, _ in parts]), max((repeats for _, repeats in parts), default=1)

    def _repeated(self) -> tuple[Expression, int]:
        node, repeats = self._atom()
        token = self._token
        if token.text in ("?", "*", "+"):
            self._step()
            return repeat(node, token.text == "+", 1 if token.text == "?" else None), repeats
        if not self._take("~"):
            return node, repeats
        minimum = maximum = self._number()
        if self._take(".."):
            maximum = self._number()
        if maximum < minimum:
            self._source.invalid("a repetition whose minimum is above its maximum", token.offset)
        repeats *= max(1, maximum)
        if repeats > self._limits.repetition:
            where = self._source.place(token.offset)
            raise beyond("a grammar", repeats, "repetitions", self._limits.repetition, where, _SMALLER)
        return repeat(node, minimum, maximum), repeats

    def _number(self) -> int:
        token = self._step()
        if token.kind != "number" or len(token.text) > 9:
            self._source.invalid("expected how often it is repeated", token.offset)
        return int(token.text)

    def _atom(self) -> tuple[Expression, int]:
        token = self._step()
        if token.text in ("(", "["):
            return self._group(token)
        if token.kind == "string":
            return self._in_terminal(self._string(token)), 1
        if token.kind == "regex":
            return self._in_terminal(self._regex(token)), 1
        if token.text == "~":
            self._source.refuse("the extension '~'", token.offset, "say what may stand there instead")
        if token.kind == "directive":
            self._source.refuse(f"the extension {token.text}", token.offset, "write rules for it")
        if self._is_rule(token) and not self._in_rule:
            self._source.invalid(f"the rule {token.text} inside a terminal", token.offset, "write its name in capitals")
        if self._token.text == "{":
            self._source.refuse("a template", token.offset, "write one rule for each use")
        return Reference(token.text, token.offset), 1

    def _group(self, token: Token) -> tuple[Expression, int]:
        self._depth += 1
        if self._depth > self._limits.pattern_groups:
            where = self._source.place(token.offset)
            raise beyond(
                "a grammar", self._depth, "nested groups or more", self._limits.pattern_groups, where, _SMALLER
            )
        node, repeats = self._expansions()
        self._depth -= 1
        self._expect(")" if token.text == "(" else "]")
        return (node if token.text == "(" else repeat(node, 0, 1)), repeats

    def _in_terminal(self, node: Expression) -> Expression:
        """In a rule a string or a pattern is a terminal of its own."""
        return Terminal(node) if self._in_rule else node

    def _string(self, token: Token) -> Expression:
        text = self._source.string(token)
        ignore_case = token.text.endswith("i")
        if not text:
            self._source.invalid("an empty string", token.offset, "leave it out: an alternative may be empty")
        if self._take(".."):
            last = self._step()
            high = self._source.string(last) if last.kind == "string" else ""
            if ignore_case or last.text.endswith("i") or len(text) != 1 or len(high) != 1 or text > high:
                self._source.invalid("a range that does not run from one character up to another", token.offset)
            return parse_regex(f"[\\U{ord(text):08x}-\\U{ord(high):08x}]")
        if not ignore_case:
            return literal(text)
        if not text.isascii():
            self._source.refuse("the flag i on other letters than ASCII", token.offset, "list the spellings")
        return Sequence(tuple(Chars(tuple(sorted({(ord(c), ord(c)) for c in (x.upper(), x.lower())}))) for x in text))

    def _regex(self, token: Token) -> Expression:
        end = token.text.rindex("/")
        flags = token.text[end + 1 :]
        if flags.strip("s"):
            self._source.refuse(f"the flag {flags.strip('s')[0]} of a pattern", token.offset, "write it out: [Aa]")
        return parse_regex(
            token.text[1:end],
            self._limits,
            place=lambda offset: self._source.place(token.offset + 1 + offset),
            dot_all="s" in flags,
            lazy=False,
        )

    # -- tokens

    @property
    def _token(self) -> Token:
        """The next token."""
        return self._tokens[self._position]

    def _step(self) -> Token:
        token = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def _take(self, text: str, ahead: int = 0) -> bool:
        """Step over a mark, and `ahead` tokens before it, if it comes there."""
        token = self._tokens[min(self._position + ahead, len(self._tokens) - 1)]
        if token.kind != "mark" or token.text != text:
            return False
        self._position += ahead + 1
        return True

    def _expect(self, text: str) -> None:
        if not self._take(text):
            self._unexpected(self._token, repr(text))

    def _is_rule(self, token: Token) -> bool:
        """Whether a name is a rule's; else it is a terminal's."""
        letters = token.text.removeprefix("_")
        if token.kind != "name" or not letters[:1].isalpha() or not (letters.islower() or letters.isupper()):
            self._unexpected(token, "a name in lower case (a rule) or upper case (a terminal)")
        return letters.islower()

    def _unexpected(self, token: Token, expected: str) -> None:
        found = repr(token.text[:40]) if token.text.strip() else "the end of the line"
        self._source.invalid(f"expected {expected}, found {found}", token.offset)
