"""The state in other hands, on a real (small, random) model: sessions, fields, budgets, partial values, the cache."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal, TypedDict

import pytest
import ramify as rf
from ramify.errors import BudgetExceeded, NodeError
from ramify.lang.events import PartialValue

GREEDY: dict[str, Any] = {"max_tokens": 5, "ignore_eos": True, "temperature": 0}


class Point(TypedDict):
    kind: Literal["one", "two"]
    ok: bool


@rf.function
def chat(s: rf.State) -> list[str]:
    with s.system():
        s += "Be brief."
    for word in ("one", "two"):
        s += rf.user(word) + rf.assistant(rf.gen("a", **GREEDY))
    return [str(value) for value in s.all("a")] + [s.text().get()]


def test_a_chat_by_hand_is_the_chat_of_a_program(engine: rf.Engine) -> None:
    expected = chat.on(engine).run()
    with rf.open(engine, history=[{"role": "system", "content": "Be brief."}]) as s:
        for word in ("one", "two"):
            s += rf.user(word) + rf.assistant(rf.gen("a", **GREEDY))
        assert [str(value) for value in s.all("a")] + [s.text().get()] == expected
        with rf.open(engine, history=s.messages().get()) as again:
            assert again.text().get() == expected[-1]
    assert s.run.report().gens == 2


def test_an_async_chat_by_hand_is_the_same(engine: rf.Engine) -> None:
    async def main() -> list[str]:
        async with rf.open(engine, history=[{"role": "system", "content": "Be brief."}]) as s:
            for word in ("one", "two"):
                with s.user():
                    s += word
                with s.assistant():
                    s.gen("a", **GREEDY)
            return [await value for value in s.all("a")] + [await s.text()]

    assert asyncio.run(main()) == chat.on(engine).run()


def test_sessions_of_many_threads_and_a_program_go_on_side_by_side(engine: rf.Engine) -> None:
    expected = chat.on(engine).run()
    found: list[list[str]] = []

    def by_hand() -> None:
        with rf.open(engine) as s:
            s += rf.system("Be brief.")
            for word in ("one", "two"):
                s += rf.user(word) + rf.assistant(rf.gen("a", **GREEDY))
                str(s["a"])
            found.append([str(value) for value in s.all("a")] + [s.text().get()])

    threads = [threading.Thread(target=by_hand) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert chat.on(engine).run() == expected
    for thread in threads:
        thread.join(60)
    assert found == [expected] * 4


@rf.function
def fields(s: rf.State) -> tuple[Point, str]:
    s += rf.user("a point?") + rf.assistant(rf.gen("point", type=Point, max_tokens=100, temperature=1.0))
    other = s.fork()[0]
    other += rf.user(s["point"].field("kind"), "/", s["point"].field("ok"))
    return s["point"], other.text()  # type: ignore[return-value]


@rf.function
async def fields_async(s: rf.State) -> tuple[Point, str]:
    s += rf.user("a point?") + rf.assistant(rf.gen("point", type=Point, max_tokens=100, temperature=1.0))
    other = s.fork()[0]
    other += rf.user(s["point"].field("kind"), "/", s["point"].field("ok"))
    return await s["point"], await other.text()


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_field_is_spliced_by_the_engine_and_partial_values_end_with_the_value(engine: rf.Engine, kind: str) -> None:
    bound = (fields if kind == "def" else fields_async).on(engine, seed=3, events=True)
    run = bound.start()
    value, text = run.result()
    assert f"user\n{value['kind']}/{'true' if value['ok'] else 'false'}<|im_end|>" in text
    partial = [event.value for event in run.events() if isinstance(event, PartialValue)]
    assert partial[-1] == value and all(set(some) <= set(value) for some in partial)


def test_a_budget_is_kept_by_the_gens_of_forks_together(engine: rf.Engine) -> None:
    @rf.function
    def program(s: rf.State) -> list[int]:
        s += "a"
        lengths = []
        for branch in s.fork(6):
            branch += rf.gen("x", max_tokens=10, ignore_eos=True)
            try:
                lengths.append(branch["x"].usage.decoded)
            except NodeError as error:
                assert isinstance(error.__cause__, BudgetExceeded)
                lengths.append(0)
        return lengths

    run = program.on(engine, budget=34).start()
    assert run.result() == [10, 10, 10, 4, 0, 0]
    assert run.budget is not None and run.budget.used == 34 == run.report().decoded


def test_a_run_without_cache_finds_nothing_and_leaves_nothing(engine: rf.Engine) -> None:
    @rf.function
    def program(s: rf.State, prompt: str) -> int:
        s += prompt + rf.gen("x", max_tokens=2)
        s["x"].get()
        return s["x"].usage.cached

    prompt = "Once upon a time there was a prompt of its own. " * 2
    assert program.on(engine, cache=False).run(prompt) == 0
    assert program.on(engine, cache=False).run(prompt) == 0
    assert program.on(engine).run(prompt) == 0, "the runs before left nothing for others"
    assert program.on(engine).run(prompt) > 0
