"""Choose a label by the model's own probabilities, then branch in Python on it: no token is generated."""

from __future__ import annotations

import ramify as rf

LEVELS = ["high", "medium", "low"]


@rf.function
def route(s: rf.State, text: str) -> str:
    s += rf.system("Classify the urgency: high, medium or low.") + rf.user(text)
    with s.assistant():
        urgency = s.select("urgency", LEVELS)
    if max(urgency.probabilities.values()) < 0.6:  # a fence: Python looks at the value
        return "let a person decide"
    if urgency == "high":
        return "call the person on duty"
    return "answer within a day"


if __name__ == "__main__":
    for text in ("Only if you are free. This is about the invoice.", "Right now, please! The server is down."):
        print(text, "->", route.on("seedling").run(text))
