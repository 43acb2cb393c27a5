"""Takes a JSON Schema to what one backend compiles: checked, rewritten, judged, narrowed. The same for every backend.

    text -> check_schema -> rewrite -> coverage -> (weaken) -> narrow -> the backend's own notation
            limits          exact      refusal     strict=False  bounds

`weaken` takes out what the backend does not enforce, in the places where that only lets more values through; under a
keyword that stays, which negates its part, nothing is taken out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..errors import InvalidSchema, UnenforceableSchema
from .coverage import TABLES, coverage, unenforceable
from .ecma import search_expression
from .limits import DEFAULT_LIMITS, GrammarLimits, check_schema
from .narrow import narrow
from .regex_text import write_regex
from .report import Note
from .rewrite import Rewritten, rewrite
from .schema import VALIDATIONS, SchemaNode, Subschema, child_pointer, resolve, subschemas
from .spec import Format, GrammarSpec, JsonSchema, StructuralTag, parts_of

_NO_TEXT = r"^[^\s\S]$"
_TOGETHER = {
    "if": ("then", "else"),
    "then": ("if", "else"),
    "else": ("if", "then"),
    "contains": ("minContains", "maxContains"),
    "patternProperties": ("additionalProperties",),
}
"""What must go with a keyword: without it, these would refuse values that the schema allows."""


class Prepared(NamedTuple):
    """A schema that is ready for one backend.

    Attributes:
        written: the schema as the caller wrote it.
        exact: rewritten, and weakened if that was asked for.
        narrowed: `exact`, narrowed: what is generated.
        notes: every place that is not enforced as written.
    """

    written: SchemaNode
    exact: SchemaNode
    narrowed: SchemaNode
    notes: tuple[Note, ...]


def prepare(
    spec: JsonSchema,
    backend: str,
    limits: GrammarLimits = DEFAULT_LIMITS,
    *,
    adapt: Callable[[SchemaNode], SchemaNode] = lambda schema: schema,
    drop: Iterable[str] = (),
) -> Prepared:
    """Prepare a schema for a backend.

    Args:
        spec: the schema; `strict` decides what happens to keywords that are not enforced.
        backend: a name in `coverage.TABLES`.
        limits: limits and narrowing.
        adapt: rewrites further for this backend, without changing what is meant.
        drop: keywords that the backend refused while compiling; taken out as if the table said that they are ignored.

    Raises:
        InvalidSchema: no schema, or beyond the limits.
        UnenforceableSchema: `spec.strict`, and a keyword that the backend does not enforce.
    """
    written, rewritten = _read(spec.schema, limits)
    schema = adapt(rewritten.schema)
    place = _Places(written, rewritten)
    notes = list(coverage(schema, backend, place))
    notes += [
        Note("weakened", child_pointer(place(here), keyword), keyword, f"{backend} refused it while compiling")
        for here in subschemas(schema)
        if isinstance(here.node, dict)
        for keyword in drop
        if keyword in here.node
    ]
    if notes and spec.strict:
        raise unenforceable([place.tidy(note) for note in notes], backend)
    weaker = _weaken(schema, backend, frozenset(drop), place.adopt) if notes else schema
    narrowed, bounds = narrow(weaker, limits, place)
    style = "at most 8 blanks between tokens" if spec.any_whitespace else 'one separator style, ", " and ": "'
    bounds.insert(0, Note("narrowed", "#", "whitespace", style))
    every = [place.tidy(note) for note in (*notes, *bounds)] + list(rewritten.notes)
    return Prepared(written, weaker, narrowed, tuple(dict.fromkeys(every)))


def notes_of(
    spec: GrammarSpec, backend: str = "llguidance", limits: GrammarLimits = DEFAULT_LIMITS
) -> tuple[Note, ...]:
    """What a compiled grammar's report would say of `spec`, without compiling it; nothing for what would be refused."""
    if isinstance(spec, StructuralTag):
        pending: list[tuple[str, Format]] = [("format", spec.format)]
        notes: list[Note] = []
        while pending:
            place, part = pending.pop(0)
            pending[:0] = [(f"{place}.{name}", inner) for name, inner in parts_of(part)]
            if isinstance(part, JsonSchema):
                notes += [replace(note, where=f"{place}{note.where}") for note in notes_of(part, backend, limits)]
        return tuple(notes)
    if not isinstance(spec, JsonSchema):
        return ()
    try:
        return prepare(spec, backend, limits).notes
    except InvalidSchema:
        return ()


@lru_cache(maxsize=2)
def _read(text: str, limits: GrammarLimits) -> tuple[SchemaNode, Rewritten]:
    """The steps that are the same for every backend: a schema that one refuses is prepared for the next."""
    written = check_schema(JsonSchema(text), limits)
    _check_patterns(written, limits)
    return written, rewrite(written, limits)


