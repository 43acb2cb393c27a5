"""ReAct: think, call one of two tools, read the result, again; within a number of steps and a budget of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_type

import msgspec
import ramify as rf


class Call(msgspec.Struct, tag_field="kind", tag="call"):
    tool: Literal["search", "calculator"]
    input: str


class Finish(msgspec.Struct, tag_field="kind", tag="finish"):
    answer: str


PAGES = {"height of the tower": "330 metres", "height of the bridge": "49 metres"}


def search(query: str) -> str:
    return PAGES.get(query, "nothing found")


def calculator(expression: str) -> str:
    left, operator, right = expression.split()
    numbers = {"+": float(left) + float(right), "-": float(left) - float(right)}
    return f"{numbers[operator]:g}"


TOOLS = {"search": search, "calculator": calculator}


@rf.function
def react(s: rf.State, question: str, steps: int = 6) -> str:
    s += rf.system("Answer by calling tools.") + rf.user(question)
    for _ in range(steps):
        with s.assistant():
            step: Call | Finish = s.gen("step", type=Call | Finish, max_tokens=80).get()
        if isinstance(step, Finish):
            return step.answer
        s += rf.tool(rf.blocking(TOOLS[step.tool], step.input))
    return "I do not know."


if TYPE_CHECKING:
    assert_type(react.on("seedling", budget=500).run("..."), str)
