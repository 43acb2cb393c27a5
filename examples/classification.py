"""Classify, then branch in Python on the answer: the label is one of the choices, by grammar."""

from __future__ import annotations

from typing import Literal, TypedDict

import ramify as rf
from ramify.seedling.notation import describe

Urgency = Literal["high", "medium", "low"]


class Ticket(TypedDict):
    urgency: Urgency


@rf.function
def route(s: rf.State, text: str) -> str:
    s += rf.system(f"Extract JSON with fields: {describe(rf.schema(Ticket))}")
    s += rf.user(text) + rf.assistant(rf.gen("ticket", type=Ticket, max_tokens=20))
    if s["ticket"]["urgency"] == "high":  # a fence: Python looks at the value
        return "call the person on duty"
    return "answer within a day"


if __name__ == "__main__":
    for text in ("Only if you are free. This is about the invoice.", "Right now, please! The server is down."):
        print(text, "->", route.on("seedling").run(text))
