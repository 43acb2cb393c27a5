"""Numbers end: their digits are bounded, what is left out is reported, and no place is left without a value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidSchema
from ramify.grammar.backends import make_backend
from ramify.grammar.limits import EXACT, GrammarLimits, Narrowing
from ramify.grammar.spec import JsonSchema
from schema_world import is_valid

NUMBER = {"type": "number"}
DIGITS = {"llguidance": 10, "xgrammar": 6}
RUN_ON = ["3" * 20, "-" + "3" * 20, "1.0e5", "1e5", "1E-5", "1e999", "0." + "0" * 30 + "1", "1." + "0" * 30]

pytestmark = pytest.mark.parametrize("family_name", ["byte_level"])


def longest(state: Any, family: Any, character: str) -> int:
    """How often one character can follow itself, up to 100 times."""
    count = 0
    while count < 100 and state.accept(family.byte_id(ord(character))):
        count += 1
    return count


@pytest.mark.parametrize(
    "schema",
    [
        NUMBER,
        {"type": ["number", "null"]},
        {"minimum": 0},
        {"type": "number", "minimum": 0, "maximum": 100},
        {"anyOf": [NUMBER, {"type": "null"}]},
        {"type": ["integer", "number"]},
        {"type": "number", "minimum": 0.25},
    ],
    ids=json.dumps,
)
def test_digits_end_whatever_is_repeated(start: Any, family: Any, backend_name: str, schema: Any) -> None:
    assert longest(start(schema), family, "3") <= 19
    state = start(schema)
    assert state.accept(family.byte_id(ord("5"))) and state.accept(family.byte_id(ord(".")))
    assert longest(state, family, "0") == DIGITS[backend_name]
    assert state.completed


def test_what_runs_on_is_a_number_only_where_narrowing_is_off(start: Any, accepts: Any, family: Any) -> None:
    exact = make_backend(family.vocabulary, "llguidance", GrammarLimits(narrowing=EXACT))
    free = exact.compile(JsonSchema(json.dumps(NUMBER)))
    for text in RUN_ON:
        assert not accepts(start(NUMBER), text) and accepts(free.state(), text)
    assert [note.keyword for note in free.report.notes] == ["whitespace"]
    for text in ("0", "-1", "1.5", "0.000001", "1000000000000000000", "-12.25", "100000000000000000.5"):
        assert accepts(start(NUMBER), text), text


def test_what_is_left_out_is_reported(backend: Any, backend_name: str) -> None:
    schema = {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}}
    notes = backend.compile(JsonSchema(json.dumps(schema))).report.notes
    prefix = "#/properties/price/" if backend_name == "llguidance" else "#/"  # flattened, it has no place of its own
    assert [(note.where, note.kind) for note in notes if note.keyword in ("minimum", "maximum", "multipleOf")] == [
        (f"{prefix}maximum", "narrowed"),
        (f"{prefix}multipleOf", "narrowed"),
    ]
    assert any(f"{DIGITS[backend_name]} digits" in note.what for note in notes)


def test_each_switch_is_its_own(family: Any, accepts: Any) -> None:
    def compiled(**switches: Any) -> Any:
        limits = GrammarLimits(narrowing=Narrowing(**switches))
        return make_backend(family.vocabulary, "llguidance", limits).compile(JsonSchema(json.dumps(NUMBER))).state()

    assert accepts(compiled(number=None), "3" * 40) and not accepts(compiled(number=None), "0." + "0" * 11)
    assert accepts(compiled(fraction_digits=None), "0." + "0" * 40)
    assert not accepts(compiled(fraction_digits=None), "3" * 20)
    assert accepts(compiled(fraction_digits=2), "1.25") and not accepts(compiled(fraction_digits=2), "1.125")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"anyOf": [NUMBER, {"enum": [5e-20, 1e300]}]}, "5e-20"),
        ({"anyOf": [NUMBER, {"enum": [5e-20, 1e300]}]}, "1e300"),
        ({"allOf": [NUMBER, {"const": 1e-20}]}, "0.00000000000000000001"),
        ({"type": "number", "minimum": 1e-12, "maximum": 2e-12}, "0.0000000000015"),
        ({"type": "number", "minimum": 6e17}, "3000000000000000000"),
        ({"type": "number", "maximum": -6e17}, "-3000000000000000000"),
        ({"allOf": [{"type": "number", "multipleOf": 0.01}, {"type": "integer"}]}, "5"),
        ({"allOf": [{"properties": {"a": NUMBER}}, {"properties": {"a": {"type": "integer"}}}]}, '{"a": 5}'),
    ],
    ids=json.dumps,
)
def test_a_schema_of_finer_or_larger_numbers_keeps_them(llguidance: Any, accepts: Any, schema: Any, value: str) -> None:
    assert is_valid(schema, json.loads(value))
    assert accepts(llguidance.compile(JsonSchema(json.dumps(schema))).state(), value)


# -- generated schemas

BOUNDS = [0, 1, -1, 2, 5, 0.5, -0.5, 0.25, 1.5, -1.5, 0.9, 100, 1e-9, 123456.789, 2**53, -(2**53), 1e17]
VALUES = [*BOUNDS, 10**18, -(10**18), 0.2, -0.2, 0.75, 3, 7, 10, 1.25, 2.5, 0.000001, 0.1, 1e-10, 99.99]
_bounds = st.sampled_from(BOUNDS)
_plain = st.fixed_dictionaries(
    {"type": st.sampled_from(["number", "number", "integer", ["number", "null"]])},
    optional={
        "minimum": _bounds,
        "exclusiveMinimum": _bounds,
        "maximum": _bounds,
        "exclusiveMaximum": _bounds,
        "multipleOf": st.sampled_from([0.5, 0.25, 2, 5, 0.01, 1e-9]),
    },
)
_listed = st.fixed_dictionaries({"enum": st.lists(st.sampled_from(VALUES), min_size=1, max_size=3)})
_part = st.one_of(_plain, _plain, _listed)
_schemas = st.one_of(
    _plain,
    st.fixed_dictionaries({"allOf": st.lists(_part, min_size=2, max_size=2)}),
    st.fixed_dictionaries({"anyOf": st.lists(_part, min_size=2, max_size=2)}),
    st.tuples(_plain, _plain).map(lambda pair: {**pair[0], "not": pair[1]}),
)


def spellings(value: float) -> list[str]:
    """Texts of a number without an exponent: one of several may be the only one that a backend writes."""
    plain = format(Decimal(repr(value)), "f")
    if "." not in plain:
        return [plain, repr(value)]
    short = plain.rstrip("0").rstrip(".")
    return [short, short + "0" if "." in short else short + ".0", f"{value:.17g}"]


def exactly_valid(schema: Any, value: float) -> bool:
    """The validator, on decimals: 0.3 is a multiple of 0.1."""

    def exact(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: exact(part) for name, part in node.items()}
        if isinstance(node, list):
            return [exact(part) for part in node]
        if not isinstance(node, float):
            return node
        return int(node) if node.is_integer() else Decimal(repr(node))

    return is_valid(exact(schema), exact(value))


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(schema=_schemas)
@example(schema={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5})
@example(schema={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-9})
@example(schema={"type": "number", "minimum": 1e17, "multipleOf": 5})
def test_narrowed_numbers_are_valid_and_coarse_ones_are_all_there(
    backend: Any, backend_name: str, accepts: Callable[[Any, str], bool], schema: Any
) -> None:
    """With narrowing on: nothing invalid passes, and what is in our bounds and coarse enough is not refused."""
    try:
        state = backend.compile(JsonSchema(json.dumps(schema))).state()
    except InvalidSchema:
        assume(False)
    finest = Decimal(10) ** -(DIGITS[backend_name] - 1)
    for value in VALUES:
        taken = any(accepts(state, text) for text in spellings(value))
        valid = exactly_valid(schema, value)
        assert valid or not taken, (schema, value)
        if valid and not taken:
            assert Decimal(repr(value)) % finest != 0, (schema, value)
    for text in RUN_ON:
        if accepts(state, text):
            assert math.isfinite(json.loads(text)) and is_valid(schema, json.loads(text))
