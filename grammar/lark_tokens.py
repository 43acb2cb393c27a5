"""Cuts a grammar in Lark syntax into tokens, each with its place; what Lark does not have is refused here by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, NoReturn

from ..errors import InvalidSchema, UnenforceableSchema

_TOKEN = re.compile(
    r"""
      (?P<blank> [ \t\f]+ | (?://|\#)[^\n]* )
    | (?P<newline> \r?\n )
    | (?P<string> "(?:\\.|[^"\\\n])*"i? )
    | (?P<regex> /(?:\\.|[^/\\\n])+/[a-z]* )
    | (?P<name> [A-Za-z_][A-Za-z_0-9]* )
    | (?P<number> [0-9]+ )
    | (?P<directive> %[a-z]+ )
    | (?P<mark> -> | \.\. | [:|()\[\]{}.,?*+~!] )
    | (?P<foreign> <[^<>\s]+> | @[A-Za-z0-9_-]+ | & )
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "\\": "\\", '"': '"'}


class Token(NamedTuple):
    """A token.

    Attributes:
        kind: string, regex, name, number, directive, mark, newline or end.
        text: as it is written.
        offset: of its first character in the grammar.
    """

    kind: str
    text: str
    offset: int


class Source:
    """A grammar's text, and errors at places in it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def place(self, offset: int) -> str:
        """Line and column, both from 1."""
        before = self._text[:offset]
        return f"line {before.count(chr(10)) + 1}, column {offset - before.rfind(chr(10))}"

    def refuse(self, what: str, offset: int, hint: str) -> NoReturn:
        """Something that is not enforced exactly."""
        raise UnenforceableSchema(f"{what} in a grammar is not enforced", where=self.place(offset), hint=hint)

    def invalid(
        self, what: str, offset: int, hint: str = "correct the grammar; the syntax is that of Lark"
    ) -> NoReturn:
        """Something that is no grammar."""
        raise InvalidSchema(f"not a grammar: {what}", where=self.place(offset), hint=hint)

    def tokens(self) -> Iterator[Token]:
        """All tokens but blanks and comments; lines that follow one another are one newline; the last token is "end".

        Raises:
            InvalidSchema: a character that begins no token.
            UnenforceableSchema: an extension of one backend.
        """
        offset, kind = 0, "newline"
        while offset < len(self._text):
            match = _TOKEN.match(self._text, offset)
            if match is None:
                self.invalid(f"unexpected text {self._text[offset : offset + 20]!r}", offset)
            if match.lastgroup == "foreign":
                self.refuse(f"the extension {match[0][:40]!r}", offset, "use rules, strings and regular expressions")
            if match.lastgroup != "blank" and not (match.lastgroup == kind == "newline"):
                kind = match.lastgroup or ""
                yield Token(kind, match[0], offset)
            offset = match.end()
        yield Token("newline", "", offset)
        yield Token("end", "", offset)

    def string(self, token: Token) -> str:
        """The text that a string token stands for, without its flag."""
        body = token.text.removesuffix("i")[1:-1]

        def unescape(match: re.Match[str]) -> str:
            code = match[1] or match[2] or match[3]
            if code and int(code, 16) > 0x10FFFF:
                self.invalid("an escape beyond the last character", token.offset + 1 + match.start())
            if code:
                return chr(int(code, 16))
            if match[4] not in _ESCAPED:
                self.invalid(f"an unknown escape {match[0]}", token.offset + 1 + match.start())
            return _ESCAPED[match[4]]

        text = _ESCAPE.sub(unescape, body)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.invalid("a string that holds half of a surrogate pair", token.offset)
        return text
