"""What a grammar is, before anything is compiled: plain data that travels with a `Gen` node.

`lang` makes one from a Python type, the wire carries it, the engine hands it to a backend. Every kind is exact: a gen
whose grammar is one of these ends with a stop token, and only where the text so far is whole. The module is light
(msgspec alone) because `import ramify` loads it.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TypeAlias

import msgspec

_MAX_CANONICAL = 1 << 20


class JsonSchema(msgspec.Struct, frozen=True, tag_field="kind", tag="json_schema"):
    """A JSON Schema (draft 2020-12) as its text.

    Attributes:
        schema: the schema as JSON text.
        any_whitespace: allow whitespace between JSON tokens; off by default (one separator style, `, ` and `: `),
            because a model under an open-ended whitespace rule can emit blanks until `max_tokens`.
        strict: refuse a schema with a keyword that no backend enforces. If off, the rest is enforced, the finished
            value is validated, and the compiled grammar's report names every such keyword.
    """

    schema: str
    any_whitespace: bool = False
    strict: bool = True

    def key(self) -> str:
        """A stable digest, equal for equal grammars: the key of the compile cache.

        Blanks in the text do not count. The order of properties does: it is the order in which they are generated. Text
        that is not JSON has a key too; compiling it is what fails.
        """
        text = self.schema.encode(errors="surrogatepass")
        if len(text) > _MAX_CANONICAL:  # far beyond any limit: it will be refused, and must not cost its caller time
            return _digest(b"schema", self.schema)
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            text = msgspec.json.format(text, indent=-1)
        flags = (b"w" if self.any_whitespace else b"f") + (b"" if self.strict else b"l")
        return hashlib.blake2b(text + flags, digest_size=16).hexdigest()


class Regex(msgspec.Struct, frozen=True, tag_field="kind", tag="regex"):
    r"""A regular expression that the whole text matches: `re.fullmatch(pattern, text)` without flags.

    The dialect is that of Python's `re`, and what it means is enforced to the character: `\d`, `\w` and `\s` are
    Unicode's as this Python knows them, `.` is anything but a newline, a lazy quantifier matches what its greedy form
    matches, anchors may stand where the text begins or ends anyway. What is not a regular language, or would need
    another reading, is refused by name and position: look-around, back-references, `\b`, anchors elsewhere, inline
    flags, atomic groups, possessive quantifiers, octal escapes, `\N{...}`, `\p{...}`, POSIX classes, set operations.

    Attributes:
        pattern: the regular expression.
    """

    pattern: str

    def key(self) -> str:
        """A stable digest of the pattern; see `JsonSchema.key`."""
        return _digest(b"regex", self.pattern)


class Choices(msgspec.Struct, frozen=True, tag_field="kind", tag="choices"):
    """Exactly one of these texts. One may be the beginning of another, or empty; the stop token then decides.

    Attributes:
        options: the texts, taken literally.
    """

    options: tuple[str, ...]

    def key(self) -> str:
        """A stable digest of the set of options: their order and repetitions do not count."""
        return _digest(b"choices", *sorted(set(self.options)))


class Lark(msgspec.Struct, frozen=True, tag_field="kind", tag="lark"):
    r"""A context-free grammar in the syntax of Lark (https://lark-parser.readthedocs.io); its start rule is `start`.

    Taken: rules and terminals, strings (with `i`: ASCII letters in either case), regular expressions in the dialect of
    `Regex` (flag `s` alone), ranges `"a".."z"`, groups, `[...]`, `?`, `*`, `+`, `~n`, `~n..m`, `%ignore`, and
    `%import common.NAME`. `?rule`, `!rule` and `-> alias` shape trees and mean nothing here. Refused by name and
    position: priorities, templates, `%declare`, `%extend`, `%override`, other imports, lazy quantifiers in a terminal,
    and what only one backend knows (`%json`, special tokens, rule attributes, `&` and `~` before a terminal).

    Terminals are matched as by a lexer, each as long as it can be: `NAME "b"` with `NAME: /[a-z]+/` has no text at all,
    because NAME takes the b. Ignored text stands between two terminals, not before the first or after the last. So
    every text generated parses under Lark's Earley parser (`lexer="dynamic_complete"`), which finds more texts.

    Attributes:
        grammar: the grammar's text.
    """

    grammar: str

    def key(self) -> str:
        """A stable digest of the text; see `JsonSchema.key`."""
        return _digest(b"lark", self.grammar)


GrammarSpec: TypeAlias = JsonSchema | Regex | Choices | Lark
"""Every kind of grammar, as a tagged union over the wire. Structural tags join it here."""


def _digest(kind: bytes, *texts: str) -> str:
    """A digest that texts of another kind, or the same characters cut otherwise, do not have."""
    digest = hashlib.blake2b(digest_size=16, person=kind)
    for text in texts:
        data = text.encode(errors="surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
