"""Types whose values are written as text: what a compiled grammar lets a model write, the type's own decoder reads."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
import pydantic
import pytest
from ramify.errors import InvalidType
from ramify.grammar.state import GrammarState
from ramify.lang.types import grammar_of, schema
from ramify.runtime.sim.simulation import Parts


class Kind(Enum):
    BUG = "bug"
    IDEA = "idea"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Event:
    when: datetime
    took: timedelta | None
    parts: list[Event]


class Shot(msgspec.Struct, tag=True):
    at: time


class Bill(msgspec.Struct, tag=True):
    total: Decimal


class Row(msgspec.Struct, array_like=True, tag=True):
    when: datetime


class Span(NamedTuple):
    first: datetime
    took: timedelta


class Model(pydantic.BaseModel):
    when: datetime
    took: timedelta
    kinds: dict[Kind, int]


PYDANTIC = pydantic.Field(description="so that pydantic reads it")
NOON = '"2024-02-29T12:00:00Z"'

CASES: list[tuple[str, Any, list[str], list[str]]] = [
    ("datetime", datetime, [NOON, '"2024-02-29T12:00:00.5+02:00"'], ['"today"', '"2023-02-29T12:00:00Z"']),
    ("time", time, ['"12:00:00Z"'], ['"noon"', '"24:00:00Z"']),
    ("timedelta", timedelta, ['"P1D"', '"-PT1H30M"', '"P3DT7200.000005S"'], ['"P1Y"', '"P"', '"PT"', '"P1W"']),
    ("Decimal", Decimal, ['"1.50"', '"-0"', '"1E+5"'], ['"one"', '"1x"', '""']),
    ("bytes", bytes, ['""', '"aGk="', '"aGkh"'], ['"a"', '"aé=="']),
    ("keys of an enum", dict[Kind, int], ["{}", '{"bug": 1}'], ['{"other": 1}']),
    ("keys of an int enum", dict[Level, int], ['{"1": 1, "2": 2}'], ['{"3": 1}', '{"LOW": 1}']),
    ("keys of a literal", dict[Literal["a", "b"], int], ['{"a": 1}'], ['{"c": 1}']),
    ("keys of an int literal", dict[Literal[1, 2], int], ['{"1": 1}'], ['{"3": 1}']),
    ("int keys", dict[int, str], ['{"-12": "a"}', '{"0": "a"}'], ['{"a": "a"}', '{"01": "a"}']),
    ("date keys", dict[date, bool], ['{"2024-02-29": true}'], ['{"2023-02-29": true}']),
    ("UUID keys", dict[UUID, bool], ['{"123e4567-e89b-12d3-a456-426614174000": true}'], ['{"1": true}']),
    ("dataclass", Event, [f'{{"when": {NOON}, "took": null, "parts": []}}'], ['{"when": "x", "took": null, "parts": []}']),  # noqa: E501
    ("union", Shot | Bill | int | None, ['{"type": "Bill", "total": "1"}', "3"], ['{"type": "Shot", "at": "1"}']),
    ("array", Row, [f'["Row", {NOON}]'], ['["Row", "x"]']),
    ("NamedTuple", Span, [f'[{NOON}, "PT5M"]'], [f'[{NOON}, "x"]']),
    ("tuple of any length", tuple[time, ...], ['["12:00:00Z"]', "[]"], ['["x"]']),
    ("tuple", tuple[int, bytes], ['[1, "aGk="]'], ['[1, "a"]']),
    ("model", Model, [f'{{"when": {NOON}, "took": "PT5M", "kinds": {{"bug": 1}}}}'], [f'{{"when": {NOON}, "took": "P", "kinds": {{}}}}']),  # noqa: E501
    ("Decimal of pydantic", Annotated[Decimal, PYDANTIC], ["1.5", "-2"], ['"1.5x"', '"one"']),
    ("Decimal of digits", Annotated[Decimal, pydantic.Field(max_digits=4, decimal_places=2)], ['"12.34"', '"0.5"'], ['"123.4"', '"1.234"']),  # noqa: E501
    ("int keys of pydantic", Annotated[dict[int, int], PYDANTIC], ['{"-1": 2}'], ['{"a": 2}']),
    ("int enum keys of pydantic", Annotated[dict[Level, int], PYDANTIC], ['{"2": 2}'], ['{"3": 2}']),
    ("date keys of pydantic", Annotated[dict[date, int], PYDANTIC], ['{"2024-02-29": 2}'], ['{"2023-02-29": 2}']),
]  # fmt: skip


@pytest.fixture
def start(parts: Parts) -> Callable[[Any], GrammarState]:
    def start(type_: Any) -> GrammarState:
        grammar, _ = grammar_of(type_)
        assert grammar is not None
        return parts.backend.compile(grammar).state()

    return start


@pytest.mark.parametrize(("type_", "right", "wrong"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_grammar_takes_what_the_decoder_reads_and_nothing_else(
    parts: Parts, start: Callable[[Any], GrammarState], type_: Any, right: list[str], wrong: list[str]
) -> None:
    _, decode = grammar_of(type_)
    for text in right:
        decode(text)
        assert _accepts(parts, start(type_), text), text
    for text in wrong:
        with pytest.raises(ValueError):
            decode(text)
        assert not _accepts(parts, start(type_), text), text


@pytest.mark.parametrize("type_", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_whatever_a_model_ends_is_read(parts: Parts, start: Callable[[Any], GrammarState], type_: Any) -> None:
    rng = random.Random(3)
    _, decode = grammar_of(type_)
    ended = [text for _ in range(12) if (text := _written(parts, start(type_), rng)) is not None]
    assert ended
    for text in ended:
        decode(text)


@pytest.mark.parametrize(
    ("type_", "where"),
    [
        (dict[float, int], "$"),
        (dict[str | int, int], "$"),
        (dict[str, dict[bool, int]], "$[...]"),
        (dict[Annotated[int, msgspec.Meta(ge=0)], int], "$"),
        (list[Annotated[datetime, msgspec.Meta(tz=False)]], "$[...]"),
        (Annotated[time, msgspec.Meta(tz=False)], "$"),
        (Annotated[dict[float, int], PYDANTIC], ""),
        (Annotated[dict[Literal[1], int], PYDANTIC], ""),
        (Annotated[Decimal, pydantic.Field(max_digits=3)], ""),
        (pydantic.create_model("Naive", when=pydantic.NaiveDatetime), ""),
    ],
)
def test_what_no_keyword_describes_is_refused_with_something_to_use_instead(type_: Any, where: str) -> None:
    with pytest.raises(InvalidType) as caught:
        grammar_of(type_)
    assert caught.value.where == where and caught.value.hint


def test_a_recursive_type_is_walked_once() -> None:
    assert schema(Event)["$defs"]["Event"]["properties"]["when"] == {"type": "string", "format": "date-time"}


def _ids(parts: Parts, state: GrammarState) -> list[int]:
    row = np.zeros(parts.vocabulary.words, np.int32)
    state.fill_mask(row)
    return np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")).tolist()


def _accepts(parts: Parts, state: GrammarState, text: str) -> bool:
    tokens = parts.vocabulary.tokens
    return all(state.accept(tokens.index(bytes((byte,)))) for byte in text.encode()) and state.completed


def _written(parts: Parts, state: GrammarState, rng: random.Random) -> str | None:
    """What a model of no preferences writes until it may stop; None if that takes long."""
    text = b""
    for _ in range(400):
        if state.completed:
            return text.decode(errors="replace")
        ids = [each for each in _ids(parts, state) if parts.vocabulary.tokens[each]]
        ends = [each for each in ids if b'"' in parts.vocabulary.tokens[each]]  # texts are long otherwise
        chosen = rng.choice(ends if ends and rng.random() < 0.3 else ids)
        assert state.accept(chosen)
        text += parts.vocabulary.tokens[chosen]
    return None
