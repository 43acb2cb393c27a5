"""Rewrites a schema into keywords that backends enforce, without changing which values satisfy it.

Real schemas say simple things with keywords that no backend knows: "a needs b" (`dependencies`), "either this or that"
(`oneOf` of overlapping parts), "not empty", `if`, lists of item schemas in the old spelling. Each rewriting here is
exact, under negation too; what only narrows comes later (`narrow.py`). A keyword that cannot be rewritten stays where
it is, and `coverage.py` reports it.

The result has no annotations, no anchors and no unused definitions: references are "#" or "#/$defs/<number>". Paths in
errors and notes are those of the schema as it was written.
"""

from __future__ import annotations

import difflib
from math import prod
from typing import Any, NamedTuple

from .arrays import rewrite_arrays
from .compose import NARROWER, Work, all_of, any_of, conjuncts, listed_values, named_types
from .disjoint import shared_types
from .evaluate import MAX_VALUES, CannotEvaluate, satisfies
from .formats import DEFINED
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond
from .merge import TYPED
from .negate import NOTHING_KNOWN, CannotNegate, Known, known_of, negate
from .objects import rewrite_objects
from .report import Note
from .schema import (
    ANNOTATIONS,
    ONE_SUBSCHEMA,
    SUBSCHEMA_LISTS,
    SUBSCHEMA_MAPS,
    VALIDATIONS,
    SchemaNode,
    anchors,
    child_pointer,
    resolve,
    resolve_local,
    subschemas,
)
from .values import has_type, json_key

_DEFINITIONS = ("$defs", "definitions")
_MAX_OVERLAPS = 64
_MAX_COMBINATIONS = 32
_BUSY = object()


class Rewritten(NamedTuple):
    """A rewritten schema.

    Attributes:
        schema: the schema, in keywords of draft 2020-12.
        notes: names that are not JSON Schema's.
        origins: from the `id` of each part of `schema` that was written by the user to the place where it stood; parts
            made here are not in it.
    """

    schema: SchemaNode
    notes: tuple[Note, ...]
    origins: dict[int, str]


def rewrite(root: SchemaNode, limits: GrammarLimits = DEFAULT_LIMITS) -> Rewritten:
    """Rewrite a schema that has passed `check_schema`.

    Raises:
        InvalidSchema: the result would be beyond the limit on parts.
    """
    return _Rewriter(root, limits).run()


def nearest(name: str, known: frozenset[str]) -> str:
    """The known name that `name` may be a misspelling of; "" if none is near."""
    folded = {each.lower(): each for each in sorted(known)}
    found = difflib.get_close_matches(name.lower(), folded, 1, 0.75)
    return folded[found[0]] if found and len(name) < 64 else ""


