"""Expressions, values and types, without an engine."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypedDict

import msgspec
import pytest
import ramify as rf
from pydantic import BaseModel, Field
from ramify.errors import InvalidRequest, InvalidType, NodeError, from_info, to_info
from ramify.lang.expr import Expr, GenExpr
from ramify.lang.testing import Scripted
from ramify.lang.types import grammar_of
from ramify.runtime.protocol.graph import NodeDone, Usage


def test_plus_puts_parts_in_a_row_and_flattens() -> None:
    expr = "a" + rf.gen("x") + "b" + (rf.user("c") + rf.control("<s>"))
    assert isinstance(expr, Expr)
    assert [type(part).__name__ for part in expr.parts] == ["str", "GenExpr", "str", "RoleExpr", "Control"]


def test_fmt_keeps_values_as_parts() -> None:
    x = rf.gen("x")
    assert rf.fmt("a {x} b {{c}} {y}", x=x, y="Y").parts == ("a ", x, " b ", "{", "c", "}", " ", "Y")
    with pytest.raises(InvalidRequest, match=r"names \{z\}"):
        rf.fmt("{z}", x="1")
    with pytest.raises(InvalidRequest, match="x: not named"):
        rf.fmt("a", x="1")


def test_a_single_stop_string_is_not_taken_for_its_characters() -> None:
    assert rf.gen("x", stop="abc").stop == ("abc",)


class Kind(enum.Enum):
    BUG = "bug"
    FEATURE = "feature"


@dataclass
class Fix:
    title: str
    lines: int
    kind: Kind


class Point(TypedDict):
    x: int


class Pair(NamedTuple):
    a: int
    b: str


class Node(msgspec.Struct):
    value: int
    next: Node | None = None


class Model(BaseModel):
    name: str
    age: int = Field(ge=0)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (int, "7", 7),
        (bool, "true", True),
        (list[int], "[1, 2]", [1, 2]),
        (Literal["a", "b"], '"a"', "a"),
        (int | None, "null", None),
        (Kind, '"bug"', Kind.BUG),
        (Fix, '{"title": "t", "lines": 3, "kind": "bug"}', Fix("t", 3, Kind.BUG)),
        (Point, '{"x": 1}', {"x": 1}),
        (Pair, '[1, "b"]', Pair(1, "b")),
        (Node, '{"value": 1, "next": {"value": 2}}', Node(1, Node(2))),
        (Model, '{"name": "n", "age": 3}', Model(name="n", age=3)),
        ({"type": "integer"}, "5", 5),
    ],
)
def test_types_to_schemas_and_back(type_: object, text: str, value: object) -> None:
    grammar, decode = grammar_of(type_)
    assert grammar is not None
    assert json.loads(grammar.schema)
    assert decode(text) == value


def test_free_text_has_no_grammar() -> None:
    assert grammar_of(str)[0] is None
    assert grammar_of(None)[0] is None


@pytest.mark.parametrize("type_", [object(), lambda: None, "int", complex])
def test_no_schema_can_be_made(type_: object) -> None:
    with pytest.raises(InvalidType):
        grammar_of(type_)


def make_value(text: str, type_: object = None) -> rf.Value[object]:
    class NoRun:
        def wait_for(self, value: object, timeout: float | None) -> None:
            raise AssertionError("it waited")

    value: rf.Value[object] = rf.Value(NoRun(), 0, "x", "p/x[0]", "f.py:3", grammar_of(type_)[1])  # type: ignore[arg-type]
    value._settle(NodeDone(0, 0, text, b"", "stop", Usage(1, 0, 1, 1)))
    return value


def test_a_value_reads_like_what_it_is() -> None:
    number, items = make_value("7", int), make_value("[1, 2, 3]", list[int])
    assert number == 7 and number > 6 and number < 8 and int(number) == 7 and bool(number)
    assert list(items) == [1, 2, 3] and len(items) == 3 and items[0] == 1 and 2 in items
    assert str(items) == "[1, 2, 3]" and f"{number:>3}" == "  7"
    assert repr(number) == "<Value p/x[0]: 7>"


def test_a_pending_values_repr_never_waits() -> None:
    value: rf.Value[str] = rf.Value(None, 0, "x", "p/x[0]", "", str)  # type: ignore[arg-type]
    assert repr(value) == "<Value p/x[0]: pending>"


def test_a_value_that_is_not_of_its_type_is_an_error_with_path_and_line() -> None:
    value = make_value('{"title": "t"', Fix)
    with pytest.raises(NodeError) as caught:
        value.get()
    assert caught.value.path == "p/x[0]" and caught.value.site == "f.py:3"


def test_a_values_hash_is_that_of_what_it_is() -> None:
    assert {"a": 1}[make_value("a")] == 1 and {make_value("7", int)} == {7}
    with pytest.raises(TypeError, match="list"):
        hash(make_value("[1]", list[int]))


def test_a_hash_is_a_fence_which_async_code_awaits() -> None:
    engine = Scripted({"x": "a"})

    @rf.function
    def plain(s: rf.State) -> int:
        return {"a": 1}[s.gen("x")]

    @rf.function
    async def coroutine(s: rf.State) -> int:
        value = s.gen("x")
        with pytest.raises(InvalidRequest, match="async") as caught:
            hash(value)
        assert "await" in caught.value.hint
        await value
        return {"a": 1}[value]

    assert plain.on(engine).run() == coroutine.on(engine).run() == 1
    (fence,) = plain.explain().fences
    assert (fence.value, fence.how) == (f"{plain.name}/x[0]", "hash")


def test_errors_travel_as_strings() -> None:
    error = InvalidRequest("what", where="where", hint="hint")
    again = from_info(to_info(error))
    assert type(again) is InvalidRequest and str(again) == str(error) == "what\n  where: where\n  to do: hint"
    assert "ZeroDivisionError" in from_info(to_info(ZeroDivisionError("x"))).what


def test_gen_expressions_are_data() -> None:
    assert rf.gen("x", max_tokens=3) == GenExpr("x", max_tokens=3)
    assert isinstance(rf.gen("x"), GenExpr)
