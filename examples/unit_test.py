"""A unit test of a program: `Scripted` answers in place of a model, checks the answers, and records the calls.

pytest examples/unit_test.py
"""

from __future__ import annotations

from typing import Literal

import ramify as rf
from ramify.testing import Scripted

Kind = Literal["bug", "feature"]


@rf.function
def triage(s: rf.State, ticket: str) -> str:
    s += rf.system("You sort tickets.") + rf.user(ticket)
    with s.assistant():
        kind = s.gen("kind", type=Kind)
    if kind == "feature":
        return "thank you for the idea"
    s += rf.user("Ask for what is missing.")
    with s.assistant():
        return str(s.gen("question", max_tokens=40))


def test_a_bug_is_asked_about() -> None:
    engine = Scripted({"kind": "bug", "question": "Which version?"})
    assert triage.on(engine).run("It crashes.") == "Which version?"
    assert engine.calls[0].messages[1] == {"role": "user", "content": "It crashes."}


def test_an_idea_needs_one_call() -> None:
    engine = Scripted({"kind": "feature"})
    assert triage.on(engine).run("Could it be blue?") == "thank you for the idea"
    assert [call.name for call in engine.calls] == ["kind"]


if __name__ == "__main__":
    test_a_bug_is_asked_about()
    test_an_idea_needs_one_call()
    print("both hold")
