"""A random model at high temperatures: what comes out is of its type because of the grammar, and of nothing else.

Judged by `jsonschema`, which shares no code with the grammar backends, and by conversion to the Python type. A value
that `max_tokens` cuts is none: its gen ends in `OutputInvalid`, which says so.
"""

from __future__ import annotations

import datetime
import enum
import json
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import jsonschema
import msgspec
import pydantic
import pytest
import ramify as rf
from ramify.errors import NodeError, OutputInvalid

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
Digit = Annotated[int, msgspec.Meta(ge=0, le=9)]


class Colour(enum.Enum):
    RED = "red"
    DARK_BLUE = "dark blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 20


@dataclass
class Bounded:
    name: Word
    code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}-[0-9]{1,4}$")]
    count: Annotated[int, msgspec.Meta(ge=-5, le=120)]


@dataclass
class Chosen:
    colour: Colour
    level: Level
    mode: Literal["on", "off", 3]


@dataclass
class Grid:
    rows: Annotated[list[Annotated[list[Digit], msgspec.Meta(min_length=1, max_length=3)]], msgspec.Meta(max_length=3)]


class Options(TypedDict):
    needed: Digit
    maybe: Digit | None
    left_out: NotRequired[Word]


class Cat(msgspec.Struct, tag="cat"):
    lives: Digit


class Dog(msgspec.Struct, tag="dog"):
    name: Word


@dataclass
class Either:
    pet: Cat | Dog
    id: Digit | Word | None


@dataclass
class Dates:
    days: Annotated[list[datetime.date], msgspec.Meta(min_length=1, max_length=3)]
    key: uuid.UUID


@dataclass
class Floats:
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    degrees: Annotated[float, msgspec.Meta(gt=-273.15, lt=1000)]


@dataclass
class Tree:
    value: Digit
    children: Annotated[list[Tree], msgspec.Meta(max_length=2)] = field(default_factory=list)


class Chain(msgspec.Struct):
    value: Digit
    next: Chain | None = None


class Pair(NamedTuple):
    first: Digit
    second: bool


class Person(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: str = pydantic.Field(min_length=1, max_length=6)
    age: int | None = pydantic.Field(default=None, ge=0, le=150)


TYPES: list[tuple[str, Any]] = [
    ("bounded strings and numbers", Bounded),
    ("enums and literals", Chosen),
    ("nested lists", Grid),
    ("optional and absent fields", Options),
    ("unions", Either),
    ("dates", Dates),
    ("floats", Floats),
    ("recursive dataclass", Tree),
    ("recursive struct", Chain),
    ("tuples", Annotated[list[Pair], msgspec.Meta(min_length=1, max_length=4)]),
    ("pydantic model", Person),
]


class Drawn(NamedTuple):
    value: Any
    text: str


@rf.function
def draw(s: rf.State, type: Any, temperature: float, count: int) -> list[Drawn | OutputInvalid]:
    s += rf.user("Fill in the form.")
    branches = s.fork(count)
    for branch in branches:
        branch += rf.assistant(rf.gen("out", type=type, max_tokens=200, temperature=temperature))
    drawn: list[Drawn | OutputInvalid] = []
    for branch in branches:
        value = branch["out"]
        try:
            drawn.append(Drawn(value.get(), value.text))
        except NodeError as error:
            assert isinstance(error.__cause__, OutputInvalid)
            drawn.append(error.__cause__)
    return drawn


def converted(text: str, type_: Any) -> Any:
    """The text as the type, by the library that knows it."""
    if isinstance(type_, type) and issubclass(type_, pydantic.BaseModel):
        return type_.model_validate_json(text)
    return msgspec.json.decode(text, type=type_)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize(("name", "type_"), TYPES, ids=[name for name, _ in TYPES])
def test_what_a_random_model_writes_is_of_its_type(
    engine: rf.Engine, name: str, type_: Any, temperature: float
) -> None:
    validator = jsonschema.Draft202012Validator(rf.schema(type_), format_checker=jsonschema.FormatChecker())
    drawn = draw.on(engine, seed=7).run(type_, temperature, 4)
    finished = [each for each in drawn if isinstance(each, Drawn)]
    for value, text in finished:
        validator.validate(json.loads(text))
        assert converted(text, type_) == value
    assert len({text for _, text in finished}) >= 2, "the draws differ, so the model was free in what it wrote"
    for each in drawn:
        if isinstance(each, OutputInvalid):
            assert "it stopped at max_tokens=200" in each.what and each.hint == "raise max_tokens="


def test_a_value_that_max_tokens_cuts_is_an_error_and_no_value(engine: rf.Engine) -> None:
    (cut,) = draw.on(engine).run(Annotated[str, msgspec.Meta(min_length=900, max_length=900)], 1.0, 1)
    assert isinstance(cut, OutputInvalid)
    assert "it stopped at max_tokens=200" in cut.what and cut.hint == "raise max_tokens="
