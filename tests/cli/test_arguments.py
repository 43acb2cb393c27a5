"""A program's signature as options: Python's own types, defaults and rules."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pydantic
import pytest
import ramify as rf
from ramify.cli.arguments import Signature
from ramify.cli.failure import UsageError

if TYPE_CHECKING:
    from decimal import Decimal


class Kind(enum.Enum):
    BUG = "bug"
    SECOND = 2


@dataclass
class Point:
    x: int
    y: float = 0.5


class Box(pydantic.BaseModel):
    corner: str = pydantic.Field(max_length=3)


@rf.function
def everything(
    s: rf.State,
    text: str,
    count: int,
    share: float = 0.5,
    loud: bool = False,
    kind: Kind = Kind.BUG,
    level: Literal["low", 7] = "low",
    point: Point | None = None,
    box: Box | None = None,
    day: datetime.date | None = None,
    names: tuple[str, ...] = (),
    small: Annotated[int, msgspec.Meta(le=9)] = 1,
    short: Annotated[str, msgspec.Meta(max_length=3)] = "",
    free=None,
    anything: Any = None,
    *extra: str,
    long_name: str = "",
    **rest: str,
) -> None: ...


def parse(*arguments: str) -> dict[str, Any]:
    return Signature(everything).parse(["--text", "t", "--count", "1", *arguments], "prog")


def test_what_is_not_typed_is_left_to_python() -> None:
    assert parse() == {"text": "t", "count": 1}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (["--text", "123"], {"text": "123"}),
        (["--text", '"quoted"'], {"text": '"quoted"'}),
        (["--count", "-5"], {"count": -5}),
        (["--share", "5."], {"share": 5.0}),
        (["--loud"], {"loud": True}),
        (["--no-loud"], {"loud": False}),
        (["--kind", "2"], {"kind": Kind.SECOND}),
        (["--level", "7"], {"level": 7}),
        (["--level", "low"], {"level": "low"}),
        (["--point", '{"x": 3}'], {"point": Point(3, 0.5)}),
        (["--point", "null"], {"point": None}),
        (["--box", '{"corner": "abc"}'], {"box": Box(corner="abc")}),
        (["--day", "2026-05-04"], {"day": datetime.date(2026, 5, 4)}),
        (["--names", '["a", "b"]'], {"names": ("a", "b")}),
        (["--small", "9"], {"small": 9}),
        (["--short", "abc"], {"short": "abc"}),
        (["--free", "[1]"], {"free": [1]}),
        (["--free", "words"], {"free": "words"}),
        (["--anything", '{"a": null}'], {"anything": {"a": None}}),
        (["--long-name", "x"], {"long_name": "x"}),
        (["--long_name", "x"], {"long_name": "x"}),
    ],
)
def test_types(typed: list[str], value: dict[str, Any]) -> None:
    found = parse(*typed)
    assert found == {"text": "t", "count": 1} | value
    (name,) = value
    assert type(found[name]) is type(value[name])


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["--count", "1.5"], "--count '1.5'"),
        (["--share", "half"], "--share 'half'"),
        (["--kind", "BUG"], "choose from"),
        (["--level", "8"], "choose from"),
        (["--point", '{"x": "a"}'], r"\$.x"),
        (["--point", "3, 4"], "--point"),
        (["--box", '{"corner": "abcd"}'], "at most 3"),
        (["--day", "2026-13-01"], "--day"),
        (["--small", "10"], "<= 9"),
        (["--short", "abcd"], "<= 3"),
        (["--extra", "x"], "unrecognized"),
        (["--rest", "x"], "unrecognized"),
        (["--cou", "2"], "unrecognized"),
    ],
)
def test_what_is_not_of_the_type_is_refused(typed: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(*typed)


def test_required_as_in_python() -> None:
    signature = Signature(everything)
    with pytest.raises(UsageError, match="--count"):
        signature.parse(["--text", "t"], "prog")
    assert signature.parse([], "prog", required=False) == {}
    assert signature.missing({"count": 1}) == ["text"]


def test_the_call_is_the_one_that_python_would_make() -> None:
    def body(s: rf.State, first: str, /, second: str = "b", *, third: str = "c") -> None: ...

    bound = Signature(rf.function(body)).bind({"first": "1", "third": "3"})
    assert (bound.args, bound.kwargs) == (("1",), {"third": "3"})


@rf.function
def half_typed(s: rf.State, amount: Decimal, n: int = 0) -> None: ...


def test_annotations_for_type_checkers_alone_leave_arguments_untyped() -> None:
    assert Signature(half_typed).parse(["--amount", "1.5", "--n", "x"], "prog") == {"amount": 1.5, "n": "x"}
