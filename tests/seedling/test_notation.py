"""The field notation says what a JSON Schema says, in the words that the model was trained on."""

from __future__ import annotations

import enum

import msgspec
import pydantic
import pytest
from ramify.errors import InvalidSchema
from ramify.seedling.notation import describe


class Status(enum.Enum):
    OPEN = "open"
    CLOSED = "closed"


class Address(pydantic.BaseModel):
    street: str
    city: str


class Person(pydantic.BaseModel):
    name: str
    age: int
    status: Status
    items: list[str]
    address: Address
    manager: str | None = None


def test_a_pydantic_model_becomes_the_notation_of_the_training_prompts() -> None:
    assert describe(Person.model_json_schema()) == (
        "name (string), age (integer), status (one of: open, closed), items (list of string), "
        "address (object: street (string), city (string)), manager (string or null)"
    )


def test_a_msgspec_struct_with_rows() -> None:
    row = msgspec.defstruct("Row", [("name", str), ("price", float)])
    receipt = msgspec.defstruct("Receipt", [("rows", list[row]), ("paid", bool)])
    (schema,), definitions = msgspec.json.schema_components([receipt], ref_template="#/$defs/{name}")
    assert describe({**schema, "$defs": definitions}) == "rows (list of: name (string), price (number)), paid (boolean)"


def test_dates_and_nullable_types() -> None:
    schema = {
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date"}, "count": {"type": ["integer", "null"]}},
    }
    assert describe(schema) == "day (date), count (integer or null)"


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "string"}, "$"),
        ({"type": "object", "properties": {"a": {}}}, "$.a"),
        ({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}}, "$.a"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/Missing"}}}, "$.a"),
    ],
)
def test_a_schema_without_notation_is_refused_with_its_path(schema: dict[str, object], where: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        describe(schema)
    assert caught.value.where == where


def test_a_type_that_contains_itself_is_refused() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}
    with pytest.raises(InvalidSchema, match="nested deeper"):
        describe({**node, "$defs": {"Node": node}})
