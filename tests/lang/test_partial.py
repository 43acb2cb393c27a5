"""Typed partial values: what is finished when, held against the text cut at every place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ramify.lang.partial import EVERY_MEMBER, PartialReader


@dataclass
class Line:
    item: str
    price: float


@dataclass
class Order:
    name: str
    age: int
    lines: list[Line]
    note: str | None = None


class Point(TypedDict):
    x: int
    y: NotRequired[float]


class Pair(NamedTuple):
    a: int
    b: Line


class Camel(msgspec.Struct, rename="camel", tag=True):
    first_name: str


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=2)
    born: Annotated[int, pydantic.Field(alias="year")]
    died: int

    @pydantic.field_validator("died")
    @classmethod
    def later(cls, value: int, info: pydantic.ValidationInfo) -> int:
        if value < info.data["born"]:
            raise ValueError("died before being born")
        return value

    @pydantic.model_validator(mode="after")
    def whole(self) -> Person:
        raise AssertionError("the whole is not there yet")


def history(type_: Any, text: str, size: int = 1) -> list[tuple[str, Any]]:
    """The text up to each event, and its value."""
    reader, out = PartialReader(type_), []
    for i in range(0, len(text), size):
        value = reader.feed(text[i : i + size])
        if value is not None:
            out.append((text[: i + size], value))
    return out


def test_a_field_appears_when_it_is_finished_and_not_before() -> None:
    text = '{"name": "A\\"da, }", "age": 36, "lines": [{"item": "x", "price": 1}], "note": null}'
    steps = history(Order, text)
    assert [len(value) for _, value in steps] == [1, 2, 3, 4]
    ends = [text.index('",') + 1, text.index("36,") + 3, text.index("}],") + 2, text.index("null") + 4]
    assert [len(seen) for seen, _ in steps] == ends
    assert steps[-1][1] == {"name": 'A"da, }', "age": 36, "lines": [Line("x", 1.0)], "note": None}
    assert isinstance(steps[2][1]["lines"][0].price, float)
    assert steps[0][1] == {"name": 'A"da, }'}, "what was told is not changed by what comes later"


def test_a_number_is_finished_only_when_something_follows_it() -> None:
    steps = history(list[int], "[1, 23, 4")
    assert [value for _, value in steps] == [[1], [1, 23]]
    assert steps[0][0] == "[1,"
    assert [value for _, value in history(list[int], "[1, 23 ")] == [[1], [1, 23]]


def test_an_unfinished_string_or_escape_never_appears() -> None:
    for text in ('["a', '["a\\', '["a\\"', '["\\u00', '[["a"', '{"k": "v', '{"k"'):
        assert history(list[Any] if text[0] == "[" else dict[str, Any], text) == []


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        (Point, '{"x": 1, "y": 2}', [{"x": 1}, {"x": 1, "y": 2.0}]),
        (Pair, '[1, {"item": "a", "price": 2}]', [[1], [1, Line("a", 2.0)]]),
        (tuple[int, str], '[1, "a"]', [[1], [1, "a"]]),
        (tuple[Line, ...], '[{"item": "a", "price": 2}]', [[Line("a", 2.0)]]),
        (dict[str, Line], '{"k": {"item": "a", "price": 2}}', [{"k": Line("a", 2.0)}]),
        (Camel, '{"type": "Camel", "firstName": "A"}', [{"first_name": "A"}]),
        (list[Person] | None, "[]", []),
        (Annotated[list[int], msgspec.Meta(min_length=9)], "[1]", [[1]]),
        (int | list[int], "[1]", [[1]]),
        ({"type": "object"}, '{"a": [1.5]}', [{"a": [1.5]}]),
        (int, "12 ", []),
        (str, '"abc"', []),
    ],
)
def test_values_are_of_the_types_of_their_fields(type_: Any, text: str, expected: list[Any]) -> None:
    assert [value for _, value in history(type_, text)] == expected


def test_field_validators_run_on_finished_fields_only_and_the_models_own_never() -> None:
    good = history(Person, '{"name": "Ada", "year": 1815, "died": 1852}')
    assert [value for _, value in good][-1] == {"name": "Ada", "born": 1815, "died": 1852}
    wrong = history(Person, '{"name": "A", "year": 1815, "died": 1800}')
    assert [value for _, value in wrong] == [{"born": 1815}]


def test_text_that_is_not_json_gives_nothing_more() -> None:
    assert [value for _, value in history(list[int], "[1, 2, oops, 3, 4]")] == [[1], [1, 2]]
    assert history(list[int], "1 ]") == []


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=6) | st.dictionaries(st.text(max_size=4), VALUES, max_size=6), st.integers(1, 7))
def test_however_the_text_is_cut_partial_values_are_prefixes_of_the_whole(value: Any, size: int) -> None:
    text = json.dumps(value)
    steps = [partial for _, partial in history(type(value), text, size)]
    members = list(value.items()) if isinstance(value, dict) else value
    for partial in steps:
        found = list(partial.items()) if isinstance(partial, dict) else partial
        assert found == members[: len(found)]
    assert [len(step) for step in steps] == sorted({len(step) for step in steps}), "each tells more than the one before"
    assert (steps[-1] if steps else type(value)()) == value


def test_copies_of_a_long_list_are_linear_in_it() -> None:
    n = 20_000
    steps = history(list[int], json.dumps(list(range(n))), size=3)
    assert sum(len(value) for _, value in steps) < EVERY_MEMBER**2 + 20 * n
    assert [len(value) for _, value in steps[:EVERY_MEMBER]] == list(range(1, EVERY_MEMBER + 1))
