"""What a grammar is, before anything is compiled: plain data that travels with a `Gen` node.

`lang` makes one from a Python type, the wire carries it, the engine hands it to a backend. The module is light
(msgspec alone) because `import ramify` loads it.
"""

from __future__ import annotations

import contextlib
import hashlib

import msgspec


class JsonSchema(msgspec.Struct, frozen=True, tag_field="kind", tag="json_schema"):
    """A JSON Schema (draft 2020-12) as its text.

    Attributes:
        schema: the schema as JSON text.
        any_whitespace: allow whitespace between JSON tokens; off by default (one separator style, `, ` and `: `),
            because a model under an open-ended whitespace rule can emit blanks until `max_tokens`.
    """

    schema: str
    any_whitespace: bool = False

    def key(self) -> str:
        """A stable digest, equal for equal grammars: the key of the compile cache.

        Blanks in the text do not count. The order of properties does: it is the order in which they are generated. Text
        that is not JSON has a key too; compiling it is what fails.
        """
        text = self.schema.encode(errors="surrogatepass")
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            text = msgspec.json.format(text, indent=-1)
        return hashlib.blake2b(text + (b"w" if self.any_whitespace else b"f"), digest_size=16).hexdigest()


GrammarSpec = JsonSchema
"""Every kind of grammar. A tagged union: regex, EBNF, choices and structural tags join it here."""
