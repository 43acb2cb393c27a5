"""Puts the parts of a schema that describe one value into one: `allOf`, and what stands beside `$ref` and `anyOf`.

Some backends read one keyword of several and drop what stands beside it. For them `flatten` says the same without
neighbours: parts are merged keyword by keyword (the larger minimum, the common types, `properties` name by name),
what stands beside `anyOf` is put into each alternative, a reference that has neighbours is written out. What cannot be
merged exactly (two patterns, a recursive reference with neighbours) is left as it is, and `coverage.py` reports it.
"""

from __future__ import annotations

import math
from typing import Any

from .compose import all_of, named_types
from .formats import PATTERNS
from .limits import DEFAULT_LIMITS, GrammarLimits
from .schema import SchemaNode, resolve
from .shapes import TYPES
from .values import has_type, json_key

_MAX_ALTERNATIVES = 64
_LARGEST = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_SMALLEST = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_OBJECT = frozenset({"properties", "patternProperties", "additionalProperties"})
_ARRAY = frozenset({"prefixItems", "items"})
TYPED = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "array": _ARRAY | {"minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"},
    "object": _OBJECT | {"required", "minProperties", "maxProperties", "propertyNames"},
}


class CannotMerge(Exception):
    """The schemas cannot be said in one."""


def merge(left: SchemaNode, right: SchemaNode) -> SchemaNode:
    """One schema that exactly the values satisfy which satisfy both.

    Raises:
        CannotMerge: no keywords say it.
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return (right if left else False) if isinstance(left, bool) else (left if right else False)
    out: dict[str, Any] = {}
    for keyword in dict.fromkeys((*left, *right)):
        if keyword in _OBJECT or keyword in _ARRAY or keyword == "$defs":
            continue
        if keyword not in left or keyword not in right:
            out[keyword] = left.get(keyword, right.get(keyword))
            continue
        value = _merged(keyword, left[keyword], right[keyword])
        if value is False:
            return False
        out[keyword] = value
    _merge_objects(out, left, right)
    _merge_arrays(out, left, right)
    return out


def _merged(keyword: str, left: Any, right: Any) -> Any:
    """One value of a keyword for two; False if nothing satisfies it."""
    if json_key(left) == json_key(right):
        return left
    if keyword in _LARGEST:
        return max(left, right)
    if keyword in _SMALLEST:
        return min(left, right)
    match keyword:
        case "type":
            names = [named_types({"type": value}) for value in (left, right)]
            common = {
                name
                for name in TYPES
                if all(name in each or (name == "integer" and "number" in each) for each in names)
            }
            common -= {"integer"} if "number" in common else set()
            return (next(iter(common)) if len(common) == 1 else sorted(common)) if common else False
        case "enum":
            allowed = set(map(json_key, right))
            return [value for value in left if json_key(value) in allowed] or False
        case "const":
            return False
        case "required":
            return list(dict.fromkeys((*left, *right)))
        case "allOf":
            return [*left, *right]
        case "multipleOf" if isinstance(left, int) and isinstance(right, int):
            return math.lcm(left, right)
        case "uniqueItems":
            return True
        case _:
            raise CannotMerge


def _merge_objects(out: dict[str, Any], left: dict[str, Any], right: dict[str, Any]) -> None:
    if not (left.keys() & _OBJECT and right.keys() & _OBJECT):
        out.update({keyword: node[keyword] for node in (left, right) for keyword in node if keyword in _OBJECT})
        return
    patterns: dict[str, SchemaNode] = dict(left.get("patternProperties", {}))
    for pattern, node in right.get("patternProperties", {}).items():
        patterns[pattern] = both(patterns[pattern], node) if pattern in patterns else node
    others = [node.get("additionalProperties", True) for node in (left, right)]
    if patterns and any(other is not True and other != {} for other in others):
        raise CannotMerge
    properties: dict[str, SchemaNode] = {}
    for name in dict.fromkeys((*left.get("properties", {}), *right.get("properties", {}))):
        properties[name] = both(_property(left, name), _property(right, name))
    if properties:
        out["properties"] = properties
    if patterns:
        out["patternProperties"] = patterns
    if (other := both(*others)) is not True:
        out["additionalProperties"] = other


def _property(node: dict[str, Any], name: str) -> SchemaNode:
    """What a schema says of a property, without its patterns, which go on to hold."""
    found: SchemaNode = node.get("properties", {}).get(name, node.get("additionalProperties", True))
    return found


def _merge_arrays(out: dict[str, Any], left: dict[str, Any], right: dict[str, Any]) -> None:
    places = [node.get("prefixItems", []) for node in (left, right)]
    rests = [node.get("items", True) for node in (left, right)]
    length = max(map(len, places))
    if length:
        out["prefixItems"] = [
            both(*(place[index] if index < len(place) else rest for place, rest in zip(places, rests, strict=True)))
            for index in range(length)
        ]
    if (rest := both(*rests)) is not True:
        out["items"] = rest


def both(left: SchemaNode, right: SchemaNode) -> SchemaNode:
    """Both in one schema, merged where that is possible."""
    try:
        return merge(left, right)
    except CannotMerge:
        return all_of([left, right])


def flatten(root: SchemaNode, limits: GrammarLimits = DEFAULT_LIMITS) -> SchemaNode:
    """A rewritten schema with as few keywords beside `$ref`, `anyOf` and `allOf` as possible, and one type a schema."""
    try:
        return _Flattener(root, limits).node(root, frozenset()) if isinstance(root, dict) else root
    except RecursionError:  # references with neighbours that lead back to themselves: it stays as it is
        return root


class _Flattener:
    def __init__(self, root: SchemaNode, limits: GrammarLimits) -> None:
        self._root = root
        self._parts_left = limits.rewritten_parts

    def node(self, node: SchemaNode, inside: frozenset[str]) -> SchemaNode:
        """Flatten a schema; `inside` are the references that are being written out around it."""
        self._parts_left -= 1
        if isinstance(node, bool) or self._parts_left < 0:
            return node
        definitions = node.get("$defs")
        flat = {keyword: value for keyword, value in node.items() if keyword != "$defs"}
        try:
            done = self._below(self._together(flat, inside), inside)
        except CannotMerge:
            done = self._below(flat, inside)
        if definitions is not None:
            written = {name: self.node(part, frozenset({f"#/$defs/{name}"})) for name, part in definitions.items()}
            done = {**(done if isinstance(done, dict) else {"allOf": [done]}), "$defs": written}
        return done

    def _together(self, node: SchemaNode, inside: frozenset[str]) -> SchemaNode:
        """Merge what describes the same value."""
        result: SchemaNode = node
        for _ in range(16):
            if not isinstance(result, dict):
                return result
            if "allOf" in result:
                parts = result["allOf"]
                rest = {keyword: value for keyword, value in result.items() if keyword != "allOf"}
                result = rest if rest else True
                for part in parts:
                    result = merge(
                        result, self._written_out(part, inside) if result is not True or len(parts) > 1 else part
                    )
            elif "$ref" in result and len(result) > 1:
                rest = {keyword: value for keyword, value in result.items() if keyword != "$ref"}
                result = merge(self._written_out({"$ref": result["$ref"]}, inside), rest)
            elif "anyOf" in result and len(result) > 1:
                rest = {keyword: value for keyword, value in result.items() if keyword != "anyOf"}
                if len(result["anyOf"]) > _MAX_ALTERNATIVES:
                    raise CannotMerge
                options = [
                    self._together(both(rest, option), inside) for option in result["anyOf"] if option is not False
                ]
                kept = [option for option in options if option is not False]
                return {"anyOf": kept} if kept else False
            else:
                return result
        raise CannotMerge

    def _written_out(self, node: SchemaNode, inside: frozenset[str]) -> SchemaNode:
        """The target of a reference that has neighbours."""
        seen: set[str] = set()
        while isinstance(node, dict) and "$ref" in node:
            reference = node["$ref"]
            target = resolve(self._root, reference)
            if reference in inside or reference in seen or target is None or reference == "#":
                raise CannotMerge
            seen.add(reference)
            rest = {keyword: value for keyword, value in node.items() if keyword != "$ref"}
            node = merge(target.node, rest)
            self._parts_left -= 1
        return node

    def _below(self, node: SchemaNode, inside: frozenset[str]) -> SchemaNode:
        """Flatten the parts of a merged schema, then say it type by type."""
        if isinstance(node, bool):
            return node
        out: dict[str, Any] = {}
        for keyword, value in node.items():
            if keyword in ("properties", "patternProperties"):
                out[keyword] = {name: self.node(part, inside) for name, part in value.items()}
            elif keyword in ("allOf", "anyOf", "oneOf", "prefixItems"):
                out[keyword] = [self.node(part, inside) for part in value]
            elif keyword in ("additionalProperties", "items"):
                out[keyword] = self.node(value, inside)
            else:
                out[keyword] = value
        return _by_type(out)


def _by_type(node: dict[str, Any]) -> SchemaNode:
    """A schema for several types, with keywords for some of them, as alternatives of one type each."""
    for keyword in ("const", "enum"):
        if keyword in node:
            return _fitting(node, keyword)
    if node.keys() & {"$ref", "anyOf", "oneOf", "allOf", "not", "if"}:
        return node
    names = named_types(node) - ({"integer"} if "number" in named_types(node) else set())
    groups = {name: node.keys() & TYPED.get("number" if name == "integer" else name, frozenset()) for name in names}
    for name in [name for name in names if name not in ("string", "object", "array", "number", "integer")]:
        groups[name] = set()
    if not any(groups.values()):
        return {**node, **({"type": sorted(names)} if "type" in node and len(names) > 1 else {})}
    options: list[SchemaNode] = []
    plain = sorted(name for name, keywords in groups.items() if not keywords)
    if plain:
        options.append({"type": plain[0] if len(plain) == 1 else plain})
    for name in sorted(names - set(plain)):
        options.append(_of_one_type(name, {keyword: node[keyword] for keyword in node if keyword in groups[name]}))
    return options[0] if len(options) == 1 else {"anyOf": options}


def _fitting(node: dict[str, Any], keyword: str) -> SchemaNode:
    """Constants without the keywords that they satisfy anyway."""
    values = [node["const"]] if keyword == "const" else node["enum"]
    if "type" in node and all(has_type(value, named_types(node)) for value in values):
        return {name: value for name, value in node.items() if name != "type"}
    return node


def _of_one_type(name: str, node: dict[str, Any]) -> SchemaNode:
    """A schema of one type, with formats said by patterns and required names listed."""
    out: dict[str, Any] = {"type": name, **node}
    pattern = PATTERNS.get(out.get("format", ""))
    if pattern is not None and "pattern" not in out:
        del out["format"]
        out["pattern"] = pattern
    if name == "object":
        missing = [key for key in out.get("required", ()) if key not in out.get("properties", {})]
        if missing and "patternProperties" not in out:
            rest = out.get("additionalProperties", True)
            out["properties"] = {**out.get("properties", {}), **dict.fromkeys(missing, rest)}
        if out.get("additionalProperties") is False and "patternProperties" not in out:
            listed = out.get("properties", {})
            out["properties"] = {key: part for key, part in listed.items() if part is not False}
    return out
