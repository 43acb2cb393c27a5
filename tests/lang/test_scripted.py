"""`testing.Scripted`: programs are unit-tested without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
import ramify as rf
from ramify.errors import NodeError, OutputInvalid, WorkerError
from ramify.lang.events import TextDelta
from ramify.lang.testing import Raw, Scripted

Kind = Literal["bug", "feature"]


@dataclass
class Fix:
    title: str
    lines: int


@rf.function
def triage(s: rf.State, ticket: str) -> Fix:
    s += rf.system("You sort tickets.") + rf.user(ticket)
    s += rf.assistant(rf.gen("kind", type=Kind))
    drafts = s.fork(2)
    for draft in drafts:
        draft += rf.user(rf.fmt("Fix this {kind}.", kind=s["kind"]))
        draft += rf.assistant(rf.gen("fix", type=Fix))
    return min((draft["fix"].get() for draft in drafts), key=lambda fix: fix.lines)


def test_answers_by_name_and_calls_are_recorded() -> None:
    engine = Scripted({"kind": "bug", "fix": [Fix("a", 9), Fix("b", 2)]})
    assert triage.on(engine).run("It crashes.") == Fix("b", 2)
    assert [call.name for call in engine.calls] == ["kind", "fix", "fix"]
    assert engine.calls[0].messages == [
        {"role": "system", "content": "You sort tickets."},
        {"role": "user", "content": "It crashes."},
        {"role": "assistant", "content": ""},
    ]
    assert engine.calls[2].messages[3]["content"] == 'Fix this "bug".'
    assert engine.calls[0].schema == {"enum": ["bug", "feature"]}


def test_a_list_answers_in_order_and_a_function_answers_by_call() -> None:
    assert triage.on(Scripted(["feature", Fix("a", 1), Fix("b", 2)])).run("x") == Fix("a", 1)

    def answer(call: rf.testing.Call) -> Any:
        return "bug" if call.name == "kind" else Fix(call.path, len(call.text))

    assert triage.on(Scripted(answer)).run("x").title.endswith("fork[0][0]/fix[0]")


def test_an_answer_of_another_type_is_refused_with_its_place() -> None:
    with pytest.raises(NodeError) as caught:
        triage.on(Scripted({"kind": "question", "fix": Fix("a", 1)})).run("x")
    assert isinstance(caught.value.__cause__, OutputInvalid)
    assert "'question' is not one of" in caught.value.__cause__.what


def test_raw_text_may_be_broken_to_test_how_a_program_copes() -> None:
    with pytest.raises(NodeError, match="not of the promised type"):
        triage.on(Scripted({"kind": "bug", "fix": Raw('{"title"')})).run("x")


def test_failures_can_be_scripted() -> None:
    with pytest.raises(NodeError) as caught:
        triage.on(Scripted({"kind": WorkerError("out of memory"), "fix": Fix("a", 1)})).run("x")
    assert isinstance(caught.value.__cause__, WorkerError)


def test_a_script_that_runs_out_says_so() -> None:
    with pytest.raises(NodeError, match="asks for one more"):
        triage.on(Scripted({"kind": "bug", "fix": [Fix("a", 1)]})).run("x")
    with pytest.raises(NodeError, match="no answer for 'kind'"):
        triage.on(Scripted({"fix": Fix("a", 1)})).run("x")


def test_checks_children_events_and_reads_work_on_a_script() -> None:
    @rf.function
    def child(s: rf.State, n: int) -> str:
        s += f"n={n}" + rf.gen("c")
        return s["c"]

    @rf.function
    def parent(s: rf.State) -> tuple[int, list[str], str]:
        def small(value: int) -> None:
            if value > 5:
                raise ValueError("too large")

        s += rf.user("number") + rf.assistant(rf.gen("n", type=int, check=small))
        return s["n"], rf.map(child, range(3)), s.text()  # type: ignore[return-value]

    engine = Scripted({"n": [9, 3], "c": "yes"})
    run = parent.on(engine, events=True).start()
    assert run.result() == (3, ["yes"] * 3, "number9too large3")
    deltas = [event for event in run.events() if isinstance(event, TextDelta)]
    assert [event.text for event in deltas if "/n[0]" in event.path] == ["9", "3"]
    assert [event.text for event in deltas if "/c[0]" in event.path] == ["yes"] * 3


def test_no_torch_is_loaded() -> None:
    import subprocess
    import sys

    code = (
        "import sys, ramify as rf\n"
        "@rf.function\n"
        "def p(s):\n"
        "    s += 'a' + rf.gen('x')\n"
        "    return s['x']\n"
        "assert p.on(rf.testing.Scripted({'x': 'b'})).run() == 'b'\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd="/")
