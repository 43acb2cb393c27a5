"""Roles as blocks, what nesting and exceptions do to a stream, and `messages()`."""

from __future__ import annotations

from typing import Any

import pytest
import ramify as rf
from lang_world import play
from ramify.errors import InvalidRequest, NodeError
from ramify.lang.testing import Raw, Scripted
from ramify.runtime.sim.simulation import Parts

GEN: dict[str, Any] = {"max_tokens": 3, "ignore_eos": True, "temperature": 0}


@rf.function
def blocks(s: rf.State, page: str) -> tuple[str, str]:
    with s.system():
        s += "Be "
        s += "brief."
    with s.user():
        s += "Look at " + rf.control("") + "this: "
        s += page
    with s.assistant():
        s += "So: "
        s += rf.gen("a", **GEN)
    with s.tool():
        s += "12"
    return s["a"], s.text()


@rf.function
async def blocks_async(s: rf.State, page: str) -> tuple[str, str]:
    with s.system():
        s += "Be "
        s += "brief."
    with s.user():
        s += "Look at "
        s += "this: " + page
    with s.assistant():
        s += "So: "
        await s.gen("a", **GEN)
    with s.tool():
        s += "12"
    return s["a"], await s.text()


@rf.function
def expressions(s: rf.State, page: str) -> tuple[str, str]:
    s += rf.system("Be brief.") + rf.user("Look at this: ", page)
    s += rf.assistant("So: ", rf.gen("a", **GEN)) + rf.tool("12")
    return s["a"], s.text()


def test_blocks_and_expressions_are_the_same_stream(parts: Parts) -> None:
    expected = play(parts, expressions, "a page")
    assert play(parts, blocks, "a page") == expected
    assert play(parts, blocks_async, "a page") == expected


def line_of(error: InvalidRequest) -> tuple[str, str]:
    return error.where.rpartition(":")[2], error.what.rpartition(":")[2].split()[0]


def test_a_turn_inside_a_turn_names_both_lines() -> None:
    @rf.function
    def nested(s: rf.State) -> None:
        with s.user():
            s += "x"
            s += rf.assistant("no")

    @rf.function
    async def nested_async(s: rf.State) -> None:
        with s.user():
            s += "x"
            with s.tool():
                pass

    for program, inner in ((nested, "assistant"), (nested_async, "tool")):
        with pytest.raises(InvalidRequest, match=f"{inner} turn inside another turn: the user turn of") as caught:
            program.on(Scripted({})).run()
        where, opened = line_of(caught.value)
        assert int(where) == int(opened) + 2
        assert "test_turns.py" in caught.value.where and "test_turns.py" in caught.value.what


def test_an_exception_leaves_the_turn_closed_with_what_it_held(parts: Parts) -> None:
    @rf.function
    def interrupted(s: rf.State) -> tuple[list[dict[str, str]], str]:
        with pytest.raises(KeyError), s.user():
            s += "half of "
            raise KeyError("mine")
        with pytest.raises(rf.errors.InvalidType):
            s += rf.user("other ", 42)  # type: ignore[arg-type]
        s += rf.assistant(rf.gen("a", **GEN))
        return s.messages(), s.text()

    messages, text = play(parts, interrupted)
    assert [(m["role"], m["content"]) for m in messages[:2]] == [("user", "half of "), ("user", "other ")]
    assert messages[2]["role"] == "assistant" and len(messages) == 3
    assert "half of <|im_end|>" in text


def test_a_fork_inside_a_turn_goes_on_inside_it(parts: Parts) -> None:
    @rf.function
    def drafts(s: rf.State) -> list[Any]:
        s += rf.user("q")
        with s.assistant():
            s += "Answer: "
            a, b = s.fork(2)
            s += "none"
        a += rf.gen("x", **GEN)
        b += "B" + rf.gen("x", **GEN)
        b += rf.user("sure?")
        return [s.messages(), a.messages(), b.messages(), a["x"], b["x"], b.text()]

    s, a, b, ax, bx, text = play(parts, drafts)
    assert s[1:] == [{"role": "assistant", "content": "Answer: none"}]
    assert a[1:] == [{"role": "assistant", "content": f"Answer: {ax}"}]
    assert b[1:] == [{"role": "assistant", "content": f"Answer: B{bx}"}, {"role": "user", "content": "sure?"}]
    assert f"Answer: B{bx}<|im_end|>\n<|im_start|>user\nsure?<|im_end|>" in text


# ---- messages ---------------------------------------------------------------------------------------------------


def test_messages_are_a_value_of_the_chat_at_that_place() -> None:
    @rf.function
    def chat(s: rf.State) -> Any:
        s += "raw text " + rf.user("n?")
        early = s.messages()
        s += rf.assistant(rf.gen("n", type=int))
        s += rf.user(rf.fmt("why {n}?", n=s["n"]))
        late = s.messages()
        assert isinstance(late, rf.Value)
        return early, late, len(late)

    @rf.function
    async def chat_async(s: rf.State) -> Any:
        s += "raw text " + rf.user("n?")
        early = s.messages()
        s += rf.assistant(rf.gen("n", type=int))
        s += rf.user(rf.fmt("why {n}?", n=s["n"]))
        return early, s.messages(), len(await s.messages())

    question, answer, why = ({"role": "user", "content": "n?"}, {"role": "assistant", "content": "7"}, "why 7?")
    expected = ([question], [question, answer, {"role": "user", "content": why}], 3)
    assert chat.on(Scripted({"n": 7})).run() == expected
    assert chat_async.on(Scripted({"n": 7})).run() == expected


def test_messages_hold_failed_attempts_as_the_model_saw_them() -> None:
    @rf.function
    def checked(s: rf.State) -> Any:
        def even(n: int) -> None:
            if n % 2:
                raise ValueError(f"{n} is odd")

        s += rf.user("n?") + rf.assistant("n=", rf.gen("n", type=int, check=even), ".")
        s += rf.user(rf.fmt("{n}!", n=s["n"])) + rf.assistant(rf.gen("more"))
        return s.messages(), s["more"]

    engine = Scripted({"n": [1, 3, 4], "more": "ok"})
    messages, _ = checked.on(engine).run()
    assert [(m["role"], m["content"]) for m in messages] == [
        ("user", "n?"),
        ("assistant", "n=1"),
        ("user", "1 is odd"),
        ("assistant", "3"),
        ("user", "3 is odd"),
        ("assistant", "4."),
        ("user", "4!"),
        ("assistant", "ok"),
    ]
    assert messages[:-1] == engine.calls[-1].messages[:-1]


def test_a_failed_value_in_the_chat_is_raised_where_it_is_looked_at() -> None:
    @rf.function
    def broken(s: rf.State) -> Any:
        s += rf.user("n?") + rf.assistant(rf.gen("n", type=int))
        return s.messages()

    with pytest.raises(NodeError, match="not of the promised type"):
        broken.on(Scripted({"n": Raw("x")})).run()
