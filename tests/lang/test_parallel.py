"""map, first, best, concat and blocking, on a virtual clock."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import InvalidRequest, NodeError
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


def play(parts: Parts, program: rf.Program[Any, Any], *args: Any) -> Any:
    async def main() -> Any:
        world, link = make_world(parts, 31, 1)
        result = await program.launch(link, *args)
        await world.settle()
        return result

    return run(main())


@rf.function
def shout(s: rf.State, word: str) -> str:
    s += word + rf.gen("x", max_tokens=3, ignore_eos=True, temperature=0)
    return f"{word}:{s['x']}"


def test_map_keeps_the_order_of_its_items(parts: Parts) -> None:
    words = [f"w{i}" for i in range(20)]

    @rf.function
    def all_of(s: rf.State) -> list[str]:
        return rf.map(shout, words)  # type: ignore[return-value]

    results = play(parts, all_of)
    assert [text.split(":")[0] for text in results] == words
    assert results[7] == play(parts, shout, "w7")


def test_map_runs_no_more_than_its_limit_at_once(parts: Parts) -> None:
    running: list[int] = []
    most: list[int] = []

    @rf.function
    def counted(s: rf.State, i: int) -> int:
        running.append(i)
        most.append(len(running))
        s += f"item {i}" + rf.gen("x", max_tokens=3, ignore_eos=True)
        str(s["x"])
        running.remove(i)
        return i

    @rf.function
    def all_of(s: rf.State) -> list[int]:
        return rf.map(counted, range(12), limit=3)  # type: ignore[return-value]

    assert play(parts, all_of) == list(range(12))
    assert max(most) == 3


def test_an_item_that_fails_fails_alone(parts: Parts) -> None:
    @rf.function
    def odd(s: rf.State, i: int) -> int:
        if i == 2:
            raise ValueError("two")
        return i

    @rf.function
    def all_of(s: rf.State) -> list[Any]:
        out: list[Any] = []
        for value in rf.map(odd, range(4)):
            try:
                out.append(value.get())
            except NodeError as error:
                out.append(error.path.rsplit("/", 1)[1])
        return out

    assert play(parts, all_of) == [0, 1, f"{odd.name}[2]", 3]


def test_best_takes_the_highest_scores_in_order(parts: Parts) -> None:
    @rf.function
    def choose(s: rf.State) -> tuple[list[int], list[int]]:
        branches = s.fork(4)
        for i, branch in enumerate(branches):
            branch += f"branch {i}" + rf.gen("x", max_tokens=4, temperature=1.0, ignore_eos=True)
        winners = rf.best(branches, lambda b: len(str(b["x"])), k=2)
        return [branches.index(b) for b in winners], [len(str(b["x"])) for b in branches]

    chosen, lengths = play(parts, choose)
    assert chosen == sorted(range(4), key=lambda i: -lengths[i])[:2]


def test_programs_may_score(parts: Parts) -> None:
    @rf.function
    def judge(s: rf.State, text: str) -> float:
        return -float(len(text))

    @rf.function
    async def choose(s: rf.State) -> tuple[str, list[str]]:
        branches = s.fork(3)
        for i, branch in enumerate(branches):
            branch += f"branch {i}" + rf.gen("x", max_tokens=4, temperature=1.0, ignore_eos=True)
        for branch in branches:
            await branch["x"]
        texts = [await branch["x"] for branch in branches]
        (winner,) = await rf.best(branches, lambda b: judge(texts[branches.index(b)]))
        return await winner["x"], texts

    winner, texts = play(parts, choose)
    assert winner == min(texts, key=len)


def test_first_cancels_the_others(parts: Parts) -> None:
    @rf.function
    def race(s: rf.State) -> list[int]:
        branches = s.fork(3)
        for i, branch in enumerate(branches):
            branch += f"branch {i}" + rf.gen("x", max_tokens=[400, 3, 400][i], ignore_eos=True)
        return [branches.index(b) for b in rf.first(branches)]

    assert play(parts, race) == [1]


def test_concat_joins_what_the_branches_added(parts: Parts) -> None:
    @rf.function
    def join(s: rf.State) -> tuple[list[str], str]:
        s += "start "
        branches = s.fork(2)
        for i, branch in enumerate(branches):
            branch += f"{i}=" + rf.gen("x", max_tokens=3, ignore_eos=True)
        s += rf.concat(branches, "; ")
        return [b["x"] for b in branches], s.text()  # type: ignore[return-value]

    (a, b), text = play(parts, join)
    assert text == f"start 0={a}; 1={b}"


def test_blocking_leaves_the_loop_to_others(parts: Parts) -> None:
    @rf.function
    def slow(s: rf.State) -> bool:
        here = threading.get_ident()
        return rf.blocking(threading.get_ident) != here

    import asyncio

    from ramify.lang.hub import Hub
    from ramify.lang.link import Link

    async def main() -> bool:  # a real loop: another thread cannot wake a virtual clock
        link = Link(Hub(asyncio.get_running_loop()))
        return await slow.launch(link)

    assert asyncio.run(main())


def test_outside_of_a_program_they_say_so() -> None:
    with pytest.raises(InvalidRequest, match="inside of a program"):
        rf.map(shout, ["a"])
    with pytest.raises(InvalidRequest, match="def programs"):
        rf.blocking(print)


@rf.function
def even(s: rf.State, i: int) -> int:
    if i % 2:
        raise ValueError(f"{i} is odd")
    s += f"item {i}" + rf.gen("x", max_tokens=2, ignore_eos=True)
    return i


@pytest.mark.parametrize("limit", [None, 1])
def test_an_item_that_fails_has_the_value_that_on_error_gives(parts: Parts, limit: int | None) -> None:
    def replaced(error: NodeError) -> str:
        return f"{error.path.rpartition('/')[2]}: {error.cause.what}"

    @rf.function
    def plain(s: rf.State) -> list[int | str]:
        return rf.map(even, range(4), limit=limit, on_error=replaced)  # type: ignore[return-value]

    @rf.function
    async def coroutine(s: rf.State) -> list[int | str]:
        return [await value for value in rf.map(even, range(4), limit=limit, on_error=replaced)]

    expected = [0, "even[1]: ValueError: 1 is odd", 2, "even[3]: ValueError: 3 is odd"]
    assert play(parts, plain) == play(parts, coroutine) == expected


def test_what_on_error_raises_is_the_failure_of_its_item(parts: Parts) -> None:
    def refuse(error: NodeError) -> int:
        raise KeyError(error.cause.what)

    @rf.function
    def all_of(s: rf.State) -> tuple[int, str]:
        good, bad = rf.map(even, [0, 1], on_error=refuse)
        with pytest.raises(NodeError) as caught:
            bad.get()
        return good.get(), caught.value.what

    good, what = play(parts, all_of)
    assert good == 0 and "KeyError" in what and "1 is odd" in what


def test_on_error_may_run_another_program(parts: Parts) -> None:
    @rf.function
    def all_of(s: rf.State) -> list[int]:
        return rf.map(even, [0, 1], on_error=lambda error: even(6).get())  # type: ignore[return-value]

    assert play(parts, all_of) == [0, 6]


def test_on_error_is_a_plain_function(parts: Parts) -> None:
    async def replaced(error: NodeError) -> int:
        return 0

    @rf.function
    def all_of(s: rf.State) -> list[object]:
        return rf.map(even, [1], on_error=replaced)  # type: ignore[return-value]

    with pytest.raises(InvalidRequest, match="async def"):
        play(parts, all_of)
