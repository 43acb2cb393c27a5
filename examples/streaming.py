"""Events as they happen, each with the path of its node, so that many branches can be told apart."""

from __future__ import annotations

import ramify as rf


@rf.function
def two_answers(s: rf.State, text: str) -> list[str]:
    s += rf.user(text)
    branches = s.fork(2)
    for branch in branches:
        branch += rf.assistant(rf.gen("answer", max_tokens=20))
    return [branch["answer"] for branch in branches]


if __name__ == "__main__":
    run = two_answers.on("seedling", events=True).start("Repeat: Marcus Aurelius, Lisbon, 4417")
    for event in run.events():
        if isinstance(event, rf.TextDelta | rf.NodeDone):
            print(f"{event.path:<40} {type(event).__name__:<10} {event.text!r}")
    print(run.result())
