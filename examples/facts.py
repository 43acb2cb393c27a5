"""A chat that remembers: each turn goes on from the KV of the one before; nothing is sent or computed twice."""

from __future__ import annotations

import ramify as rf

FACTS = ("Samuel is a carpenter.", "You find Pediathni in room 586.", "Samuel is aged 41.")
QUESTIONS = ("What is the job of Samuel?", "Which room is Pediathni in?", "How old is Samuel?")


@rf.function
def chat(s: rf.State, facts: tuple[str, ...], questions: tuple[str, ...]) -> list[str]:
    s += rf.system("You keep notes for the user.")
    for fact in facts:
        s += rf.user(fact) + rf.assistant(rf.gen("noted", max_tokens=20))
    for question in questions:
        s += rf.user(question) + rf.assistant(rf.gen("answer", max_tokens=20))
    return [str(answer) for answer in s.all("answer")]


if __name__ == "__main__":
    run = chat.on("seedling").start(FACTS, QUESTIONS)
    for question, answer in zip(QUESTIONS, run.result(), strict=True):
        print(question, answer)
    print(run.report())
