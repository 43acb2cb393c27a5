"""What a grammar may cost before any native code sees it, in one place, and the check of schemas.

Public backends hang, run out of memory or die on schemas that are small to send: 500 nested objects, an enum of 20,000
strings, a pattern of 50,000 nested groups. These bounds are checked on the decoded JSON, iteratively; every refusal
names the path, the number found and the limit. The other kinds of grammar are checked as they are read (`regex.py`,
`choices.py`, `lark_syntax.py`) against the same bounds.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import InvalidSchema
from .finite import check_finite
from .schema import REFERENCES, SchemaNode, Subschema, anchors, child_pointer, resolve_local, subschemas
from .shapes import check_shapes

if TYPE_CHECKING:
    from .spec import JsonSchema


@dataclass(frozen=True)
class Narrowing:
    """What is left out of the values that a schema allows, so that generation ends; each place is reported.

    Attributes:
        close_objects: an object that lists properties and is silent about others has no others.
        string_length: characters of a string without `maxLength` and `pattern`; None: no bound but `max_tokens`, the
            default, because a counted string costs a matcher states where a free one costs nothing: at 2,048
            characters the lexer that requests share was full after 14 texts of every kind of character.
        integer: magnitude of an integer without bounds; None: no bound. 10^18 fits a signed 64-bit integer.
        number: the same for other numbers.
        fraction_digits: digits after the point, 10 at most, for a number without `multipleOf`; None: no bound.
            Without this, and without bounds, a number may have an exponent: `1e999` too, which no decoder takes.
        overlaps: where alternatives of a `oneOf` overlap, values that keywords cannot tell from the overlap, or only
            at length, are left out: those in which a property is a number but no integer, say, if that is all that
            sets two apart, or those without the property that sets all of them apart.
        items: items of an array, and properties of an object that lists none, without a bound; None: no bound.
        free: objects may have properties beyond those they list, where the schema says so, and a value of which it
            says nothing may be an object or an array.
        large_bounds: an upper bound above the limits is lowered to the limit instead of being refused.
    """

    close_objects: bool = True
    string_length: int | None = None
    integer: int | None = 10**18
    number: int | None = 10**18
    fraction_digits: int | None = 10
    overlaps: bool = True
    items: int | None = None
    free: bool = True
    large_bounds: bool = True


UNBOUNDED = Narrowing(
    close_objects=False, string_length=None, integer=None, number=None, fraction_digits=None, large_bounds=False
)
"""Nothing is left out for the sake of an end: for measurements of coverage."""

EXACT = replace(UNBOUNDED, overlaps=False)
"""Nothing at all is left out."""


@dataclass(frozen=True)
class GrammarLimits:
    """Bounds on a grammar.

    Attributes:
        schema_bytes: UTF-8 bytes of the schema's text.
        depth: nesting of JSON arrays and objects; a nested object property takes two levels.
        pattern_bytes: UTF-8 bytes of a regular expression.
        pattern_groups: depth of nested groups in a regular expression.
        enum_values: entries of one `enum`.
        repetition: a length or count keyword, and how often the innermost part of a pattern may be repeated by the
            counted quantifiers around it, multiplied.
        length: `minLength` and `maxLength`.
        rewritten_parts: parts of a schema after `rewrite.py`.
        narrowing: what is left out of the values that a schema allows.
        char_ranges: ranges in all different character sets of a pattern or a grammar, after classes are spelled out;
            `\\w` alone has about 750.
        options: texts in one `Choices`.
        options_bytes: UTF-8 bytes of these texts together.
        lark_bytes: UTF-8 bytes of a grammar in Lark syntax.
        lark_depth: parts of such a grammar inside one another, followed from `start` through the names: compilers
            follow it by recursion, and one that runs out of stack takes the process with it.
        tags: tags in a structure, and apart from them its other parts.
        mark_bytes: UTF-8 bytes of one begin, end, trigger, separator or excluded string.
        structure_depth: parts of a structure inside one another.
        structure_bytes: UTF-8 bytes of a structure: its marks and all grammars in it.
    """

    schema_bytes: int = 64 * 1024
    depth: int = 64
    pattern_bytes: int = 4 * 1024
    pattern_groups: int = 50
    enum_values: int = 2_000
    repetition: int = 10_000
    length: int = 100_000
    rewritten_parts: int = 10_000
    narrowing: Narrowing = Narrowing()
    char_ranges: int = 20_000
    options: int = 2_000
    options_bytes: int = 64 * 1024
    lark_bytes: int = 64 * 1024
    lark_depth: int = 1_000
    tags: int = 256
    mark_bytes: int = 1_024
    structure_depth: int = 16
    structure_bytes: int = 256 * 1024


DEFAULT_LIMITS = GrammarLimits()


@dataclass(frozen=True)
class VettingLimits:
    """What one grammar may cost while it is vetted (`vetting.py`).

    Attributes:
        cpu_seconds: processor time.
        wall_seconds: time from the moment that a worker begins, on a machine that has other things to do.
        queue_seconds: time for which it may wait for a worker; so an answer takes at most this and `wall_seconds`.
        start_seconds: for the vetting server to be ready, once an engine; the wait in the queue begins then.
        memory_bytes: address space beyond what a worker holds while it is idle.
        at_once: grammars vetted at once; None is a quarter of the processors, from 1 to 4. One more stands ready.
        niceness: how far workers give way to the engine; 5 is about a quarter of a processor that is busy.
        jobs: grammars after which a worker is replaced, so that nothing piles up in it.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 4.0
    queue_seconds: float = 2.0
    start_seconds: float = 60.0
    memory_bytes: int = 512 << 20
    at_once: int | None = None
    niceness: int = 5
    jobs: int = 500

    @property
    def slots(self) -> int:
        """Grammars vetted at once."""
        return self.at_once or max(1, min(4, (os.cpu_count() or 1) // 4))


DEFAULT_VETTING = VettingLimits()


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
_NARROWED = ("maxLength", "maxItems", "maxProperties")
"""Bounds that `narrow.py` lowers to the limit instead."""
# An escape, a whole bracketed class (a bracket that comes first in it is a literal), or one character.
_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_QUANTIFIER = re.compile(r"\{(\d+)(?:,(\d*))?\}")


def check_schema(spec: JsonSchema, limits: GrammarLimits = DEFAULT_LIMITS) -> SchemaNode:
    """Decode the schema of `spec` and check it against `limits`.

    Returns:
        The decoded schema, in its own property order.

    Raises:
        InvalidSchema: not JSON (`where` is the byte); no schema, beyond a limit, or without end (`where` is the path).
        UnenforceableSchema: a number that no backend holds exactly.
    """
    check_text_size(spec, limits)
    root: SchemaNode = _decode(spec.schema, limits)
    _check_depth(root, limits)
    places = list(subschemas(root))
    for here in places:
        check_shapes(here, move_bounds=limits.narrowing.large_bounds)
    named = anchors(places)
    for here in places:
        if isinstance(here.node, dict):
            _check_node(here, root, named, limits)
    check_finite(root, places, named)
    return root


def _decode(text: str, limits: GrammarLimits) -> Any:
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


def check_text_size(spec: JsonSchema, limits: GrammarLimits = DEFAULT_LIMITS) -> None:
    """Refuse a schema by the size of its text alone, before anything looks into it.

    Raises:
        InvalidSchema: beyond the limit.
    """
    if (size := encoded_size(spec.schema, limits.schema_bytes)) > limits.schema_bytes:
        raise beyond("the schema's text", size, "bytes", limits.schema_bytes, "#")


def _check_depth(root: Any, limits: GrammarLimits) -> None:
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
    raise beyond("nesting", limits.depth + 1, "levels or more", limits.depth, deepest, _FLATTEN)


def _check_node(here: Subschema, root: SchemaNode, named: dict[str, str], limits: GrammarLimits) -> None:
    node = here.node
    for keyword in _COUNTS:
        limit = limits.length if keyword in ("minLength", "maxLength") else limits.repetition
        if (count := node.get(keyword, 0)) > limit and not (keyword in _NARROWED and limits.narrowing.large_bounds):
            raise beyond(keyword, count, "", limit, child_pointer(here.pointer, keyword))
    if (num_values := len(node.get("enum", ()))) > limits.enum_values:
        raise beyond("enum", num_values, "values", limits.enum_values, child_pointer(here.pointer, "enum"))
    if "pattern" in node:
        check_pattern(node["pattern"], child_pointer(here.pointer, "pattern"), limits)
    for pattern in node.get("patternProperties", ()):
        check_pattern(pattern, child_pointer(here.pointer, "patternProperties", pattern), limits)
    for keyword in REFERENCES:
        reference = node.get(keyword, "#")
        if resolve_local(root, reference, named) is not None:
            continue
        if reference.startswith("#"):
            raise InvalidSchema(
                f"{keyword} points to nothing: {reference[:80]!r}",
                where=child_pointer(here.pointer, keyword),
                hint="define the target under $defs",
            )
        raise InvalidSchema(
            f"{keyword} must point into the same schema, got {reference[:80]!r}",
            where=child_pointer(here.pointer, keyword),
            hint='nothing is fetched: put the target under "$defs" and refer to "#/$defs/name"',
        )


def check_pattern(pattern: str, pointer: str, limits: GrammarLimits) -> None:
    """Refuse a regular expression that is too long, too nested or too often repeated.

    Raises:
        InvalidSchema: at `pointer`.
    """
    size = len(pattern.encode(errors="surrogatepass"))
    if size > limits.pattern_bytes:
        raise beyond("a pattern", size, "bytes", limits.pattern_bytes, pointer)
    repeats = [1]  # for each open group, the most that anything inside it is repeated
    position = 0
    while position < len(pattern):
        atom = _ATOM.match(pattern, position)
        position = atom.end() if atom else position + 1
        text = atom[0] if atom else ""
        if text == "(":
            repeats.append(1)
            if len(repeats) - 1 > limits.pattern_groups:
                raise beyond("a pattern", len(repeats) - 1, "nested groups or more", limits.pattern_groups, pointer)
            continue
        factor = repeats.pop() if text == ")" and len(repeats) > 1 else 1
        while quantifier := _QUANTIFIER.match(pattern, position):
            factor *= max(1, int(quantifier[1]), int(quantifier[2] or 0))
            position = quantifier.end()
        if factor > limits.repetition:
            raise beyond("a pattern", min(factor, 10**9), "repetitions or more", limits.repetition, pointer)
        repeats[-1] = max(repeats[-1], factor)


def encoded_size(text: str, limit: int) -> int:
    """UTF-8 bytes of `text`. Text that is far too long is not encoded: a character is at least one byte."""
    return len(text) if len(text) > limit else len(text.encode(errors="surrogatepass"))


def beyond(
    what: str, found: float, unit: str, limit: int, where: str, hint: str = "make the schema smaller"
) -> InvalidSchema:
    """The error for a limit that was exceeded."""
    amount = " ".join(part for part in (str(found), unit) if part)
    return InvalidSchema(f"{what}: {amount}, the limit is {limit}", where=where, hint=hint)
