"""What a grammar is, before anything is compiled: plain data that travels with a `Gen` node.

    whole texts      JsonSchema  Regex  Choices  Lark
    structures       StructuralTag, of these and AnyText  Tag  TriggeredTags  TagsWithSeparator  Sequence  Or  Optional

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


Content: TypeAlias = JsonSchema | Regex | Choices | Lark
"""A grammar of a whole text, or of one part of a structure."""


class AnyText(msgspec.Struct, frozen=True, tag_field="kind", tag="any_text"):
    """Any text without control tokens; it ends at the first place where what follows it in the structure can begin.

    Attributes:
        excludes: strings that it does not hold.
    """

    excludes: tuple[str, ...] = ()


class Tag(msgspec.Struct, frozen=True, tag_field="kind", tag="tag"):
    """`begin`, `content`, `end`.

    A control token of the model that `begin` or `end` spells is that token, never its letters. The tag ends at the
    first place where it can: a text of `content` is over at the first `end` that leaves it whole. An `end` inside of a
    JSON string is part of the string.

    Attributes:
        begin: text in front; empty where nothing else can stand there.
        content: what is in it.
        end: text behind.
        name: what the program calls it, for segments and events; empty: `begin`.
    """

    begin: str
    content: Format
    end: str
    name: str = ""


class TriggeredTags(msgspec.Struct, frozen=True, tag_field="kind", tag="triggered_tags"):
    """Free text in which a trigger begins a tag: tool calls in an answer.

    At the first place where a trigger is spelled, one of the tags that begin with it follows to its end; behind it
    there is free text again.

    Attributes:
        triggers: each the beginning of the `begin` of one tag or more, and no part of another trigger: text, or one
            control token.
        tags: each begins with one of the triggers.
        at_least_one: the text does not end without a tag.
        stop_after_first: nothing of this part follows the first tag.
        excludes: strings that the free text does not hold.
    """

    triggers: tuple[str, ...]
    tags: tuple[Tag, ...]
    at_least_one: bool = False
    stop_after_first: bool = False
    excludes: tuple[str, ...] = ()


class TagsWithSeparator(msgspec.Struct, frozen=True, tag_field="kind", tag="tags_with_separator"):
    """Tags one after the other with a fixed text between them, and nothing else.

    Attributes:
        tags: what may stand there.
        separator: text between two tags.
        at_least_one: there is a tag.
        stop_after_first: there is at most one.
    """

    tags: tuple[Tag, ...]
    separator: str
    at_least_one: bool = False
    stop_after_first: bool = False


class Sequence(msgspec.Struct, frozen=True, tag_field="kind", tag="sequence"):
    """Parts one after the other."""

    parts: tuple[Format, ...]


class Or(msgspec.Struct, frozen=True, tag_field="kind", tag="or"):
    """One of the options, told apart by how they begin; at most one of them may begin with a text of its own, which
    then does not begin as another option does."""

    options: tuple[Format, ...]


class Optional(msgspec.Struct, frozen=True, tag_field="kind", tag="optional"):
    """The part, or nothing. Where its beginning stands it is the part: a text that follows does not begin like it."""

    part: Format


Format: TypeAlias = (
    JsonSchema | Regex | Choices | Lark | AnyText | Tag | TriggeredTags | TagsWithSeparator | Sequence | Or | Optional
)
"""The parts of a structure."""


class StructuralTag(msgspec.Struct, frozen=True, tag_field="kind", tag="structural_tag"):
    """Free text, tags and grammars composed in one grammar: reasoning, then tool calls or a strict answer.

    Every text has one reading. A fixed text (the `begin` of a tag, a single choice) that can stand at a place goes
    before free text there, and text ends at the first place where what follows can begin. A structure in which that
    would not decide is refused by name: two tags that begin alike, a regular expression followed by free text.

    Attributes:
        format: the structure.
    """

    format: Format

    def key(self) -> str:
        """A stable digest; see `JsonSchema.key`. The names of tags count: reports and segments tell them."""
        return _digest(b"structural_tag", msgspec.json.encode(_shape(self.format)).decode())


GrammarSpec: TypeAlias = JsonSchema | Regex | Choices | Lark | StructuralTag
"""Every kind of grammar, as a tagged union over the wire."""


def parts_of(format_: Format) -> list[tuple[str, Format]]:
    """The parts directly inside a format, each with its place in it: `content`, `tags[1]`."""
    match format_:
        case Tag():
            return [("content", format_.content)]
        case TriggeredTags() | TagsWithSeparator():
            return [(f"tags[{index}]", tag) for index, tag in enumerate(format_.tags)]
        case Sequence():
            return [(f"parts[{index}]", part) for index, part in enumerate(format_.parts)]
        case Or():
            return [(f"options[{index}]", option) for index, option in enumerate(format_.options)]
        case Optional():
            return [("part", format_.part)]
        case _:
            return []


def _shape(format_: Format) -> list[object]:
    """A format as nested lists, with the keys of the grammars in it."""
    if isinstance(format_, JsonSchema | Regex | Choices | Lark):
        return [type(format_).__name__, format_.key()]
    inside = [_shape(part) for _, part in parts_of(format_)]
    own = [
        ascii(value)
        for name, value in zip(format_.__struct_fields__, msgspec.structs.astuple(format_), strict=True)
        if name not in ("content", "tags", "parts", "options", "part")
    ]
    return [type(format_).__name__, own, inside]


def _digest(kind: bytes, *texts: str) -> str:
    """A digest that texts of another kind, or the same characters cut otherwise, do not have."""
    digest = hashlib.blake2b(digest_size=16, person=kind)
    for text in texts:
        data = text.encode(errors="surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
