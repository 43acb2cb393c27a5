"""Programs whose graphs stand in golden files. `python graph_programs.py` (in this folder) writes the files again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import ramify as rf
from ramify.lang.graph_text import graph_text
from ramify.lang.passes import PASSES
from ramify.lang.passes.interface import CharacterMeter, Outcome

GOLDEN = Path(__file__).parent / "passes" / "golden"
POLICY = "Answer in one line, in the language of the question, and say nothing that is not in the text."


def not_empty(text: str) -> None:
    if not text:
        raise ValueError("write something")


@rf.function
def merge(s: rf.State, name: str) -> str:
    s += rf.system("You are ", "short", ".") + rf.user("Hello, ", name, "! ", "How ", "are you?")
    left, right = s.fork(2)
    left += "a"
    right += "b"
    left += "c"  # not next to "a" in time, but on its stream
    left += rf.control("<x>") + "d" + rf.gen("reply")
    return left["reply"]


@rf.function
def select(s: rf.State) -> str:
    s += "Colour: "
    s += rf.select("colour", ["red", "reddish", "blue"]) + rf.select("kind", ["bug", "feature"])
    return s["kind"]


@rf.function
def judge(s: rf.State, text: str) -> str:
    s += rf.user("Judge this: ", text) + rf.assistant(rf.gen("score", type=Literal["1", "2"]))
    return s["score"]


@rf.function
def fork(s: rf.State, question: str) -> list[str]:
    s += rf.system(POLICY) + rf.user(question)
    drafts = s.fork(3)
    for draft in drafts:
        draft += rf.assistant(rf.gen("draft", max_tokens=20))
    s += "later"
    (late,) = s.fork(1)
    late += "!"
    return [judge(draft["draft"]) for draft in drafts]


@rf.function
def live(s: rf.State) -> str:
    s += "plan"
    a, b = s.fork(2)
    a += rf.gen("a", max_tokens=10)
    b += rf.fmt("given {a}: ", a=a["a"]) + rf.gen("b", type=bool)
    if b["b"]:
        s += "more" + rf.gen("more", max_tokens=5)
        return s["more"]
    b += "else" + rf.gen("rest", max_tokens=5)
    return b["rest"]


@rf.function
def critical(s: rf.State) -> str:
    short, long = s.fork(2)
    short += rf.gen("short", max_tokens=10)
    long += rf.gen("long", max_tokens=50)
    s += rf.fmt("{a} {b}", a=short["short"], b=long["long"]) + rf.gen("join", max_tokens=20)
    if s.gen("sure", type=bool):
        return s["join"]
    s += rf.gen("again", max_tokens=100)
    return s["again"]


@rf.function
def grammars(s: rf.State) -> str:
    s += rf.gen("kind", type=Literal["a", "b"]) + rf.gen("same", type=Literal["a", "b"])
    if s["kind"] == "a":
        s += rf.gen("n", type=int, check=not_empty)
    return "done"


@rf.function
def layout(s: rf.State, ticket: str) -> str:
    s += rf.user(ticket, "\n", POLICY) + rf.assistant(rf.gen("answer", max_tokens=10))
    s += rf.user(POLICY)
    return s["answer"]


PROGRAMS: dict[str, rf.Program[Any, Any]] = {
    "merge text": merge,
    "layout lint": layout,
    "lower select": select,
    "fork groups": fork,
    "grammar precompile": grammars,
    "critical path": critical,
    "liveness": live,
}


def before(name: str) -> str:
    return graph_text(PROGRAMS[name].graph())


def run_pass(name: str) -> Outcome:
    return PASSES[name].run(PROGRAMS[name].graph(), CharacterMeter())


def after(name: str) -> str:
    outcome = run_pass(name)
    findings = [f"  {f.amount} {f.unit}: {f.what}" for f in outcome.findings]
    return "\n".join([graph_text(outcome.graph, outcome.notes), f"saves: {outcome.saves}", *findings, ""])


def golden(name: str, write: Callable[[str], str]) -> tuple[Path, str]:
    return GOLDEN / f"{name.replace(' ', '_')}.{write.__name__}.txt", write(name)


if __name__ == "__main__":
    for name in PROGRAMS:
        for write in (before, after):
            path, text = golden(name, write)
            path.write_text(text)
