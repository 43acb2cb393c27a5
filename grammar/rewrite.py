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
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

from .disjoint import are_disjoint
from .formats import DEFINED
from .limits import DEFAULT_LIMITS, GrammarLimits, beyond
from .negate import CannotNegate, all_of, any_of, named_types, negate
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
from .shapes import TYPES
from .unique import distinct_lists
from .values import has_type, json_key

_DEFINITIONS = ("$defs", "definitions")
_MAX_ONE_OF = 12
_MAX_SUBSETS = 64
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
        for step in (_values, self._objects, self._arrays):
            if (more := step(node)) is False:
                return False
            parts.extend(more)
        for logic in (self._if, self._one_of, self._not):
            parts.extend(logic(node))
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

    # -- objects and arrays

    @staticmethod
    def _objects(node: dict[str, Any]) -> list[SchemaNode]:
        is_composed = bool(node.keys() & _APPLICATORS)
        parts: list[SchemaNode] = []
        for name, needed in node.pop("dependentRequired", {}).items():
            if needed:
                parts.append(any_of([{"properties": {name: False}}, {"required": sorted(set(needed))}]))
        for name, schema in node.pop("dependentSchemas", {}).items():
            present = all_of([{"type": "object", "required": [name]}, schema])
            parts.append(any_of([{"properties": {name: False}}, present]))
        if "required" in node:
            node["required"] = list(dict.fromkeys(node["required"]))
            if not node["required"]:
                del node["required"]
        if node.get("minProperties", 1) <= len(node.get("required", ())):
            node.pop("minProperties", None)
        _property_names(node)
        parts.extend(_property_counts(node))
        for keyword, plain, around in (
            ("unevaluatedProperties", "additionalProperties", frozenset({"additionalProperties"})),
            ("unevaluatedItems", "items", frozenset({"items", "contains"})),
        ):
            if keyword in node and not is_composed and not node.keys() & around:
                node[plain] = node.pop(keyword)
            elif node.get(keyword) is True:
                del node[keyword]
        return parts

    @staticmethod
    def _arrays(node: dict[str, Any]) -> list[SchemaNode]:
        longest = node.get("maxItems", 2)
        if node.get("items") is False:
            longest = min(longest, len(node.get("prefixItems", ())))
        parts: list[SchemaNode] = []
        if node.get("uniqueItems") is False or longest <= 1:
            node.pop("uniqueItems", None)
        elif node.get("uniqueItems") and (lists := distinct_lists(node)) is not None:
            del node["uniqueItems"]
            parts.append(any_of([{"type": sorted(named_types({}) - {"array", "integer"})}, {"enum": lists}]))
        if node.get("contains") is True or node.get("contains") == {}:
            del node["contains"]
            for keyword, bound, pick in (("minContains", "minItems", max), ("maxContains", "maxItems", min)):
                count = node.pop(keyword, 1 if keyword == "minContains" else None)
                if count is not None:
                    node[bound] = pick(count, node.get(bound, count))
        elif node.get("minContains") == 0 and "maxContains" not in node:
            node.pop("contains", None)
        if "contains" not in node:
            node.pop("minContains", None)
            node.pop("maxContains", None)
        return parts

    # -- logic

    def _if(self, node: dict[str, Any]) -> list[SchemaNode]:
        if "if" not in node or not node.keys() & {"then", "else"}:
            for keyword in ("if", "then", "else"):
                node.pop(keyword, None)
            return []
        condition, yes, no = node["if"], node.get("then", True), node.get("else", True)
        try:
            otherwise = negate(condition, self._resolve)
        except CannotNegate:
            return []
        for keyword in ("if", "then", "else"):
            node.pop(keyword, None)
        # Where one branch says nothing the condition need not be repeated there.
        when = condition if yes is True else all_of([condition, yes])
        return [any_of([when, otherwise if no is True else all_of([otherwise, no])])]

    def _one_of(self, node: dict[str, Any]) -> list[SchemaNode]:
        options = node.get("oneOf")
        if options is None:
            return []
        names = ("type", "properties", "required")
        beside: dict[str, Any] = {keyword: node[keyword] for keyword in names if keyword in node}
        together = [all_of([beside, option]) if beside else option for option in options]
        exact: list[SchemaNode] = []
        negations: dict[int, SchemaNode] = {}
        for index, option in enumerate(options):
            others = [
                other
                for other in range(len(options))
                if other != index and not are_disjoint(together[index], together[other], self._resolve)
            ]
            if others and len(options) > _MAX_ONE_OF:
                return []
            try:
                types = named_types(node)
                for other in others:
                    if other not in negations:
                        negations[other] = negate(options[other], self._resolve, _with_integers(types))
            except CannotNegate:
                return []
            exact.append(all_of([option, *[negations[other] for other in others]]))
        del node["oneOf"]
        return [any_of(exact)]

    def _not(self, node: dict[str, Any]) -> list[SchemaNode]:
        if "not" not in node:
            return []
        try:
            complement = negate(node["not"], self._resolve, _with_integers(named_types(node)))
        except CannotNegate:
            return []
        del node["not"]
        return [complement]


