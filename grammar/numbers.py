"""Bounds the digits of numbers, which a schema rarely does, so that a number ends.

    {"type": "number"}  ->  {"type": "number", "minimum": -10^18, "maximum": 10^18, "multipleOf": 1e-10}

A model that repeats itself writes zeros until its budget is spent, and `1e999` is a number that no decoder takes. With
a bound or a `multipleOf` the backends write no exponent. Bounds that the schema gives stay; they say nothing of the
digits after the point, `multipleOf` does. A power of ten below 1e-10 is one that llguidance cannot read.

It must not leave a place without any value. Every value that keywords can force is told by the numbers in them: if
those in a schema are small (half of our bound), and their multiples meet within the bound, then each interval and each
multiple of theirs has a number within our bounds; if they are coarse (a digit less than ours after the point), one with
our digits. A schema with a larger number in it, anywhere, gets no bounds, and one with a finer number any digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from .limits import Narrowing
from .schema import Subschema

_LOWER = ("minimum", "exclusiveMinimum")
_UPPER = ("maximum", "exclusiveMaximum")
_NUMERIC = frozenset((*_LOWER, *_UPPER, "multipleOf"))
_LISTED = frozenset({"$ref", "const", "enum"})
_EXACT_FRACTION = 10
_MAX_MULTIPLE = 1_000  # the states of the automaton beside a bound: 1,000 compile in 5 ms, 10,000 in 90


class NumberBounds:
    """What may be written into the schemas of numbers in one root schema."""

    def __init__(self, everywhere: list[Subschema], narrowing: Narrowing, entangled: set[str]) -> None:
        """
        Args:
            everywhere: `subschemas` of the root, rewritten.
            narrowing: the switches.
            entangled: pointers of the schemas that may describe a value together with another schema.
        """
        self._narrowing = narrowing
        self._entangled = entangled
        places = [here for here in everywhere if isinstance(here.node, dict)]
        digits = min(narrowing.fraction_digits or _EXACT_FRACTION, _EXACT_FRACTION)
        bound = min(filter(None, (narrowing.integer, narrowing.number)), default=0)
        self._digits = digits if narrowing.fraction_digits else 0
        numbers = [(keyword, Decimal(repr(number))) for here in places for keyword, number in _numbers(here.node)]
        self._leaves_room = _leaves_room(numbers, bound)
        if any(_num_digits(value) >= digits for _, value in numbers):
            self._digits = 0
        # A fine multiple beside an integer, or another multiple, is a product of automata that may not end.
        self._mixed = any(
            here.pointer in entangled and ("multipleOf" in here.node or "integer" in type_names(here.node))
            for here in places
        )

    def narrow(self, here: Subschema) -> list[tuple[str, str]]:
        """Write bounds into one schema; the keywords and what was done."""
        node = here.node
        if isinstance(node, bool) or node.keys() & _LISTED:
            return []
        names = type_names(node)
        if "number" in names or (not names and node.keys() & _NUMERIC):
            return [*self._bound(node, self._narrowing.number), *self._bound_fraction(here, node)]
        return self._bound(node, self._narrowing.integer) if "integer" in names else []

    def _bound(self, node: dict[str, Any], magnitude: int | None) -> list[tuple[str, str]]:
        if magnitude is None or not self._leaves_room:
            return []
        done: list[tuple[str, str]] = []
        for keywords, value in ((_LOWER, -magnitude), (_UPPER, magnitude)):
            if not node.keys() & set(keywords):
                node[keywords[0]] = value
                done.append((keywords[0], f"{value}: no bound is given"))
        return done

    def _bound_fraction(self, here: Subschema, node: dict[str, Any]) -> list[tuple[str, str]]:
        if not self._digits or "multipleOf" in node or (self._mixed and here.pointer in self._entangled):
            return []
        node["multipleOf"] = float(f"1e-{self._digits}")
        if "integer" in type_names(node):
            node["type"] = [name for name in node["type"] if name != "integer"]
        return [("multipleOf", f"at most {self._digits} digits after the point, no exponent")]


def type_names(node: dict[str, Any]) -> set[str]:
    """The names that `type` gives; none where it is not there."""
    types = node.get("type", ())
    return {types} if isinstance(types, str) else set(types)


def _leaves_room(numbers: list[tuple[str, Decimal]], bound: int) -> bool:
    """Whether no value that the keywords force is beyond `bound`, and multiples are cheap to tell beside one."""
    for keyword, value in numbers:
        outwards = value <= 0 if keyword in _LOWER else value >= 0 if keyword in _UPPER else False
        if not outwards and abs(value) > bound // 2:
            return False
    multiples = {value.normalize() for keyword, value in numbers if keyword == "multipleOf"}
    scale = 10 ** max(map(_num_digits, multiples), default=0)
    common = math.lcm(*(int(value * scale) for value in multiples))
    counts = (value.scaleb(_num_digits(value)) for value in multiples)
    return all(count <= _MAX_MULTIPLE for count in counts) and common <= bound // 2 * scale


def _num_digits(value: Decimal) -> int:
    """Digits after the point."""
    return max(0, -int(value.normalize().as_tuple().exponent))


def _numbers(node: Any) -> Iterator[tuple[str, int | float]]:
    """The numbers that a schema's own keywords compare with, those inside values too."""
    for keyword in node.keys() & (_NUMERIC | {"const", "enum"}):
        pending = [node[keyword]]
        while pending:
            value = pending.pop()
            if isinstance(value, dict | list):
                pending.extend(value.values() if isinstance(value, dict) else value)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                yield keyword, value
