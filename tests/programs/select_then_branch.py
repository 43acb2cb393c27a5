"""A choice by the model's own probabilities decides which way the program goes; when it is unsure, a person does."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, assert_type

import ramify as rf


class Mood(enum.Enum):
    GOOD = "positive"
    BAD = "negative"
    PLAIN = "neutral"


@rf.function
def answer(s: rf.State, message: str) -> str:
    s += rf.user(rf.fmt("Classify the sentiment (one of: positive, negative, neutral).\n{text}", text=message))
    with s.assistant():
        mood = s.select("mood", Mood)
    if TYPE_CHECKING:
        assert_type(mood, rf.Selected[Mood])
    if max(mood.probabilities.values()) < 0.5:
        return "ask a person"
    if mood == Mood.BAD:
        s += rf.user("Name what is wrong.")
        with s.assistant():
            return str(s.gen("reason", max_tokens=16))
    return "say thank you"


if TYPE_CHECKING:
    assert_type(answer.on("seedling").run("..."), str)
