"""`Value.field`: parts of values as edges, on an engine and in Python."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pydantic
import pytest
import ramify as rf
from lang_world import play
from ramify.errors import InvalidRequest, NodeError
from ramify.lang.testing import Raw, Scripted
from ramify.runtime.sim.simulation import Parts


@dataclass
class Line:
    item: str
    price: float
    kind: Literal["a", "b"] = "a"


@dataclass
class Order:
    customer: str
    lines: list[Line]
    note: str | None = None


ORDER = Order('Ada "the" Great', [Line("lamp", 24.5), Line("book", 3.2, "b")])
RAW = Raw(
    '{"customer": "Ada \\"the\\" Great", "lines": [{"item": "lamp", "price": 24.50}, '
    '{"item": "book", "price": 3.2, "kind": "b"}], "note": null}'
)


@rf.function
def splice(s: rf.State, path: str) -> Any:
    s += "a" + rf.gen("order", type=Order)
    part = s["order"].field(path)
    other = s.fork()[0]
    other += "|" + part + "|"
    assert not part.ready
    return other.text(), part, str(part)


@rf.function
async def splice_async(s: rf.State, path: str) -> Any:
    s += "a" + rf.gen("order", type=Order)
    part = s["order"].field(path)
    other = s.fork()[0]
    other += "|" + part + "|"
    await part
    return other.text(), part, str(part)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("customer", 'Ada "the" Great', 'Ada "the" Great'),
        ("lines[0].price", 24.5, "24.50"),
        ("lines[1].kind", "b", "b"),
        ("lines[1]", Line("book", 3.2, "b"), '{"item": "book", "price": 3.2, "kind": "b"}'),
        ("note", None, "null"),
    ],
)
def test_a_field_is_a_value_and_its_text_is_what_was_generated(path: str, value: Any, text: str) -> None:
    for program in (splice, splice_async):
        stream, found, spelled = program.on(Scripted({"order": RAW})).run(path)
        assert found == value
        assert stream.endswith(f"|{text}|") and spelled == text


def test_an_engine_splices_a_field_by_itself(parts: Parts) -> None:
    """The fake worker's model writes anything the grammar allows; a seed is looked for that ends in time."""
    schema = {
        "type": "object",
        "properties": {"k": {"enum": ["one", "two"]}, "n": {"enum": [1, 2]}},
        "required": ["k", "n"],
        "additionalProperties": False,
    }

    @rf.function
    def program(s: rf.State) -> Any:
        s += "a" + rf.gen("x", type=schema, max_tokens=200, temperature=1.0)
        other = s.fork()[0]
        other += "<" + s["x"].field("k") + " " + s["x"].field("n") + ">"
        return s["x"], other.text()

    value, text = play(parts, program)
    assert text.endswith(f"<{value['k']} {value['n']}>")


def record(type_: Any, path: str) -> None:
    @rf.function
    def program(s: rf.State) -> None:
        s.gen("x", type=type_).field(path)

    program.on(Scripted({"x": Raw("{}")})).run()


class Renamed(msgspec.Struct, rename="camel"):
    first_name: str


class Aliased(pydantic.BaseModel):
    first_name: str = pydantic.Field(alias="firstName")


class Node(msgspec.Struct):
    value: int
    next: Node | None = None


