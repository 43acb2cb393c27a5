"""Events: partial values, tool calls, the buffer, readers in threads and loops; for `def` and `async def`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import InvalidRequest
from ramify.lang.events import Event, EventQueue, NodeDone, NodeStarted, PartialValue, TextDelta, ToolCall, ToolResult
from ramify.lang.testing import Scripted
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


@dataclass
class Fix:
    title: str
    lines: list[int]


FIX = {
    "type": "object",
    "properties": {"a": {"enum": ["x", "yy"]}, "b": {"type": "boolean"}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


def test_partial_values_of_a_gen_come_in_order_and_end_with_the_whole(parts: Parts) -> None:
    @rf.function
    def typed(s: rf.State) -> Any:
        s += "a" + rf.gen("x", type=FIX, max_tokens=100, temperature=1.0)
        return s["x"]

    async def main() -> tuple[Any, list[Event]]:
        _, link = make_world(parts, 61, 1)
        each = typed.on(events=True).launch(link)
        return await each, list(each.events())

    value, events = run(main())
    partial = [event for event in events if isinstance(event, PartialValue)]
    assert [event.value for event in partial][-1] == value
    assert set(partial[0].value) <= {"a", "b"} and len(partial) in (1, 2)
    text = ""
    for event in events:  # what a partial value holds was in the text before it
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, PartialValue):
            assert all(f'"{key}"' in text for key in event.value)


@rf.function
def tools(s: rf.State) -> str:
    s += "a" + rf.gen("fix", type=Fix)
    count = rf.blocking(len, s["fix"].get().lines)
    try:
        rf.blocking(int, "no number")
    except ValueError as error:
        return f"{count} {error}"
    return ""


@rf.function
async def tools_async(s: rf.State) -> str:
    s += "a" + rf.gen("fix", type=Fix)
    count = await rf.ablocking(len, (await s["fix"]).lines)
    try:
        await rf.ablocking(int, "no number")
    except ValueError as error:
        return f"{count} {error}"
    return ""


@pytest.mark.parametrize("program", [tools, tools_async])
def test_blocking_calls_are_told_with_arguments_and_outcomes(program: rf.Program[[], str]) -> None:
    done = program.on(Scripted({"fix": Fix("t", [1, 2])}), events=True).start()
    assert done.result().startswith("2 invalid literal")
    events = list(done.events())
    name = program.name
    assert events[0] == NodeStarted(run=name, path=f"{name}/fix[0]", name="fix")
    assert [e.value for e in events if isinstance(e, PartialValue)] == [{"title": "t", "lines": [1, 2]}]
    calls = [e for e in events if isinstance(e, ToolCall | ToolResult)]
    assert calls[:2] == [
        ToolCall(run=name, path=f"{name}/len[0]", name="len", arguments=("[1, 2]",)),
        ToolResult(run=name, path=f"{name}/len[0]", name="len", result="2"),
    ]
    assert calls[2].path == calls[3].path == f"{name}/int[0]"
    assert isinstance(calls[3], ToolResult) and "ValueError: invalid literal" in (calls[3].error or "")


def test_what_is_long_is_cut_in_events() -> None:
    @rf.function
    def program(s: rf.State) -> int:
        return len(rf.blocking(str.upper, "x" * 5_000))

    done = program.on(Scripted({}), events=True).start()
    assert done.result() == 5_000
    call, result = done.events()
    assert isinstance(call, ToolCall) and len(call.arguments[0]) == 1_003
    assert isinstance(result, ToolResult) and len(result.result or "") == 1_003


def test_attempts_of_a_checked_gen_have_partial_values_of_their_own() -> None:
    @rf.function
    def program(s: rf.State) -> Any:
        def short(fix: Fix) -> None:
            if len(fix.lines) > 1:
                raise ValueError("too long")

        s += "a" + rf.gen("fix", type=Fix, check=short)
        return s["fix"]

    done = program.on(Scripted({"fix": [Fix("a", [1, 2]), Fix("b", [3])]}), events=True).start()
    done.result()
    partial = [(e.path.rpartition("/")[2], e.value["title"]) for e in done.events() if isinstance(e, PartialValue)]  # type: ignore[call-overload]
    assert partial == [("fix[0]", "a"), ("retry[1]", "b")]


def test_with_more_unread_than_the_buffer_new_events_are_counted_and_dropped() -> None:
    @rf.function
    def program(s: rf.State) -> None:
        s += "a"
        for _ in range(5):
            s += rf.gen("x")

    done = program.on(Scripted({"x": "y"}), events=True).start()
    done.result()
    assert done.events(buffer=3).dropped == 0 and len(list(done.events())) == 15

    queue = EventQueue("r")
    queue.limit(2)
    for name in "abc":
        queue.called(name, name, ())
    queue.close()
    assert [event.path for event in queue] == ["a", "b"] and queue.dropped == 1
    with pytest.raises(InvalidRequest, match="buffer is 0"):
        done.events(buffer=0)


def test_events_are_read_in_any_event_loop_without_a_thread() -> None:
    @rf.function
    def program(s: rf.State) -> str:
        s += "a" + rf.gen("x")
        rf.blocking(len, "abc")
        return s["x"]

    async def read(events: EventQueue) -> list[str]:
        return [type(event).__name__ async for event in events]

    async def main() -> tuple[str, list[str]]:
        each = program.on(Scripted({"x": "y"}), events=True).start()
        names, result = await asyncio.gather(read(each.events()), each._awaited())
        return result, names

    result, names = asyncio.run(main())
    assert result == "y"
    assert sorted(names) == sorted(["NodeStarted", "ToolCall", "TextDelta", "NodeDone", "ToolResult"])


def test_a_second_reader_ends_too() -> None:
    queue = EventQueue("r")
    queue.called("a", "a", ())
    queue.close()
    assert len(list(queue)) == 1 and list(queue) == []


def test_a_run_that_records_no_events_says_how_to_get_them() -> None:
    @rf.function
    def program(s: rf.State) -> None: ...

    with pytest.raises(InvalidRequest) as caught:
        program.on(Scripted({})).start().events()
    assert "events=True" in caught.value.hint


def test_selects_and_gens_end_with_one_event_each() -> None:
    @rf.function
    def program(s: rf.State) -> None:
        s += "a" + rf.gen("x")
        s.select("y", ["p", "q"])

    done = program.on(Scripted({"x": "1", "y": "q"}), events=True).start()
    done.result()
    assert [e.path.rpartition("/")[2] for e in done.events() if isinstance(e, NodeDone)] == ["x[0]", "y[0]"]
