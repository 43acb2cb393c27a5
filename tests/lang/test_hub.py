"""Plain `def` programs side by side on one loop: on a virtual clock with the fake worker, without a thread for each."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import ramify as rf
from lang_world import make_world
from ramify.errors import Cancelled, DeadlineExceeded, InvalidRequest, NodeError
from ramify.lang.events import Event, NodeDone, NodeStarted, TextDelta
from ramify.runtime.sim.loop import run
from ramify.runtime.sim.simulation import Parts


@rf.function
def branching(s: rf.State, n: int) -> list[str]:
    s += f"program {n}" + rf.gen("a", max_tokens=4, ignore_eos=True, temperature=0)
    if len(str(s["a"])) % 2:  # a fence: what follows depends on the value
        s += " odd"
    branches = s.fork(2)
    for branch in branches:
        branch += rf.fmt(" so {a} and ", a=s["a"]) + rf.gen("b", max_tokens=3, ignore_eos=True, temperature=0)
    return [str(s["a"]), *(str(branch["b"]) for branch in branches)]


@pytest.mark.parametrize("overlap", [0, 1])
def test_two_hundred_programs_on_one_thread(parts: Parts, overlap: int) -> None:
    async def main() -> list[list[str]]:
        world, link = make_world(parts, 1, overlap)
        before = threading.active_count()
        runs = [branching.launch(link, n) for n in range(200)]
        results = await asyncio.gather(*(asyncio.wrap_future(each._future) for each in runs))
        assert threading.active_count() == before
        await world.settle()
        return list(results)

    together = run(main())

    async def alone(n: int) -> list[str]:
        _, link = make_world(parts, 2, overlap)
        return await asyncio.wrap_future(branching.launch(link, n)._future)

    for n in (0, 57, 199):
        assert together[n] == run(alone(n)), "a program's values do not depend on what runs beside it"


def test_a_fence_waits_in_virtual_time_and_a_timeout_of_one_look_leaves_the_node_running(parts: Parts) -> None:
    @rf.function
    def patient(s: rf.State) -> tuple[bool, str]:
        s += "a" + rf.gen("x", max_tokens=30, ignore_eos=True, temperature=0)
        late = False
        try:
            s["x"].get(timeout=0.0005)
        except TimeoutError:
            late = True
        return late, s["x"].get(timeout=3600)

    async def main() -> tuple[bool, str]:
        _, link = make_world(parts, 3, 1)
        return await asyncio.wrap_future(patient.launch(link)._future)

    late, text = run(main())
    assert late and isinstance(text, str)


def test_a_run_past_its_deadline_fails_and_the_others_finish(parts: Parts) -> None:
    @rf.function
    def slow(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
        return s["x"]

    async def main() -> list[Any]:
        world, link = make_world(parts, 4, 1)
        runs = [slow.on(timeout=0.3).launch(link), branching.launch(link, 5)]
        results = await asyncio.gather(*(asyncio.wrap_future(each._future) for each in runs), return_exceptions=True)
        await world.settle()
        return results

    failed, fine = run(main())
    assert isinstance(failed, NodeError) and isinstance(failed.__cause__, DeadlineExceeded)
    assert len(fine) == 3


def test_a_program_inside_a_program_parks_the_outer_one(parts: Parts) -> None:
    async def main() -> str:
        _, link = make_world(parts, 5, 1)

        @rf.function
        def inner(s: rf.State) -> str:
            s += "inner" + rf.gen("x", max_tokens=3, ignore_eos=True)
            return s["x"]

        @rf.function
        def outer(s: rf.State) -> str:
            s += "outer " + inner.launch(link).result() + rf.gen("y", max_tokens=3, ignore_eos=True)
            return s["y"]

        return await asyncio.wrap_future(outer.launch(link)._future)

    assert isinstance(run(main()), str)


@rf.function
async def branching_async(s: rf.State, n: int) -> list[str]:
    s += f"program {n}" + rf.gen("a", max_tokens=4, ignore_eos=True, temperature=0)
    if len(await s["a"]) % 2:
        s += " odd"
    branches = s.fork(2)
    for branch in branches:
        branch += rf.fmt(" so {a} and ", a=s["a"]) + rf.gen("b", max_tokens=3, ignore_eos=True, temperature=0)
    return [s["a"], *(branch["b"] for branch in branches)]


def test_def_and_async_def_are_equal(parts: Parts) -> None:
    async def main() -> tuple[list[str], list[str]]:
        _, link = make_world(parts, 6, 1)
        return await branching.launch(link, 3), await branching_async.launch(link, 3)

    plain, coroutine = run(main())
    assert plain == coroutine


def test_an_implicit_look_in_async_def_names_await(parts: Parts) -> None:
    @rf.function
    async def careless(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=3)
        return f"{s['x']}"

    async def main() -> None:
        _, link = make_world(parts, 7, 1)
        await careless.launch(link)

    with pytest.raises(InvalidRequest) as caught:
        run(main())
    assert "await" in caught.value.hint


def test_a_child_run_is_a_value(parts: Parts) -> None:
    @rf.function
    def leaf(s: rf.State, word: str) -> str:
        s += word + rf.gen("x", max_tokens=3, ignore_eos=True, temperature=0)
        return s["x"]

    @rf.function
    def tree(s: rf.State) -> tuple[list[str], list[str]]:
        children = [leaf(word) for word in ("one", "two", "three")]
        paths = [child.path for child in children]
        s += "they said " + children[0] + rf.gen("y", max_tokens=2, ignore_eos=True)
        return children, paths

    async def main() -> tuple[list[str], list[str], str]:
        _, link = make_world(parts, 8, 1)
        values, paths = await tree.launch(link)
        return values, paths, await leaf.launch(link, "two")

    values, paths, alone = run(main())
    assert paths == [f"{tree.name}/{leaf.name}[{i}]" for i in range(3)]
    assert values[1] == alone and len(values) == 3


def test_a_child_that_fails_fails_where_it_is_looked_at(parts: Parts) -> None:
    @rf.function
    def bad(s: rf.State) -> str:
        raise ValueError("no luck")

    @rf.function
    def parent(s: rf.State) -> str:
        child = bad()
        try:
            return str(child)
        except NodeError as error:
            return f"caught {error.path}: {error.__cause__}"

    async def main() -> str:
        _, link = make_world(parts, 9, 1)
        return await parent.launch(link)

    assert "no luck" in run(main())


def test_events_tell_the_text_as_it_comes(parts: Parts) -> None:
    @rf.function
    def two(s: rf.State) -> list[str]:
        s += "a" + rf.gen("x", max_tokens=6, ignore_eos=True) + rf.gen("y", max_tokens=200, stop="e", ignore_eos=True)
        return [s["x"], s["y"]]

    async def main() -> tuple[list[str], list[Event]]:
        _, link = make_world(parts, 10, 1)
        each = two.on(events=True).launch(link)
        return await each, list(each.events())

    (x, y), events = run(main())
    name = two.name
    assert [e.path for e in events if isinstance(e, NodeStarted)] == [f"{name}/x[0]", f"{name}/y[0]"]
    for path, text in ((f"{name}/x[0]", x), (f"{name}/y[0]", y)):
        assert "".join(e.text for e in events if isinstance(e, TextDelta) and e.path == path) == text
        assert [e.text for e in events if isinstance(e, NodeDone) and e.path == path] == [text]


def test_cancel_reaches_def_and_async_def(parts: Parts) -> None:
    @rf.function
    def plain(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
        return str(s["x"])

    @rf.function
    async def coroutine(s: rf.State) -> str:
        s += "a" + rf.gen("x", max_tokens=500, ignore_eos=True)
        await asyncio.sleep(3600)
        return "never"

    async def main() -> list[Any]:
        world, link = make_world(parts, 11, 1)
        runs = [plain.launch(link), coroutine.launch(link)]
        await asyncio.sleep(0.1)
        for each in runs:
            each.cancel()
        results = await asyncio.gather(*(asyncio.wrap_future(each._future) for each in runs), return_exceptions=True)
        await world.settle()
        return results

    assert [type(error) for error in run(main())] == [Cancelled, Cancelled]