@pytest.mark.parametrize(
    ("type_", "path", "message", "hint"),
    [
        (Order, "custmer", "has no field custmer", "customer, lines, note"),
        (Order, "lines[0].cost", r"lines\[0\] has no field cost", "item, price, kind"),
        (Order, "customer.first", "customer has no field first", "no such parts"),
        (Order, "lines.item", "lines has no field item", ""),
        (tuple[int, int], "[2]", r"has no field \[2\]", ""),
        (Node, "next.next.valeu", "next.next has no field valeu", "value, next"),
        (Renamed, "first_name", "has no field first_name", "firstName"),
        (int, "x", "has no field x", ""),
        (None, "x", "is text and has no fields", "type"),
        (rf.Regex("a+"), "x", "is text and has no fields", "type"),
        (Order, "", "names no field", ""),
        (Order, "lines[", "names no field", ""),
        (Order, "lines[-1]", "names no field", ""),
    ],
)
def test_a_field_that_the_type_does_not_have_is_an_error_when_it_is_named(
    type_: Any, path: str, message: str, hint: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        record(type_, path)
    assert hint in caught.value.hint
    assert "test_field.py" in caught.value.where and "x[0]" in caught.value.where


@pytest.mark.parametrize(
    ("type_", "path"),
    [
        (Node, "next.next.value"),
        (dict[str, int], "anything"),
        ({"type": "object"}, "anything[3].else"),
        ({}, "anything"),
        (Order, 'lines[7]["item"]'),
    ],
)
def test_a_field_that_may_be_there_is_taken(type_: Any, path: str) -> None:
    @rf.function
    def program(s: rf.State) -> None:
        s.gen("x", type=type_).field(path)

    with suppress(ExceptionGroup):  # the scripted value is not of every type above; the field was taken
        program.on(Scripted({"x": Raw('{"value": 1}')})).run()


@pytest.mark.parametrize(("type_", "text"), [(Renamed, '{"firstName": "A"}'), (Aliased, '{"firstName": "A"}')])
def test_fields_are_named_as_in_the_json(type_: Any, text: str) -> None:
    @rf.function
    def program(s: rf.State) -> Any:
        return s.gen("x", type=type_).field("firstName")

    assert program.on(Scripted({"x": Raw(text)})).run() == "A"


def test_a_field_that_is_not_there_fails_where_it_is_looked_at_and_what_it_was_spliced_into() -> None:
    @rf.function
    def program(s: rf.State) -> Any:
        s += "a" + rf.gen("x", type={"type": "array"})
        part = s["x"].field("[5].name")
        other = s.fork()[0]
        other += part + rf.gen("y")
        errors = []
        for value in (part, other["y"]):
            with pytest.raises(NodeError) as caught:
                value.get()
            errors.append((caught.value.__cause__, caught.value.site))
        return errors

    for cause, site in program.on(Scripted({"x": [[[1, 2]]], "y": "z"})).run():
        assert isinstance(cause, InvalidRequest) and "no field [5]" in cause.what
        assert "test_field.py" in site


def test_fields_of_fields_of_children_and_of_checked_values() -> None:
    @rf.function
    def child(s: rf.State) -> Order:
        return s.gen("order", type=Order)  # type: ignore[return-value]

    @rf.function
    def program(s: rf.State) -> Any:
        def affordable(order: Order) -> None:
            if order.lines[0].price > 20:
                raise ValueError("too dear")

        whole = child()
        s += "x" + rf.gen("order", type=Order, check=affordable)
        lines = s["order"].field("lines")
        s += whole.field("customer") + ";" + lines.field("[0].price")
        return s.text(), whole.field("lines[1].item"), lines.field("[0]")

    cheap = Order("B", [Line("pen", 1.0)])
    engine = Scripted(lambda call: [ORDER, cheap]["retry" in call.path])
    text, item, line = program.on(engine).run()
    assert text.endswith('Ada "the" Great;1.0') and item == "book" and line == Line("pen", 1.0)


def test_a_value_behind_a_gate_may_be_spliced_elsewhere(parts: Parts) -> None:
    """`y` stands behind the retries of `x`; another stream names it before the engine knows it."""

    @rf.function
    def program(s: rf.State) -> Any:
        seen: list[str] = []

        def picky(value: str) -> None:
            seen.append(value)
            if len(seen) == 1:
                raise ValueError("again")

        other = s.fork()[0]
        s += "a" + rf.gen("x", max_tokens=3, ignore_eos=True, check=picky)
        s += "b" + rf.gen("y", max_tokens=3, ignore_eos=True)
        other += "they said " + s["y"] + "." + rf.gen("z", max_tokens=2, ignore_eos=True)
        return s["y"], other.text()

    y, text = play(parts, program)
    assert text.startswith(f"they said {y}.")
