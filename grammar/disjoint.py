"""Whether schemas have a value in common, proved from keywords: `oneOf` of schemas that have none is `anyOf`.

The schemas are taken apart into all that holds of the value at once (`conjuncts`: their own keywords, the parts of
`allOf`, the targets of references). The proof is one of a few kinds, for each type that all of them allow: values that
are listed and refused, bounds that do not meet, patterns without a common text, a property that is required and
described in two ways, an item that must be there. No proof means no more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import RamifyError
from .automaton import TooLarge, share_a_text
from .compose import Resolve, Work, common_types, conjuncts, item_of, listed_values, property_of
from .ecma import ANY_CHARACTER, search_expression
from .evaluate import MAX_VALUES, CannotEvaluate, satisfies
from .expression import Expression, Repeat
from .formats import PATTERNS
from .schema import SchemaNode
from .values import json_key, type_of

_MAX_DEPTH = 8
_MAX_STEPS = 400
_MAX_PATTERNS = 4
_TEXT_STEPS = 200  # what it may cost to look for a common text
_BOUNDS = {
    "string": (("minLength", "maxLength", False),),
    "array": (("minItems", "maxItems", False),),
    "object": (("minProperties", "maxProperties", False),),
    "number": (
        ("minimum", "maximum", False),
        ("exclusiveMinimum", "maximum", True),
        ("minimum", "exclusiveMaximum", True),
        ("exclusiveMinimum", "exclusiveMaximum", True),
    ),
}


def are_disjoint(left: SchemaNode, right: SchemaNode, resolve: Resolve) -> bool:
    """Whether it is proved that no value satisfies both; both are rewritten schemas."""
    return not shared_types([left, right], resolve)


def shared_types(nodes: Sequence[SchemaNode], resolve: Resolve, work: Work | None = None) -> frozenset[str]:
    """The types of which it is not proved that no value satisfies all of the schemas; "number" for integers too.

    Args:
        nodes: rewritten schemas.
        resolve: looks references up.
        work: what may be spent, on this and other proofs.
    """
    return _Proof(resolve, work or Work()).shared(nodes, 0)


class _Proof:
    """One proof, with a bound on its steps."""

    def __init__(self, resolve: Resolve, work: Work) -> None:
        self._resolve = resolve
        self._work = work
        self._steps_left = _MAX_STEPS

    def shared(self, nodes: Sequence[SchemaNode], depth: int) -> frozenset[str]:
        self._steps_left -= 1
        together = conjuncts(nodes, self._resolve)
        if together is None:
            return frozenset()
        names = _common_types(together)
        if depth > _MAX_DEPTH or self._steps_left < 0 or not self._work.take(1 + len(together)):
            return names
        if lists := [values for node in together if (values := listed_values(node)) is not None]:
            common = frozenset[str].intersection(*(frozenset(map(json_key, values)) for values in lists))
            left = [value for value in lists[0] if json_key(value) in common]
            if len(left) <= MAX_VALUES:
                left = [value for value in left if not any(self._refuses(node, value) for node in together)]
            return names & {_merged(type_of(value)) for value in left}
        names = frozenset(name for name in names if not self._apart(name, together, depth))
        for node in together:
            for keyword in ("anyOf", "oneOf"):
                if names and keyword in node:
                    others = [each for each in together if each is not node]
                    rest = {name: value for name, value in node.items() if name != keyword}
                    names &= self._of_any(node[keyword], [*others, rest], names, depth)
        return names

    def _of_any(
        self, options: Sequence[SchemaNode], others: Sequence[SchemaNode], names: frozenset[str], depth: int
    ) -> frozenset[str]:
        """The types of `names` that the other schemas share with at least one option."""
        found: frozenset[str] = frozenset()
        for option in options:
            found |= self.shared([*others, option], depth + 1)
            if found >= names:
                break
        return found

    def _refuses(self, node: dict[str, Any], value: Any) -> bool:
        try:
            return not satisfies(value, node, self._resolve)
        except CannotEvaluate:
            return False

    def _apart(self, name: str, together: list[dict[str, Any]], depth: int) -> bool:
        """Whether no value of one type satisfies all."""
        for low, high, strict in _BOUNDS.get(name, ()):
            bottom = max((node[low] for node in together if low in node), default=None)
            top = min((node[high] for node in together if high in node), default=None)
            if bottom is not None and top is not None and (bottom > top or (strict and bottom == top)):
                return True
        match name:
            case "object":
                required = dict.fromkeys(key for node in together for key in node.get("required", ()))
                return any(
                    not self.shared([property_of(node, key) for node in together], depth + 1) for key in required
                )
            case "array":
                count = max((int(node.get("minItems", 0)) for node in together), default=0)
                listed = max((len(node.get("prefixItems", ())) for node in together), default=0)
                indices = range(min(count, listed + 1))  # behind the listed items all are alike
                parts = ([item_of(node, index) for node in together] for index in indices)
                return any(not self.shared(nodes, depth + 1) for nodes in parts)
            case "string":
                return self._no_common_text(together)
            case _:
                return False

    def _no_common_text(self, together: list[dict[str, Any]]) -> bool:
        """Whether no text has all lengths and matches all patterns."""
        patterns = [node["pattern"] for node in together if "pattern" in node]
        patterns += [PATTERNS[node["format"]] for node in together if node.get("format") in PATTERNS]
        patterns = list(dict.fromkeys(patterns))[:_MAX_PATTERNS]
        shortest = max((int(node.get("minLength", 0)) for node in together), default=0)
        longest = min((int(node["maxLength"]) for node in together if "maxLength" in node), default=None)
        if not patterns or (len(patterns) == 1 and not shortest and longest is None):
            return False
        try:
            expressions: list[Expression] = []
            for pattern in patterns:
                if (expression := search_expression(pattern)) is None:
                    return True
                expressions.append(expression)
            if shortest or longest is not None:
                expressions.append(Repeat(ANY_CHARACTER, shortest, longest))
            return self._work.take(_TEXT_STEPS) and not share_a_text(expressions)
        except (RamifyError, TooLarge):
            return False


def _merged(name: str) -> str:
    return "number" if name == "integer" else name


def _common_types(together: list[dict[str, Any]]) -> frozenset[str]:
    """The types of values that all can have, integers among the numbers."""
    return frozenset(map(_merged, common_types(together)))