class _Rewriter:
    def __init__(self, root: SchemaNode, limits: GrammarLimits) -> None:
        self._root = root
        self._limits = limits
        self._parts_left = limits.rewritten_parts
        self._work = Work()
        self._notes: list[Note] = []
        self._names: dict[str, str] = {}  # pointer of a target -> its name among the definitions
        self._definitions: dict[str, Any] = {}  # name -> rewritten schema, or _BUSY
        self._pending: list[str] = []
        self._anchors = anchors(subschemas(root))
        self._resources = [name for name in self._anchors if not name.startswith("#")]
        self._origins: dict[int, str] = {}
        self._kept: list[Any] = []  # what `_origins` names must live as long, or another object might take its id

    def run(self) -> Rewritten:
        try:
            schema = self._node(self._root, "#")
            while self._pending:
                self._define(self._pending.pop())
        except RecursionError as error:
            limit = self._limits.rewritten_parts
            raise beyond("the schema, written without not, if and oneOf", limit, "parts or more", limit, "#") from error
        used = {name: node for name, node in self._definitions.items() if node is not _BUSY}
        if isinstance(schema, dict) and used:
            schema = {**schema, "$defs": used}
        elif used and schema is True:
            schema = {"$defs": used}
        for here in subschemas(schema):
            if isinstance(here.node, dict):
                here.node.pop(NARROWER, None)
        if isinstance(schema, dict):
            self._origins[id(schema)] = "#"
        notes = tuple({(note.where, note.keyword): note for note in self._notes}.values())
        return Rewritten(schema, notes, self._origins)

    # -- references

    def _reference(self, reference: str) -> str:
        """Where a reference of the result points to."""
        target = resolve_local(self._root, reference, self._anchors)
        pointer = target.pointer if target is not None else reference
        if pointer == "#":
            return "#"
        if pointer not in self._names:
            self._names[pointer] = str(len(self._names))
            self._pending.append(pointer)
        return f"#/$defs/{self._names[pointer]}"

    def _define(self, pointer: str) -> None:
        name = self._names[pointer]
        if name in self._definitions:
            return
        self._definitions[name] = _BUSY
        target = resolve(self._root, pointer)
        self._definitions[name] = True if target is None else self._node(target.node, pointer)

    def _resolve(self, reference: str) -> SchemaNode | None:
        """The rewritten target of a rewritten reference; None while it is being rewritten."""
        if reference == "#":
            return None
        pointer = next(pointer for pointer, name in self._names.items() if f"#/$defs/{name}" == reference)
        self._define(pointer)
        found = self._definitions[self._names[pointer]]
        return None if found is _BUSY else found

    # -- one schema

    def _node(self, node: SchemaNode, pointer: str) -> SchemaNode:
        """Rewrite a schema and those below it. Recursive: the limits have bounded the depth."""
        if isinstance(node, bool):
            return node
        self._spend(1, pointer)
        out: dict[str, Any] = {}
        for keyword, value in node.items():
            at = child_pointer(pointer, keyword)
            if keyword in _DEFINITIONS or keyword in ANNOTATIONS:
                continue
            if keyword not in VALIDATIONS:
                self._unknown(keyword, at)
            elif keyword == "$ref":
                out[keyword] = self._reference(value)
            elif keyword in ("$dynamicRef", "$recursiveRef") and len(self._resources) <= 1:
                # In a schema of one resource the dynamic scope is that resource: a plain reference.
                out["allOf"] = [*out.get("allOf", ()), {"$ref": self._reference(value)}]
            elif keyword in SUBSCHEMA_LISTS and isinstance(value, list):
                parts = [self._node(part, child_pointer(at, index)) for index, part in enumerate(value)]
                out[keyword] = [*out.get("allOf", ()), *parts] if keyword == "allOf" else parts
            elif keyword in SUBSCHEMA_MAPS:
                out[keyword] = {
                    name: part if isinstance(part, list) else self._node(part, child_pointer(at, name))
                    for name, part in value.items()
                }
            elif keyword in ONE_SUBSCHEMA:
                out[keyword] = self._node(value, at)
            else:
                out[keyword] = value
        result = self._local(out, pointer)
        if isinstance(result, dict):
            self._origins.setdefault(id(result), pointer)
            self._kept.append(result)
        return result

    def _local(self, node: dict[str, Any], pointer: str) -> SchemaNode:
        """The rewritings of one schema whose parts are rewritten."""
        self._older_keywords(node)
        self._format(node, pointer)
        parts: list[SchemaNode] = []
        if not _values(node):
            return False
        parts.extend(rewrite_objects(node, self._resolve))
        parts.extend(rewrite_arrays(node, self._resolve))
        if (values := self._values_left(node, parts)) is not None:
            return {"enum": values} if values else False
        parts.extend(self._if(node))
        parts.extend(self._one_of(node, child_pointer(pointer, "oneOf")))
        parts.extend(self._not(node))
        self._spend(sum(map(_size, parts)), pointer)
        return _conjunction(node, parts)

    def _spend(self, parts: int, pointer: str) -> None:
        self._parts_left -= parts
        if self._parts_left < 0:
            limit = self._limits.rewritten_parts
            raise beyond("the schema, written without not, if and oneOf", limit + 1, "parts or more", limit, pointer)

    def _unknown(self, keyword: str, at: str) -> None:
        near = nearest(keyword, VALIDATIONS)
        self._notes.append(Note("unknown", at, keyword, f"{keyword[:80]!r} is no keyword and constrains nothing", near))

    def _format(self, node: dict[str, Any], pointer: str) -> None:
        name = node.get("format")
        if name is not None and name not in DEFINED:
            del node["format"]
            what = f"the format {name[:80]!r} is none of JSON Schema's and constrains nothing"
            self._notes.append(
                Note("unknown", child_pointer(pointer, "format"), name[:80], what, nearest(name, DEFINED))
            )

    @staticmethod
    def _older_keywords(node: dict[str, Any]) -> None:
        """Spellings of drafts 4 to 2019-09."""
        if isinstance(node.get("items"), list):
            node["prefixItems"] = node.pop("items")
            if "additionalItems" in node:
                node["items"] = node.pop("additionalItems")
        else:
            node.pop("additionalItems", None)  # it says nothing beside one schema for all items
        for strict, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if node.get(strict) is True and bound in node:
                node[strict] = node.pop(bound)
            elif isinstance(node.get(strict), bool):
                del node[strict]
        for name, needed in node.pop("dependencies", {}).items():
            keyword = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
            node[keyword] = {**node.get(keyword, {}), name: needed}

    def _values_left(self, node: dict[str, Any], parts: list[SchemaNode]) -> list[Any] | None:
        """The values of a schema that lists them and says more; None if it does not, or they cannot be evaluated."""
        if not parts and len(node) == 1 and "allOf" not in node:
            return None  # a list alone, or a reference to one
        known = conjuncts([node], self._resolve)
        listed = next((values for part in known or () if (values := listed_values(part)) is not None), None)
        if listed is None or len(listed) > MAX_VALUES:
            return None
        whole: list[SchemaNode] = [node, *parts]
        try:
            return [value for value in listed if all(satisfies(value, part, self._resolve) for part in whole)]
        except CannotEvaluate:
            return None

    # -- logic

    def _if(self, node: dict[str, Any]) -> list[SchemaNode]:
        if "if" not in node or not node.keys() & {"then", "else"}:
            for keyword in ("if", "then", "else"):
                node.pop(keyword, None)
            return []
        condition, yes, no = node["if"], node.get("then", True), node.get("else", True)
        try:
            otherwise = negate(condition, self._resolve, work=self._work)
        except CannotNegate:
            return []
        for keyword in ("if", "then", "else"):
            node.pop(keyword, None)
        # Where one branch says nothing the condition need not be repeated there.
        when = condition if yes is True else all_of([condition, yes])
        return [any_of([when, otherwise if no is True else all_of([otherwise, no])])]

    def _one_of(self, node: dict[str, Any], pointer: str) -> list[SchemaNode]:
        options = node.get("oneOf")
        if options is None:
            return []
        beside = {keyword: node[keyword] for keyword in node if keyword not in _LOGIC}
        exact: list[SchemaNode] = []
        num_overlaps = 0
        try:
            for index, option in enumerate(options):
                together = [beside, option]
                others: list[SchemaNode] = []
                for other in options[:index] + options[index + 1 :]:
                    if shared := shared_types([*together, other], self._resolve, self._work):
                        num_overlaps += 1
                        if num_overlaps > _MAX_OVERLAPS:
                            return []
                        others.append(self._outside(other, together, shared, pointer))
                exact.append(all_of([option, *self._affordable(others, pointer)]))
        except CannotNegate:
            return []
        del node["oneOf"]
        return [any_of(exact)]

    def _affordable(self, others: list[SchemaNode], pointer: str) -> list[SchemaNode]:
        """Conditions with fewer alternatives where all combinations of theirs would be too many to compile."""
        choices = {
            index: list(other["anyOf"])
            for index, other in enumerate(others)
            if isinstance(other, dict) and other.keys() <= {"anyOf", NARROWER} and "anyOf" in other
        }
        if prod(map(len, choices.values())) <= _MAX_COMBINATIONS or not self._limits.narrowing.overlaps:
            return others
        common = set.intersection(*({json_key(option) for option in options} for options in choices.values()))
        most = max(1, int(_MAX_COMBINATIONS ** (1 / len(choices))))
        fewer = list(others)
        for index, options in choices.items():
            shortest = sorted(options, key=lambda option: (json_key(option) not in common, len(json_key(option))))
            kept = any_of(shortest[: 1 if common else most])
            fewer[index] = {**kept, NARROWER: True} if isinstance(kept, dict) else kept
        self._notes.append(Note("narrowed", pointer, "oneOf", _LEFT_OUT))
        return fewer

    def _outside(
        self, other: SchemaNode, together: list[SchemaNode], shared: frozenset[str], pointer: str
    ) -> SchemaNode:
        """What values that satisfy all of `together` must satisfy besides, so as not to satisfy `other`.

        Args:
            other: an alternative.
            together: another, and what stands beside both.
            shared: the types of values that may satisfy all of them; those of other types do not.
            pointer: of the keyword.
        """
        known = known_of(together, self._resolve)
        if known is None:
            return True
        alike = known.types & _with_integers(shared)
        apart = known.types - alike
        other_types: list[SchemaNode] = [{"type": sorted(apart)}] if apart else []
        try:
            return any_of([*other_types, negate(other, self._resolve, Known(alike, known.parts), work=self._work)])
        except CannotNegate:
            if not self._limits.narrowing.overlaps:
                raise
        # Values of types that the other schemas say nothing of satisfy them by their silence alone.
        meant = frozenset(name for name in alike if any(_speaks_of(part, name) for part in known.parts))
        complement: SchemaNode = False
        if meant or not apart:
            complement = negate(other, self._resolve, Known(meant, known.parts), may_narrow=True, work=self._work)
        self._notes.append(Note("narrowed", pointer, "oneOf", _LEFT_OUT))
        outside = any_of([*other_types, complement])
        return {**outside, NARROWER: True} if isinstance(outside, dict) else outside

    def _not(self, node: dict[str, Any]) -> list[SchemaNode]:
        if "not" not in node:
            return []
        known = known_of([{keyword: node[keyword] for keyword in node if keyword not in _LOGIC}], self._resolve)
        try:
            complement = negate(node["not"], self._resolve, known or NOTHING_KNOWN, work=self._work)
        except CannotNegate:
            return []
        del node["not"]
        return [complement]


