"""What a schema may cost before any native code sees it, in one place, and the check.

Public backends hang, run out of memory or die on schemas that are small to send: 500 nested objects, an enum of 20,000
strings, a pattern of 50,000 nested groups. These bounds are checked on the decoded JSON, iteratively; every refusal
names the path, the number found and the limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import InvalidSchema
from .finite import check_finite
from .schema import SchemaNode, Subschema, child_pointer, resolve, subschemas
from .shapes import check_shapes

if TYPE_CHECKING:
    from .spec import GrammarSpec


@dataclass(frozen=True)
class SchemaLimits:
    """Bounds on a schema.

    Attributes:
        schema_bytes: UTF-8 bytes of the schema's text.
        depth: nesting of JSON arrays and objects; a nested object property takes two levels.
        pattern_bytes: UTF-8 bytes of a regular expression.
        pattern_groups: depth of nested groups in a regular expression.
        enum_values: entries of one `enum`.
        repetition: a length or count keyword, and how often the innermost part of a pattern may be repeated by the
            counted quantifiers around it, multiplied.
    """

    schema_bytes: int = 64 * 1024
    depth: int = 64
    pattern_bytes: int = 4 * 1024
    pattern_groups: int = 50
    enum_values: int = 2_000
    repetition: int = 10_000


DEFAULT_LIMITS = SchemaLimits()

_FLATTEN = "move nested parts to $defs and refer to them by $ref"
_COUNTS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
)
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
# An escape, a whole bracketed class (a bracket that comes first in it is a literal), or one character.
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_QUANTIFIER = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def check_schema(spec: GrammarSpec, limits: SchemaLimits = DEFAULT_LIMITS) -> SchemaNode:
    """Decode the schema of `spec` and check it against `limits`.

    Returns:
        The decoded schema, in its own property order.

    Raises:
        InvalidSchema: not JSON (`where` is the byte); no schema, beyond a limit, or without end (`where` is the path).
        UnenforceableSchema: a number that no backend holds exactly.
    """
    root: SchemaNode = _decode(spec.schema, limits)
    _check_depth(root, limits)
    for here in subschemas(root):
        check_shapes(here)
        if isinstance(here.node, dict):
            _check_node(here, root, limits)
    check_finite(root)
    return root


def _decode(text: str, limits: SchemaLimits) -> Any:
    # A character is at least one byte, so text that is far too long is refused before it is encoded.
    size = len(text) if len(text) > limits.schema_bytes else len(text.encode(errors="surrogatepass"))
    if size > limits.schema_bytes:
        raise _beyond("the schema's text", size, "bytes", limits.schema_bytes, "#")
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        reason = str(error)
        place = re.search(r"\(byte (\d+)\)", reason)
        where = f"byte {place[1]}" if place else "end of the text" if "truncated" in reason else "#"
        raise InvalidSchema(
            f"the schema is not JSON: {reason}", where=where, hint="pass the schema as JSON text"
        ) from error
    except UnicodeEncodeError as error:
        raise InvalidSchema(
            "the schema is not Unicode text: it holds half of a surrogate pair", where=f"character {error.start}"
        ) from error
    except RecursionError as error:
        raise InvalidSchema(
            f"the schema is nested far deeper than {limits.depth} levels, the limit", where="#", hint=_FLATTEN
        ) from error


def _check_depth(root: Any, limits: SchemaLimits) -> None:
    level: list[tuple[str, Any]] = [("#", root)]
    for _ in range(limits.depth + 1):
        level = [(pointer, value) for pointer, value in level if isinstance(value, (dict, list))]
        if not level:
            return
        deepest = level[0][0]
        level = [
            (child_pointer(pointer, name), child)
            for pointer, value in level
            for name, child in (value.items() if isinstance(value, dict) else enumerate(value))
        ]
    raise _beyond("nesting", limits.depth + 1, "levels or more", limits.depth, deepest, _FLATTEN)


def _check_node(here: Subschema, root: SchemaNode, limits: SchemaLimits) -> None:
    node = here.node
    for keyword in _COUNTS:
        if (count := node.get(keyword, 0)) > limits.repetition:
            raise _beyond(keyword, count, "", limits.repetition, child_pointer(here.pointer, keyword))
    if (num_values := len(node.get("enum", ()))) > limits.enum_values:
        raise _beyond("enum", num_values, "values", limits.enum_values, child_pointer(here.pointer, "enum"))
    if "pattern" in node:
        check_pattern(node["pattern"], child_pointer(here.pointer, "pattern"), limits)
    for pattern in node.get("patternProperties", ()):
        check_pattern(pattern, child_pointer(here.pointer, "patternProperties", pattern), limits)
    for keyword in _REFERENCES:
        reference = node.get(keyword, "#")
        if reference.startswith("#/") and resolve(root, reference) is None:
            raise InvalidSchema(
                f"{keyword} points to nothing: {reference[:80]!r}",
                where=child_pointer(here.pointer, keyword),
                hint="define the target under $defs",
            )
        if not reference.startswith("#"):
            raise InvalidSchema(
                f"{keyword} must point into the same schema, got {reference[:80]!r}",
                where=child_pointer(here.pointer, keyword),
                hint='nothing is fetched: put the target under "$defs" and refer to "#/$defs/name"',
            )


def check_pattern(pattern: str, pointer: str, limits: SchemaLimits) -> None:
    """Refuse a regular expression that is too long, too nested or too often repeated.

    Raises:
        InvalidSchema: at `pointer`.
    """
    size = len(pattern.encode(errors="surrogatepass"))
    if size > limits.pattern_bytes:
        raise _beyond("a pattern", size, "bytes", limits.pattern_bytes, pointer)
    repeats = [1]  # for each open group, the most that anything inside it is repeated
    position = 0
    while position < len(pattern):
        atom = _ATOM.match(pattern, position)
        position = atom.end() if atom else position + 1
        text = atom[0] if atom else ""
        if text == "(":
            repeats.append(1)
            if len(repeats) - 1 > limits.pattern_groups:
                raise _beyond("a pattern", len(repeats) - 1, "nested groups or more", limits.pattern_groups, pointer)
            continue
        factor = repeats.pop() if text == ")" and len(repeats) > 1 else 1
        while quantifier := _QUANTIFIER.match(pattern, position):
            factor *= max(1, int(quantifier[1]), int(quantifier[2] or 0))
            position = quantifier.end()
        if factor > limits.repetition:
            raise _beyond("a pattern", min(factor, 10**9), "repetitions or more", limits.repetition, pointer)
        repeats[-1] = max(repeats[-1], factor)


def _beyond(
    what: str, found: float, unit: str, limit: int, pointer: str, hint: str = "make the schema smaller"
) -> InvalidSchema:
    amount = " ".join(part for part in (str(found), unit) if part)
    return InvalidSchema(f"{what}: {amount}, the limit is {limit}", where=pointer, hint=hint)
