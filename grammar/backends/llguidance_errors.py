"""llguidance's refusals as errors of ours: which of the two types, and the paths in the schema.

Schemas are what it still judges; the other kinds of grammar reach it checked, so that only its own limits are left. The
library reports a keyword or a value, not a place. The place is found again by looking for that keyword, value or
pattern in the schema; several paths are named where several fit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import InvalidSchema, UnenforceableSchema
from ..schema import VALIDATIONS, SchemaNode, child_pointer, subschemas

_MAX_PATHS = 8

Fits = Callable[[re.Match[str], dict[str, Any], str], bool]
"""Whether the message is about this keyword of this schema node: (match, node, keyword)."""


class _Rule(NamedTuple):
    """How to read one kind of message: matched anywhere in the text; the first rule that matches is taken."""

    message: re.Pattern[str]
    error: type[InvalidSchema]
    hint: str
    fits: Fits


def _quoted(match: re.Match[str], node: dict[str, Any], keyword: str) -> bool:
    return re.search(rf"""["']{re.escape(keyword)}["']""", match.string) is not None


def _keyword_is(*keywords: str) -> Fits:
    return lambda match, node, keyword: keyword in keywords


def _value_is(keyword: str) -> Fits:
    """The keyword has the value that the message's first group quotes."""
    return lambda match, node, name: name == keyword and node[name] == match[1]


def _pattern_in_message(match: re.Match[str], node: dict[str, Any], keyword: str) -> bool:
    patterns = [node[keyword]] if keyword == "pattern" else node[keyword] if keyword == "patternProperties" else ()
    return any(pattern in match.string for pattern in patterns)


def _contradicts(match: re.Match[str], node: dict[str, Any], keyword: str) -> bool:
    """The node has every keyword that the message speaks of, and this is one; or it requires what cannot be."""
    if keyword == "required":
        return any(f"'{name}'" in match.string for name in node[keyword])
    words = VALIDATIONS.intersection(re.findall(r"\w+", match.string)) - {"required"}
    return keyword in words and words <= node.keys()


_RULES = (
    _Rule(
        re.compile(r"Unimplemented keys"),
        UnenforceableSchema,
        "leave the keyword out and check the value in `check=`, or state it with a supported keyword",
        _quoted,
    ),
    _Rule(
        re.compile(r"oneOf"),
        UnenforceableSchema,
        "use anyOf, or give each alternative a required property with a different const",
        _keyword_is("oneOf"),
    ),
    _Rule(
        re.compile(r"Unknown format: (.+)"),
        UnenforceableSchema,
        "leave the format out, or give a pattern",
        _value_is("format"),
    ),
    _Rule(
        re.compile(r"min/maxProperties"),
        UnenforceableSchema,
        "list the required properties instead",
        _keyword_is("minProperties", "maxProperties"),
    ),
    _Rule(
        re.compile(r"patternProperty regexes"),
        UnenforceableSchema,
        "make the patterns exclude one another",
        _keyword_is("patternProperties"),
    ),
    _Rule(
        re.compile(r"circular references"),
        UnenforceableSchema,
        "move what stands beside the reference into the definition that it points to",
        _keyword_is("$ref"),
    ),
    _Rule(
        re.compile(r"not supported|lookarounds"),
        UnenforceableSchema,
        "write the pattern without look-around, word boundaries and back-references",
        _pattern_in_message,
    ),
    _Rule(re.compile(r"regex parse error"), InvalidSchema, "correct the pattern", _pattern_in_message),
    _Rule(
        re.compile(r"Resource '(.+?)#?' is not present"),
        InvalidSchema,
        "nothing is fetched: leave $schema and $id out, and refer to #/$defs",
        lambda match, node, keyword: keyword in ("$schema", "$id") and node[keyword].rstrip("#") == match[1],
    ),
    _Rule(
        re.compile(r"Unsatisfiable schema"), InvalidSchema, "no value satisfies these keywords together", _contradicts
    ),
    _Rule(
        re.compile(r"[Ff]uel|too (?:large|big|complex|many)|limit"), InvalidSchema, "make the schema smaller", _quoted
    ),
    _Rule(re.compile(r""), InvalidSchema, "correct the schema", _quoted),
)


def refusal(message: str, schema: SchemaNode) -> InvalidSchema:
    """The error for a schema that the library did not compile.

    Args:
        message: the library's message.
        schema: the schema as the caller wrote it.
    """
    reason = message.strip().splitlines()
    rule, match = next((rule, match) for rule in _RULES if (match := rule.message.search(message)))
    paths = [
        child_pointer(here.pointer, keyword)
        for here in subschemas(schema)
        if isinstance(here.node, dict)
        for keyword in here.node
        if rule.fits(match, here.node, keyword)
    ]
    shown = ", ".join(paths[:_MAX_PATHS]) + (f" and {len(paths) - _MAX_PATHS} more" if len(paths) > _MAX_PATHS else "")
    verb = "enforce" if rule.error is UnenforceableSchema else "compile"
    return rule.error(
        f"llguidance cannot {verb} this schema: {' '.join(line.strip() for line in reason)[:300]}",
        where=shown or "#",
        hint=rule.hint,
    )


def text_refusal(message: str, kind: str) -> InvalidSchema:
    """The error for a grammar other than a schema that the library did not compile.

    Args:
        message: the library's message.
        kind: what kind of grammar it is.
    """
    return InvalidSchema(
        f"llguidance cannot compile this {kind}: {_first_line(message)}", where="#", hint=f"make the {kind} smaller"
    )


def runtime_refusal(message: str, kind: str) -> InvalidSchema:
    """The error for a matcher that failed while it was used; arguments as for `text_refusal`."""
    return InvalidSchema(
        f"llguidance gave up on this {kind} while generating: {_first_line(message)}",
        where="#",
        hint=f"make the patterns and bounds of the {kind} simpler",
    )


def _first_line(message: str) -> str:
    return (message.strip() or "no reason was given").splitlines()[0][:300]
