"""Which keywords each backend enforces, weakens or ignores, and the walk that names every one of them in a schema.

Backends compile much more than they enforce: one drops what stands beside `$ref`, one takes `{"a": 1, "a": 2}` for two
properties. The two tables below are what ramify believes of them, and `tests/grammar/test_coverage.py` is the judge:
of what is said to be enforced no counterexample may be found, of what is said to be weakened or ignored a witness must
be. A keyword that is missing from a table is ignored by that backend.

Schemas are looked at after `rewrite.py`, so a keyword that could be said otherwise is not here any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from ..errors import RamifyError, UnenforceableSchema
from .compose import Resolve
from .ecma import search_expression
from .expression import Chars, Expression, Repeat
from .expression import children as expression_children
from .formats import PATTERNS
from .report import Note
from .schema import VALIDATIONS, SchemaNode, Subschema, child_pointer, children, resolve
from .values import has_type

Verdict = Literal["enforced", "weakened", "ignored"]
_MAX_PATHS = 8
_MAX_BESIDE = 100


class Finding(NamedTuple):
    """What a backend does with a keyword as it stands in one schema."""

    verdict: Verdict
    why: str


ENFORCED = Finding("enforced", "")
Rule = Callable[[dict[str, Any]], Finding]
"""Judges a keyword in the schema that holds it."""


def _enforced(node: dict[str, Any]) -> Finding:
    return ENFORCED


def _ignored(why: str) -> Rule:
    finding = Finding("ignored", why)
    return lambda node: finding


def _pattern(node: dict[str, Any]) -> Finding:
    return _readable(node["pattern"])


def _patterns(node: dict[str, Any]) -> Finding:
    return next((found for pattern in node["patternProperties"] if (found := _readable(pattern)) != ENFORCED), ENFORCED)


def _readable(pattern: str) -> Finding:
    try:
        search_expression(pattern)
    except UnenforceableSchema as error:
        return Finding("ignored", error.what)
    except RamifyError:
        pass  # not a pattern at all: compiling says so
    return ENFORCED


# -- llguidance

_LLGUIDANCE_FORMATS = frozenset(PATTERNS) | {"duration", "email", "hostname", "ipv6", "uri"}


def _llguidance_format(node: dict[str, Any]) -> Finding:
    if node["format"] in _LLGUIDANCE_FORMATS:
        return ENFORCED
    return Finding("ignored", f"the format {node['format']} is not checked")


def _min_properties(node: dict[str, Any]) -> Finding:
    """Listed properties come once; another key may be written twice and counts twice: one of them is counted right."""
    closed = node.get("additionalProperties") is False and not node.get("patternProperties")
    if closed or node["minProperties"] <= len(node.get("required", ())) + 1:
        return ENFORCED
    return Finding("weakened", "a key that is written twice counts twice")


_EXCLUSIVE = frozenset({"exclusiveMinimum", "exclusiveMaximum"})
_BOUNDED = _EXCLUSIVE | {"allOf", "anyOf", "oneOf", "$ref"}


def _open_bound(node: dict[str, Any], resolve: Resolve) -> Finding:
    """Beside a whole number n that is excluded and a bound less than 1 away, the library takes n itself."""
    beside = _beside(node, resolve)
    for excluded, others, sign in (
        ("exclusiveMinimum", ("maximum", "exclusiveMaximum"), 1),
        ("exclusiveMaximum", ("minimum", "exclusiveMinimum"), -1),
    ):
        bounds = {part[excluded] for part in beside if excluded in part and part[excluded] == int(part[excluded])}
        limits = [part[keyword] for part in beside for keyword in others if keyword in part] if bounds else []
        for bound in bounds:
            if any(0 < (limit - bound) * sign < 1 for limit in limits):
                return Finding("weakened", f"{excluded} lets {bound} through if the other bound is less than 1 away")
    return ENFORCED


def _beside(node: SchemaNode, resolve: Resolve) -> list[dict[str, Any]]:
    """A schema and its parts that describe the same value, through references and alternatives."""
    found: list[dict[str, Any]] = []
    pending: list[SchemaNode | None] = [node]
    seen: set[str] = set()
    while pending and len(found) < _MAX_BESIDE:
        part = pending.pop()
        if not isinstance(part, dict):
            continue
        found.append(part)
        pending.extend(each for keyword in ("allOf", "anyOf", "oneOf") for each in part.get(keyword, ()))
        if (reference := part.get("$ref")) is not None and reference not in seen:
            seen.add(reference)
            pending.append(resolve(reference))
    return found


_NO_REGULAR = "no backend remembers what it has written"
LLGUIDANCE: Mapping[str, Rule] = MappingProxyType(
    {
        **dict.fromkeys(("$ref", "additionalProperties", "allOf", "anyOf", "const", "enum"), _enforced),
        **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum"), _enforced),  # but see `_open_bound`
        **dict.fromkeys(("items", "maxItems", "maxLength", "maxProperties", "maximum"), _enforced),
        **dict.fromkeys(("minItems", "minLength", "minimum", "multipleOf", "prefixItems", "properties"), _enforced),
        **dict.fromkeys(("required", "type"), _enforced),
        "oneOf": _enforced,  # or refused while compiling, unless the library proves the alternatives apart
        "format": _llguidance_format,
        "minProperties": _min_properties,
        "pattern": _pattern,
        "patternProperties": _patterns,
        "contains": _ignored("items are not counted"),
        "minContains": _ignored("items are not counted"),
        "maxContains": _ignored("items are not counted"),
        "if": _ignored("the complement of the condition cannot be written"),
        "then": _ignored("the complement of the condition cannot be written"),
        "else": _ignored("the complement of the condition cannot be written"),
        "not": _ignored("the complement cannot be written"),
        "propertyNames": _ignored("names of listed properties and patterns are not combined with it"),
        "uniqueItems": _ignored(_NO_REGULAR),
        "unevaluatedItems": _ignored("what other keywords evaluate is not followed"),
        "unevaluatedProperties": _ignored("what other keywords evaluate is not followed"),
        "$dynamicRef": _ignored("dynamic references are not followed"),
        "$recursiveRef": _ignored("recursive references are not followed"),
    }
)

# -- xgrammar

_LEADING = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
"""The library takes the first of these from a schema and drops whatever stands beside it."""


def _leading_of(node: dict[str, Any]) -> str:
    return next((keyword for keyword in _LEADING if keyword in node), "")


def _only_leading(keyword: str, rule: Rule) -> Rule:
    """For a keyword that is enforced only where no other leads."""

    def judge(node: dict[str, Any]) -> Finding:
        leading = _leading_of(node)
        if leading and leading != keyword:
            return Finding("ignored", f"what stands beside {leading} is dropped")
        return rule(node)

    return judge


def _of_type(*names: str, rule: Rule = _enforced) -> Rule:
    """For a keyword that is enforced beside `type` of exactly one of these names."""

    def judge(node: dict[str, Any]) -> Finding:
        return rule(node) if node.get("type") in names else Finding("ignored", f"it needs type {' or '.join(names)}")

    return judge


def _type(node: dict[str, Any]) -> Finding:
    leading = _leading_of(node)
    if leading in ("const", "enum"):
        values = [node["const"]] if leading == "const" else node["enum"]
        named = node["type"]
        types = frozenset([named] if isinstance(named, str) else named)
        if all(has_type(value, types) for value in values):
            return ENFORCED
    return Finding("ignored", f"what stands beside {leading} is dropped") if leading else ENFORCED


def _values(keyword: str) -> Rule:
    def judge(node: dict[str, Any]) -> Finding:
        values = [node[keyword]] if keyword == "const" else node[keyword]
        if any(isinstance(value, (dict, list)) for value in values):
            return Finding("weakened", "objects and arrays are written without the blanks that every other has")
        return ENFORCED

    return judge


def _alternatives(keyword: str) -> Rule:
    def judge(node: dict[str, Any]) -> Finding:
        if len(node[keyword]) == 1:
            return ENFORCED
        return Finding("weakened", "taken for anyOf" if keyword == "oneOf" else "several parts become any JSON")

    return judge


def _required(node: dict[str, Any]) -> Finding:
    if set(node["required"]) <= node.get("properties", {}).keys():
        return ENFORCED
    return Finding("weakened", "a required key that is not listed is not written")


def _no_false(keyword: str) -> Rule:
    def judge(node: dict[str, Any]) -> Finding:
        parts = node[keyword].values() if isinstance(node[keyword], dict) else node[keyword]
        if any(part is False for part in parts):
            return Finding("weakened", "a part that must not be there is not compiled")
        return ENFORCED

    return judge


def _local(node: dict[str, Any]) -> Finding:
    reference = node["$ref"]
    return ENFORCED if reference == "#" or reference.startswith("#/") else Finding("weakened", "an anchor is any JSON")


def _xgrammar_items(node: dict[str, Any]) -> Finding:
    return Finding("ignored", "a list of items is not read") if isinstance(node["items"], list) else ENFORCED


def _xgrammar_pattern(node: dict[str, Any]) -> Finding:
    """A counted set that JSON writes with escapes is unrolled while masks are filled: 194 ms each for `.{0,60}`."""
    finding = _pattern(node)
    if finding == ENFORCED and (expression := search_expression(node["pattern"])) and _counts_escapes(expression):
        return Finding("ignored", "a counted set with a quote, a backslash or a control character has slow masks")
    return finding


def _counts_escapes(node: Expression, counted: bool = False) -> bool:
    """Whether a character that JSON escapes is inside a counted repetition."""
    match node:
        case Chars(ranges):
            return counted and any(low <= 0x1F or low <= 0x22 <= high or low <= 0x5C <= high for low, high in ranges)
        case Repeat(part, minimum, maximum):
            return _counts_escapes(part, counted or minimum > 1 or maximum not in (None, 1))
        case _:
            return any(_counts_escapes(part, counted) for part in expression_children(node))


_LENGTH = "raw control characters, which are not JSON, pass beside a length"
_XGRAMMAR_BY_TYPE: Mapping[str, Rule] = {
    **dict.fromkeys(("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"), _of_type("integer", "number")),
    "items": _of_type("array", rule=_xgrammar_items),
    "maxItems": _of_type("array"),
    "minItems": _of_type("array"),
    "prefixItems": _of_type("array", rule=_no_false("prefixItems")),
    "additionalProperties": _of_type("object"),
    "properties": _of_type("object", rule=_no_false("properties")),
    "required": _of_type("object", rule=_required),
    "pattern": _of_type("string", rule=_xgrammar_pattern),
}
XGRAMMAR: Mapping[str, Rule] = MappingProxyType(
    {
        "$ref": _local,
        "const": _only_leading("const", _values("const")),
        "enum": _only_leading("enum", _values("enum")),
        "anyOf": _only_leading("anyOf", _enforced),
        "oneOf": _only_leading("oneOf", _alternatives("oneOf")),
        "allOf": _only_leading("allOf", _alternatives("allOf")),
        "type": _type,
        **{keyword: _only_leading("", rule) for keyword, rule in _XGRAMMAR_BY_TYPE.items()},
        "minLength": _ignored(_LENGTH),
        "maxLength": _ignored(_LENGTH),
    }
)

TABLES: Mapping[str, Mapping[str, Rule]] = MappingProxyType({"llguidance": LLGUIDANCE, "xgrammar": XGRAMMAR})
"""What each backend does with a JSON Schema. A backend that is not here takes none."""


def coverage(root: SchemaNode, backend: str, where: Callable[[Subschema], str] | None = None) -> Iterator[Note]:
    """Every keyword of a schema that a backend does not enforce as it stands, in document order.

    Args:
        root: a schema; parts that nothing uses are not looked at where it was rewritten.
        backend: a name in `TABLES`.
        where: the pointer to report for a place; its own if None.
    """
    table = TABLES[backend]
    stack = [Subschema("#", root, "")]
    bounded: list[tuple[str, dict[str, Any]]] = []
    while stack:
        here = stack.pop()
        if not isinstance(here.node, dict):
            continue
        place = where(here) if where is not None else here.pointer
        for keyword in here.node:
            if keyword not in VALIDATIONS:
                continue
            rule = table.get(keyword)
            verdict, why = rule(here.node) if rule is not None else Finding("ignored", "not read")
            if verdict != "enforced":
                yield Note(verdict, child_pointer(place, keyword), keyword, why)
        if backend == "llguidance" and here.node.keys() & _BOUNDED:
            bounded.append((place, here.node))
        stack.extend(reversed(list(children(here))))
    if any(node.keys() & _EXCLUSIVE for _, node in bounded):
        for place, node in bounded:
            yield from _open_bounds(place, node, root)


def _open_bounds(place: str, node: dict[str, Any], root: SchemaNode) -> Iterator[Note]:
    def target(reference: str) -> SchemaNode | None:
        found = resolve(root, reference)
        return None if found is None else found.node

    verdict, why = _open_bound(node, target)
    if verdict != "enforced":
        for keyword in sorted(node.keys() & _BOUNDED):
            yield Note(verdict, child_pointer(place, keyword), keyword, why)


def unenforceable(notes: list[Note], backends: str) -> UnenforceableSchema:
    """The error that names what is not enforced."""
    paths = list(dict.fromkeys(note.where for note in notes))
    rest = f" and {len(paths) - _MAX_PATHS} more" if len(paths) > _MAX_PATHS else ""
    shown = ", ".join(dict.fromkeys(f"{note.keyword}: {note.what}" for note in notes[:3]))
    return UnenforceableSchema(
        f"{backends} would not enforce this schema as it stands: {shown}",
        where=", ".join(paths[:_MAX_PATHS]) + rest,
        hint="leave the keywords out, or set strict=False: the finished value is then validated instead",
    )
