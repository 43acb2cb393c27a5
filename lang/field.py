"""`Value.field`: a part of a typed or JSON value, as a value of its own.

    s += rf.user("Who is ", order.field("customer.name"), "?")      # a value edge: nothing waits

Appended, the engine cuts the field out of the generated text. Where the gen's type says which fields there are, a name
that it does not have is an error at once, not when the value is there.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from ..errors import InvalidRequest, NodeError
from ..grammar.spec import GrammarSpec, JsonSchema
from ..runtime.protocol.fields import FieldPath, check_path, field_text, spell
from ..runtime.protocol.graph import NodeDone
from .value import Value

_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def parse_path(path: str, where: str) -> FieldPath:
    """`items[0].name` as `("items", 0, "name")`; `["a.b"]` is a name with a dot in it.

    Raises:
        InvalidRequest: it is not spelled like that.
    """
    steps: list[str | int] = []
    end = 0
    while end < len(path):
        match = _STEP.match(path, end)
        if match is None:
            break
        name, place, quoted = match.groups()
        steps.append(int(place) if place else json.loads(quoted) if quoted else name)
        end = match.end()
    if end < len(path) or not steps:
        raise InvalidRequest(f"{path!r} names no field", where=where, hint='write it like items[0].name or ["a.b"]')
    check_path(tuple(steps), where)
    return tuple(steps)


class FieldValue(Value[Any]):
    """A field of `base`, which is there when `base` is."""

    def __init__(self, base: Value[Any], path: FieldPath, site: str) -> None:
        self.base = base
        self.field_path = path
        self.name = f"{base.name}.{spell(path)}"
        self.path = f"{base.path}.{spell(path)}"
        self.site = site
        self._run = base._run
        self._decode = base._decode
        self._grammar = base._grammar
        self._observed = True  # it fails with `base`, which knows who looked

    @property
    def _is_node(self) -> bool:  # type: ignore[override]
        return self.base._is_node

    @property
    def _node(self) -> int:  # type: ignore[override]
        return self.base._node

    @property
    def _done(self) -> NodeDone | None:  # type: ignore[override]
        return self.base._done

    @property
    def _error(self) -> NodeError | None:  # type: ignore[override]
        return self.base._error

    @property
    def _finished(self) -> bool:  # type: ignore[override]
        return self.base._finished

    @property
    def _value(self) -> object:  # type: ignore[override]
        return _member(self.base._value, self.field_path)

    @property
    def ready(self) -> bool:
        return self.base.ready

    @property
    def _text(self) -> str:
        return field_text(self.base._text, self.field_path)

    def _look(self) -> Any:
        whole = self.base._look()
        try:
            return _member(whole, self.field_path)
        except InvalidRequest as error:
            raise NodeError(self.path, self.site, error) from error

    def _extended(self, path: FieldPath, site: str) -> FieldValue:
        return FieldValue(self.base, (*self.field_path, *path), site)

    def __repr__(self) -> str:
        return f"<Value {self.path}: {repr(self._value) if self._finished and self._error is None else 'pending'}>"


def field_of(value: Value[Any], path: str, site: str) -> FieldValue:
    """See `Value.field`."""
    steps = parse_path(path, f"{value.path} ({site})")
    before: FieldPath = value.field_path if isinstance(value, FieldValue) else ()
    if value._has_text:
        _check_type(value._grammar, (*before, *steps), f"{value.path} ({site})")
    if isinstance(value, FieldValue):
        return value._extended(steps, site)
    return FieldValue(value, steps, site)


def _member(value: Any, path: FieldPath) -> Any:
    """The Python side of `field_text`: dicts and sequences by key, objects by the name that their JSON has."""
    for depth, key in enumerate(path):
        try:
            if isinstance(key, int) or isinstance(value, dict):
                value = value[key]
            else:
                value = getattr(value, _attribute(value, key))
        except (LookupError, TypeError, AttributeError):
            raise InvalidRequest(
                f"the value has no field {spell(path[: depth + 1])}", hint=f"{type(value).__name__} has no {key!r}"
            ) from None
    return value


def _attribute(value: Any, name: str) -> str:
    """The attribute that is called `name` in JSON."""
    if isinstance(value, msgspec.Struct):
        names = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        return names.get(name, name)
    fields = getattr(type(value), "model_fields", {})  # a pydantic model
    return next((attribute for attribute, field in fields.items() if field.alias == name), name)


# ---- what the type says -----------------------------------------------------------------------------------------


def _check_type(grammar: GrammarSpec | None, path: FieldPath, where: str) -> None:
    """Raises InvalidRequest if the gen's type has no such field."""
    if not isinstance(grammar, JsonSchema):
        raise InvalidRequest("the value is text and has no fields", where=where, hint="give the gen a type")
    root = json.loads(grammar.schema)
    schemas = _branches(root, root, 0)
    for depth, key in enumerate(path):
        inner: list[Any] = []
        names: dict[str, None] = {}
        closed = True
        for schema in schemas:
            found, known, closes = _step(schema, key)
            inner.extend(branch for part in found for branch in _branches(part, root, 0))
            names.update(dict.fromkeys(known))
            closed = closed and closes
        if not inner and closed:
            holder = spell(path[:depth]) or "the value"
            raise InvalidRequest(
                f"{holder} has no field {spell((key,))}",
                where=where,
                hint=f"its fields are {', '.join(names)}" if names else f"{holder} has no such parts",
            )
        schemas = inner or [True]


def _step(schema: Any, key: str | int) -> tuple[list[Any], list[str], bool]:
    """Schemas of member `key`, names of the members known, and whether there can be no others."""
    if not isinstance(schema, dict) or not schema.keys() & {"type", "properties", "items", "prefixItems"}:
        return [], [], isinstance(schema, dict) and bool(schema.keys() & {"enum", "const"})
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if isinstance(key, str):
        if types and "object" not in types:
            return [], [], True
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", not properties)
        if key in properties:
            return [properties[key]], list(properties), True
        return [others] if isinstance(others, dict) else [], list(properties), not others
    if types and "array" not in types:
        return [], [], True
    prefix = schema.get("prefixItems", [])
    items = schema.get("items", True)
    if key < len(prefix):
        return [prefix[key]], [], True
    if key >= schema.get("maxItems", key + 1):
        return [], [], True
    return [items] if isinstance(items, dict) else [], [], items is False


def _branches(schema: Any, root: Any, depth: int) -> list[Any]:
    """The schema itself, or what its `$ref`, `anyOf`, `oneOf` and `allOf` stand for."""
    if not isinstance(schema, dict) or depth > 16:
        return [True]
    ref = schema.get("$ref")
    if isinstance(ref, str):
        target = root.get("$defs", {}).get(ref.removeprefix("#/$defs/"), root if ref == "#" else True)
        return _branches(target, root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            return [branch for part in schema[word] for branch in _branches(part, root, depth + 1)]
    return [schema]
