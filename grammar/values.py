"""JSON values as JSON Schema compares them: 1 and 1.0 are equal, 1 and true are not, key order does not count."""

from __future__ import annotations

import json
from typing import Any

_NAMES: dict[type, str] = {bool: "boolean", str: "string", list: "array", dict: "object"}


def type_of(value: Any) -> str:
    """The narrowest type of a decoded value: "integer" for 1.0 too."""
    if isinstance(value, bool | str | list | dict):
        return _NAMES[type(value)]
    if value is None:
        return "null"
    return "integer" if isinstance(value, int) or value.is_integer() else "number"


def has_type(value: Any, names: frozenset[str]) -> bool:
    """Whether a value is of one of the types."""
    name = type_of(value)
    return name in names or (name == "integer" and "number" in names)


def are_equal(left: Any, right: Any) -> bool:
    """Whether two decoded values are equal as JSON Schema compares them."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(are_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(are_equal(value, right[name]) for name, value in left.items())
    return bool(left == right)


def json_key(value: Any) -> str:
    """A text that equal values share, and no others."""
    return json.dumps(_canonical(value), sort_keys=True)


def _canonical(value: Any) -> Any:
    """Recursive: the limits have bounded the depth."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {name: _canonical(child) for name, child in value.items()}
    return [_canonical(child) for child in value] if isinstance(value, list) else value
