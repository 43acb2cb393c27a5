"""Narrows a schema where it leaves open how much there may be, so that generation ends; every place is reported.

Everything here only takes values away: each value produced is valid under the schema as written. `Narrowing` in
`limits.py` has the switches.

*Objects* that list properties and are silent about others are closed, because a model may otherwise go on inventing
keys until its budget ends. Writing `additionalProperties` (`true` included) turns it off for that object, an object
that lists no properties is a map and stays open, and a key that is required counts as listed. Closing must not break a
schema that is put together: in `allOf: [A, B]` each part describes the same object, and closing A would forbid what B
adds. A part is therefore closed only where it alone describes its object.

*Strings* without a length or a pattern get one, *numbers* get bounds on their digits (`numbers.py`), and upper bounds
beyond the limits are lowered to them. A `format` that a pattern says to the letter becomes that pattern.

Under a keyword that negates a part (`not`, `if`, alternatives of a `oneOf` that overlap) all this would widen: backends
must have refused those before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .formats import LEFT_OUT, PATTERNS
from .limits import DEFAULT_LIMITS, GrammarLimits, Narrowing
from .numbers import NumberBounds, type_names
from .report import Note
from .schema import VALIDATIONS, SchemaNode, Subschema, child_pointer, children, resolve, subschemas
from .sizes import narrow_sizes

_IN_PLACE = frozenset({"allOf", "anyOf", "dependentSchemas", "else", "if", "not", "oneOf", "then"})
"""Keywords whose subschemas describe the same value as the schema that holds them. `$ref` is one too, by name."""

_EXACT_INTEGERS = 2**53
_MAX_DIGITS_18 = 10**18
_LENGTH_KNOWN = frozenset({"$ref", "allOf", "anyOf", "const", "enum", "format", "maxLength", "oneOf", "pattern"})


def narrow(
    root: SchemaNode,
    limits: GrammarLimits = DEFAULT_LIMITS,
    where: Callable[[Subschema], str] = lambda here: here.pointer,
) -> tuple[SchemaNode, list[Note]]:
    """A narrowed copy of `root`, and what was narrowed; paths do not change.

    Args:
        root: a schema whose parts all describe values that are to be generated.
        limits: the limits, with the switches in `limits.narrowing`.
        where: the pointer to report for a place.
    """
    if isinstance(root, bool):
        return root, []
    copy: Any = _copy(root)
    notes: list[Note] = []
    places = list(subschemas(root))
    by_pointer = {here.pointer: here for here in places}
    narrowing = limits.narrowing
    is_sized = narrowing.items is not None or not narrowing.free
    entangled = _entangled(root, by_pointer) if narrowing.fraction_digits or is_sized else set()
    numbers = NumberBounds(places, limits.narrowing, entangled)
    shared = _described_elsewhere(root, by_pointer) if narrowing.close_objects or not narrowing.free else set()
    for written, here in zip(places, list(subschemas(copy)), strict=True):
        if not isinstance(here.node, dict):
            continue
        for keyword, what in (*_narrowed(here.node, limits), *numbers.narrow(here)):
            notes.append(Note("narrowed", child_pointer(where(written), keyword), keyword, what))
        if is_sized and here.pointer not in entangled:
            for keyword, what in narrow_sizes(here.node, narrowing):
                notes.append(Note("narrowed", child_pointer(where(written), keyword), keyword, what))
        if here.pointer not in shared and _is_alone(here.node) and _is_closed_by(here.node, narrowing):
            _close(here.node)
            at = child_pointer(where(written), "additionalProperties")
            notes.append(Note("narrowed", at, "additionalProperties", "no properties but those that are listed"))
        if (left_out := _write_format(here.node)) is not None:
            notes.append(Note("narrowed", child_pointer(where(written), "format"), "format", left_out))
    return copy, notes


def _close(node: dict[str, Any]) -> None:
    properties = node["properties"]
    missing = [name for name in node.get("required", ()) if name not in properties]
    node["properties"] = {**properties, **dict.fromkeys(missing, node.get("additionalProperties", True))}
    node["additionalProperties"] = False


def _narrowed(node: dict[str, Any], limits: GrammarLimits) -> list[tuple[str, str]]:
    """Add and lower bounds in one schema; the keywords and what was done."""
    narrowing = limits.narrowing
    done: list[tuple[str, str]] = []
    if narrowing.large_bounds:
        for keyword, limit in (
            ("maxLength", limits.length),
            ("maxItems", limits.repetition),
            ("maxProperties", limits.repetition),
        ):
            if node.get(keyword, 0) > limit:
                node[keyword] = limit
                done.append((keyword, f"lowered to {limit}, the limit"))
        for keyword, sign in (("maximum", 1), ("exclusiveMaximum", 1), ("minimum", -1), ("exclusiveMinimum", -1)):
            bound = node.get(keyword)
            if isinstance(bound, float) and bound * sign > _MAX_DIGITS_18:
                node[keyword] = sign * _MAX_DIGITS_18
                done.append((keyword, f"moved to {sign * _MAX_DIGITS_18}"))
            elif isinstance(bound, int) and bound * sign > _EXACT_INTEGERS and bound * sign != _MAX_DIGITS_18:
                nearer = _MAX_DIGITS_18 if bound * sign > _MAX_DIGITS_18 else _EXACT_INTEGERS
                node[keyword] = sign * nearer
                done.append((keyword, f"moved to {sign * nearer}, which backends hold exactly"))
    if narrowing.string_length is not None and "string" in type_names(node) and not node.keys() & _LENGTH_KNOWN:
        node["maxLength"] = max(narrowing.string_length, node.get("minLength", 0))
        done.append(("maxLength", f"at most {node['maxLength']} characters: no length is given"))
    return done


def _write_format(node: dict[str, Any]) -> str | None:
    """A format as its pattern, beside a pattern that is there already in a part of its own; what that leaves out."""
    name = node.get("format", "")
    if (pattern := PATTERNS.get(name)) is None:
        return None
    del node["format"]
    if "pattern" in node:
        node["allOf"] = [*node.get("allOf", ()), {"pattern": pattern}]
    else:
        node["pattern"] = pattern
    return LEFT_OUT.get(name)


def _is_alone(node: dict[str, Any]) -> bool:
    """The schema lists properties, and no other schema beside it adds to the same object."""
    return "properties" in node and not node.keys() & (
        {"unevaluatedProperties", "patternProperties", "$ref"} | _IN_PLACE
    )


def _is_closed_by(node: dict[str, Any], narrowing: Narrowing) -> bool:
    """Whether properties beyond those listed are left out: silently allowed, or in so many words."""
    if "additionalProperties" in node:
        return not narrowing.free and node["additionalProperties"] is not False
    return narrowing.close_objects


def _described_elsewhere(root: dict[str, Any], by_pointer: dict[str, Subschema]) -> set[str]:
    """Pointers of the schemas that share their object with another: parts of a composition, through references."""
    objects = [here for here in by_pointer.values() if isinstance(here.node, dict)]
    anchors = {f"#{here.node['$anchor']}": here.pointer for here in objects if "$anchor" in here.node}
    pending = [part for here in by_pointer.values() if _composes(here) for part in _parts(here, root, anchors)]
    shared: set[str] = set()
    while pending:
        pointer = pending.pop()
        if pointer in shared or pointer not in by_pointer:
            continue
        shared.add(pointer)
        pending.extend(_parts(by_pointer[pointer], root, anchors))
    return shared


def _entangled(root: dict[str, Any], by_pointer: dict[str, Subschema]) -> set[str]:
    """Pointers of the schemas that may describe a value with another: those put together, and all that is inside them.

    Two parts of a composition may both describe the property `a` of their object.
    """
    pending = [here.pointer for here in by_pointer.values() if _composes(here) and _parts(here, root, {})]
    entangled: set[str] = set()
    while pending:
        pointer = pending.pop()
        if pointer in entangled or pointer not in by_pointer:
            continue
        entangled.add(pointer)
        if isinstance(by_pointer[pointer].node, bool):
            continue
        pending.extend(_parts(by_pointer[pointer], root, {}))
        pending.extend(child.pointer for child in children(by_pointer[pointer]))
    return entangled


def _composes(here: Subschema) -> bool:
    """The schema puts a value together from more than one part, so that no part alone describes it.

    Alternatives alone (`anyOf`, `oneOf`) and a reference alone are the whole description, and so is an `allOf` of one.
    """
    if not isinstance(here.node, dict):
        return False
    keywords = (here.node.keys() & VALIDATIONS) - {"type"}
    if keywords in ({"$ref"}, {"anyOf"}, {"oneOf"}):
        return False
    return keywords != {"allOf"} or len(here.node["allOf"]) > 1


def _parts(here: Subschema, root: SchemaNode, anchors: dict[str, str]) -> list[str]:
    """Pointers of the schemas that describe the same value as `here`."""
    if not isinstance(here.node, dict):
        return []
    parts: list[str] = []
    for keyword, value in here.node.items():
        if keyword == "$ref":
            target = resolve(root, value)
            parts.append(target.pointer if target else anchors.get(value, ""))
        elif keyword in _IN_PLACE and isinstance(value, list):
            parts.extend(child_pointer(here.pointer, keyword, index) for index in range(len(value)))
        elif keyword == "dependentSchemas" and isinstance(value, dict):
            parts.extend(child_pointer(here.pointer, keyword, name) for name in value)
        elif keyword in _IN_PLACE:
            parts.append(child_pointer(here.pointer, keyword))
    return parts


def _copy(node: Any) -> Any:
    """A deep copy of decoded JSON. Recursive: the limits have bounded its depth."""
    if isinstance(node, dict):
        return {name: _copy(child) for name, child in node.items()}
    return [_copy(child) for child in node] if isinstance(node, list) else node
