"""Not run but type-checked by test_typing.py: what checkers infer for gens and for what programs give their callers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict, assert_type

import msgspec
import ramify as rf


@dataclass
class Fix:
    title: str


class Point(TypedDict):
    x: int


class Kind(enum.Enum):
    BUG = "bug"


def adds_up(fix: Fix) -> None: ...


def gens(s: rf.State) -> None:
    assert_type(s.gen("x"), rf.Value[str])
    assert_type(s.gen("x", type=Fix, max_tokens=3, stop=["a"], check=adds_up, retries=1), rf.Value[Fix])
    assert_type(s.gen("x", type=Point), rf.Value[Point])
    assert_type(s.gen("x", type=Kind, temperature=0), rf.Value[Kind])
    assert_type(s.gen("x", type=int).get(), int)
    assert_type(s.gen("x", type=list[int]), rf.Value[list[int]])
    assert_type(s.gen("x", type=rf.Regex("a+")), rf.Value[str])
    assert_type(s.gen("x", type=rf.Choices(("a",))), rf.Value[str])
    assert_type(s.gen("x", type={"type": "integer"}), rf.Value[Any])
    assert_type(s.gen("x", type=Literal["a", "b"]), rf.Value[Any])
    assert_type(s.gen("x", type=Annotated[int, msgspec.Meta(ge=0)]), rf.Value[Any])
    assert_type(s.gen("x", type=int | None), rf.Value[Any])
    assert_type(s.messages(), rf.Value[list[dict[str, str]]])
    s.gen("x", max_token=3)  # type: ignore[call-overload]
    s.gen("x", max_tokens="3")  # type: ignore[call-overload]


@rf.function
def value(s: rf.State, n: int) -> rf.Value[Fix]:
    return s.gen("x", type=Fix)


@rf.function
async def value_async(s: rf.State, n: int, *, m: str = "") -> rf.Value[Fix]:
    return s.gen("x", type=Fix)


@rf.function
def values(s: rf.State) -> list[rf.Value[int]]:
    return [s.gen("x", type=int)]


@rf.function
async def values_async(s: rf.State) -> list[rf.Value[int]]:
    return [s.gen("x", type=int)]


@rf.function
def by_name(s: rf.State) -> dict[str, rf.Value[int]]:
    return {"a": s.gen("x", type=int)}


@rf.function
def pair(s: rf.State) -> tuple[rf.Value[int], rf.Value[str]]:
    return s.gen("x", type=int), s.gen("y")


@rf.function
async def pair_async(s: rf.State) -> tuple[rf.Value[int], rf.Value[str]]:
    return s.gen("x", type=int), s.gen("y")


@rf.function
def plain(s: rf.State) -> list[int]:
    return [1]


@rf.function
async def plain_async(s: rf.State) -> tuple[list[str], dict[str, int]]:
    return [], {}


@rf.function
def nothing(s: rf.State) -> None: ...


@rf.function
def children(s: rf.State) -> list[rf.Value[Fix]]:
    assert_type(value(3), rf.Value[Fix])
    return rf.map(value, [1, 2])


@rf.function
def replaced(s: rf.State) -> None:
    assert_type(rf.map(value, [1], on_error=None), list[rf.Value[Fix]])
    assert_type(rf.map(value, [1], on_error=lambda error: None), list[rf.Value[Fix | None]])


def results() -> None:
    assert_type(value.run(3), Fix)
    assert_type(value_async.run(3, m=""), Fix)
    assert_type(values.run(), list[int])
    assert_type(values_async.on("seedling", budget=3).run(), list[int])
    assert_type(by_name.run(), dict[str, int])
    assert_type(pair.run(), tuple[int, str])
    assert_type(pair_async.run(), tuple[int, str])
    assert_type(plain.run(), list[int])
    assert_type(plain_async.start().result(), tuple[list[str], dict[str, int]])
    assert_type(children.run(), list[Fix])
    nothing.run()
    value.run("3")  # type: ignore[arg-type]


def by_hand() -> None:
    with rf.open("seedling") as s:
        s += rf.user("hi")
        s += rf.assistant(rf.gen("x"))
        assert_type(s, rf.Session)
        assert_type(s.run, rf.Run[None])


async def awaited() -> None:
    assert_type(await value.start(3), Fix)
    async with rf.open("seedling") as s:
        s += rf.user("hi")
        assert_type(await s.gen("x", type=int), int)