_LEFT_OUT = "of the values that only one alternative takes, some that are hard to tell apart are left out"
_LOGIC = frozenset({"not", "oneOf", "if", "then", "else"})


def _speaks_of(node: dict[str, Any], name: str) -> bool:
    """Whether a schema names a type or has a keyword for its values."""
    return "type" in node or not node.keys().isdisjoint(TYPED.get("number" if name == "integer" else name, ()))


def _with_integers(types: frozenset[str]) -> frozenset[str]:
    """Numbers are integers too."""
    return types | {"integer"} if "number" in types else types


def _values(node: dict[str, Any]) -> bool:
    """Take the values that `type` refuses out of `enum` and `const`; False if none is left."""
    for keyword in ("const", "enum"):
        if keyword not in node:
            continue
        types = named_types(node)
        kept = list({json_key(value): value for value in listed_values(node) or () if has_type(value, types)}.values())
        if not kept:
            return False
        node[keyword] = kept[0] if keyword == "const" else kept
    if "const" in node and "enum" in node:
        if json_key(node["const"]) not in map(json_key, node["enum"]):
            return False
        del node["enum"]
    if "const" in node or "enum" in node:
        node.pop("type", None)
    return True


def _conjunction(node: dict[str, Any], parts: list[SchemaNode]) -> SchemaNode:
    """`node` and all of `parts` as one schema."""
    if any(part is False for part in parts) or any(part is False for part in node.get("allOf", ())):
        return False
    if "anyOf" in node:
        if any(part is True or part == {} for part in node["anyOf"]):
            del node["anyOf"]
        else:
            node["anyOf"] = [part for part in node["anyOf"] if part is not False]
            if not node["anyOf"]:
                return False
    more = [part for part in (*node.pop("allOf", ()), *parts) if part is not True and part != {}]
    if more and not node:
        return all_of(more)
    if (
        len(more) == 1
        and isinstance(more[0], dict)
        and not more[0].keys() & node.keys()
        and _independent(more[0], node)
    ):
        return {**node, **more[0]}
    return {**node, "allOf": more} if more else node


def _independent(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether the keywords of two schemas mean the same in one schema: some look at their neighbours."""
    neighbours = ({"properties", "patternProperties", "additionalProperties"}, {"prefixItems", "items"})
    around = {"unevaluatedItems", "unevaluatedProperties", "if", "then", "else"}
    if (left.keys() | right.keys()) & around:
        return False
    return not any(left.keys() & group and right.keys() & group for group in neighbours)


def _size(node: SchemaNode) -> int:
    return sum(1 for _ in subschemas(node))