_APPLICATORS = frozenset(
    {"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "dependentSchemas", "$dynamicRef", "$recursiveRef"}
)


def _with_integers(types: frozenset[str]) -> frozenset[str]:
    """Numbers are integers too."""
    return types | {"integer"} if "number" in types else types


def _values(node: dict[str, Any]) -> Any:
    """`enum` and `const` without the values that `type` refuses; False if none is left."""
    for keyword in ("const", "enum"):
        if keyword not in node:
            continue
        values = [node[keyword]] if keyword == "const" else node[keyword]
        types = named_types(node)
        kept = list({json_key(value): value for value in values if has_type(value, types)}.values())
        if not kept:
            return False
        node[keyword] = kept[0] if keyword == "const" else kept
    if "const" in node and "enum" in node:
        if json_key(node["const"]) not in map(json_key, node["enum"]):
            return False
        del node["enum"]
    if "const" in node or "enum" in node:
        node.pop("type", None)
    return []


def _property_names(node: dict[str, Any]) -> None:
    """`propertyNames` of a pattern or a list, where it is the only thing said of names: as `patternProperties`."""
    names = node.get("propertyNames")
    if names is True or names == {} or names == {"type": "string"}:
        del node["propertyNames"]
        return
    if not isinstance(names, dict) or node.keys() & {"properties", "patternProperties", "unevaluatedProperties"}:
        return
    if node.keys() & _APPLICATORS or set(names) - {"type", "pattern", "enum", "const"}:
        return
    if names.get("type", "string") != "string" or len(set(names) - {"type"}) != 1:
        return
    rest = node.pop("additionalProperties", True)
    del node["propertyNames"]
    if "pattern" in names:
        node["patternProperties"] = {names["pattern"]: rest}
    else:
        listed = [names["const"]] if "const" in names else names["enum"]
        node["properties"] = {name: rest for name in listed if isinstance(name, str)}
    node["additionalProperties"] = False


def _property_counts(node: dict[str, Any]) -> list[SchemaNode]:
    """Bounds on the number of properties of a closed object: which ones, then, are there or are not."""
    listed = [name for name, part in node.get("properties", {}).items() if part is not False]
    if node.get("additionalProperties") is not False or node.get("patternProperties"):
        return []
    parts: list[SchemaNode] = []
    few, many = node.get("minProperties", 0), node.get("maxProperties", len(listed))
    if few and comb(len(listed), few) <= _MAX_SUBSETS:
        del node["minProperties"]
        there: list[SchemaNode] = [{"required": list(chosen)} for chosen in combinations(listed, few)]
        parts.append(any_of([{"type": sorted(TYPES - {"object", "integer"})}, *there]))
    if comb(len(listed), many) <= _MAX_SUBSETS:
        node.pop("maxProperties", None)
        if many < len(listed):
            missing = combinations(listed, len(listed) - many)
            parts.append(any_of([{"properties": dict.fromkeys(absent, False)} for absent in missing]))
    return parts


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
