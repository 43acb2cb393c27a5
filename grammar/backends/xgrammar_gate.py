"""What xgrammar enforces, as a gate: a schema that has anything else in it is refused, with the path.

The library takes exactly one of `$ref`, `const`, `enum`, `anyOf`, `oneOf`, `allOf`, `type` from a schema, in that
order, and drops whatever stands beside it; and it matches a pattern against the JSON text instead of the string. So
this is a list of what may pass, not of what may not: a keyword that nobody thought of is refused.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import UnenforceableSchema
from ..schema import ANNOTATIONS, VALIDATIONS, SchemaNode, child_pointer, subschemas
from ..shapes import TYPES

_MAX_PATHS = 8

_BY_TYPE = {
    "array": {"items", "maxItems", "minItems", "prefixItems"},
    "boolean": set(),
    "integer": {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"},
    "null": set(),
    "number": {"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"},
    "object": {"additionalProperties", "properties", "required"},
    "string": {"pattern"},
}
"""The keywords that are enforced beside `type`, by the one type named there.

A string with a length is missing: it may then hold raw control characters, which is not JSON.
"""

# The part of regular expressions that comes out the same on JSON text: positive classes, groups, alternatives,
# quantifiers, anchors at the ends. A quote, a backslash or a control character would need an escape in JSON.
_SAFE_PATTERN = re.compile(
    r"""\^?(?:
        [^"\\\[\](){}.*+?|^$\x00-\x1f]             # a literal
      | \\[dw]                                     # a class of characters that JSON writes as they are
      | \\[.*+?|^$(){}\[\]/-]                      # an escaped literal
      | \[(?:[^"\\\]\[^\x00-\x1f]|\\[dw.*+?|^$(){}/-])+\]
      | \((?:\?:|(?!\?)) | \) | \|
      | [*+?] | \{\d+(?:,\d*)?\}
    )*\$?""",
    re.VERBOSE,
)
_CLASS_RANGE = re.compile(r"([^\\\[-])-([^\\\]])")


def check_enforceable(root: SchemaNode) -> None:
    """Let a schema pass only if xgrammar enforces every keyword in it.

    Raises:
        UnenforceableSchema: with the paths of the keywords.
    """
    paths = [
        child_pointer(here.pointer, keyword)
        for here in subschemas(root)
        if isinstance(here.node, dict)
        for keyword in _not_enforced(here.node)
    ]
    if paths:
        rest = f" and {len(paths) - _MAX_PATHS} more" if len(paths) > _MAX_PATHS else ""
        raise UnenforceableSchema(
            "xgrammar would not enforce these keywords as they stand",
            where=", ".join(paths[:_MAX_PATHS]) + rest,
            hint="use the default backend, or leave the keywords out",
        )


def _not_enforced(node: dict[str, Any]) -> list[str]:
    """The keywords of one schema, not of those below it, that would be dropped or weakened."""
    keywords = (node.keys() & VALIDATIONS) - ANNOTATIONS
    for leading in ("$ref", "const", "enum", "anyOf", "oneOf", "allOf"):
        if leading in keywords:
            return sorted(_beside(leading, node, keywords))
    named = node.get("type")
    if not isinstance(named, str):
        # Without one type, keywords for a type are dropped; several types alone are fine.
        return sorted(keywords - {"type"})
    allowed = _BY_TYPE[named] | {"type"}
    return sorted({keyword for keyword in keywords if keyword not in allowed or _weakened(keyword, node)})


def _beside(leading: str, node: dict[str, Any], keywords: set[str]) -> set[str]:
    """What is dropped beside the keyword that the library takes."""
    value = node[leading]
    dropped = keywords - {leading}
    if leading in ("const", "enum"):
        values = [value] if leading == "const" else value
        if all(_has_type(each, node.get("type", sorted(TYPES))) for each in values):
            dropped.discard("type")
        if any(isinstance(each, (dict, list)) for each in values):
            dropped.add(leading)  # written without the blanks that every other object has
    elif leading == "$ref" and value != "#" and not value.startswith("#/"):
        dropped.add(leading)  # an anchor becomes any JSON
    elif leading in ("oneOf", "allOf") and len(value) != 1:
        dropped.add(leading)  # becomes anyOf, and any JSON
    return dropped


def _weakened(keyword: str, node: dict[str, Any]) -> bool:
    """Whether a keyword that is enforced alone is not as it stands in this schema."""
    if keyword == "pattern":
        return not is_safe_pattern(node["pattern"])
    if keyword == "required":
        return not set(node["required"]) <= node.get("properties", {}).keys()
    if keyword == "items":
        return isinstance(node["items"], list)
    # A property or a place that must not be there is not compiled.
    return keyword in ("properties", "prefixItems") and any(part is False for part in _parts(node[keyword]))


def _parts(value: dict[str, Any] | list[Any]) -> list[Any]:
    return value if isinstance(value, list) else list(value.values())


def is_safe_pattern(pattern: str) -> bool:
    """Whether a pattern means the same on JSON text, anchored at both ends: then what it lets through is valid."""
    if _SAFE_PATTERN.fullmatch(pattern) is None:
        return False
    # A range such as [!-~] or [A-z] contains a quote or a backslash without naming it.
    return not any(
        low <= hidden <= high for low, high in _CLASS_RANGE.findall(pattern) for hidden in ('"', "\\", "\x1f")
    )


def _has_type(value: Any, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    actual = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    name = actual.get(type(value), "null")
    return name in names or (name == "integer" and "number" in names)
