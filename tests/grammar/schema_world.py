"""Random schemas and values over a small world of names and texts, and an independent validator for both."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import regex
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "é")
TEXTS = ("", "a", "b", "ab", "ba", "abc", "1", "é", 'a"b', "a\\d", "2024-02-29", "2023-02-29", "x\ny", "😀")
PATTERNS = ("^a", "b$", "a", "^[ab]*$", "^(a|b$)", r"^\d+$", r"^[^a]+$", "^.{1,2}$", r"\\", '"', "é|1", "^$|b")
NUMBERS = (-3, -1, 0, 1, 2, 3, 5, 7, 10, 0.5, 2.5, -0.5)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """ECMA-262 as `regex` reads it: `[^]` and the end of the text are spelled otherwise."""
    if isinstance(instance, str) and not _search(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Any:
    for pattern, part in patterns.items() if isinstance(instance, dict) else ():
        for name, member in instance.items():
            if _search(pattern, name):
                yield from validator.descend(member, part, path=name, schema_path=pattern)


def _search(pattern: str, text: str) -> bool:
    spelled = pattern.replace("[^]", r"[\s\S]").replace("$", r"\Z") if "[$" not in pattern else pattern
    return regex.search(spelled, text, flags=regex.ASCII | regex.V0) is not None


Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, {"pattern": _pattern, "patternProperties": _pattern_properties}
)


def is_valid(schema: Any, value: Any) -> bool:
    return bool(Validator(schema, format_checker=jsonschema.FormatChecker()).is_valid(value))


# -- values

scalars = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(TEXTS))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)),
    max_leaves=5,
)


def pool(seed: int, size: int) -> list[Any]:
    """Values of every type, by a seed."""
    rng = random.Random(seed)

    def value(depth: int) -> Any:
        kind = rng.random()
        if depth and kind < 0.35:
            return {name: value(depth - 1) for name in sorted(rng.sample(NAMES, rng.randint(0, 3)))}
        if depth and kind < 0.6:
            return [value(depth - 1) for _ in range(rng.randint(0, 3))]
        return rng.choice([None, True, False, *NUMBERS, *TEXTS, *TEXTS])

    return [value(2) for _ in range(size)]


# -- schemas

types = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
counts = st.integers(0, 3)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


simple = st.one_of(
    st.fixed_dictionaries({"type": types}),
    st.fixed_dictionaries({"type": st.lists(types, min_size=2, max_size=3, unique=True)}),
    st.fixed_dictionaries({"enum": st.lists(scalars, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": scalars}),
    _some(type=st.just("string"), minLength=counts, maxLength=counts),
    _some(type=st.just("string"), pattern=st.sampled_from(PATTERNS)),
    _some(type=st.sampled_from(["integer", "number"]), minimum=st.integers(-3, 3), exclusiveMaximum=st.integers(0, 7)),
    st.booleans(),
)
names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return _some(
        type=st.just("object"),
        properties=st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=2),
        required=names,
        additionalProperties=st.one_of(st.booleans(), inner),
        patternProperties=st.dictionaries(st.sampled_from(("^a", "b", "")), inner, max_size=1),
        propertyNames=st.one_of(st.sampled_from(({"pattern": "^a"}, {"maxLength": 0}, {"const": "b"})), inner),
        minProperties=st.integers(0, 2),
        maxProperties=counts,
        dependencies=st.dictionaries(st.sampled_from(NAMES), st.one_of(names, inner), max_size=1),
        dependentRequired=st.dictionaries(st.sampled_from(NAMES), names, max_size=1),
    )


def _arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        _some(type=st.just("array"), items=inner, minItems=counts, maxItems=counts, uniqueItems=st.booleans()),
        _some(
            type=st.just("array"), items=inner, contains=inner, minContains=counts, maxContains=counts, maxItems=counts
        ),
        _some(type=st.just("array"), prefixItems=st.lists(inner, min_size=1, max_size=2), items=st.booleans()),
    )


def _logic(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.fixed_dictionaries({"not": inner}),
        _some(**{"if": inner, "then": inner, "else": inner}),
        *(
            st.fixed_dictionaries({keyword: st.lists(inner, min_size=1, max_size=3)})
            for keyword in ("allOf", "anyOf", "oneOf")
        ),
    )


def _beside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Two schemas' keywords side by side."""
    both = st.tuples(st.one_of(_objects(inner), _arrays(inner), simple), _logic(inner))
    return both.map(lambda pair: {**pair[1], **(pair[0] if isinstance(pair[0], dict) else {})})


schemas = st.recursive(
    simple, lambda inner: st.one_of(_objects(inner), _arrays(inner), _logic(inner), _beside(inner)), max_leaves=6
)


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
