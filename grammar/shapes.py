"""Whether each keyword of a schema has a value of the right kind, as the meta-schema says.

The backends check this too, each differently and none with a path. Everything after this check may rely on it: a
`pattern` is text, `properties` is a table, a count is a whole number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InvalidSchema, UnenforceableSchema
from .schema import SUBSCHEMA_LISTS, SUBSCHEMA_MAPS, Subschema, child_pointer

TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_bound(value: Any) -> bool:
    return isinstance(value, (int, float))  # draft 4 has booleans here


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in TYPES for name in names)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_COUNT = (_is_count, "a whole number, not negative")
_TEXT = (_is_text, "a string")
_BOUND = (_is_bound, "a number")
_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(SUBSCHEMA_MAPS, (_is_map, "an object")),
    **dict.fromkeys(SUBSCHEMA_LISTS - {"items"}, (_is_list, "an array of schemas")),
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "$schema", "$id", "$anchor", "pattern", "format"), _TEXT),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _COUNT),
    **dict.fromkeys(("minContains", "maxContains"), _COUNT),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _BOUND),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above zero"),
    "type": (_is_type, f"one or several of {', '.join(sorted(TYPES))}"),
    "enum": (_is_list, "an array"),
    "required": (_is_names, "an array of property names"),
}

_NUMBERS = frozenset({"const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
"""Keywords whose numbers are compared with the value."""


_OUTWARDS = {"exclusiveMaximum": 1, "exclusiveMinimum": -1, "maximum": 1, "minimum": -1}
"""The sign with which a bound goes outwards, where moving it inwards takes values away."""


def check_shapes(here: Subschema, *, move_bounds: bool = False) -> None:
    """Check one subschema, not those below it.

    Args:
        here: the subschema.
        move_bounds: bounds that no backend holds exactly will be moved inwards.

    Raises:
        InvalidSchema: at the keyword.
        UnenforceableSchema: a number that no backend holds exactly.
    """
    if isinstance(here.node, bool):
        return
    if not isinstance(here.node, dict):
        raise InvalidSchema(
            f"a schema must be an object or a boolean, got {_kind(here.node)}",
            where=here.pointer,
            hint='write {"type": "string"}, not "string"',
        )
    for keyword, value in here.node.items():
        fits, expected = _SHAPES.get(keyword, (None, ""))
        if fits is not None and not fits(value):
            raise InvalidSchema(
                f"{keyword} must be {expected}, got {_kind(value)}",
                where=child_pointer(here.pointer, keyword),
                hint="correct the schema",
            )
    for keyword in _NUMBERS & here.node.keys():
        outwards = _OUTWARDS.get(keyword, 0)
        if move_bounds and outwards and _is_number(here.node[keyword]) and here.node[keyword] * outwards > 0:
            continue
        if (inexact := _inexact(here.node[keyword])) is not None:
            raise UnenforceableSchema(
                f"{keyword}: {inexact} is beyond 2^53, where the backends' numbers are no longer exact",
                where=child_pointer(here.pointer, keyword),
                hint="carry large integers as strings",
            )


def _inexact(value: Any) -> int | None:
    """An integer in `value`, at any depth, that a double does not hold with both its neighbours."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, int) and abs(value) > 2**53:
            return value
        if isinstance(value, (dict, list)):
            pending.extend(value.values() if isinstance(value, dict) else value)
    return None


def _kind(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return "null" if value is None else repr(value)[:80]
