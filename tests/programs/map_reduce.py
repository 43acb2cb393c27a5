"""Fifty chunks read side by side by a child program each, and one answer from all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, assert_type

import ramify as rf


class Amount(TypedDict):
    total: float


@rf.function
def read_amount(s: rf.State, chunk: str) -> rf.Value[Amount]:
    s += rf.system("Extract JSON with fields: total (number)")
    s += rf.user(chunk)
    with s.assistant():
        return s.gen("amount", type=Amount, max_tokens=30)


@rf.function
def add_up(s: rf.State, chunks: list[str]) -> float:
    amounts = rf.map(read_amount, chunks, limit=16)
    if TYPE_CHECKING:
        assert_type(amounts, list[rf.Value[Amount]])
    return round(sum(amount.get()["total"] for amount in amounts), 2)


if TYPE_CHECKING:
    assert_type(read_amount.on("seedling").run("..."), Amount)
    assert_type(add_up.on("seedling").run(["..."]), float)
