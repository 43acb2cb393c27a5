"""Types to JSON Schemas and back, held against two independent libraries: jsonschema, and the type's own decoder."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict, Union

import annotated_types
import jsonschema
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidType
from ramify.grammar.spec import JsonSchema
from ramify.lang.expr import Argument
from ramify.lang.testing import _json
from ramify.lang.types import grammar_of


class Kind(enum.Enum):
    BUG = "bug"
    IDEA = "idea"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Part:
    name: str
    count: Annotated[int, msgspec.Meta(ge=0, le=99)]
    kind: Kind = Kind.BUG


@dataclass
class Tree:
    value: int
    children: list[Tree] = field(default_factory=list)


class Point(TypedDict):
    x: int
    label: NotRequired[str]


class Pair(NamedTuple):
    first: int
    second: str


class Chain(msgspec.Struct):
    value: int
    next: Chain | None = None


class Cat(msgspec.Struct, tag="cat"):
    lives: int


class Dog(msgspec.Struct, tag="dog"):
    name: str


class Renamed(msgspec.Struct, rename="camel"):
    first_name: str


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(min_length=1)
    age: int = pydantic.Field(ge=0, le=150)


class Family(pydantic.BaseModel):
    head: Person
    members: list[Family] = []


@pydantic.dataclasses.dataclass
class Priced:
    price: Annotated[float, pydantic.Field(gt=0)]


@dataclass
class Bounded:
    n: Annotated[int, annotated_types.Ge(2)]


CASES: list[tuple[str, Any, str, Any, list[str]]] = [
    ("int", int, "7", 7, ['"7"', "7.5"]),
    ("float", float, "1.5", 1.5, ['"x"']),
    ("bool", bool, "true", True, ["1"]),
    ("null", type(None), "null", None, ["0"]),
    ("list", list[int], "[1, 2]", [1, 2], ['["a"]', "{}"]),
    ("dict", dict[str, float], '{"a": 1.0}', {"a": 1.0}, ['{"a": "b"}', "[]"]),
    ("tuple", tuple[int, str], '[1, "a"]', (1, "a"), ["[1]", '["a", 1]', '[1, "a", 2]']),
    ("long tuple", tuple[int, ...], "[1, 2, 3]", (1, 2, 3), ['["a"]']),
    ("literal", Literal["a", "b"], '"a"', "a", ['"c"', "1"]),
    ("literal of ints", Literal[1, 2], "2", 2, ["3", '"1"']),
    ("enum", Kind, '"idea"', Kind.IDEA, ['"other"']),
    ("int enum", Level, "2", Level.HIGH, ["3"]),
    ("optional", Optional[int], "null", None, ['"a"']),  # noqa: UP045
    ("union", Union[int, str], '"a"', "a", ["[]"]),  # noqa: UP007
    ("new union", int | list[str] | None, '["a"]', ["a"], ['"a"', "[1]"]),
    ("tagged union", Cat | Dog, '{"type": "dog", "name": "Rex"}', Dog("Rex"), ['{"type": "cow"}', '{"type": "cat"}']),
    ("bounds", Annotated[int, msgspec.Meta(ge=0, le=9)], "9", 9, ["10", "-1"]),
    ("string bounds", Annotated[str, msgspec.Meta(min_length=2)], '"ab"', "ab", ['"a"']),
    ("dataclass", Part, '{"name": "a", "count": 3, "kind": "idea"}', Part("a", 3, Kind.IDEA), ['{"name": "a"}', '{"name": "a", "count": 100}']),  # noqa: E501
    ("recursive dataclass", Tree, '{"value": 1, "children": [{"value": 2}]}', Tree(1, [Tree(2)]), ['{"value": 1, "children": [{}]}']),  # noqa: E501
    ("TypedDict", Point, '{"x": 1, "label": "a"}', {"x": 1, "label": "a"}, ["{}", '{"x": "a"}']),
    ("NamedTuple", Pair, '[1, "a"]', Pair(1, "a"), ["[1]", '["a", "b"]']),
    ("Struct", Chain, '{"value": 1, "next": {"value": 2}}', Chain(1, Chain(2)), ['{"next": null}', '{"value": 1, "next": 3}']),  # noqa: E501
    ("renamed Struct", Renamed, '{"firstName": "a"}', Renamed("a"), ['{"first_name": "a"}']),
    ("model", Person, '{"name": "a", "age": 3}', Person(name="a", age=3), ['{"name": "a", "age": -1}', '{"name": "", "age": 1}']),  # noqa: E501
    ("recursive model", Family, '{"head": {"name": "a", "age": 1}, "members": []}', Family(head=Person(name="a", age=1)), ['{"members": []}']),  # noqa: E501
    ("list of models", list[Person], '[{"name": "a", "age": 3}]', [Person(name="a", age=3)], ['[{"name": "a"}]']),
    ("union with a model", Person | None, "null", None, ["[]"]),
    ("pydantic dataclass", Priced, '{"price": 1.5}', Priced(1.5), ['{"price": 0}']),
    ("pydantic Field", Annotated[int, pydantic.Field(ge=3)], "3", 3, ["2"]),
    ("annotated_types", Annotated[int, annotated_types.Interval(gt=1, lt=5)], "4", 4, ["5", "1"]),
    ("annotated_types inside", Bounded, '{"n": 2}', Bounded(2), ['{"n": 1}']),
    ("list of annotated_types", list[Annotated[int, annotated_types.Ge(1)]], "[1]", [1], ["[0]"]),
    ("Part in a dict", dict[str, list[Part]], '{"a": [{"name": "b", "count": 1}]}', {"a": [Part("b", 1)]}, ['{"a": [{}]}']),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("type_", "text", "value", "wrong"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_types_to_schemas_and_back(type_: Any, text: str, value: Any, wrong: list[str]) -> None:
    grammar, decode = grammar_of(type_)
    assert isinstance(grammar, JsonSchema)
    schema = json.loads(grammar.schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(json.loads(text))
    assert decode(text) == value
    again = _json(value)  # what a script answers with is what the type reads
    validator.validate(json.loads(again))
    assert decode(again) == value
    for bad in wrong:
        assert not validator.is_valid(json.loads(bad)), f"the schema takes {bad}"
        with pytest.raises(ValueError):
            decode(bad)


@settings(max_examples=60, deadline=None)
@given(st.builds(Part, st.text(), st.integers(-5, 105), st.sampled_from(Kind)))
def test_schema_and_decoder_agree_on_every_instance(part: Part) -> None:
    grammar, decode = grammar_of(Part)
    assert isinstance(grammar, JsonSchema)
    text = msgspec.json.encode(part).decode()
    valid = jsonschema.Draft202012Validator(json.loads(grammar.schema)).is_valid(json.loads(text))
    assert valid == (0 <= part.count <= 99)
    if valid:
        assert decode(text) == part
    else:
        with pytest.raises(msgspec.ValidationError):
            decode(text)


class Mixed(msgspec.Struct):
    person: Person


BOTH = Annotated[int, msgspec.Meta(ge=1), pydantic.Field(le=3)]


@pytest.mark.parametrize("type_", [Mixed, list[Chain | Person], BOTH])
def test_a_bound_that_would_be_passed_over_is_refused(type_: Any) -> None:
    with pytest.raises(InvalidType, match="no library knows both"):
        grammar_of(type_)


@pytest.mark.parametrize("type_", [object(), lambda: None, "int", complex, list[complex]])
def test_no_schema_can_be_made(type_: object) -> None:
    with pytest.raises(InvalidType):
        grammar_of(type_)


def test_a_schema_made_of_an_argument_is_plain_text_for_the_compiler() -> None:
    grammar, _ = grammar_of(JsonSchema(Argument('{"type": "integer"}')))
    assert isinstance(grammar, JsonSchema) and type(grammar.schema) is str