def refused_while_compiling(error: UnenforceableSchema) -> tuple[str, ...]:
    """The keywords that a backend's own refusal is about, to be dropped under `strict=False`."""
    names = (place.rsplit("/", 1)[-1] for place in error.where.split(", "))
    return tuple(dict.fromkeys(name for name in names if name in VALIDATIONS))


def _check_patterns(root: SchemaNode, limits: GrammarLimits) -> None:
    """Refuse what is no pattern at all; what is not enforced is left to coverage."""
    for here in subschemas(root):
        if not isinstance(here.node, dict):
            continue
        places: list[tuple[str, tuple[str, ...]]] = [
            (pattern, ("patternProperties", pattern)) for pattern in here.node.get("patternProperties", ())
        ]
        if "pattern" in here.node:
            places.append((here.node["pattern"], ("pattern",)))
        for pattern, names in places:
            with contextlib.suppress(UnenforceableSchema):
                search_expression(pattern, child_pointer(here.pointer, *names), limits)


def write_patterns(root: SchemaNode, *, json: bool = False) -> SchemaNode:
    """A copy with every pattern anchored and in the notation of `regex_text.py`."""

    def visit(node: Any) -> Any:
        if isinstance(node, list):
            return [visit(part) for part in node]
        if not isinstance(node, dict):
            return node
        out: dict[str, Any] = {}
        for keyword, value in node.items():
            if keyword == "pattern" and isinstance(value, str):
                out[keyword] = _written(value, json) or _NO_TEXT
            elif keyword == "patternProperties":
                out[keyword] = {
                    text: visit(part) for name, part in value.items() if (text := _written(name, json)) is not None
                }
            elif keyword in ("const", "enum"):
                out[keyword] = value
            elif keyword in ("properties", "$defs"):
                out[keyword] = {name: visit(part) for name, part in value.items()}
            else:
                out[keyword] = visit(value)
        return out

    written: SchemaNode = visit(root)
    return written


@lru_cache(maxsize=256)
def _written(pattern: str, json: bool) -> str | None:
    expression = search_expression(pattern)
    return None if expression is None else write_regex(expression, json=json)


class _Places:
    """Where a part of the rewritten schema stood as it was written: its own place, or that of the part around it."""

    def __init__(self, written: SchemaNode, rewritten: Rewritten) -> None:
        self._written = written
        self._origins = dict(rewritten.origins)
        self._known: dict[str, str] = {}

    def __call__(self, here: Subschema) -> str:
        place = self._origins.get(id(here.node))
        if place is None:
            around = here.pointer.rsplit("/", 1)[0]
            while around not in self._known and "/" in around:
                around = around.rsplit("/", 1)[0]
            place = self._known.get(around, "#")
        self._known[here.pointer] = place
        return place

    def adopt(self, part: dict[str, Any], copy: dict[str, Any]) -> None:
        """A copy, which must live as long as this, stands where the part does."""
        if (place := self._origins.get(id(part))) is not None:
            self._origins[id(copy)] = place

    def tidy(self, note: Note) -> Note:
        """A note whose pointer names a keyword that is not there points to the schema instead."""
        if note.kind == "narrowed" or resolve(self._written, note.where) is not None:
            return note
        return Note(note.kind, note.where.rsplit("/", 1)[0], note.keyword, note.what, note.nearest)


def _weaken(
    root: SchemaNode, backend: str, drop: frozenset[str], adopt: Callable[[dict[str, Any], dict[str, Any]], None]
) -> SchemaNode:
    """A copy without what the backend does not enforce: more values satisfy it, and none fewer."""
    table = TABLES[backend]

    def visit(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        gone: set[str] = set()
        for keyword in node:
            rule = table.get(keyword)
            verdict = "ignored" if keyword in VALIDATIONS and rule is None else rule(node).verdict if rule else ""
            if verdict == "ignored" or (keyword in drop and keyword != "oneOf"):
                gone.update((keyword, *_TOGETHER.get(keyword, ())))
        out: dict[str, Any] = {}
        for keyword, value in node.items():
            if keyword in gone:
                continue
            if keyword == "oneOf" and keyword in drop:
                out["allOf"] = [*out.get("allOf", ()), {"anyOf": [visit(part) for part in value]}]
            elif keyword in ("$defs", "properties", "patternProperties"):
                out[keyword] = {name: visit(part) for name, part in value.items()}
            elif keyword in ("allOf", "anyOf", "oneOf", "prefixItems"):
                parts = [visit(part) for part in value]
                out[keyword] = [*out.get(keyword, ()), *parts] if keyword == "allOf" else parts
            elif keyword in ("additionalProperties", "items"):
                out[keyword] = visit(value)
            else:
                out[keyword] = value
        adopt(node, out)
        return out

    weaker: SchemaNode = visit(root)
    return weaker
