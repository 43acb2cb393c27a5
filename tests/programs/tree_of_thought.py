"""Breadth-first search over thoughts: at each level every kept state proposes, a program scores, the rest is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_type

import ramify as rf

Score = Literal[1, 2, 3, 4, 5]


@rf.function
def judge(s: rf.State, question: str, thought: str) -> rf.Value[Score]:
    s += rf.user(rf.fmt("Question: {q}\nThought: {t}\nHow promising is it, from 1 to 5?", q=question, t=thought))
    with s.assistant():
        return s.gen("score", type=Score)


@rf.function
def solve(s: rf.State, question: str, depth: int = 3, width: int = 3, keep: int = 2) -> list[str]:
    s += rf.system("Think in small steps.") + rf.user(question)
    kept = [s]
    for _ in range(depth):
        thoughts = [child for state in kept for child in state.fork(width)]
        for thought in thoughts:
            thought += rf.assistant(rf.gen("thought", max_tokens=12, temperature=1.0))
        kept = rf.best(thoughts, score=lambda state: judge(question, state["thought"]), k=keep).get()
        for thought in thoughts:
            if thought not in kept:
                thought.cancel()
    return [str(thought) for thought in kept[0].all("thought")]


if TYPE_CHECKING:
    assert_type(judge.on("seedling").run("q", "t"), Score)
    assert_type(solve.on("seedling").run("q", depth=2), list[str])
